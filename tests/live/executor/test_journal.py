"""The journal: whole after any crash, refused when what was durable is damaged, one hash for one history."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from live.errors import JournalDamaged, JournalError
from live.executor.journal import Journal, chain, frame, recover
from tests.live.executor.disks import FlakyFile

payloads = st.lists(st.binary(min_size=1, max_size=40), max_size=8)


def written(*rows: bytes) -> FlakyFile:
    """A file with these records, durable."""
    file = FlakyFile()
    journal = Journal(file)
    for row in rows:
        journal.append([row])
        journal.sync()
    return file


@given(payloads)
def test_what_was_written_is_read(rows: list[bytes]) -> None:
    """In order, with the same head."""
    file = FlakyFile()
    journal = Journal(file)
    journal.append(rows)
    again = Journal(FlakyFile(file.read()))
    assert list(again.recovered) == rows
    assert again.head == journal.head
    assert again.torn_bytes == 0


def test_a_tail_torn_at_every_byte_is_cut_and_the_rest_is_there() -> None:
    """Fault 5: whatever part of the last record reached the disk, all records before it are read."""
    rows = [b"first", b"second", b"the last one, which is torn"]
    whole = written(*rows).read()
    begin = len(written(*rows[:2]).read())
    for size in range(begin, len(whole)):
        file = FlakyFile(whole[:size])
        journal = Journal(file)
        assert list(journal.recovered) == rows[:2]
        assert len(file.read()) == begin
        journal.append([b"next"])
        assert list(Journal(FlakyFile(file.read())).recovered) == [*rows[:2], b"next"]


def test_a_byte_of_the_last_record_that_is_wrong_cuts_it() -> None:
    """At every byte: garbage where the record was, as a torn sector leaves it."""
    rows = [b"first", b"last record"]
    whole = written(*rows).read()
    begin = len(written(rows[0]).read())
    for at in range(begin, len(whole)):
        data = bytearray(whole)
        data[at] ^= 0x5A
        assert recover(bytes(data)).payloads == rows[:1]


def test_damage_of_what_was_durable_is_refused_at_every_byte() -> None:
    """A record behind it was written when it was durable: nothing is cut, a person must look."""
    rows = [b"first", b"second", b"third"]
    whole = written(*rows).read()
    begin, end = len(written(rows[0]).read()), len(written(*rows[:2]).read())
    for at in range(begin, end):
        data = bytearray(whole)
        data[at] ^= 0x5A
        with pytest.raises(JournalDamaged, match=f"byte {begin}"):
            recover(bytes(data))


def test_records_that_were_never_durable_may_be_lost_together() -> None:
    """Two records of one write whose first page did not reach the disk: a crash, no damage."""
    file = written(b"first")
    begin = len(file.read())
    journal = Journal(file)
    journal.append([b"a" * 30])
    journal.append([b"b" * 30])
    data = bytearray(file.read())
    data[begin : begin + 20] = bytes(20)
    assert recover(bytes(data)).payloads == [b"first"]


@given(payloads, st.integers(0, 400))
def test_a_crash_keeps_what_was_synced_and_a_prefix_of_the_rest(rows: list[bytes], kept: int) -> None:
    """Synced records are never lost; of the others a prefix is there."""
    file = written(b"durable")
    journal = Journal(file)
    journal.append(rows)
    file.crash(kept)
    found = list(Journal(file).recovered)
    assert found == [b"durable", *rows][: len(found)]
    assert len(found) >= 1


def test_the_head_is_of_the_whole_history_and_survives_compaction() -> None:
    """The same records give the same head, another order another one; a replacement goes on from it."""
    one, other = Journal(written(b"a", b"b")), Journal(written(b"b", b"a"))
    assert one.head == Journal(written(b"a", b"b")).head != other.head
    before = bytes.fromhex(one.head)
    one.replace(b"sum")
    assert one.head == chain(before, b"sum").hex()
    one.append([b"c"])
    one.sync()
    assert one.size == len(frame(b"sum", before, 0)) + len(frame(b"c", bytes.fromhex(one.head), 0))


def test_a_replaced_file_is_read_back() -> None:
    """One record that stands for all before it, and what came behind."""
    file = written(b"a", b"b")
    journal = Journal(file)
    journal.replace(b"sum")
    journal.append([b"c"])
    again = Journal(FlakyFile(file.read()))
    assert list(again.recovered) == [b"sum", b"c"]
    assert again.head == journal.head


def test_a_full_disk_stops_everything_until_a_new_file_is_written() -> None:
    """Fault 28: the record does not count, the next is refused too, and `replace` is the way back."""
    file = written(b"a")
    journal = Journal(file)
    head = journal.head
    file.room = 10
    with pytest.raises(JournalError, match="No space left"):
        journal.append([b"b"])
    assert journal.head == head
    file.room = 2**20
    with pytest.raises(JournalError, match="No space left"):
        journal.append([b"b"])
    assert list(Journal(FlakyFile(file.read())).recovered) == [b"a"]
    journal.replace(b"sum")
    journal.append([b"b"])
    assert journal.problem == ""
    assert list(Journal(FlakyFile(file.read())).recovered) == [b"sum", b"b"]


def test_a_sync_that_failed_is_never_believed_later() -> None:
    """The kernel reports an error once: the next success says nothing of the lost pages."""
    file = FlakyFile()
    journal = Journal(file)
    journal.append([b"a"])
    file.fails_sync = True
    with pytest.raises(JournalError, match="Input/output"):
        journal.sync()
    file.fails_sync = False
    with pytest.raises(JournalError):
        journal.sync()
    assert not journal.is_durable


def test_closing_makes_durable_and_lets_go() -> None:
    """What was appended is on the disk."""
    file = FlakyFile()
    journal = Journal(file)
    journal.append([b"a"])
    journal.close()
    assert file.is_closed
    assert list(Journal(FlakyFile(file.durable)).recovered) == [b"a"]

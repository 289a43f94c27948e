"""A trial's log: what was written is read again, what is torn is cut, what is old goes."""

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from live.errors import TrialLogUnreadable
from live.trial_log import TrialLog, framed, prune, read_rows, recorded, running
from live.trial_rows import Begun, EndedRow, JudgedRow

BEGUN = Begun("shadow", 2, "m2", 1, "", "", 3, 1_767_787_200_000_000_000, 60_000_000_000)
shares = st.floats(0.0, 1.0)
rows = st.builds(
    JudgedRow, st.text(max_size=30), st.integers(0, 2**62), st.booleans(), shares, st.booleans(), st.none() | shares,
    st.booleans(),
)  # fmt: skip


def judged(number: int) -> JudgedRow:
    """A row that can be told from others."""
    return JudgedRow(f"a-{number}", number, bool(number % 2), 0.1 + number * 1e-6, True, 1 / 3, False)


@given(st.lists(rows, max_size=20))
def test_rows_come_back_float_for_float(tmp_path_factory: pytest.TempPathFactory, wanted: list[JudgedRow]) -> None:
    """In their order, behind who is on trial."""
    log = TrialLog.begin(tmp_path_factory.mktemp("log"), BEGUN)
    for row in wanted:
        log.add(row)
    log.close()
    assert list(read_rows(log.path)) == [BEGUN, *wanted]
    again, found = TrialLog.reopen(log.path)
    again.close()
    assert (found, again.damage) == ([BEGUN, *wanted], "")


@pytest.mark.parametrize("cut", [1, 5, 9, 20])
def test_a_torn_tail_is_cut_and_kept_aside(tmp_path: Path, cut: int) -> None:
    """A kill in the middle of a write, or a page that never reached the disk."""
    log = TrialLog.begin(tmp_path, BEGUN)
    log.add(judged(1))
    log.add(judged(2))
    log.close()
    whole = log.path.read_bytes()
    log.path.write_bytes(whole[:-cut])
    again, found = TrialLog.reopen(log.path)
    assert found == [BEGUN, judged(1)]
    assert "are no row" in again.damage
    again.add(judged(3))
    again.close()
    assert list(read_rows(log.path)) == [BEGUN, judged(1), judged(3)]
    assert log.path.with_suffix(".damaged").read_bytes() == whole[:-cut]


def test_a_flipped_bit_ends_what_is_believed(tmp_path: Path) -> None:
    """By its checksum."""
    log = TrialLog.begin(tmp_path, BEGUN)
    log.add(judged(1))
    log.close()
    content = bytearray(log.path.read_bytes())
    content[-3] ^= 1
    log.path.write_bytes(content)
    assert list(read_rows(log.path)) == [BEGUN]


@pytest.mark.parametrize("content", [b"", b"\x00" * 40, framed(judged(1))])
def test_a_log_without_a_beginning_is_refused(tmp_path: Path, content: bytes) -> None:
    """Nobody knows whose rows these are."""
    path = tmp_path / "1-shadow-v2.log"
    path.write_bytes(content)
    with pytest.raises(TrialLogUnreadable, match="does not begin with a trial"):
        TrialLog.reopen(path)


def test_what_is_gathered_is_written_together(tmp_path: Path) -> None:
    """Nothing is on the disk before `flush`; what was written since is synced once."""
    log = TrialLog.begin(tmp_path, BEGUN)
    log.add(judged(1))
    assert list(read_rows(log.path)) == [BEGUN]
    assert log.to_sync() is None
    log.flush()
    assert list(read_rows(log.path)) == [BEGUN, judged(1)]
    descriptor = log.to_sync()
    assert descriptor is not None
    os.close(descriptor)
    assert log.to_sync() is None
    log.close()


def test_an_ended_log_is_no_running_one(tmp_path: Path) -> None:
    """A trial of the same begin gets a name of its own."""
    log = TrialLog.begin(tmp_path, BEGUN)
    other = TrialLog.begin(tmp_path, BEGUN)
    assert running(tmp_path) == sorted([log.path, other.path])
    log.end(EndedRow(9, "over"))
    assert running(tmp_path) == [other.path]
    assert set(recorded(tmp_path)) == {log.path, other.path}
    assert list(read_rows(log.path))[-1] == EndedRow(9, "over")
    other.close()


def test_the_oldest_ended_logs_go(tmp_path: Path) -> None:
    """By count and by size; those that run stay."""
    for number in range(6):
        log = TrialLog.begin(tmp_path, Begun("shadow", number, "", 1, "", "", 1, number, 60_000_000_000))
        if number:
            log.end(EndedRow(9, "over"))
        else:
            log.close()
    assert prune(tmp_path) == []
    assert [path.name for path in prune(tmp_path, most=3)] == [f"{k:019d}-shadow-v{k}.ended.log" for k in (2, 1)]
    size = recorded(tmp_path)[-1].stat().st_size
    assert len(prune(tmp_path, most_bytes=2 * size)) == 1
    assert len(running(tmp_path)) == 1
    assert [path.name.split("-")[-1] for path in recorded(tmp_path)] == ["v0.log", "v4.ended.log", "v5.ended.log"]

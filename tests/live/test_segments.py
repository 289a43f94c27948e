"""Segments: what was written is read back, whole records only, whatever a crash left."""

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from live.errors import LiveError, SegmentError, SegmentsBusy
from live.segments import FolderLock, SegmentWriter, read_segment, segment_numbers, segment_path


def written(path: Path, records: list[bytes]) -> Path:
    """A segment with these records."""
    writer = SegmentWriter(path)
    for record in records:
        writer.append(record)
    writer.sync()
    writer.close()
    return path


@given(st.lists(st.binary(max_size=60), max_size=12))
def test_records_come_back(tmp_path_factory: pytest.TempPathFactory, records: list[bytes]) -> None:
    """In order, empty ones included."""
    path = segment_path(tmp_path_factory.mktemp("segments"), 1)
    assert read_segment(written(path, records)) == (records, 0)


def test_a_torn_end_is_left_out_at_every_byte(tmp_path: Path) -> None:
    """Cut anywhere, a segment holds the records that are whole."""
    records = [b"first", b"", b"third record"]
    whole = written(segment_path(tmp_path, 1), records).read_bytes()
    torn = tmp_path / "torn"
    for length in range(len(whole)):
        torn.write_bytes(whole[:length])
        found, unread = read_segment(torn)
        assert found == records[: len(found)]
        assert len(found) < 3
        held = 19 + sum(8 + len(record) for record in found)
        assert unread == (length - held if length >= 19 else length)
    torn.write_bytes(whole)
    assert read_segment(torn) == (records, 0)


@pytest.mark.parametrize(("place", "left"), [(0, [b"second", b"third"]), (1, [b"first", b"third"]),
                                             (2, [b"first", b"second"])])  # fmt: skip
def test_an_altered_record_is_passed_over(tmp_path: Path, place: int, left: list[bytes]) -> None:
    """A checksum says so; what follows is read, nothing made up ever is, and its bytes are counted."""
    records = [b"first", b"second", b"third"]
    path = written(segment_path(tmp_path, 1), records)
    data = bytearray(path.read_bytes())
    data[19 + sum(8 + len(record) for record in records[:place]) + 8] ^= 1
    path.write_bytes(data)
    assert read_segment(path) == (left, 8 + len(records[place]))


def test_a_file_of_somebody_else_holds_no_records(tmp_path: Path) -> None:
    """All of it is unread."""
    path = segment_path(tmp_path, 1)
    path.write_bytes(b"something else altogether, but long enough")
    assert read_segment(path) == ([], 42)


def test_records_wait_in_memory_until_written(tmp_path: Path) -> None:
    """After `write` another process would see them."""
    path = segment_path(tmp_path, 7)
    writer = SegmentWriter(path)
    writer.append(b"one")
    assert path.stat().st_size == 0
    assert writer.waiting_bytes > 3
    writer.write()
    assert read_segment(path) == ([b"one"], 0)
    assert (writer.waiting_bytes, writer.size_bytes) == (0, path.stat().st_size)
    writer.close()
    assert segment_numbers(tmp_path) == [7]


def test_a_segment_is_never_opened_twice(tmp_path: Path) -> None:
    """A number that is taken is refused, and named."""
    path = written(segment_path(tmp_path, 1), [b"x"])
    with pytest.raises(SegmentError, match=r"0000000001\.segment.*exists"):
        SegmentWriter(path)


def test_a_disk_that_refuses_loses_nothing(tmp_path: Path) -> None:
    """What waits stays in memory and is written by the next try."""
    path = segment_path(tmp_path, 1)
    writer = SegmentWriter(path)
    writer.append(b"kept")
    good = writer._file
    writer._file = os.open("/dev/full", os.O_WRONLY)
    with pytest.raises(SegmentError, match=r"disk refused.*space"):
        writer.sync()
    os.close(writer._file)
    writer._file = good
    writer.sync()
    writer.close()
    assert read_segment(path) == ([b"kept"], 0)


def test_one_recorder_a_folder(tmp_path: Path) -> None:
    """The second is refused with what to do, until the first has gone."""
    with FolderLock(tmp_path / "new"), pytest.raises(SegmentsBusy, match=r"another recorder is at work.*paths\.var"):
        FolderLock(tmp_path / "new")
    with FolderLock(tmp_path / "new"), FolderLock(tmp_path / "new", "compaction"):
        pass
    assert issubclass(SegmentsBusy, LiveError)

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
    assert list(read_segment(written(path, records))) == records


def test_a_torn_end_is_left_out_at_every_byte(tmp_path: Path) -> None:
    """Cut anywhere, a segment holds the records that are whole."""
    records = [b"first", b"", b"third record"]
    whole = written(segment_path(tmp_path, 1), records).read_bytes()
    torn = tmp_path / "torn"
    for length in range(len(whole)):
        torn.write_bytes(whole[:length])
        found = list(read_segment(torn))
        assert found == records[: len(found)]
        assert len(found) < 3
    torn.write_bytes(whole)
    assert list(read_segment(torn)) == records


def test_an_altered_record_ends_the_segment(tmp_path: Path) -> None:
    """A checksum says so; nothing made up is ever read."""
    path = written(segment_path(tmp_path, 1), [b"first", b"second", b"third"])
    data = bytearray(path.read_bytes())
    data[-9] ^= 1
    path.write_bytes(data)
    assert list(read_segment(path)) in ([b"first", b"second"], [b"first"])
    path.write_bytes(b"something else altogether, but long enough")
    assert list(read_segment(path)) == []


def test_records_wait_in_memory_until_written(tmp_path: Path) -> None:
    """After `write` another process would see them."""
    path = segment_path(tmp_path, 7)
    writer = SegmentWriter(path)
    writer.append(b"one")
    assert path.stat().st_size == 0
    assert writer.waiting_bytes > 3
    writer.write()
    assert list(read_segment(path)) == [b"one"]
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
    assert list(read_segment(path)) == [b"kept"]


def test_one_recorder_a_folder(tmp_path: Path) -> None:
    """The second is refused with what to do, until the first has gone."""
    with FolderLock(tmp_path / "new"), pytest.raises(SegmentsBusy, match=r"another recorder.*paths\.var"):
        FolderLock(tmp_path / "new")
    FolderLock(tmp_path / "new").close()
    assert issubclass(SegmentsBusy, LiveError)

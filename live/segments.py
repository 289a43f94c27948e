"""Segments: files that only grow, of records that are whole or not there.

A record is its length, its CRC-32 and its bytes. What a crash leaves half written at the end of a file is not read; a
file is never written to again by a later process.
"""

import fcntl
import os
import struct
import zlib
from pathlib import Path
from typing import Final, Self

from live.errors import SegmentError, SegmentsBusy

_MAGIC: Final = b"tidegate segment 1\n"
_HEAD: Final = struct.Struct("<II")
_SUFFIX: Final = ".segment"


def segment_path(folder: Path, number: int) -> Path:
    """Return where a segment lies."""
    return folder / f"{number:010d}{_SUFFIX}"


def segment_numbers(folder: Path) -> list[int]:
    """Return the numbers of the segments in a folder, rising."""
    return sorted(int(path.stem) for path in folder.glob(f"*{_SUFFIX}"))


def read_segment(path: Path) -> tuple[list[bytes], int]:
    """Return the records of a segment, and how many bytes of it are none.

    A record that was altered is passed over when another one follows it; what a crash tore ends the segment.
    """
    data = path.read_bytes()
    if not data.startswith(_MAGIC):
        return [], len(data)
    records, place, unread = [], len(_MAGIC), 0
    while (record := _record_at(data, place)) is not None:
        end = place + _HEAD.size + len(record)
        if zlib.crc32(record) == _HEAD.unpack_from(data, place)[1]:
            records.append(record)
        elif end == len(data) or _is_whole(data, end):
            unread += end - place
        else:
            break
        place = end
    return records, unread + len(data) - place


def _record_at(data: bytes, place: int) -> bytes | None:
    """Return the bytes that a record's length names, None when the file ends before."""
    if place + _HEAD.size > len(data):
        return None
    start = place + _HEAD.size
    end = start + _HEAD.unpack_from(data, place)[0]
    return data[start:end] if end <= len(data) else None


def _is_whole(data: bytes, place: int) -> bool:
    record = _record_at(data, place)
    return record is not None and zlib.crc32(record) == _HEAD.unpack_from(data, place)[1]


class SegmentWriter:
    """One growing segment. Records wait in memory until `write`, and in the machine's until `flush`.

    After `write` they survive this process, after `flush` the machine. A disk that refuses raises SegmentError and
    loses nothing: what waits is written by a later `write`.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.records = 0
        self._waiting = bytearray()
        self._written = 0
        try:
            self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
            _sync_folder(path.parent)
        except OSError as refused:
            raise _refusal(path, refused) from refused
        self._waiting += _MAGIC

    @property
    def waiting_bytes(self) -> int:
        """How much waits in memory."""
        return len(self._waiting)

    @property
    def size_bytes(self) -> int:
        """How much has been written."""
        return self._written

    def append(self, record: bytes) -> None:
        """Add a record, in memory."""
        self._waiting += _HEAD.pack(len(record), zlib.crc32(record))
        self._waiting += record
        self.records += 1

    def write(self) -> None:
        """Hand what waits to the operating system. Raises SegmentError; half a write is taken back."""
        while self._waiting:
            try:
                done = os.write(self._file, self._waiting)
            except OSError as refused:
                raise _refusal(self.path, refused) from refused
            # Whatever of it was taken stands: the rest is written behind it, now or later.
            del self._waiting[:done]
            self._written += done

    def flush(self) -> None:
        """Wait until the disk has what was written; another thread may do this. Raises SegmentError."""
        try:
            os.fdatasync(self._file)
        except OSError as refused:
            raise _refusal(self.path, refused) from refused

    def sync(self) -> None:
        """Write, and wait until the disk has it. Raises SegmentError."""
        self.write()
        self.flush()

    def close(self) -> None:
        """Give up the file; what waits in memory is lost, so sync before."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1


class FolderLock:
    """One process at a time does a thing to a folder's segments; the kernel frees the lock when it dies.

    Raises SegmentsBusy when another one holds it.
    """

    def __init__(self, folder: Path, what: str = "recorder") -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._file = os.open(folder / f".{what}.lock", os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            self.close()
            raise SegmentsBusy(
                f"{folder}: another {what} is at work here; wanted it to myself; end the other one, or give this one "
                f"another paths.var"
            ) from None

    def close(self) -> None:
        """Let others in."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _refusal(path: Path, refused: OSError) -> SegmentError:
    return SegmentError(
        f"{path}: the disk refused ({refused.strerror or refused}); nothing that was written is lost, what waits is "
        f"kept in memory; make room"
    )

"""Segments: files that only grow, of records that are whole or not there.

A record is its length, its CRC-32 and its bytes. What a crash leaves half written at the end of a file is not read; a
file is never written to again by a later process.
"""

import fcntl
import os
import struct
import zlib
from collections.abc import Iterator
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


def read_segment(path: Path) -> Iterator[bytes]:
    """Yield the records of a segment; the first one that is not whole ends it."""
    data = path.read_bytes()
    if not data.startswith(_MAGIC):
        return
    view, place = memoryview(data), len(_MAGIC)
    while place + _HEAD.size <= len(data):
        length, checksum = _HEAD.unpack_from(data, place)
        record = view[place + _HEAD.size : place + _HEAD.size + length]
        if len(record) < length or zlib.crc32(record) != checksum:
            return
        yield bytes(record)
        place += _HEAD.size + length


class SegmentWriter:
    """One growing segment. Records wait in memory until `write`, and in the machine's until `sync`.

    After `write` they survive this process, after `sync` the machine. A disk that refuses raises SegmentError and
    loses nothing: what waits is written by a later `write`.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.records = 0
        self._waiting = bytearray()
        self._written = 0
        self._is_synced = True
        try:
            self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
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
            self._is_synced = False

    def sync(self) -> None:
        """Write, and wait until the disk has it. Raises SegmentError."""
        self.write()
        if self._is_synced:
            return
        try:
            os.fdatasync(self._file)
        except OSError as refused:
            raise _refusal(self.path, refused) from refused
        self._is_synced = True

    def close(self) -> None:
        """Give up the file; what waits in memory is lost, so sync before."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1


class FolderLock:
    """One process at a time writes segments into a folder; the kernel frees the lock when it dies."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._file = os.open(folder / ".lock", os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            self.close()
            raise SegmentsBusy(
                f"{folder}: another recorder writes here; wanted it to myself; end the other one, or give this one "
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


def _refusal(path: Path, refused: OSError) -> SegmentError:
    return SegmentError(
        f"{path}: the disk refused ({refused.strerror or refused}); nothing that was written is lost, what waits is "
        f"kept in memory; make room"
    )

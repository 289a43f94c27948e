"""The file under the journal: what it must be able to do, and the one on a disk. A simulator hands in another one."""

import fcntl
import os
from pathlib import Path
from typing import Protocol

from live.errors import JournalBusy, JournalError
from registry.errors import FileError
from registry.files import write_file


class JournalFile(Protocol):
    """A file that is appended to. What is not synced may be gone, or half there, after a crash of the machine."""

    def read(self) -> bytes:
        """All of it; empty when there is none yet."""
        ...

    def append(self, data: bytes) -> None:
        """Write behind the end. Raises OSError; then any part of it may be there."""
        ...

    def sync(self) -> None:
        """Return when everything that was appended is durable. Raises OSError."""
        ...

    def truncate(self, size: int) -> None:
        """Cut behind `size` bytes, durably. Raises OSError."""
        ...

    def replace(self, data: bytes) -> None:
        """Become `data`, durably, whole or not at all. Raises OSError."""
        ...

    def close(self) -> None:
        """Give it up."""
        ...


class DiskFile:
    """A journal's file on a disk, held by one process at a time. Raises JournalBusy and JournalError."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = self._file = -1
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            # The lock lies beside the journal, because a compaction puts another file in its place.
            self._lock = os.open(path.with_suffix(".lock"), os.O_RDWR | os.O_CREAT, 0o600)
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self._open()
        except BlockingIOError as held:
            self.close()
            raise JournalBusy(f"{path}: another executor writes into it; end that one first") from held
        except OSError as refused:
            self.close()
            raise JournalError(f"{path}: {refused.strerror or refused}") from refused

    def read(self) -> bytes:
        """As JournalFile."""
        return self._path.read_bytes()

    def append(self, data: bytes) -> None:
        """As JournalFile."""
        view = memoryview(data)
        while view:
            view = view[os.write(self._file, view) :]

    def sync(self) -> None:
        """As JournalFile."""
        os.fdatasync(self._file)

    def truncate(self, size: int) -> None:
        """As JournalFile."""
        os.ftruncate(self._file, size)
        os.fsync(self._file)

    def replace(self, data: bytes) -> None:
        """As JournalFile."""
        try:
            write_file(self._path, data)
        except FileError as refused:
            raise OSError(str(refused)) from refused
        os.close(self._file)
        self._file = -1
        self._open()

    def close(self) -> None:
        """As JournalFile."""
        for descriptor in (self._file, self._lock):
            if descriptor >= 0:
                os.close(descriptor)
        self._file = self._lock = -1

    def _open(self) -> None:
        self._file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        folder = os.open(self._path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

"""The logs of trials on the disk: what a trial knows is what its log holds, so a kill loses nothing of it.

    FOLDER/<begun ns>-<trial>-v<version>.log          a trial that runs
    FOLDER/<begun ns>-<trial>-v<version>.ended.log    one that is over, kept for policies to be tried on

Rows are gathered and written together, before anybody is told what they led to; fsync follows within a second, as for
risk's journal, from which rows lost by a power cut are taken again. A torn tail is cut. A log that has MOST_ROWS begins
anew with what they came to. Of ended logs the newest MOST_ENDED are kept, and no more than MOST_BYTES of them.
"""

import os
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import msgspec

from live.errors import TrialLogUnreadable
from live.trial_rows import Begun, EndedRow, Row, decode, encode
from registry.files import write_file

MOST_ROWS: Final = 200_000
MOST_ENDED: Final = 200
MOST_BYTES: Final = 512 * 1024 * 1024
_ENDED = ".ended.log"
_HEAD = 8


class TrialLog:
    """One log, open for more rows. `damage` says what was cut off when it was opened, if anything."""

    def __init__(self, path: Path, damage: str = "") -> None:
        """Open a file that holds whole rows, or none. Raises OSError."""
        self.path, self.damage = path, damage
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        self._waiting = bytearray()
        self._is_dirty = False

    @classmethod
    def begin(cls, folder: Path, begun: Begun) -> "TrialLog":
        """Begin the log of a trial. Raises FileError and OSError."""
        path = folder / f"{begun.since_ns:019d}-{begun.trial}-v{begun.version}.log"
        if path.exists():
            path = path.with_name(f"{path.stem}-{sum(1 for _ in folder.glob(path.stem + '*'))}.log")
        write_file(path, framed(begun))
        return cls(path)

    @classmethod
    def reopen(cls, path: Path) -> tuple["TrialLog", list[Row]]:
        """Go on with a log: return it and its rows. What is torn is cut and kept aside.

        Raises TrialLogUnreadable when not even its beginning can be read, FileError and OSError.
        """
        content = path.read_bytes()
        rows, size = _whole(content)
        if not rows or not isinstance(rows[0], Begun):
            raise TrialLogUnreadable(f"{path}: does not begin with a trial; it is moved aside")
        damage = ""
        if size < len(content):
            aside = path.with_suffix(".damaged")
            damage = f"{path}: {len(content) - size} bytes from byte {size} on are no row; kept in {aside}"
            write_file(aside, content)
            write_file(path, content[:size])
        return cls(path, damage), rows

    def add(self, row: Row) -> None:
        """Gather a row."""
        self._waiting += framed(row)

    def flush(self) -> None:
        """Write what was gathered; it survives this process. Raises OSError, and what was gathered is dropped."""
        if self._waiting:
            content, self._waiting, self._is_dirty = self._waiting, bytearray(), True
            os.write(self._file, content)

    def renew(self, rows: list[Row]) -> None:
        """Put these rows in place of all there are. Raises FileError and OSError."""
        self._waiting.clear()
        write_file(self.path, b"".join(map(framed, rows)))
        os.close(self._file)
        self._file, self._is_dirty = os.open(self.path, os.O_WRONLY | os.O_APPEND), False

    def to_sync(self) -> int | None:
        """Return a descriptor of what was written since the last call, for `live.evidence.synced`; else None."""
        if not self._is_dirty:
            return None
        self._is_dirty = False
        return os.dup(self._file)

    def end(self, row: EndedRow) -> None:
        """Write the last row and take the log out of those that run. Raises OSError."""
        self.add(row)
        self.close()
        self.path = self.path.rename(self.path.with_name(self.path.name.removesuffix(".log") + _ENDED))

    def close(self) -> None:
        """Let go of the file. Raises OSError."""
        try:
            self.flush()
            os.fsync(self._file)
        finally:
            os.close(self._file)


def framed(row: Row) -> bytes:
    """Return a row as it stands in a file: length, checksum, content."""
    body = encode(row)
    return len(body).to_bytes(4, "little") + zlib.crc32(body).to_bytes(4, "little") + body


def read_rows(path: Path) -> Iterator[Row]:
    """Yield the whole rows of a log, which may still be written to. Raises OSError."""
    yield from _whole(path.read_bytes())[0]


def torn_bytes(path: Path) -> int:
    """Return how many bytes at the end of a log are no whole row. Raises OSError."""
    content = path.read_bytes()
    return len(content) - _whole(content)[1]


def running(folder: Path) -> list[Path]:
    """Return the logs of trials that no end was written for, oldest first."""
    return sorted(path for path in folder.glob("*.log") if not path.name.endswith(_ENDED))


def recorded(folder: Path) -> list[Path]:
    """Return all logs, oldest first."""
    return sorted(folder.glob("*.log"))


def prune(folder: Path, most: int = MOST_ENDED, most_bytes: int = MOST_BYTES) -> list[Path]:
    """Remove the oldest ended logs beyond so many, or so many bytes; return what was removed. Raises OSError."""
    ended = sorted(folder.glob(f"*{_ENDED}"), reverse=True)
    room, gone = most_bytes, []
    for place, path in enumerate(ended):
        room -= path.stat().st_size
        if place >= most or room < 0:
            path.unlink()
            gone.append(path)
    return gone


def _whole(content: bytes) -> tuple[list[Row], int]:
    """Return the rows from the beginning to the first that is not whole, and where that begins."""
    rows: list[Row] = []
    at = 0
    while at < len(content):
        size, checksum = int.from_bytes(content[at : at + 4], "little"), content[at + 4 : at + _HEAD]
        body = content[at + _HEAD : at + _HEAD + size]
        if len(body) < size or len(checksum) < 4 or zlib.crc32(body).to_bytes(4, "little") != checksum:
            break
        try:
            rows.append(decode(body))
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            break
        at += _HEAD + size
    return rows, at

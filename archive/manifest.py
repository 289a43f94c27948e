"""What a gap scan remembers of each partition, so that the next scan need not open a file that has not changed.

`ROOT/TABLE/_manifest.json` maps a partition's key to its stamp and the facts a scan needs. It is only a memory: lost,
damaged, outdated or unwritable, it costs the next scan a footer a file and nothing else.
"""

import logging
from typing import Final

import msgspec

from archive.errors import ArchiveBusy, WriteFailed
from archive.partition import Partition
from archive.storage import Stamp, Storage

FORMAT: Final = 1
NAME: Final = "_manifest.json"

_log = logging.getLogger(__name__)


class Entry(msgspec.Struct, frozen=True, gc=False):
    """The facts a scan needs of one partition, as of one stamp; times as in `partition.Partition`."""

    size_bytes: int
    version: str
    schema_version: int
    first_ns: int
    last_ns: int
    gaps: tuple[tuple[int, int], ...]
    break_count: int
    first_break_ns: int = 0
    last_break_ns: int = 0

    def is_of(self, stamp: Stamp, schema_version: int) -> bool:
        """Tell whether the file is still the one these facts were read from, and still readable."""
        return (self.size_bytes, self.version) == stamp and self.schema_version == schema_version


class _File(msgspec.Struct):
    format: int
    entries: dict[str, Entry]


def entry_of(facts: Partition, stamp: Stamp) -> Entry:
    """Return what to remember of a partition whose stamp was taken before its facts were read."""
    return Entry(
        size_bytes=stamp.size_bytes,
        version=stamp.version,
        schema_version=facts.schema_version,
        first_ns=facts.first_ns,
        last_ns=facts.last_ns,
        gaps=facts.gaps,
        break_count=facts.break_count,
        first_break_ns=facts.breaks[0] if facts.breaks else 0,
        last_break_ns=facts.breaks[-1] if facts.breaks else 0,
    )


def load(storage: Storage, table: str) -> dict[str, Entry]:
    """Return the entries by key; none when there is no manifest or it cannot be understood."""
    try:
        with storage.open(f"{table}/{NAME}") as file:
            found = msgspec.json.decode(file.read(), type=_File)
    except (OSError, msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        if not isinstance(error, FileNotFoundError):
            _log.warning("%s: cannot be used (%s); reading the footers instead", _path(storage, table), error)
        return {}
    return found.entries if found.format == FORMAT else {}


def save(storage: Storage, table: str, entries: dict[str, Entry]) -> None:
    """Replace the manifest; where that is impossible, the next scan is slower and the log says why."""
    content = msgspec.json.encode(_File(FORMAT, entries))
    try:
        storage.replace(f"{table}/{NAME}", lambda file: file.write(content))
    except (ArchiveBusy, WriteFailed) as error:
        _log.warning("%s: not renewed: %s", _path(storage, table), error)


def _path(storage: Storage, table: str) -> str:
    return storage.locate(f"{table}/{NAME}")

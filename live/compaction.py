"""Segments into the lake: every recorded message becomes a row of its day's partition, each row once.

    python -m live.compaction FOLDER UPTO LAKE

The recorder runs it as a process of its own: merging a day takes seconds and holds the day in memory, and the market
does not wait. It only reads the segments; the recorder removes them when everything is in the lake, so a crash in
between merges the same rows again, which changes nothing. Rows that the lake refuses for good (a partition of another
source, columns that do not fit) are put aside beside the segments, as they are, and hold nothing up.
"""

import io
import os
import subprocess
import sys
from collections import Counter
from datetime import date, timedelta
from pathlib import Path
from typing import Any, Protocol

import msgspec
import numpy as np

from bus.messages import KINDS, Message, Score
from live.errors import LiveError
from live.recorded_rows import Rows, row_of
from live.segments import FolderLock, read_segment, segment_numbers, segment_path
from registry.files import write_file

_EPOCH = date(1970, 1, 1)
Place = tuple[str, str, int]
"""Table, symbol, day (since 1970)."""


class Record(msgspec.Struct, array_like=True, frozen=True):
    """One recorded message. `day` is the UTC day (since 1970) of the partition its row belongs to."""

    kind: str
    stream: str
    entry_id: str
    epoch: int
    seq: int
    day: int
    body: msgspec.Raw


class Aside(msgspec.Struct, frozen=True):
    """Rows the lake refused: how many, why, and the file they are in now."""

    rows: int
    reason: str
    path: str


class Compacted(msgspec.Struct, frozen=True):
    """What came of it: rows added by table, and rows put aside.

    `unreadable` counts records that became no row, `torn` lists the segments that hold bytes which are no records.
    """

    rows: dict[str, int] = {}
    aside: list[Aside] = []
    unreadable: int = 0
    torn: list[int] = []
    error: str = ""


class Job(Protocol):
    """A compaction on its way."""

    def poll(self) -> Compacted | None:
        """Return what came of it, None while it runs."""
        ...

    def wait(self) -> Compacted:
        """Wait for its end."""
        ...


_RECORD = msgspec.msgpack.Decoder(Record)
_BODIES: dict[str, "msgspec.msgpack.Decoder[Any]"] = {
    kind: msgspec.msgpack.Decoder(body) for kind, body in KINDS.items()
}


def compact(folder: Path, upto: int, lake_root: str) -> Compacted:
    """Merge every segment of a folder up to a number into the lake.

    Raises SegmentsBusy while another compaction is at work (one that a dead recorder left, say), and what the lake
    raises when it cannot be written for now (busy, full, not there): nothing is lost, do it again.
    """
    with FolderLock(folder, "compaction"):
        return _merged(folder, upto, lake_root)


def _merged(folder: Path, upto: int, lake_root: str) -> Compacted:
    """Merge, alone: two that read a partition and then wrote it would lose what the first wrote."""
    from archive import errors  # noqa: PLC0415 - pyarrow: the services must not load it
    from archive.merging import merge  # noqa: PLC0415
    from archive.store import Lake  # noqa: PLC0415

    lake = Lake.create(lake_root)
    gathered = _gathered(folder, upto)
    added: Counter[str] = Counter()
    aside: list[Aside] = []
    for (table, symbol, day), rows in sorted(gathered.rows.items()):
        columns = rows.columns()
        try:
            hashed = gathered.schema_hash if table == "live_scores" else ""
            done = merge(lake, table, symbol, _EPOCH + timedelta(days=day), columns, schema_hash=hashed)
            added[table] += done.added
        except (errors.ForeignPartition, errors.BadColumns, errors.CorruptPartition, errors.SchemaVersionError) as why:
            path = folder / "aside" / f"{table}-{symbol}-{_EPOCH + timedelta(days=day)}-{upto}.npz"
            content = io.BytesIO()
            np.savez(content, allow_pickle=False, **columns)
            write_file(path, content.getvalue())
            aside.append(Aside(len(rows), str(why), str(path)))
    return Compacted(dict(added), aside, gathered.unreadable, gathered.torn)


class _Gathered:
    """The rows of some segments by partition."""

    def __init__(self) -> None:
        self.rows: dict[Place, Rows] = {}
        self.schema_hash = ""
        self.unreadable = 0
        self.torn: list[int] = []


def read_records(path: Path) -> tuple[list[Record], int, int]:
    """Return a segment's records, how many of its records are of another form, and its bytes that are none."""
    data, unread = read_segment(path)
    found, strange = [], 0
    for each in data:
        try:
            found.append(_RECORD.decode(each))
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            strange += 1
    return found, strange, unread


def _gathered(folder: Path, upto: int) -> _Gathered:
    from archive.layout import TABLES  # noqa: PLC0415

    found = _Gathered()
    for number in (number for number in segment_numbers(folder) if number <= upto):
        records, strange, unread = read_records(segment_path(folder, number))
        found.unreadable += strange
        if unread:
            found.torn.append(number)
        for record in records:
            try:
                body: Message = _BODIES[record.kind].decode(record.body)
                row = row_of(body)
                if row is None:
                    continue
                place = (row.table, body.symbol, record.day)  # type: ignore[union-attr]  # what has a row has a symbol
                if place not in found.rows:
                    found.rows[place] = Rows(TABLES[row.table].columns)
                found.rows[place].add(row)
            except (KeyError, ValueError, OverflowError, msgspec.MsgspecError, RecursionError):
                found.unreadable += 1
                continue
            if isinstance(body, Score):
                found.schema_hash = body.schema_hash
    return found


class InlineJob:
    """A compaction that has run already, in this process."""

    def __init__(self, folder: Path, upto: int, lake_root: str) -> None:
        from archive.errors import ArchiveError  # noqa: PLC0415

        try:
            self._done = compact(folder, upto, lake_root)
        except (ArchiveError, LiveError) as refused:
            self._done = Compacted(error=str(refused))

    def poll(self) -> Compacted:
        """Return what came of it."""
        return self._done

    wait = poll


class ProcessJob:
    """A compaction in a process of its own."""

    def __init__(self, folder: Path, upto: int, lake_root: str) -> None:
        command = [sys.executable, "-m", "live.compaction", str(folder), str(upto), str(lake_root)]
        # Its output is one line or one traceback: it fits the pipes.
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)  # noqa: S603

    def poll(self) -> Compacted | None:
        """Return what came of it, None while it runs."""
        return None if self._process.poll() is None else self.wait()

    def wait(self) -> Compacted:
        """Wait for its end."""
        out, err = self._process.communicate()
        if self._process.returncode:
            last = err.decode("utf-8", "replace").strip().splitlines()[-1:] or ["no word of it"]
            return Compacted(error=f"the compaction ended with {self._process.returncode}: {last[0]}")
        return msgspec.json.decode(out, type=Compacted)


def main() -> int:
    """Compact as the command line says; the last line of the output is the result as JSON."""
    if len(sys.argv) != 4:
        sys.stderr.write("usage: python -m live.compaction FOLDER UPTO LAKE\n")
        return 2
    os.nice(10)  # the market goes first
    folder, upto, lake_root = sys.argv[1:]
    done = InlineJob(Path(folder), int(upto), lake_root).poll()
    sys.stdout.write(msgspec.json.encode(done).decode() + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())

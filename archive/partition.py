"""What is known about one partition without reading its rows: counted when it is written, kept in its footer."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import date
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from archive.errors import BadColumns, CorruptPartition
from archive.layout import Columns, Table, clock_text, day_bounds_ns
from market.columns import BOOK_RESET

Json: TypeAlias = "bool | int | float | str | Sequence[Json] | Mapping[str, Json] | None"

GAP_FLOOR_NS: Final = 10_000_000_000
"""Shortest silence a footer records; a scan for shorter ones has to read the rows."""
LATE_LIMIT_NS: Final = 60_000_000_000
"""How far before its day the first row's own time may lie (a late row); it counts as of the day's first instant."""
BREAKS_KEPT: Final = 1_000
"""Sequence breaks whose times a footer records; `break_count` is exact beyond that."""

_PREFIX: Final = "tidegate."
_CHECKSUM: Final = "tidegate.footer_sha256"
_OF_THE_FILE: Final = ("path", "size_bytes")


@dataclass(frozen=True, slots=True)
class Partition:
    """The facts of one partition.

    Times are event times in ns UTC, made monotone; `first_ns` and `last_ns` of a partition without rows are both its
    day's start. `gaps` are [last row before, first row after] silences of 10 s or more within the day; `breaks` the
    times of rows after the first that carry BOOK_RESET. `content_sha256` is over the raw bytes of every column in
    order, so it is the same for the same rows however they are compressed. `path` and `size_bytes` are the file's.
    """

    table: str
    symbol: str
    day: date
    schema_version: int
    rows: int
    first_ns: int
    last_ns: int
    gaps: tuple[tuple[int, int], ...]
    break_count: int
    breaks: tuple[int, ...]
    schema_hash: str
    content_sha256: str
    source: str
    notes: Mapping[str, Json]
    path: str = ""
    size_bytes: int = 0

    def to_footer(self) -> dict[str, str]:
        """Return the facts as key/values of a parquet footer, with a checksum, without the file's path and size."""
        values = {f.name: getattr(self, f.name) for f in fields(self) if f.name not in _OF_THE_FILE}
        values["day"] = self.day.isoformat()
        values["notes"] = dict(self.notes)
        footer = {_PREFIX + name: json.dumps(value, sort_keys=True) for name, value in values.items()}
        return footer | {_CHECKSUM: _footer_sha256(footer)}

    @classmethod
    def from_footer(cls, path: str, footer: Mapping[bytes, bytes], size_bytes: int) -> "Partition":
        """Return the facts a footer holds; CorruptPartition when one of them was altered or is not there.

        Parquet has checksums for its pages but none for its footer, and a gap scan rests on the footer alone.
        """
        texts = {key.decode("utf-8", "replace"): value.decode("utf-8", "replace") for key, value in footer.items()}
        checksum = texts.pop(_CHECKSUM, "none")
        facts = {key: text for key, text in texts.items() if key.startswith(_PREFIX)}
        if checksum != (wanted := _footer_sha256(facts)):
            raise CorruptPartition(
                f"{path}: is truncated or altered (the footer's facts hash to {wanted}, it says {checksum}); "
                f"delete the file and import the day again"
            )
        found = {key.removeprefix(_PREFIX): json.loads(text) for key, text in facts.items()}
        found["day"] = date.fromisoformat(found["day"])
        found["gaps"] = tuple((start, end) for start, end in found["gaps"])
        found["breaks"] = tuple(found["breaks"])
        return cls(**found, path=path, size_bytes=size_bytes)


def describe(
    table: Table,
    symbol: str,
    day: date,
    columns: Columns,
    *,
    source: str,
    schema_hash: str,
    notes: Mapping[str, Json],
) -> Partition:
    """Return the facts of conformed columns.

    Raises BadColumns when rows belong to another day or are not in arrival order.
    """
    _check_arrival(table, symbol, day, columns)
    event_ns = event_times_ns(columns[table.event_time], day)
    _check_day(table, symbol, day, columns[table.event_time], event_ns)
    breaks = _breaks_ns(columns, event_ns)
    rows = len(event_ns)
    start_ns, _ = day_bounds_ns(day)
    return Partition(
        table=table.name,
        symbol=symbol,
        day=day,
        schema_version=table.version,
        rows=rows,
        first_ns=int(event_ns[0]) if rows else start_ns,
        last_ns=int(event_ns[-1]) if rows else start_ns,
        gaps=silences(event_ns, GAP_FLOOR_NS),
        break_count=len(breaks),
        breaks=tuple(breaks[:BREAKS_KEPT].tolist()),
        schema_hash=schema_hash,
        content_sha256=_content_sha256(columns),
        source=source,
        notes=notes,
    )


def event_times_ns(times_ns: NDArray[np.int64], day: date) -> NDArray[np.int64]:
    """Return the event times of a partition's rows [n] int64: monotone, and never before the day starts."""
    event_ns = np.maximum.accumulate(times_ns)
    return np.maximum(event_ns, day_bounds_ns(day)[0], out=event_ns)


def silences(event_ns: NDArray[np.int64], at_least_ns: int) -> tuple[tuple[int, int], ...]:
    """Return the (last row before, first row after) times of every step of monotone times that is long enough."""
    before = np.flatnonzero(np.diff(event_ns) >= at_least_ns)
    return tuple(zip(event_ns[before].tolist(), event_ns[before + 1].tolist(), strict=True))


def _footer_sha256(footer: Mapping[str, str]) -> str:
    return hashlib.sha256("\n".join(f"{key}={footer[key]}" for key in sorted(footer)).encode()).hexdigest()


def _check_arrival(table: Table, symbol: str, day: date, columns: Columns) -> None:
    if table.arrival_time is None:
        return
    arrival_ns = columns[table.arrival_time]
    if len(arrival_ns) > 1 and not bool(np.all(arrival_ns[1:] >= arrival_ns[:-1])):
        row = int(np.flatnonzero(arrival_ns[1:] < arrival_ns[:-1])[0]) + 1
        raise BadColumns(
            f"table {table.name}, {symbol} {day}: rows must be in arrival order, but {table.arrival_time} goes back at "
            f"row {row} from {arrival_ns[row - 1]} to {arrival_ns[row]}; clamp the clock in the importer and count it"
        )


def _check_day(table: Table, symbol: str, day: date, times_ns: NDArray[np.int64], event_ns: NDArray[np.int64]) -> None:
    if not len(times_ns):
        return
    start_ns, end_ns = day_bounds_ns(day)
    first_ns, latest_ns = int(times_ns[0]), int(event_ns[-1])
    if first_ns < start_ns - LATE_LIMIT_NS or latest_ns >= end_ns:
        raise BadColumns(
            f"table {table.name}, {symbol} {day}: rows must lie within that UTC day, but {table.event_time} runs from "
            f"{clock_text(first_ns)} to {clock_text(latest_ns)}; split the rows at midnight"
        )


def _breaks_ns(columns: Columns, event_ns: NDArray[np.int64]) -> NDArray[np.int64]:
    # A reset on the first row is where the recording starts; only a later one broke a running sequence.
    if "sequence" not in columns:
        return event_ns[:0]
    resets: NDArray[np.bool_] = (columns["flags"][1:] & BOOK_RESET) != 0
    return event_ns[1:][resets]


def _content_sha256(columns: Columns) -> str:
    digest = hashlib.sha256()
    for column in columns.values():
        digest.update(column.data)
    return digest.hexdigest()

"""New rows into a partition that may hold rows already: merged in order, each row once, the whole written anew.

What the live side writes comes in pieces, and a piece may come twice (a crash between writing and forgetting it): a
row that is there already is left as it is. A partition of another source, an importer's say, is never touched.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from archive.errors import BadColumns, ForeignPartition, MissingPartition
from archive.layout import BOOK, TRADES, Columns, clock_text, table_named
from archive.live_tables import LIVE_SCORES, OUTCOMES, REPORTS
from archive.store import Lake

LIVE_SOURCE: Final = "live"
"""The source that partitions written by the live side name."""

IDENTITY: Final[Mapping[str, tuple[str, ...]]] = {
    BOOK: ("local_ns", "sequence"),
    TRADES: ("local_ns", "trade_id"),
    LIVE_SCORES: ("t_ns",),
    OUTCOMES: ("t_ns",),
    REPORTS: ("report_key",),
}
"""By which columns two rows of a table are the same row."""
_ORDER: Final[Mapping[str, str]] = {
    BOOK: "local_ns", TRADES: "local_ns", LIVE_SCORES: "t_ns", OUTCOMES: "t_ns", REPORTS: "local_ns"
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Merged:
    """How many rows a partition held before, how many were new, how many it had already (or came twice)."""

    before: int
    added: int
    repeated: int


def merge(lake: Lake, table: str, symbol: str, day: date, columns: Columns, *, schema_hash: str = "") -> Merged:
    """Put rows into a partition, in order and each once; an old row is kept as it is. All or nothing, as Lake.write.

    Raises ForeignPartition, BadColumns (also when the partition has other columns), and what reading and writing a
    partition may raise.
    """
    new = table_named(table).conform(columns)
    arrivals = len(next(iter(new.values())))
    try:
        source = lake.info(table, symbol, day).source
        old = lake.read(table, symbol, day)
    except MissingPartition:
        source, old = LIVE_SOURCE, {name: column[:0] for name, column in new.items()}
    if list(old) != list(new):
        raise BadColumns(
            f"table {table}, {symbol} {day}: the partition has the columns {sorted(set(old) - set(new))} and not "
            f"{sorted(set(new) - set(old))}: two schemas do not fit into one day"
        )
    both = {name: np.concatenate([old[name], new[name]]) for name in new}
    places = _once(both, IDENTITY[table], _ORDER[table])
    before = len(old[_ORDER[table]])
    added = int(np.count_nonzero(places >= before))
    if added and source != LIVE_SOURCE:
        stray = int(both[_ORDER[table]][places[places >= before][0]])
        raise ForeignPartition(
            f"table {table}, {symbol} {day}: holds {before} rows from {source}, and {added} of the {arrivals} live "
            f"rows are not among them (first {clock_text(stray)}); it was left as it is"
        )
    if added:
        merged = {name: column[places] for name, column in both.items()}
        lake.write(table, symbol, day, merged, source=LIVE_SOURCE, schema_hash=schema_hash)
    return Merged(before, added, arrivals - added)


def _once(columns: Mapping[str, NDArray[Any]], identity: tuple[str, ...], order: str) -> NDArray[np.int64]:
    """Return the places of the rows to keep, the first of those that are the same row, in the order of a column."""
    keys = [columns[name] for name in identity]
    by_key = np.lexsort((np.arange(len(keys[0])), *keys[::-1]))
    is_same = np.ones(max(len(by_key) - 1, 0), np.bool_)
    for column in keys:
        ranked = column[by_key]
        is_same &= ranked[1:] == ranked[:-1]
    keep = np.ones(len(by_key), np.bool_)
    keep[by_key[1:][is_same]] = False
    places = np.flatnonzero(keep)
    return places[np.argsort(columns[order][places], kind="stable")].astype(np.int64)

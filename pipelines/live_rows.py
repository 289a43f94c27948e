"""What live recorded, read back from the lake: judged candidates, entry orders, fills and round trips, as columns.

Everything is joined by symbol and `t_ns`, which name a candidate. A report does not say which version decided; the
score of its candidate does: the canary's on the canary route, the active one's on the others.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from archive.errors import CorruptPartition, SchemaVersionError
from archive.layout import TABLES
from archive.live_tables import KIND_CODES, LEG_CODES, LIVE_SCORES, ROUTE_CODES
from archive.partition import Partition
from archive.store import Lake
from pipelines.lineage import merkle_root

Columns = dict[str, NDArray[Any]]
CANARY = ROUTE_CODES.index("canary")
_FILLS = tuple(KIND_CODES.index(name) for name in ("partial", "filled", "canceled", "expired", "resolved"))
_ENDS = tuple(KIND_CODES.index(name) for name in ("filled", "canceled", "expired"))
_CLOSED, _ACCEPTED = KIND_CODES.index("closed"), KIND_CODES.index("accepted")
_ENTRY = LEG_CODES.index("entry")


class LiveTable(msgspec.Struct, frozen=True):
    """The partitions of one live table within a window of days: their content hashes, and the root over them.

    `left_out` are those that cannot be read, such as those of an earlier release, with what the lake says of them.
    """

    table: str
    leaves: dict[str, str]
    data_hash: str
    rows: int
    first_ns: int
    last_ns: int
    left_out: dict[str, str] = {}

    @property
    def places(self) -> list[tuple[str, date]]:
        """Symbol and day of each partition, in order."""
        return sorted((key.split("|")[1], date.fromisoformat(key.split("|")[0])) for key in self.leaves)


@dataclass(frozen=True, slots=True)
class Rows:
    """Columns of one length, with `symbol` as a place in `symbols`."""

    symbols: tuple[str, ...]
    columns: Mapping[str, NDArray[Any]]

    def __len__(self) -> int:
        return len(next(iter(self.columns.values())))

    def __getitem__(self, name: str) -> NDArray[Any]:
        return self.columns[name]

    def where(self, mask: NDArray[Any]) -> "Rows":
        """The rows that a mask bool[n], or places int64[m], keep."""
        return Rows(self.symbols, {name: column[mask] for name, column in self.columns.items()})


@dataclass(frozen=True, slots=True)
class Traded:
    """What reports say of trading. Every table has `symbol`, `t_ns` (the candidate's), `route`, `version`, `at_ns`.

    `orders` are entry orders that ended, with `has_filled`; `fills` every addition to an order, with `side` and
    `lots`; `trips` closed round trips, with `net_quote` and `net_bps` after fees.
    """

    orders: Rows
    fills: Rows
    trips: Rows


def newest_day(lake: Lake, table: str) -> date | None:
    """The newest day that live recorded, None before the first."""
    return max((day for _, day in lake.partitions(table)), default=None)


def survey(lake: Lake, table: str, days: float) -> LiveTable:
    """The partitions of a live table from `days` before its newest one on, read from their footers alone."""
    newest = newest_day(lake, table)
    oldest = newest - timedelta(days=int(days)) if newest else date.max
    return _survey(lake, table, [place for place in lake.partitions(table) if place[1] >= oldest])


def _survey(lake: Lake, table: str, places: Sequence[tuple[str, date]]) -> LiveTable:
    found: dict[str, Partition] = {}
    left_out: dict[str, str] = {}
    for symbol, day in places:
        try:
            found[f"{day}|{symbol}"] = lake.info(table, symbol, day)
        except (SchemaVersionError, CorruptPartition) as error:
            left_out[f"{day}|{symbol}"] = str(error)
    leaves = {key: facts.content_sha256 for key, facts in found.items()}
    return LiveTable(
        table=table,
        leaves=leaves,
        data_hash=merkle_root(leaves),
        rows=sum(facts.rows for facts in found.values()),
        first_ns=min((facts.first_ns for facts in found.values() if facts.rows), default=0),
        last_ns=max((facts.last_ns for facts in found.values() if facts.rows), default=0),
        left_out=left_out,
    )


def read(lake: Lake, of: LiveTable, columns: Sequence[str] | None = None) -> Rows:
    """Read the partitions of a survey as one table in the order of event time."""
    symbols = tuple(sorted({symbol for symbol, _ in of.places}))
    parts = []
    for symbol, day in of.places:
        part = lake.read(of.table, symbol, day, columns)
        length = len(next(iter(part.values())))
        parts.append({**part, "symbol": np.full(length, symbols.index(symbol), np.int16)})
    if not parts:
        empty = {name: np.empty(0, dtype) for name, dtype in TABLES[of.table].columns.items()}
        return Rows((), {**empty, "symbol": np.empty(0, np.int16)})
    joined = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    return Rows(symbols, joined).where(np.argsort(joined[TABLES[of.table].event_time], kind="stable"))


def outcomes(lake: Lake, of: LiveTable) -> Rows:
    """Every candidate that was judged, each once."""
    return _once(read(lake, of), ("symbol", "t_ns"))


def traded(lake: Lake, of: LiveTable) -> Traded:
    """The orders, fills and round trips that reports tell, each told once however often it was recorded."""
    reports = _once(read(lake, of), ("symbol", "report_key"))
    days = {day for _, day in of.places}
    scores = Rows(reports.symbols, {})
    if days:
        # A candidate of before midnight may be reported on the day behind it.
        days |= {day - timedelta(days=1) for day in days}
        places = [place for place in lake.partitions(LIVE_SCORES) if place[1] in days and place[0] in reports.symbols]
        scores = read(lake, _survey(lake, LIVE_SCORES, places), ["t_ns", "active_version", "canary_version"])
    versions = _versions(reports, scores)
    entry = reports["leg"] == _ENTRY
    return Traded(
        orders=_orders(
            reports.where(entry & np.isin(reports["kind"], _ENDS)), versions[entry & np.isin(reports["kind"], _ENDS)]
        ),
        fills=_fills(reports, versions),
        trips=_trips(reports.where(reports["kind"] == _CLOSED), versions[reports["kind"] == _CLOSED]),
    )


def unended(lake: Lake, of: LiveTable) -> int:
    """How many orders were accepted and have no end, the last minute's aside: those may still rest."""
    reports = read(lake, of, ["local_ns", "kind", "order_key"])
    accepted = (reports["kind"] == _ACCEPTED) & (reports["local_ns"] < of.last_ns - 60_000_000_000)
    ended = np.unique(reports["order_key"][np.isin(reports["kind"], _ENDS)])
    return int(np.count_nonzero(~np.isin(np.unique(reports["order_key"][accepted]), ended)))


def _once(rows: Rows, names: Iterable[str]) -> Rows:
    """The first row of each key, in order of time: a restart may have recorded one twice."""
    if not len(rows):
        return rows
    keys = np.rec.fromarrays([rows[name] for name in names])
    return rows.where(np.sort(np.unique(keys, return_index=True)[1]))


def _versions(reports: Rows, scores: Rows) -> NDArray[np.int64]:
    """The version that decided on each report's candidate, 0 where its score is not there."""
    found = np.zeros(len(reports), np.int64)
    if not len(reports) or "t_ns" not in scores.columns:
        return found
    for place, name in enumerate(reports.symbols):
        mine = reports["symbol"] == place
        if name not in scores.symbols:
            continue
        known = scores.where(scores["symbol"] == scores.symbols.index(name))
        order = np.argsort(known["t_ns"], kind="stable")
        t_ns = known["t_ns"][order]
        at = np.searchsorted(t_ns, reports["t_ns"][mine])
        at = np.minimum(at, len(t_ns) - 1)
        is_there = t_ns[at] == reports["t_ns"][mine]
        is_canary = reports["route"][mine] == CANARY
        told = np.where(is_canary, known["canary_version"][order][at], known["active_version"][order][at])
        found[mine] = np.where(is_there, told, 0)
    return found


def _common(reports: Rows, versions: NDArray[np.int64]) -> Columns:
    at_ns = np.where(reports["exchange_ns"] > 0, reports["exchange_ns"], reports["local_ns"])
    return {
        "symbol": reports["symbol"], "t_ns": reports["t_ns"], "route": reports["route"], "version": versions,
        "at_ns": at_ns,
    }  # fmt: skip


def _orders(ended: Rows, versions: NDArray[np.int64]) -> Rows:
    has_filled = (ended["kind"] == KIND_CODES.index("filled")) | (ended["filled_lots"] > 0)
    return Rows(ended.symbols, {**_common(ended, versions), "has_filled": has_filled})


def _fills(reports: Rows, versions: NDArray[np.int64]) -> Rows:
    """What each report adds to the lots its order had filled before: reports tell totals."""
    mask = np.isin(reports["kind"], _FILLS) & (reports["filled_lots"] > 0)
    told, version = reports.where(mask), versions[mask]
    order = np.lexsort([told["local_ns"], told["order_key"]])
    told, version = told.where(order), version[order]
    is_first = np.r_[True, told["order_key"][1:] != told["order_key"][:-1]][: len(told)]
    before = np.where(is_first, 0, np.r_[0, told["filled_lots"][:-1]][: len(told)])
    lots = told["filled_lots"] - before
    columns = {**_common(told, version), "side": told["side"], "lots": lots}
    kept = Rows(told.symbols, columns).where(lots > 0)
    return kept.where(np.argsort(kept["at_ns"], kind="stable"))


def _trips(closed: Rows, versions: NDArray[np.int64]) -> Rows:
    more = {"net_quote": closed["net_quote"], "net_bps": closed["net_bps"]}
    return Rows(closed.symbols, {**_common(closed, versions), **more})

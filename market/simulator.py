"""A market that does not exist, in the form of one that does: seeded order flow as Binance USD-M wire frames.

    for local_ns, payload in simulate(symbol, start_ns, end_ns, seed=7):     # what a recorder would write down
    book, trades = simulate_columns(symbol, start_ns, end_ns, seed=7)        # what importing it would give, at once
    write_capture(path, symbol, start_ns, end_ns, seed=7)                    # the file a recorder would leave

Everything depends on (seed, symbol, rule, day) alone and is the same however it is consumed. How the market works is
told in `market.simulator_flow`, how it compares with a real one in docs/simulator.md, faults on purpose in
`market.simulator_defects`. It is made to be learnable and to be broken, not to forecast anything: label what comes
out of it synthetic.
"""

import gzip
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from market import simulator_feed as feeds
from market.columns import BOOK_RESET, BookColumns, TradeColumns
from market.events import LEVELS, BadRule
from market.simulator_day import SimulatedDay
from market.simulator_defects import Defect, Frame, Injection, inject
from market.simulator_feed import Published
from market.simulator_rule import DAY_NS, SimulatorRule
from market.simulator_wire import Wire, frames_of, wire_of
from market.symbols import Symbol

_COLUMN_DEFECTS = {"gap", "stall", "clock_skew", "drifted_feature"}
_SNAPSHOT_INTERVALS = 1.5


def simulate(
    symbol: Symbol,
    start_ns: int,
    end_ns: int,
    seed: int,
    *,
    rule: SimulatorRule | None = None,
    defects: Sequence[Defect] = (),
    injected: list[Injection] | None = None,
    carried: bool = False,
) -> Iterator[tuple[int, bytes]]:
    """Yield (local ns, JSON) of each frame whose exchange time lies in [start_ns, end_ns), in order of arrival.

    The stream begins with updates, and one and a half depth intervals later the snapshot they are to be joined to;
    with `carried` it has none, as in the second file of a recording (then start at a midnight). `injected` collects a
    record of each defect when the stream ends. Memory does not grow with the span. Raises BadRule.
    """
    rule = rule or SimulatorRule()
    pieces = _published(symbol, start_ns, end_ns, seed, rule=rule, defects=defects, carried=carried, frames=True)
    wire = wire_of(symbol, rule.depth_interval_ms)
    frames = inject(_frames(pieces, wire), defects, symbol, [] if injected is None else injected)
    return ((local_ns, payload) for _, local_ns, payload in frames)


def simulate_columns(
    symbol: Symbol,
    start_ns: int,
    end_ns: int,
    seed: int,
    *,
    rule: SimulatorRule | None = None,
    defects: Sequence[Defect] = (),
    carried: bool = False,
) -> tuple[BookColumns, TradeColumns]:
    """Return what importing the frames of `simulate` through an OrderBook would give, without making them.

    One book row for each depth update behind the snapshot (all of them with `carried`). Takes the defects that columns
    can show: gap, stall, clock_skew and drifted_feature; any other raises BadRule.
    """
    unfit = [d.kind for d in defects if d.kind not in _COLUMN_DEFECTS]
    if unfit:
        raise BadRule(
            f"columns can hold {sorted(_COLUMN_DEFECTS)}, found {unfit}; use simulate() and import its frames"
        )
    rule = rule or SimulatorRule()
    ladders, events = [np.empty((4 * LEVELS, 0), np.int32)], [np.empty((0, feeds.EVENT_FIELDS), np.int64)]
    for piece in _published(symbol, start_ns, end_ns, seed, rule=rule, defects=defects, carried=carried, frames=False):
        count, rows, _ = piece.filled
        events.append(piece.events[:count][piece.events[:count, feeds.E_KIND] != feeds.TICKER])
        ladders.append(np.ascontiguousarray(piece.tops[:rows].T))
    every = np.concatenate(events)
    every[:, feeds.E_LOCAL_NS], lost = _arrivals(every[:, feeds.E_LOCAL_NS], defects)
    book = _book_columns(every, lost, np.concatenate(ladders, axis=1), carried)
    return book, _trade_columns(every[(every[:, feeds.E_KIND] == feeds.TRADE) & ~lost])


def write_capture(
    path: Path,
    symbol: Symbol,
    start_ns: int,
    end_ns: int,
    seed: int,
    *,
    rule: SimulatorRule | None = None,
    defects: Sequence[Defect] = (),
    injected: list[Injection] | None = None,
    carried: bool = False,
) -> int:
    """Write the frames of `simulate` as a gzip file of lines `<local ns> <json>` and return how many there are.

    The file appears under its name only when it is whole, and is the same byte for byte every time.
    """
    beside, count = path.with_name(f".{path.name}.{os.getpid()}.part"), 0
    frames = simulate(symbol, start_ns, end_ns, seed, rule=rule, defects=defects, injected=injected, carried=carried)
    try:
        with beside.open("wb") as raw, gzip.GzipFile("", "wb", 3, raw, mtime=0) as file:
            for local_ns, payload in frames:
                file.write(b"%d %b\n" % (local_ns, payload))
                count += 1
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)
    return count


def _published(
    symbol: Symbol,
    start_ns: int,
    end_ns: int,
    seed: int,
    *,
    rule: SimulatorRule,
    defects: Sequence[Defect],
    carried: bool,
    frames: bool,
) -> Iterator[Published]:
    """Run the days of the span, each with its own snapshots and drifts."""
    if not 0 <= start_ns < end_ns:
        raise BadRule(f"{symbol.name}: wanted 0 <= start < end, found {start_ns} to {end_ns} ns")
    if carried and start_ns % DAY_NS:
        raise BadRule(f"{symbol.name}: only a midnight can carry a book over, {start_ns} ns is none")
    drifts = [d.drift() for d in defects if d.kind == "drifted_feature"]
    behind_ns = int(_SNAPSHOT_INTERVALS * rule.depth_interval_ms * 1e6)
    wanted = [] if carried else [start_ns + behind_ns]
    wanted += [d.resync_ns + behind_ns for d in defects if d.resync_ns is not None]
    for day in range(start_ns // DAY_NS, -(-end_ns // DAY_NS)):
        first, last = max(start_ns, day * DAY_NS), min(end_ns, (day + 1) * DAY_NS)
        here = [w for w in wanted if first <= w < last]
        yield from SimulatedDay(symbol, day, seed, rule, drifts=drifts, wanted_ns=here, frames=frames).run(first, last)


def _frames(pieces: Iterator[Published], wire: Wire) -> Iterator[Frame]:
    for piece in pieces:
        buffer, offsets = frames_of(piece, wire)
        text, places = buffer.tobytes(), offsets.tolist()
        count = len(places) - 1
        kinds = piece.events[:count, feeds.E_KIND].tolist()
        arrivals = piece.events[:count, feeds.E_LOCAL_NS].tolist()
        for k in range(count):
            yield kinds[k], arrivals[k], text[places[k] : places[k + 1]]


def _arrivals(local_ns: NDArray[np.int64], defects: Sequence[Defect]) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Return local ns int64[n] with stalls and skews in them, and which events bool[n] a gap swallows."""
    arrivals, lost = local_ns.copy(), np.zeros(len(local_ns), np.bool_)
    for defect in sorted(defects, key=lambda d: d.start_ns):
        within = (arrivals >= defect.start_ns) & (arrivals < defect.end_ns) & ~lost
        if defect.kind == "gap":
            lost |= within
        elif defect.kind == "stall":
            arrivals[within] = defect.end_ns
        elif defect.kind == "clock_skew":
            arrivals[within] += round(defect.offset_ms * 1e6)
    return arrivals, lost


def _book_columns(
    events: NDArray[np.int64], lost: NDArray[np.bool_], ladders: NDArray[np.int32], carried: bool
) -> BookColumns:
    """Keep the updates that join a book: from a snapshot (or the start, when carried) to the next update lost."""
    depth = events[:, feeds.E_KIND] == feeds.DEPTH
    joins = ~lost & (events[:, feeds.E_KIND] == feeds.SNAPSHOT)
    # The last thing that decided about the book before each event: a join, or a loss.
    order = np.arange(1, len(events) + 1)
    joined = np.maximum.accumulate(np.where(joins, order, 0))
    broken = np.maximum.accumulate(np.where(depth & lost, order, 0))
    live = (joined > broken) | (carried & (broken == 0))
    kept = depth & ~lost & live
    flags = np.zeros(len(events), np.uint8)
    first = np.flatnonzero(kept)
    if len(first):
        since = np.where(joined[first] > broken[first], joined[first], 0)
        flags[first[np.flatnonzero(np.diff(since, prepend=0))]] = BOOK_RESET
    rows = events[kept]
    tops = ladders[:, kept[depth]].reshape(4, LEVELS, -1)
    return BookColumns(
        rows[:, feeds.E_TRANSACTION_MS] * 1_000_000,
        np.maximum.accumulate(rows[:, feeds.E_LOCAL_NS]),
        rows[:, feeds.E_ID].copy(),
        flags[kept],
        *(np.ascontiguousarray(part) for part in tops),
    )


def _trade_columns(rows: NDArray[np.int64]) -> TradeColumns:
    return TradeColumns(
        rows[:, feeds.E_TRANSACTION_MS] * 1_000_000,
        np.maximum.accumulate(rows[:, feeds.E_LOCAL_NS]),
        rows[:, feeds.E_ID].copy(),
        rows[:, feeds.E_A].astype(np.int32),
        rows[:, feeds.E_B].astype(np.int32),
        rows[:, feeds.E_C].astype(np.int8),
        np.zeros(len(rows), np.uint8),
    )

"""Triple-barrier labels against a forward scan and against numpy, on a million events with an entry at every row.

The market is a random walk of 96 events a second, as busy as a large perpetual, with barriers at about one standard
deviation of a minute. The scan is compiled by numba; numpy cuts the window of each entry and asks for its first touch.
All three fill the same five columns for longs. The scan is timed with an entry at every row at 5 s and at every tenth
row at 60 s, where it is slow, numpy at every 500th row. Ratios are per entry. Run with `python -m benchmarks.labels`.
"""

import math
from decimal import Decimal
from typing import Any, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from benchmarks.rows import fact, row, show
from benchmarks.timing import measure
from market.barriers import STOP, TARGET, TIMEOUT, UNRESOLVED, BarrierRule
from market.labels import Labels, triple_barrier
from market.symbols import Symbol

EVENTS = 1_000_000
EVENTS_PER_SECOND = 96.0
BARRIER = 0.000_075
SCAN_STRIDE = 10
NUMPY_STRIDE = 500
NS_PER_SECOND = 1_000_000_000
FEE = 0.000_5
SYMBOL = Symbol("X", "nowhere", "X", "perp", Decimal("0.1"), Decimal("0.001"), Decimal(0), 2.0, FEE * 1e4, 0.01)


class Market(NamedTuple):
    """A touch one tick wide: times and prices by row."""

    ns: NDArray[np.int64]
    bid_ticks: NDArray[np.int32]
    ask_ticks: NDArray[np.int32]


def run() -> list[dict[str, Any]]:
    """Return the rows {name, value, unit, ratio, goal, holds}; ratios are the peer's CPU time an entry over ours."""
    market = random_walk(EVENTS, seed=7)
    every, tenth, few = (np.arange(0, EVENTS, stride) for stride in (1, SCAN_STRIDE, NUMPY_STRIDE))
    ways = {f"ours {seconds} s": lambda seconds=seconds: ours(market, every, seconds) for seconds in (1, 5, 60)}
    ways["scan 5 s"] = lambda: scanned(market, every, 5)
    ways["scan 60 s"] = lambda: scanned(market, tenth, 60)
    ways["numpy 5 s"] = lambda: by_numpy(market, few, 5)
    ways["numpy 60 s"] = lambda: by_numpy(market, few, 60)
    entries = dict.fromkeys(ways, EVENTS) | {"scan 60 s": len(tenth), "numpy 5 s": len(few), "numpy 60 s": len(few)}
    each = {name: seconds / entries[name] * 1e9 for name, seconds in measure(ways, rounds=5).items()}

    def against(peer: str, seconds: int, least: float) -> dict[str, Any]:
        name = f"{peer} {seconds} s"
        return row(
            f"labels: {name} horizon", each[name], "ns/entry", ratio=each[name] / each[f"ours {seconds} s"], least=least
        )

    return [
        row("labels: ours, 5 s horizon", 1e3 / each["ours 5 s"], "M/s"),
        against("scan", 5, least=50),
        against("scan", 60, least=50),
        against("numpy", 5, least=300),
        against("numpy", 60, least=300),
        row(
            "labels: 60 s over 1 s horizon",
            each["ours 60 s"],
            "ns/entry",
            ratio=each["ours 60 s"] / each["ours 1 s"],
            most=1.2,
        ),
        fact("labels: differ from the scan, 5 s", differing(market, every, 5), "entries", wanted=0),
        fact("labels: differ from the scan, 60 s", differing(market, tenth, 60), "entries", wanted=0),
    ]


def random_walk(events: int, seed: int) -> Market:
    """Return a touch that moves by a tick at every third event, with exponential times between events."""
    rng = np.random.default_rng(seed)
    ns = np.cumsum(rng.exponential(NS_PER_SECOND / EVENTS_PER_SECOND, events)).astype(np.int64)
    bid_ticks = (600_000 + np.cumsum(rng.choice([-1, 0, 0, 0, 0, 1], events))).astype(np.int32)
    return Market(ns, bid_ticks, bid_ticks + np.int32(1))


def ours(market: Market, entry_row: NDArray[np.int64], seconds: int) -> Labels:
    """Label longs at the given rows with the project's own function."""
    rule = BarrierRule(tp_pct=BARRIER, sl_pct=BARRIER, horizon_seconds=seconds, net_of_fees=False)
    side = np.ones(len(entry_row), np.int8)
    return triple_barrier(*market, entry_row, market.ns[entry_row], side, rule, SYMBOL, np.empty((0, 2), np.int64))


def scanned(market: Market, entry_row: NDArray[np.int64], seconds: int) -> Labels:
    """Label the same longs by looking at every row up to the horizon."""
    found = _unfilled(len(entry_row))
    columns = (found.outcome, found.exit_ns, found.exit_row, found.gross_bps, found.net_bps)
    _scan(*market, entry_row, seconds * NS_PER_SECOND, *columns)
    return found


def by_numpy(market: Market, entry_row: NDArray[np.int64], seconds: int) -> Labels:
    """Label the same longs the straight way, one window an entry."""
    found = _unfilled(len(entry_row))
    for entry, start in enumerate(entry_row):
        ask = int(market.ask_ticks[start])
        deadline_ns = market.ns[start] + seconds * NS_PER_SECOND
        stop = np.searchsorted(market.ns, deadline_ns, side="right")
        window = market.bid_ticks[start + 1 : stop]
        touched = (window >= math.ceil(ask * (1 + BARRIER))) | (window <= math.floor(ask * (1 - BARRIER)))
        first = int(touched.argmax()) if len(touched) else 0
        if len(touched) and touched[first]:
            at = start + 1 + first
            found.outcome[entry] = TARGET if window[first] > ask else STOP
            found.exit_ns[entry] = market.ns[at]
        elif deadline_ns <= market.ns[-1]:
            at = stop - 1
            found.outcome[entry], found.exit_ns[entry] = TIMEOUT, deadline_ns
        else:
            continue
        move = (int(market.bid_ticks[at]) - ask) / ask
        found.exit_row[entry] = at
        found.gross_bps[entry], found.net_bps[entry] = move * 1e4, (move - FEE * (2 + move)) * 1e4
    return found


def differing(market: Market, entry_row: NDArray[np.int64], seconds: int) -> int:
    """Count the entries whose outcome or exit row is not the scan's."""
    labels, wanted = ours(market, entry_row, seconds), scanned(market, entry_row, seconds)
    return int(((labels.outcome != wanted.outcome) | (labels.exit_row != wanted.exit_row)).sum())


def _unfilled(count: int) -> Labels:
    minus, nan = np.full(count, -1, np.int64), np.full(count, np.nan, np.float32)
    return Labels(np.full(count, UNRESOLVED, np.int8), minus, minus.copy(), nan, nan.copy())


@njit(cache=True, nogil=True)
def _scan(
    ns: NDArray[np.int64],
    bid_ticks: NDArray[np.int32],
    ask_ticks: NDArray[np.int32],
    entry_row: NDArray[np.int64],
    horizon_ns: int,
    outcome: NDArray[np.int8],
    exit_ns: NDArray[np.int64],
    exit_row: NDArray[np.int64],
    gross_bps: NDArray[np.float32],
    net_bps: NDArray[np.float32],
) -> None:
    for entry in range(len(entry_row)):
        start = entry_row[entry]
        ask = ask_ticks[start]
        deadline_ns = ns[start] + horizon_ns
        target = math.ceil(ask * (1.0 + BARRIER) - 1e-6)
        stop = math.floor(ask * (1.0 - BARRIER) + 1e-6)
        for later in range(start + 1, len(ns)):
            if ns[later] > deadline_ns:
                outcome[entry], exit_ns[entry], exit_row[entry] = TIMEOUT, deadline_ns, later - 1
                break
            if bid_ticks[later] >= target or bid_ticks[later] <= stop:
                outcome[entry] = TARGET if bid_ticks[later] >= target else STOP
                exit_ns[entry], exit_row[entry] = ns[later], later
                break
        if exit_row[entry] >= 0:
            move = (bid_ticks[exit_row[entry]] - ask) / ask
            gross_bps[entry], net_bps[entry] = move * 1e4, (move - FEE * (2.0 + move)) * 1e4


if __name__ == "__main__":
    show(run())

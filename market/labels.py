"""Triple-barrier labels on executable prices: how each candidate would have ended had it been traded at the touch.

An entry buys at the ask (sells at the bid) of its book row and can leave only at the opposite touch, so the spread is
paid in every label. It ends at the first later book row whose exit touch is at or beyond a barrier, or at the horizon.
The three barriers are those of Lopez de Prado, "Advances in Financial Machine Learning" (2018), section 3.4.

Cost: entries wait in two lists, one for the price of their target and one for that of their stop. When the exit touch
moves, the lists of the prices it moves over are emptied. Each is put in and taken out once, so a day costs one pass
over its rows, entries and price moves, however long the horizon is.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from market import label_kernel
from market.barriers import BarrierRule
from market.events import BadEvent, KernelOverflow
from market.label_kernel import Barriers, Ends, Entries, Fates, Runs, Touch
from market.symbols import Symbol

_TICKS_LIMIT = 1 << 26
_ROWS_LIMIT = 2**31 - 2


@dataclass(frozen=True, slots=True)
class Labels:
    """One row an entry.

    outcome    int8[m]     market.barriers.TARGET, STOP, TIMEOUT or UNRESOLVED
    exit_ns    int64[m]    time of the touch, or entry + horizon of a timeout; -1 when unresolved
    exit_row   int64[m]    book row whose touch it leaves at; -1 when unresolved
    gross_bps  float32[m]  gain in basis points of the entry price, before fees; NaN when unresolved
    net_bps    float32[m]  the same after the taker fees of entry and exit, each on its own price
    """

    outcome: NDArray[np.int8]
    exit_ns: NDArray[np.int64]
    exit_row: NDArray[np.int64]
    gross_bps: NDArray[np.float32]
    net_bps: NDArray[np.float32]


def triple_barrier(
    book_ns: NDArray[np.int64],
    bid_ticks: NDArray[np.int32],
    ask_ticks: NDArray[np.int32],
    entry_row: NDArray[np.int64],
    entry_ns: NDArray[np.int64],
    side: NDArray[np.int8],
    rule: BarrierRule,
    symbol: Symbol,
    blackout: NDArray[np.int64],
) -> Labels:
    """Label m entries on n book rows; exact, O(n + m + ticks moved).

    Args:
        book_ns: int64[n], not decreasing.
        bid_ticks: int32[n] best bids, NO_BID_TICKS where there is none: such a row is no exit for a long.
        ask_ticks: int32[n] best asks, NO_ASK_TICKS where there is none: such a row is no exit for a short.
        entry_row: int64[m], not decreasing: the book row an entry trades on. Only later rows can end it.
        entry_ns: int64[m], not decreasing: when it enters; the horizon counts from here.
        side: int8[m], +1 long, -1 short.
        rule: the barriers and the horizon.
        symbol: whose taker fee is paid.
        blackout: int64[g, 2] stretches nobody saw, each from the last trusted row's time to the next trusted row's.

    A target is rounded to the nearest tick that gains at least `tp_pct`, a stop to the nearest that loses at least
    `sl_pct` (a millionth of a tick counts as on the tick), each at least one tick from the entry price. A row at
    exactly entry + horizon can still touch. A timeout leaves at the last row with an exit touch up to then, which may
    be the entry row itself. UNRESOLVED is an entry whose row is one-sided or later than `entry_ns`, whose horizon ends
    behind the data without a touch, or which had not ended when a blackout began.

    Raises BadEvent for arrays that do not fit together or are out of order, KernelOverflow when the touch ranges over
    67,108,864 ticks or more.
    """
    _check_shapes(book_ns, bid_ticks, ask_ticks, entry_row, entry_ns, side, blackout)
    touch = Touch(book_ns, bid_ticks, ask_ticks)
    entries = Entries(entry_row, entry_ns, side, rule.horizon_ns)
    low_bid, high_bid, low_ask, high_ask = _survey(symbol, touch, entries)
    fee, ends = symbol.taker_fee_bps * 1e-4, _unfilled(len(entry_row))
    label_kernel.horizon_rows(touch, entries, ends.row)
    # One block, so that numpy asks for huge pages: faults of small ones would cost as much as the search.
    room = np.empty((7, len(book_ns) + 1), np.int32)
    runs = label_kernel.split_runs(touch, Runs(room[0], room[1]))
    fates, blind_ns = Fates(room[2], room[3], room[4], room[5:]), _by_start(blackout)
    for sign, low, high in ((1, low_bid, high_bid), (-1, -high_ask, -low_ask)):
        if bool((side == sign).any()):
            barriers = Barriers(*rule.factors(sign, fee), low, _span(symbol, low, high))
            label_kernel.find_touches(touch, runs, sign, barriers, fates)
            label_kernel.judge(touch, entries, runs, sign, fates, blind_ns, fee, ends)
    return Labels(ends.outcome, ends.ns, ends.row, ends.gross_bps, ends.net_bps)


def _unfilled(count: int) -> Ends:
    float32, int64 = np.float32, np.int64
    return Ends(
        np.empty(count, np.int8), np.empty(count, int64), np.empty(count, int64), *np.empty((2, count), float32)
    )


def _survey(symbol: Symbol, touch: Touch, entries: Entries) -> tuple[int, int, int, int]:
    """Refuse rows and entries out of order; return the ranges of bid and ask."""
    disorder, low_bid, high_bid, low_ask, high_ask = label_kernel.survey(touch)
    if disorder >= 0:
        raise BadEvent(
            f"{symbol.name}: book_ns runs backwards at row {disorder}, to {touch.ns[disorder]}; clamp it first"
        )
    found = label_kernel.first_stranger(touch, entries)
    if found >= 0:
        raise BadEvent(
            f"{symbol.name}: entry {found} (row {entries.row[found]}, {entries.ns[found]} ns, side "
            f"{entries.side[found]}): wanted rows 0 to {len(touch.ns) - 1} and times in order, side +1 or -1"
        )
    return low_bid, high_bid, low_ask, high_ask


def _span(symbol: Symbol, low: int, high: int) -> int:
    """Return how many prices the touch takes from low to high, none when it never was there."""
    size = max(0, high - low + 1)
    if size > _TICKS_LIMIT:
        raise KernelOverflow(
            f"{symbol.name}: labels: the touch ranges over {size} prices, room for {_TICKS_LIMIT}; "
            "drop the stray quotes or split the rows"
        )
    return size


def _by_start(blackout: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Starts in order, each with the latest end so far: the first that ends after an entry is the first it meets."""
    ordered = blackout[np.argsort(blackout[:, 0], kind="stable")]
    return np.ascontiguousarray(ordered[:, 0]), np.maximum.accumulate(ordered[:, 1])


def _check_shapes(
    book_ns: NDArray[np.int64],
    bid_ticks: NDArray[np.int32],
    ask_ticks: NDArray[np.int32],
    entry_row: NDArray[np.int64],
    entry_ns: NDArray[np.int64],
    side: NDArray[np.int8],
    blackout: NDArray[np.int64],
) -> None:
    rows, entries = len(book_ns), len(entry_row)
    wanted: dict[str, tuple[NDArray[np.generic], type[np.generic], tuple[int, ...]]] = {
        "book_ns": (book_ns, np.int64, (rows,)),
        "bid_ticks": (bid_ticks, np.int32, (rows,)),
        "ask_ticks": (ask_ticks, np.int32, (rows,)),
        "entry_row": (entry_row, np.int64, (entries,)),
        "entry_ns": (entry_ns, np.int64, (entries,)),
        "side": (side, np.int8, (entries,)),
        "blackout": (blackout, np.int64, (len(blackout), 2)),
    }
    for name, (array, dtype, shape) in wanted.items():
        if array.dtype != dtype or array.shape != shape:
            raise BadEvent(f"{name} must be {dtype.__name__}{list(shape)}, was {array.dtype}{list(array.shape)}")
    if rows > _ROWS_LIMIT:
        raise KernelOverflow(f"labels: {rows} book rows, room for {_ROWS_LIMIT}; split them")

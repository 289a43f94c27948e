"""Every compiled function of the feature kernel, and the layout of its memory.

`market.features` is the door to this module. All compiled code is in this one file, and no constant it uses comes
from another one: numba's cache looks at the file alone, so a change elsewhere would leave old machine code in use.
Tests hold the constants to `market.feature_spec`.

The memory is one int64 array, read also as float64 (`ints` and `floats` below are the same bytes): one argument less
is a tenth of a call less for the live side. Window sums are differences of running int64 totals kept in a ring, so
they are exact and do not depend on where the stream began. A ring row holds the time and the totals after one event;
a window's start points at its first event, and the row before that holds the totals to subtract. There is no
fast-math and no fused multiply-add, so the same events give the same bits in C, see benchmarks/c_twin.
"""

import math
from typing import Any

import numpy as np
from numba import njit, types
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Change = tuple[int, int, int, int, int]
"""What one event adds: order flow of the touch and of 5 levels, signed lots, squared half ticks, 1 for a trade."""

# Plain IEEE division; the small functions below become part of `advance`. They index whole arrays: a slice or a tuple
# indexed by a variable would bring numba's reference counts, atomic ones, into the loop.
_compiled = njit(cache=True, error_model="numpy")
_inlined = njit(cache=True, error_model="numpy", forceinline=True)

WARMUP_NS = 120 * 1_000_000_000

# Columns of an event row.
NS, KIND, _FLAGS, _PRICE, _SIGNED, _BID, _ASK, _BID_LOTS, _ASK_LOTS = 0, 1, 2, 3, 4, 5, 15, 25, 35
_LEVELS, WIDTH, COLUMNS, _RESET = 10, 45, 59, 1

# Places of integers in the memory: scalars, running totals in the order of a ring row, the book before.
_STARTED, _USABLE, _HEAD, _LAST_NS, _START_NS, _TRADE_NS, _TRADE_TICKS, _SPREAD, _DEPTH = 0, 1, 2, 3, 4, 5, 6, 7, 8
_AFTER_200MS, _AFTER_1S, _AFTER_1500MS, _AFTER_2S = 9, 10, 11, 12
_TOTALS, _BOOK = 16, 24
_OFI_1, _OFI_5, _FLOW, _VOLUME, _SQUARES, _TRADES, _CANCELS, _TOTALS_WIDTH = 1, 2, 3, 4, 5, 6, 7, 8

# Places of floats in the memory: prices in half ticks, decayed sums, averages, the features of the book alone.
_MID2, _MICRO2, _BPS = 64, 65, 66
_SUM_OFI_1, _SUM_OFI_5, _SUM_FLOW, _SUM_COUNT, _SUM_SQUARE, _SUM_VOLUME = 67, 70, 73, 76, 79, 81
_MEAN_MID, _MEAN_IMBALANCE_5, _MEAN_IMBALANCE_10, _MEAN_SPREAD, _MEAN_DEPTH = 83, 87, 90, 91, 92
_LADDER, _LADDER_WIDTH = 93, 20

# The ring behind them: a row is the time, the seven totals, and the two prices after an event.
RING, RING_WIDTH, _RING_MID2, _RING_MICRO2 = 120, 10, 8, 9

_LARGEST_MASK = (1 << 31) - 1  # tells the compiler that places are not negative
_LARGEST_MOVE = 1 << 20  # half ticks; squares of larger moves could leave int64
_AGES_NS = 1 << 62  # after so long every weight is 0
_FARTHEST = 1 << 28  # ticks; so that distance times lots stays inside int64


def prepare() -> None:
    """Compile `advance` for its one set of types, or load it from numba's cache; other types are refused from then on.

    Without that, a read-only or strided array would have numba compile once more, for seconds, in mid-stream.
    """
    if not advance.signatures:
        advance.compile((types.int64[::1], types.int64[:, ::1], types.float32[:, ::1], types.uint8[::1]))
        advance.disable_compile()


@_compiled
def merge(books: tuple[Any, ...], trades: tuple[Any, ...], cursor: Ints, out: Ints) -> int:
    """Fill out from the cursor on (next book row, next trade row, latest time), move it; return the rows written."""
    book_ns, book_local, flags, bid_ticks, ask_ticks, bid_lots, ask_lots = books
    trade_ns, trade_local, price_ticks, size_lots, aggressor = trades
    i, j, ns = cursor[0], cursor[1], cursor[2]
    n = min(out.shape[0], book_ns.size - i + trade_ns.size - j)
    for k in range(n):
        if j < trade_ns.size and (i == book_ns.size or trade_local[j] <= book_local[i]):
            ns = max(ns, trade_ns[j])
            out[k, KIND] = 1
            out[k, _FLAGS] = 0
            out[k, _PRICE] = price_ticks[j]
            out[k, _SIGNED] = np.int64(size_lots[j]) * aggressor[j]
            for place in range(_BID, WIDTH):
                out[k, place] = 0
            j += 1
        else:
            ns = max(ns, book_ns[i])
            out[k, KIND] = 0
            out[k, _FLAGS] = flags[i]
            out[k, _PRICE] = 0
            out[k, _SIGNED] = 0
            for level in range(_LEVELS):
                out[k, _BID + level] = bid_ticks[level, i]
                out[k, _ASK + level] = ask_ticks[level, i]
                out[k, _BID_LOTS + level] = bid_lots[level, i]
                out[k, _ASK_LOTS + level] = ask_lots[level, i]
            i += 1
        out[k, NS] = ns
    cursor[0], cursor[1], cursor[2] = i, j, ns
    return int(n)


@_compiled
def advance(memory: Ints, events: Ints, out: NDArray[np.float32], valid: NDArray[np.uint8]) -> int:
    """Return 0 when all events are taken, -1 for shapes that do not fit, or the count at which the ring ran full."""
    ints, floats = memory, memory.view(np.float64)
    n = events.shape[0]
    if events.shape[1] != WIDTH or out.shape[0] != n or out.shape[1] != COLUMNS or valid.size != n:
        return -1
    mask = ((ints.size - RING) // RING_WIDTH - 1) & _LARGEST_MASK
    for k in range(n):
        ofi_1, ofi_5, signed, square = 0, 0, 0, 0
        ns = int(max(events[k, NS], ints[_LAST_NS]))
        if events[k, KIND] == 0:
            usable = events[k, _BID_LOTS] > 0 and events[k, _ASK_LOTS] > 0 and 0 < events[k, _BID] <= events[k, _ASK]
            ints[_USABLE] = usable
            ints[_STARTED] &= 1 - (events[k, _FLAGS] & _RESET)
            if usable and ints[_STARTED] == 0:
                _start(ints, floats, events, k, ns, mask)
            if ints[_STARTED] != 0:
                ofi_1, ofi_5 = _order_flow(ints, events, k)
                if usable:
                    square = _ladder(ints, floats, events, k)
        elif ints[_STARTED] != 0:
            signed = int(events[k, _SIGNED])
            ints[_TRADE_NS] = ns
            ints[_TRADE_TICKS] = events[k, _PRICE]
        if ints[_STARTED] == 0:
            _blank(out, valid, k)
            continue
        change = (ofi_1, ofi_5, signed, square, int(events[k, KIND] != 0))
        _decay(ints, floats, ns, change)
        _remember(ints, floats, ns, change, mask)
        if ints[_HEAD] - ints[_AFTER_2S] > mask - 1:
            return int(k) + 1
        if ints[_USABLE] != 0 and ns - ints[_START_NS] >= WARMUP_NS:
            _write(ints, floats, mask, out, k)
            valid[k] = 1
        else:
            _blank(out, valid, k)
    return 0


@_inlined
def _start(ints: Ints, floats: Floats, events: Ints, k: int, ns: int, mask: int) -> None:
    """Forget everything: this book is the first. The event before was ages ago, so averages begin at its values."""
    mid2 = np.float64(events[k, _BID] + events[k, _ASK])
    ints[_STARTED] = 1
    ints[_START_NS] = ns
    ints[_LAST_NS] = ns - _AGES_NS
    ints[_TRADE_NS] = ns - 2 * WARMUP_NS
    for pointer in range(_AFTER_200MS, _AFTER_2S + 1):
        ints[pointer] = ints[_HEAD]
    _keep_book(ints, events, k)
    for place in range(_MID2, RING):
        floats[place] = 0.0
    floats[_MID2] = mid2
    before = RING + ((ints[_HEAD] - 1) & mask) * RING_WIDTH
    imbalance_1 = _share(events[k, _BID_LOTS], events[k, _ASK_LOTS])
    floats[before + _RING_MID2] = mid2
    floats[before + _RING_MICRO2] = mid2 + (events[k, _ASK] - events[k, _BID]) * imbalance_1


@_inlined
def _order_flow(ints: Ints, events: Ints, k: int) -> tuple[int, int]:
    """Return the order flow imbalance of one and of five levels; count a cancel; keep the book for the next."""
    ofi_1, ofi_5, shrunk = 0, 0, 0
    for level in range(5):
        bid, bid_lots = events[k, _BID + level], events[k, _BID_LOTS + level]
        ask, ask_lots = events[k, _ASK + level], events[k, _ASK_LOTS + level]
        bid_was, bid_lots_were = ints[_BOOK + level], ints[_BOOK + 10 + level]
        ask_was, ask_lots_were = ints[_BOOK + 5 + level], ints[_BOOK + 15 + level]
        flow = (bid_lots if bid >= bid_was else 0) - (bid_lots_were if bid <= bid_was else 0)
        flow += (ask_lots_were if ask >= ask_was else 0) - (ask_lots if ask <= ask_was else 0)
        ofi_5 += flow
        shrunk |= (bid == bid_was) & (bid_lots < bid_lots_were) | (ask == ask_was) & (ask_lots < ask_lots_were)
        if level == 0:
            ofi_1 = flow
    ints[_TOTALS + _CANCELS] += shrunk
    _keep_book(ints, events, k)
    return ofi_1, ofi_5


@_inlined
def _keep_book(ints: Ints, events: Ints, k: int) -> None:
    """Keep the first five levels for the order flow of the next book."""
    for side in range(4):
        for level in range(5):
            ints[_BOOK + 5 * side + level] = events[k, _BID + _LEVELS * side + level]


@_inlined
def _ladder(ints: Ints, floats: Floats, events: Ints, k: int) -> int:
    """Fill in the features of the book alone; return the squared move of the mid in half ticks."""
    bid, ask = events[k, _BID], events[k, _ASK]
    spread, mid2 = ask - bid, np.float64(bid + ask)
    bps = 1e4 / mid2
    bid_5, bid_moment_5, bid_far_5 = _depth(events, k, _BID, 0, 1)
    ask_5, ask_moment_5, ask_far_5 = _depth(events, k, _ASK, 0, -1)
    bid_10, bid_moment_10, bid_far_10 = _depth(events, k, _BID, 5, 1)
    ask_10, ask_moment_10, ask_far_10 = _depth(events, k, _ASK, 5, -1)
    bid_10, ask_10 = bid_10 + bid_5, ask_10 + ask_5
    imbalance_1 = _share(events[k, _BID_LOTS], events[k, _ASK_LOTS])
    floats[_LADDER] = spread
    floats[_LADDER + 1] = 2.0 * spread * bps
    floats[_LADDER + 2] = spread * imbalance_1 * bps
    floats[_LADDER + 3] = imbalance_1
    floats[_LADDER + 4] = _share(bid_5, ask_5)
    floats[_LADDER + 5] = _share(bid_10, ask_10)
    floats[_LADDER + 6] = events[k, _BID_LOTS]
    floats[_LADDER + 7] = bid_5
    floats[_LADDER + 8] = bid_10
    floats[_LADDER + 9] = events[k, _ASK_LOTS]
    floats[_LADDER + 10] = ask_5
    floats[_LADDER + 11] = ask_10
    floats[_LADDER + 12] = (spread + 2.0 * (bid_moment_5 / bid_5)) * bps
    floats[_LADDER + 13] = (spread + 2.0 * ((bid_moment_5 + bid_moment_10) / bid_10)) * bps
    floats[_LADDER + 14] = (spread + 2.0 * (ask_moment_5 / ask_5)) * bps
    floats[_LADDER + 15] = (spread + 2.0 * ((ask_moment_5 + ask_moment_10) / ask_10)) * bps
    floats[_LADDER + 16] = (spread + 2.0 * bid_far_5) * bps
    floats[_LADDER + 17] = (spread + 2.0 * max(bid_far_5, bid_far_10)) * bps
    floats[_LADDER + 18] = (spread + 2.0 * ask_far_5) * bps
    floats[_LADDER + 19] = (spread + 2.0 * max(ask_far_5, ask_far_10)) * bps
    move = min(max(int(mid2 - floats[_MID2]), -_LARGEST_MOVE), _LARGEST_MOVE)
    floats[_MID2] = mid2
    floats[_MICRO2] = mid2 + spread * imbalance_1
    floats[_BPS] = bps
    ints[_SPREAD] = spread
    ints[_DEPTH] = bid_10 + ask_10
    return move * move


@_inlined
def _depth(events: Ints, k: int, side: int, first: int, sign: int) -> tuple[int, int, int]:
    """Return the lots of five levels, the sum of lots times ticks from the touch, and the farthest level's ticks."""
    depth, moment, far = 0, 0, 0
    touch = events[k, side]
    for level in range(first, first + 5):
        lots = int(events[k, side + level + _BID_LOTS - _BID])
        away = min(int(touch - events[k, side + level]) * sign, _FARTHEST) if lots > 0 else 0
        depth += lots
        moment += away * lots
        far = max(far, away)
    return depth, moment, far


@_inlined
def _share(bought: int, sold: int) -> float:
    return np.float64(bought - sold) / np.float64(bought + sold)


@_inlined
def _decay(ints: Ints, floats: Floats, ns: int, change: Change) -> None:
    """Bring the decayed sums and the averages to this event. All weights are powers of one exp."""
    ofi_1, ofi_5, signed, square, trade = change
    w64 = math.exp(np.float64(ns - ints[_LAST_NS]) * (-1e-9 / 64.0))
    ints[_LAST_NS] = ns
    w32 = w64 * w64
    w16 = w32 * w32
    w8 = w16 * w16
    w4 = w8 * w8
    w2 = w4 * w4
    w1 = w2 * w2
    weights = (w4, w16, w64)
    for k in range(3):
        _sum(floats, _SUM_OFI_1 + k, weights[k], ofi_1)
        _sum(floats, _SUM_OFI_5 + k, weights[k], ofi_5)
        _sum(floats, _SUM_FLOW + k, weights[k], signed)
        _sum(floats, _SUM_COUNT + k, weights[k], trade)
        _mean(floats, _MEAN_MID + 1 + k, weights[k], floats[_MID2])
        _mean(floats, _MEAN_IMBALANCE_5 + k, weights[k], floats[_LADDER + 4])
    _sum(floats, _SUM_SQUARE, w16, square)
    _sum(floats, _SUM_SQUARE + 1, w64, square)
    _sum(floats, _SUM_VOLUME, w16, abs(signed))
    _sum(floats, _SUM_VOLUME + 1, w64, abs(signed))
    _mean(floats, _MEAN_MID, w1, floats[_MID2])
    _mean(floats, _MEAN_IMBALANCE_10, w64, floats[_LADDER + 5])
    _mean(floats, _MEAN_SPREAD, w64, np.float64(ints[_SPREAD]))
    _mean(floats, _MEAN_DEPTH, w64, np.float64(ints[_DEPTH]))


@_inlined
def _sum(floats: Floats, at: int, weight: float, x: int) -> None:
    floats[at] = floats[at] * weight + np.float64(x)


@_inlined
def _mean(floats: Floats, at: int, weight: float, x: float) -> None:
    floats[at] = x + (floats[at] - x) * weight


@_inlined
def _remember(ints: Ints, floats: Floats, ns: int, change: Change, mask: int) -> None:
    """Add the event to the running totals, put them in the ring, and move the windows' starts up."""
    ofi_1, ofi_5, signed, square, trade = change
    ints[_TOTALS + _OFI_1] += ofi_1
    ints[_TOTALS + _OFI_5] += ofi_5
    ints[_TOTALS + _FLOW] += signed
    ints[_TOTALS + _VOLUME] += abs(signed)
    ints[_TOTALS + _SQUARES] += square
    ints[_TOTALS + _TRADES] += trade
    ints[_TOTALS] = ns
    slot = ints[_HEAD] & mask
    if slot == 0:
        _drop_traces(floats)
    place = RING + slot * RING_WIDTH
    for k in range(_TOTALS_WIDTH):
        ints[place + k] = ints[_TOTALS + k]
    floats[place + _RING_MID2] = floats[_MID2]
    floats[place + _RING_MICRO2] = floats[_MICRO2]
    ints[_HEAD] += 1
    _expire(ints, _AFTER_200MS, ns - 200_000_000, mask)
    _expire(ints, _AFTER_1S, ns - 1_000_000_000, mask)
    _expire(ints, _AFTER_1500MS, ns - 1_500_000_000, mask)
    _expire(ints, _AFTER_2S, ns - 2_000_000_000, mask)


@_inlined
def _drop_traces(floats: Floats) -> None:
    """Zero sums that decayed to nothing (no output shows them): subnormal numbers would slow every event down."""
    for k in range(_SUM_OFI_1, _MEAN_MID):
        if abs(floats[k]) < 1e-100:
            floats[k] = 0.0


@_inlined
def _expire(ints: Ints, pointer: int, limit: int, mask: int) -> None:
    """Move a window's start past every event at or before the limit; the newest event ends the search."""
    first = ints[pointer]
    while ints[RING + (first & mask) * RING_WIDTH] <= limit:
        first += 1
    ints[pointer] = first


@_inlined
def _write(ints: Ints, floats: Floats, mask: int, out: NDArray[np.float32], k: int) -> None:
    """Write one row of float32."""
    bps, mid2 = floats[_BPS], floats[_MID2]
    for j in range(_LADDER_WIDTH):
        out[k, j] = floats[_LADDER + j]
    at_200ms = RING + ((ints[_AFTER_200MS] - 1) & mask) * RING_WIDTH
    base = RING + ((ints[_AFTER_1S] - 1) & mask) * RING_WIDTH
    out[k, 20] = (floats[_MICRO2] - floats[at_200ms + _RING_MICRO2]) * bps
    out[k, 21] = (mid2 - floats[base + _RING_MID2]) * bps
    out[k, 22] = ints[_TOTALS + _OFI_1] - ints[base + _OFI_1]
    out[k, 23] = ints[_TOTALS + _OFI_5] - ints[base + _OFI_5]
    for j in range(9):
        out[k, 24 + j] = _flushed(floats[_SUM_OFI_1 + j])
    for j in range(3):
        out[k, 33 + j] = _flushed(floats[_SUM_COUNT + j] / (4 << 2 * j))
    volume = ints[_TOTALS + _VOLUME] - ints[base + _VOLUME]
    out[k, 36] = np.float64(ints[_TOTALS + _FLOW] - ints[base + _FLOW]) / max(volume, 1)
    for j in range(2):
        traded = floats[_SUM_VOLUME + j]
        out[k, 37 + j] = floats[_SUM_FLOW + 1 + j] / traded if traded >= 1e-3 else 0.0
    out[k, 39] = ints[_TOTALS + _TRADES] - ints[base + _TRADES]
    recent = ints[_LAST_NS] - ints[_TRADE_NS] <= 64_000_000_000
    out[k, 40] = (2 * ints[_TRADE_TICKS] - mid2) * bps if recent else 0.0
    before = RING + ((ints[_AFTER_1500MS] - 1) & mask) * RING_WIDTH
    squares = np.float64(ints[_TOTALS + _SQUARES] - ints[before + _SQUARES])
    out[k, 41] = math.sqrt(squares) * bps
    out[k, 42] = math.sqrt(_flushed(floats[_SUM_SQUARE])) * bps
    out[k, 43] = math.sqrt(_flushed(floats[_SUM_SQUARE + 1])) * bps
    for j in range(4):
        out[k, 44 + j] = (mid2 - floats[_MEAN_MID + j]) * bps
    for j in range(4):
        out[k, 48 + j] = _flushed(floats[_MEAN_IMBALANCE_5 + j])
    past = RING + ((ints[_AFTER_2S] - 1) & mask) * RING_WIDTH
    updates = ints[_HEAD] - ints[_AFTER_2S] - (ints[_TOTALS + _TRADES] - ints[past + _TRADES])
    out[k, 52] = np.float64(ints[_TOTALS + _CANCELS] - ints[past + _CANCELS]) / max(updates, 1)
    depth_ratio = np.float64(ints[_DEPTH]) / floats[_MEAN_DEPTH]
    usual = _flushed(floats[_SUM_SQUARE + 1]) * (1.5 / 64.0)
    spread = np.float64(ints[_SPREAD])
    out[k, 53] = depth_ratio
    out[k, 54] = _regime(spread, 0.75 * floats[_MEAN_SPREAD], 1.5 * floats[_MEAN_SPREAD])
    out[k, 55] = _regime(squares, 0.25 * usual, 2.25 * usual)
    out[k, 56] = _regime(depth_ratio, 0.7, 1.3)
    out[k, 57] = 0.5 * mid2
    out[k, 58] = 0.5 * floats[_MICRO2]


@_inlined
def _blank(out: NDArray[np.float32], valid: NDArray[np.uint8], k: int) -> None:
    for column in range(COLUMNS):
        out[k, column] = np.nan
    valid[k] = 0


@_inlined
def _flushed(x: float) -> float:
    """Return 0 for the trace of a long gone event, so that a row does not depend on where the stream began.

    Far above 1e-35, below which the model's tree format reads numbers as zero.
    """
    return x if abs(x) >= 1e-9 else 0.0


@_inlined
def _regime(x: float, low: float, high: float) -> float:
    return 0.0 if x < low else (2.0 if x > high else 1.0)

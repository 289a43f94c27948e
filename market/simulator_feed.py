"""What the simulated venue publishes of its order flow: depth updates, best bid and offer, trades, snapshots.

Reads the log of `market.simulator_flow` and keeps its own book, as a venue's publisher does. Depth updates come at
their interval with the levels touched since the last one, in the numbering of Binance USD-M (U, u, pu); a bookTicker
comes whenever the touch has changed; snapshots come where they are wanted, and then lie inside the next depth update,
as a REST answer does. Arrival times are the publishing time plus a latency, never going back.

All times here are int64 nanoseconds after midnight UTC except where `local` says otherwise. All compiled code that
this file calls is in this file: numba's cache looks at no other.
"""

import math
from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from market.simulator_flow import L_ID, L_KIND, L_LOTS, L_NS, L_SIDE, L_TICK, LEVEL

# A published event: kind, E ms, T ms, local ns, id, then by kind
#   DEPTH     U, pu, first row in levels, bids, asks      (id is u)
#   SNAPSHOT  -, -, first row in levels, bids, asks       (id is lastUpdateId)
#   TRADE     price, lots, aggressor, -, -                (id is t)
#   TICKER    bid, lots, ask, lots, -                     (id is u)
E_KIND, E_EVENT_MS, E_TRANSACTION_MS, E_LOCAL_NS, E_ID, E_A, E_B, E_C, E_D, E_E, EVENT_FIELDS = range(11)
DEPTH, SNAPSHOT, TRADE, TICKER = range(4)

(J_BEST, J_BEST_ASK, J_TOUCHED, J_BATCH, J_FIRST_ID, J_PREVIOUS_ID, J_ID, J_NS, J_GRID, J_EMIT_NS, J_INTERVAL_NS,
 J_WANTED, J_LOCAL_NS, J_SEEN, J_SEEN_BID_LOTS, J_SEEN_ASK, J_SEEN_ASK_LOTS, J_TRADE_ID, J_CURSOR, J_DAY_NS,
 J_LATENCY_NS, J_FRAMES, J_WINDOW, N_INTS) = range(24)  # fmt: skip

EVENT_ROOM = 256
"""Published events that one event of the flow may cause at most."""
_NS_PER_MS = 1_000_000
_DAY_NS = 86_400_000_000_000
_SIDE_BIT = 1 << 40
_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_MIX_1, _MIX_2 = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)
_U11, _U27, _U30, _U31 = (np.uint64(k) for k in (11, 27, 30, 31))


class Feed(NamedTuple):
    """Everything the publisher remembers."""

    random: NDArray[np.uint64]
    ints: NDArray[np.int64]
    lots: NDArray[np.int64]
    """Lots by side and price, [2, ring], as in the flow."""
    stamps: NDArray[np.int64]
    """Batch and tick that last touched a place of the ring, [2, ring, 2]."""
    touched: NDArray[np.int64]
    """The levels changed since the last depth update, side and tick in one number."""
    wanted: NDArray[np.int64]
    """Times of the snapshots to publish, rising."""


class Published(NamedTuple):
    """Where `publish` writes; `filled` counts events, book rows and levels."""

    events: NDArray[np.int64]
    tops: NDArray[np.int32]
    """A row for each DEPTH event: bid ticks, bid lots, ask ticks, ask lots of the levels nearest the touch."""
    levels: NDArray[np.int64]
    """Price and size of the levels in depth updates and snapshots; only where frames are wanted."""
    filled: NDArray[np.int64]


@njit(cache=True)
def publish(feed: Feed, log: NDArray[np.int64], rows: int, until_ns: int, out: Published) -> bool:
    """Publish `rows` of the log and the depth updates due before `until_ns`; False when `out` filled up first.

    Call again with the same arguments to go on; set J_CURSOR to 0 for a new log. `out` is written from its start.
    """
    out.filled[:] = 0
    j = feed.ints
    while _has_room(feed, out):
        next_ns = log[j[J_CURSOR], L_NS] if j[J_CURSOR] < rows else until_ns
        if j[J_EMIT_NS] <= next_ns and j[J_EMIT_NS] < until_ns:
            _depth_update(feed, out, j[J_EMIT_NS])
            _next_depth(feed)
        elif j[J_CURSOR] < rows:
            _take_event(feed, log, rows, out)
        else:
            return True
    return False


@njit(cache=True)
def start_feed(feed: Feed, from_ns: int) -> None:
    """Set the grid of depth updates to its first point after `from_ns`; the book is the caller's to copy in."""
    feed.ints[J_GRID] = from_ns // feed.ints[J_INTERVAL_NS]
    feed.ints[J_NS] = from_ns
    _next_depth(feed)


@njit(cache=True)
def flush(feed: Feed, out: Published) -> None:
    """Publish what is pending as a depth update at the time of the last event."""
    out.filled[:] = 0
    _depth_update(feed, out, feed.ints[J_NS])


@njit(cache=True)
def _has_room(feed: Feed, out: Published) -> bool:
    room: bool = (
        out.filled[0] + EVENT_ROOM <= out.events.shape[0]
        and out.filled[1] + 2 <= out.tops.shape[0]
        and out.filled[2] + 2 * feed.touched.shape[0] <= out.levels.shape[0]
    )
    return room


@njit(cache=True)
def _take_event(feed: Feed, log: NDArray[np.int64], rows: int, out: Published) -> None:
    """Apply the log rows of one event, publish its trades and, if the touch has changed, a bookTicker."""
    j = feed.ints
    event_id = log[j[J_CURSOR], L_ID]
    if j[J_TOUCHED] * 2 > feed.touched.shape[0]:
        _depth_update(feed, out, j[J_NS])
    j[J_NS], j[J_ID] = log[j[J_CURSOR], L_NS], event_id
    while j[J_CURSOR] < rows and log[j[J_CURSOR], L_ID] == event_id:
        row = log[j[J_CURSOR]]
        if row[L_KIND] == LEVEL:
            _set_level(feed, row[L_SIDE], row[L_TICK], row[L_LOTS])
        else:
            event = _event(feed, out, TRADE, j[J_NS], j[J_TRADE_ID])
            event[E_A], event[E_B], event[E_C] = row[L_TICK], row[L_LOTS], 2 * row[L_SIDE] - 1
            j[J_TRADE_ID] += 1
        j[J_CURSOR] += 1
    mask = feed.lots.shape[1] - 1
    for side in range(2):
        while feed.lots[side, j[J_BEST + side] & mask] == 0:
            j[J_BEST + side] += 2 * side - 1
    _ticker(feed, out)
    if j[J_WANTED] < feed.wanted.shape[0] and j[J_NS] >= feed.wanted[j[J_WANTED]] and j[J_FIRST_ID] > 0:
        _snapshot(feed, out)


@njit(cache=True)
def _set_level(feed: Feed, side: int, tick: int, lots: int) -> None:
    j, place = feed.ints, tick & (feed.lots.shape[1] - 1)
    feed.lots[side, place] = lots
    if lots > 0 and (tick - j[J_BEST + side]) * (2 * side - 1) < 0:
        j[J_BEST + side] = tick
    if j[J_FIRST_ID] == 0:
        j[J_FIRST_ID] = j[J_ID]
    if feed.stamps[side, place, 0] != j[J_BATCH] or feed.stamps[side, place, 1] != tick:
        feed.stamps[side, place, 0], feed.stamps[side, place, 1] = j[J_BATCH], tick
        feed.touched[j[J_TOUCHED]] = side * _SIDE_BIT + tick
        j[J_TOUCHED] += 1


@njit(cache=True)
def _ticker(feed: Feed, out: Published) -> None:
    j, mask = feed.ints, feed.lots.shape[1] - 1
    bid_lots, ask_lots = feed.lots[0, j[J_BEST] & mask], feed.lots[1, j[J_BEST_ASK] & mask]
    same_prices = j[J_SEEN] == j[J_BEST] and j[J_SEEN_ASK] == j[J_BEST_ASK]
    if same_prices and j[J_SEEN_BID_LOTS] == bid_lots and j[J_SEEN_ASK_LOTS] == ask_lots:
        return
    j[J_SEEN], j[J_SEEN_ASK] = j[J_BEST], j[J_BEST_ASK]
    j[J_SEEN_BID_LOTS], j[J_SEEN_ASK_LOTS] = bid_lots, ask_lots
    event = _event(feed, out, TICKER, j[J_NS], j[J_ID])
    event[E_A], event[E_B], event[E_C], event[E_D] = j[J_BEST], bid_lots, j[J_BEST_ASK], ask_lots


@njit(cache=True)
def _snapshot(feed: Feed, out: Published) -> None:
    """The whole book as of the last event, each side from the touch outwards."""
    j, first, mask = feed.ints, out.filled[2], feed.lots.shape[1] - 1
    counts = np.zeros(2, np.int64)
    if j[J_FRAMES]:
        for side in range(2):
            for distance in range(j[J_WINDOW]):
                tick = j[J_BEST + side] + (2 * side - 1) * distance
                if feed.lots[side, tick & mask] > 0:
                    _level(out, tick, feed.lots[side, tick & mask])
                    counts[side] += 1
    event = _event(feed, out, SNAPSHOT, j[J_NS], j[J_ID])
    event[E_C], event[E_D], event[E_E] = first, counts[0], counts[1]
    j[J_WANTED] += 1


@njit(cache=True)
def _depth_update(feed: Feed, out: Published, at_ns: int) -> None:
    """Publish the touched levels, prices rising; nothing when nothing was touched."""
    j, first = feed.ints, out.filled[2]
    if j[J_TOUCHED] == 0:
        return
    counts = np.zeros(2, np.int64)
    if j[J_FRAMES]:
        mask, last = feed.lots.shape[1] - 1, np.int64(-1)
        for key in np.sort(feed.touched[: j[J_TOUCHED]]):
            if key != last:
                side, tick = key // _SIDE_BIT, key % _SIDE_BIT
                distance = (tick - j[J_BEST + side]) * (2 * side - 1)
                known = 0 <= distance < j[J_WINDOW]
                _level(out, tick, feed.lots[side, tick & mask] if known else 0)
                counts[side] += 1
            last = key
    _top(feed, out)
    event = _event(feed, out, DEPTH, at_ns, j[J_ID])
    event[E_A], event[E_B] = j[J_FIRST_ID], j[J_PREVIOUS_ID]
    event[E_C], event[E_D], event[E_E] = first, counts[0], counts[1]
    j[J_PREVIOUS_ID], j[J_FIRST_ID], j[J_TOUCHED] = j[J_ID], 0, 0
    j[J_BATCH] += 1


@njit(cache=True)
def _top(feed: Feed, out: Published) -> None:
    """Write the levels nearest the touch as one row; there are always enough, the window is deeper."""
    row, mask = out.tops[out.filled[1]], feed.lots.shape[1] - 1
    levels = row.shape[0] // 4
    for side in range(2):
        tick = feed.ints[J_BEST + side]
        for k in range(levels):
            while feed.lots[side, tick & mask] == 0:
                tick += 2 * side - 1
            row[2 * side * levels + k] = tick
            row[(2 * side + 1) * levels + k] = feed.lots[side, tick & mask]
            tick += 2 * side - 1
    out.filled[1] += 1


@njit(cache=True)
def _next_depth(feed: Feed) -> None:
    """Depth updates come up to a tenth of the interval behind their grid."""
    j = feed.ints
    j[J_GRID] += 1
    j[J_EMIT_NS] = j[J_GRID] * j[J_INTERVAL_NS] + int(0.1 * _uniform(feed) * j[J_INTERVAL_NS])


@njit(cache=True)
def _level(out: Published, tick: int, lots: int) -> None:
    out.levels[out.filled[2], 0], out.levels[out.filled[2], 1] = tick, lots
    out.filled[2] += 1


@njit(cache=True)
def _event(feed: Feed, out: Published, kind: int, at_ns: int, number: int) -> NDArray[np.int64]:
    """Begin the next event and return its row; the caller fills in what its kind has."""
    j = feed.ints
    row: NDArray[np.int64] = out.events[out.filled[0]]
    row[:] = 0
    latency = j[J_LATENCY_NS] * (0.7 - 0.3 * math.log(1.0 - _uniform(feed)))
    # Nothing arrives behind midnight, so a day's file holds the day and the next one starts behind it.
    arrival_ns = min(at_ns + int(latency), _DAY_NS - 1)
    j[J_LOCAL_NS] = max(j[J_LOCAL_NS], j[J_DAY_NS] + arrival_ns)
    row[E_KIND], row[E_LOCAL_NS], row[E_ID] = kind, j[J_LOCAL_NS], number
    row[E_EVENT_MS] = (j[J_DAY_NS] + at_ns) // _NS_PER_MS
    row[E_TRANSACTION_MS] = (j[J_DAY_NS] + j[J_NS]) // _NS_PER_MS
    out.filled[0] += 1
    return row


@njit(cache=True)
def _uniform(feed: Feed) -> float:
    """SplitMix64, as in the flow, from a state of its own."""
    feed.random[0] += _GOLDEN
    z: np.uint64 = feed.random[0]
    z = (z ^ (z >> _U30)) * _MIX_1
    z = (z ^ (z >> _U27)) * _MIX_2
    return ((z ^ (z >> _U31)) >> _U11) * 2.0**-53

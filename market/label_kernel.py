"""The compiled half of `market.labels`; all of it in this one file, since numba's cache watches only the file it is in.

Rows with the same bid and ask as the row before form a run. Whatever enters within a run has the same barriers and
meets them at the same row, so the search is done once a run (`find_touches`) and every entry looks up its run's answer
(`judge`), which also makes the cost independent of the horizon.

Prices are signed in the search: a short is a long on negated prices, its target above and its stop below.
"""

import math
from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from market.barriers import GRID_TOLERANCE_TICKS, STOP, TARGET, TIMEOUT, UNRESOLVED
from market.events import NO_ASK_TICKS, NO_BID_TICKS

_NONE = -1


class Touch(NamedTuple):
    """The best prices over time: int64[n] ns, int32[n] ticks."""

    ns: NDArray[np.int64]
    bid_ticks: NDArray[np.int32]
    ask_ticks: NDArray[np.int32]


class Entries(NamedTuple):
    """Who enters: int64[m] book row and ns, int8[m] side, and the horizon they share."""

    row: NDArray[np.int64]
    ns: NDArray[np.int64]
    side: NDArray[np.int8]
    horizon_ns: int


class Runs(NamedTuple):
    """Stretches of an unchanged touch: int32[n] the run of each row, int32[k + 1] first row of each run, then n."""

    of_row: NDArray[np.int32]
    first_row: NDArray[np.int32]


class Barriers(NamedTuple):
    """One side's barriers as multiples of the entry price, and the range of its signed exit prices."""

    target: float
    stop: float
    low: int
    size: int


class Fates(NamedTuple):
    """What awaits whoever enters in a run, without regard to any horizon.

    turn     int32[.]  first row behind the run whose exit touch is at or beyond a barrier, as row + 1 for the target
                       and -(row + 1) for the stop; 0 if there is none
    at_once  int32[.]  1 or -1 when the run's own exit touch is beyond target or stop already, else 0
    held     int32[.]  last row up to the end of the run that has an exit touch

    Room for one a run, and `behind` int32[2, .] for the lists of who waits above and below.
    """

    turn: NDArray[np.int32]
    at_once: NDArray[np.int32]
    held: NDArray[np.int32]
    behind: NDArray[np.int32]


class Ends(NamedTuple):
    """How they end, filled in place: int8[m] outcome, int64[m] book row and ns, float32[m] gains in basis points."""

    outcome: NDArray[np.int8]
    row: NDArray[np.int64]
    ns: NDArray[np.int64]
    gross_bps: NDArray[np.float32]
    net_bps: NDArray[np.float32]


@njit(cache=True, nogil=True)
def survey(touch: Touch) -> tuple[int, int, int, int, int]:
    """Return the first row whose time runs backwards (or -1), then lowest and highest bid, lowest and highest ask.

    Rows without the touch do not count; a side that never has one answers a lowest above its highest.
    """
    disorder = -1
    low_bid = low_ask = NO_ASK_TICKS
    high_bid = high_ask = NO_BID_TICKS
    for row in range(len(touch.ns)):
        if disorder < 0 and row > 0 and touch.ns[row] < touch.ns[row - 1]:
            disorder = row
        bid = touch.bid_ticks[row]
        if bid != NO_BID_TICKS:
            low_bid = min(low_bid, bid)
            high_bid = max(high_bid, bid)
        ask = touch.ask_ticks[row]
        if ask != NO_ASK_TICKS:
            low_ask = min(low_ask, ask)
            high_ask = max(high_ask, ask)
    return disorder, low_bid, high_bid, low_ask, high_ask


@njit(cache=True, nogil=True)
def first_stranger(touch: Touch, entries: Entries) -> int:
    """Return the first entry that is out of order, off the book or of no side, or -1."""
    for entry in range(len(entries.row)):
        row = entries.row[entry]
        if not 0 <= row < len(touch.ns) or abs(entries.side[entry]) != 1:
            return entry
        if entry > 0 and (row < entries.row[entry - 1] or entries.ns[entry] < entries.ns[entry - 1]):
            return entry
    return -1


@njit(cache=True, nogil=True)
def split_runs(touch: Touch, room: Runs) -> Runs:
    """Cut the rows wherever a touch changes, in room for n and n + 1 numbers.

    Free of branches, since prices change at every third row or so.
    """
    count = len(touch.ns)
    of_row, first_row = room
    first_row[0] = 0
    run = 0
    for row in range(count):
        before = max(row - 1, 0)
        changed = (touch.bid_ticks[row] != touch.bid_ticks[before]) | (touch.ask_ticks[row] != touch.ask_ticks[before])
        run += changed
        of_row[row] = run
        first_row[run + 1] = row + 1
    return Runs(of_row, first_row[: run + 2])


@njit(cache=True, nogil=True)
def find_touches(touch: Touch, runs: Runs, sign: int, barriers: Barriers, fates: Fates) -> None:
    """Fill in the fate of each run for entries of side `sign`."""
    exit_ticks = touch.bid_ticks if sign > 0 else touch.ask_ticks
    enter_ticks = touch.ask_ticks if sign > 0 else touch.bid_ticks
    nothing_ticks = NO_BID_TICKS if sign > 0 else NO_ASK_TICKS
    count = len(runs.first_row) - 1
    turn, at_once, helds, behind = fates
    above, below = np.full(barriers.size, _NONE, np.int32), np.full(barriers.size, _NONE, np.int32)
    behind_above, behind_below = behind[0], behind[1]
    waiting = held = here = -1
    upper = lower = 0
    for run in range(count):
        row = runs.first_row[run]
        turn[run] = at_once[run] = 0
        if exit_ticks[row] != nothing_ticks:
            price = sign * exit_ticks[row] - barriers.low
            if waiting == _NONE:
                here = price
            while here < price:
                here += 1
                _release(above, behind_above, here, row + 1, turn)
            while here > price:
                here -= 1
                _release(below, behind_below, here, -row - 1, turn)
            if waiting != _NONE:
                beyond = _beyond(price, upper, lower)
                turn[waiting] = beyond * (row + 1)
                # A barrier outside of the range is never touched: nobody waits there.
                if beyond == 0 and 0 <= upper < barriers.size:
                    _wait(above, behind_above, upper, waiting)
                if beyond == 0 and 0 <= lower < barriers.size:
                    _wait(below, behind_below, lower, waiting)
            upper, lower = _levels(sign * enter_ticks[row], barriers)
            at_once[run] = _beyond(price, upper, lower)
            waiting, held = run, runs.first_row[run + 1] - 1
        helds[run] = held


@njit(cache=True, nogil=True)
def horizon_rows(touch: Touch, entries: Entries, out: NDArray[np.int64]) -> None:
    """Fill int64[m] with the last row up to each entry's horizon.

    A merge of rows and horizons without a branch to mispredict, but each step of it waits for the one before. So the
    two halves of the entries are merged abreast.
    """
    rows, count = len(touch.ns), len(entries.ns)
    left, right = 0, count // 2
    left_row, right_row = 0, 0
    if count > 0:
        right_row = max(np.searchsorted(touch.ns, entries.ns[right] + entries.horizon_ns, side="right") - 1, 0)
    while left < count // 2 and right < count and left_row + 1 < rows and right_row + 1 < rows:
        left_later = touch.ns[left_row + 1] <= entries.ns[left] + entries.horizon_ns
        right_later = touch.ns[right_row + 1] <= entries.ns[right] + entries.horizon_ns
        out[left], out[right] = left_row, right_row
        left_row += left_later
        right_row += right_later
        left += 1 - left_later
        right += 1 - right_later
    _merge(touch, entries, left, count // 2, left_row, out)
    _merge(touch, entries, right, count, right_row, out)


@njit(cache=True, nogil=True, error_model="numpy")
def judge(
    touch: Touch,
    entries: Entries,
    runs: Runs,
    sign: int,
    fates: Fates,
    blind_ns: tuple[NDArray[np.int64], NDArray[np.int64]],
    fee: float,
    ends: Ends,
) -> None:
    """End every entry of side `sign`; `ends.row` comes in with the row of its horizon.

    `blind_ns` are starts and ends of stretches nobody saw; an entry that had not ended when one began is UNRESOLVED.
    `fee` is the taker's, as a share, paid on the price of entry and of exit.
    """
    exit_ticks = touch.bid_ticks if sign > 0 else touch.ask_ticks
    enter_ticks = touch.ask_ticks if sign > 0 else touch.bid_ticks
    no_exit_ticks = NO_BID_TICKS if sign > 0 else NO_ASK_TICKS
    no_enter_ticks = NO_ASK_TICKS if sign > 0 else NO_BID_TICKS
    starts_ns, stops_ns = blind_ns
    # Unpacked, since stores through the members of a tuple cost numba a third more.
    outcome, end_row, end_ns, gross_bps, net_bps = ends
    last_ns = touch.ns[-1] if len(touch.ns) > 0 else 0
    stretch = 0
    for entry in range(len(entries.row)):
        if entries.side[entry] != sign:
            continue
        row, now_ns, horizon_row = entries.row[entry], entries.ns[entry], end_row[entry]
        run, ended_ns = runs.of_row[row], now_ns + entries.horizon_ns
        turn = fates.turn[run]
        if fates.at_once[run] != 0 and row + 1 < runs.first_row[run + 1]:
            turn = fates.at_once[run] * (row + 2)
        hit = abs(turn) - 1
        if turn != 0 and hit <= horizon_row:
            code = TARGET if turn > 0 else STOP
            ended_ns = touch.ns[hit]
        else:
            hit = horizon_row
            code = TIMEOUT if ended_ns <= last_ns else UNRESOLVED
            if exit_ticks[hit] == no_exit_ticks:
                hit = fates.held[runs.of_row[hit]]
        while stretch < len(stops_ns) and stops_ns[stretch] <= now_ns:
            stretch += 1
        if stretch < len(stops_ns) and ended_ns > starts_ns[stretch]:
            code = UNRESOLVED
        paid, left = enter_ticks[row], exit_ticks[hit]
        if paid == no_enter_ticks or exit_ticks[row] == no_exit_ticks or touch.ns[row] > now_ns:
            code = UNRESOLVED
        outcome[entry] = code
        if code == UNRESOLVED:
            end_row[entry] = end_ns[entry] = _NONE
            gross_bps[entry] = net_bps[entry] = np.nan
            continue
        move = float(left - paid) / paid
        end_row[entry], end_ns[entry] = hit, ended_ns
        gross_bps[entry] = sign * move * 1e4
        net_bps[entry] = (sign * move - fee * (2.0 + move)) * 1e4


@njit(cache=True, nogil=True)
def _merge(touch: Touch, entries: Entries, entry: int, stop: int, row: int, out: NDArray[np.int64]) -> None:
    """Go on with one of the merges, from an entry and a row on."""
    while entry < stop and row + 1 < len(touch.ns):
        later = touch.ns[row + 1] <= entries.ns[entry] + entries.horizon_ns
        out[entry] = row
        row += later
        entry += 1 - later
    out[entry:stop] = len(touch.ns) - 1


@njit(cache=True, nogil=True)
def _levels(entry_ticks: int, barriers: Barriers) -> tuple[int, int]:
    """Target and stop from the low of the range: the nearest ticks that gain and lose at least what the rule says."""
    upper = math.ceil(entry_ticks * barriers.target - GRID_TOLERANCE_TICKS)
    lower = math.floor(entry_ticks * barriers.stop + GRID_TOLERANCE_TICKS)
    return max(int(upper), entry_ticks + 1) - barriers.low, min(int(lower), entry_ticks - 1) - barriers.low


@njit(cache=True, nogil=True)
def _beyond(price: int, upper: int, lower: int) -> int:
    return int(price >= upper) - int(price <= lower)


@njit(cache=True, nogil=True)
def _wait(heads: NDArray[np.int32], behind: NDArray[np.int32], level: int, run: int) -> None:
    """Put a run on the list of a price."""
    behind[run] = heads[level]
    heads[level] = run


@njit(cache=True, nogil=True)
def _release(
    heads: NDArray[np.int32], behind: NDArray[np.int32], level: int, turn: int, turns: NDArray[np.int32]
) -> None:
    """Empty the list of a price; a run that met its other barrier before is only taken out."""
    run = heads[level]
    heads[level] = _NONE
    while run != _NONE:
        if turns[run] == 0:
            turns[run] = turn
        run = behind[run]

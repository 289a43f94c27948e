"""The order flow of the simulated market: one compiled loop over limit orders, cancels and takers.

How price moves. A fair price runs as drift, diffusion and jumps; the quotes hold until it is `hold` ticks away, then
the near queue is eaten (by takers or by cancels), levels fall until the fair price is between the quotes again, and
the far side follows. On the way there the queue it runs into is thinned and takers lean towards it, so queue and flow
imbalance tell of the next seconds. A slow pressure (an Ornstein-Uhlenbeck process of tens of seconds) drives the
drift of the fair price and leans on both queues and on takers, so decayed order-flow imbalance tells of the next
half minute: that is what there is to learn. Takers excite one another (Hawkes 1971, exponential kernel), with the
rate held constant between two events.

The state is plain arrays and every draw comes from the generator inside it (SplitMix64: Steele, Lea and Flood 2014),
so a run is the same whatever the size of the chunks it is taken in. Times are float64 seconds after midnight UTC,
prices int64 ticks, sizes lots. All compiled code is in this one file: numba's cache looks at no other.
"""

import math
from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

# The log, a row for each thing that happened: ns after midnight, id, kind, side, price, lots. LEVEL holds the new
# size of a level, TRADE a print against `side`. Rows of one event share their id.
L_NS, L_ID, L_KIND, L_SIDE, L_TICK, L_LOTS, LOG_FIELDS = range(7)
LEVEL, TRADE = 0, 1
BID, ASK = 0, 1

I_ID, I_BEST, I_BEST_ASK, I_SPAN, I_TAKER, I_LOGGED, N_INTS = range(7)
(F_NOW, F_NEXT, F_FAIR, F_PRESSURE, F_VOLATILITY, F_NOISE, F_NOISE_ASK, F_HEAT, F_HOLD, N_FLOATS) = range(10)
(P_ORDERS, P_TAKERS, P_SIGMA, P_DRIFT, P_DRIFT_TAU, P_JUMP_RATE, P_JUMP, P_SPREAD, P_GAP, P_WINDOW, P_HOLD, P_TOUCH,
 P_LEVEL, P_TINY, P_PRINT, P_SWEEP, P_STEP, P_TARGET, N_PARAMETERS) = range(19)  # fmt: skip
S_END, S_VOLATILITY, S_RATE, S_SPREAD, S_DEPTH, S_JUMPS, S_EFFECT = range(7)

BRANCHING = 0.6
"""Mean number of takers that one taker brings along."""
PRINTS_A_TAKER = 3.6
"""Mean prints of a market order away from moves; what the chances and queues below come to, measured."""
MOST_PRINTS = 100
_EXCITATION_DECAY = 1.25
_TOUCH_SHARE = 0.75
_PRINTS_AGAIN, _LARGE_SHARE, _LARGE_PRINTS_AGAIN = 0.72, 0.03, 0.98
_NOISE_SIGMA, _NOISE_TAU = 0.7, 1.0
_VOLATILITY_SIGMA, _VOLATILITY_TAU = 0.5, 120.0
_QUEUE_LEAN_NEAR, _QUEUE_LEAN_SLOW = 1.3, 0.45
_TAKER_LEAN_NEAR, _TAKER_LEAN_SLOW, _TAKER_MEMORY = 1.6, 0.9, 0.8
_WIDE_SHARE, _WIDE_GAPS = 0.012, 5.0

_DAY_SECONDS = 86_400.0
_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_MIX_1, _MIX_2 = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)
_U11, _U16, _U27, _U30, _U31, _U32, _U48 = (np.uint64(k) for k in (11, 16, 27, 30, 31, 32, 48))
_LOW_16 = np.uint64(0xFFFF)


class Flow(NamedTuple):
    """Everything a simulated day remembers, and the log it writes."""

    random: NDArray[np.uint64]
    ints: NDArray[np.int64]
    floats: NDArray[np.float64]
    lots: NDArray[np.int64]
    """Lots by side and price, [2, ring]: a price lies at its tick modulo the ring (a power of two)."""
    rule: NDArray[np.float64]
    spans: NDArray[np.float64]
    log: NDArray[np.int64]


@njit(cache=True)
def advance(flow: Flow, until: float) -> bool:
    """Run to `until` seconds, writing the log from its start; False when the log filled up first (call again).

    `flow.ints[I_LOGGED]` is the number of rows written.
    """
    flow.ints[I_LOGGED] = 0
    room = 6 * int(flow.rule[P_WINDOW]) + 2 * MOST_PRINTS
    while flow.ints[I_LOGGED] + room <= flow.log.shape[0]:
        if flow.floats[F_NEXT] >= until:
            return True
        _step(flow)
    return False


@njit(cache=True)
def open_book(flow: Flow, fair: float) -> None:
    """Build the book of a midnight around the fair price, in calm weather, and set every process to its start."""
    i, f, window = flow.ints, flow.floats, int(flow.rule[P_WINDOW])
    f[F_FAIR] = fair
    f[F_PRESSURE], f[F_VOLATILITY] = _normal(flow), _normal(flow)
    f[F_NOISE], f[F_NOISE_ASK] = _normal(flow), _normal(flow)
    f[F_HEAT], f[F_HOLD] = flow.rule[P_TAKERS] * BRANCHING, flow.rule[P_HOLD]
    i[I_BEST] = math.floor(fair)
    i[I_BEST_ASK] = i[I_BEST] + max(1, round(flow.rule[P_SPREAD]))
    for side in (BID, ASK):
        best, deeper = i[I_BEST + side], 2 * side - 1
        for distance in range(1, window):
            _maybe_fill(flow, side, best + deeper * distance, 1.0)
        _set_level(flow, side, best, _around(flow, flow.rule[P_TOUCH], 0.5))
        i[I_LOGGED] = 0


@njit(cache=True)
def schedule(flow: Flow) -> None:
    """Draw the time of the next event."""
    rate = _taker_rate(flow) + flow.rule[P_ORDERS] * flow.spans[flow.ints[I_SPAN], S_RATE]
    flow.floats[F_NEXT] = flow.floats[F_NOW] + _exponential(flow) / rate


@njit(cache=True)
def _step(flow: Flow) -> None:
    """One event: the hidden processes run up to it, then an order, a cancel, a taker or a move of the quotes."""
    i, f = flow.ints, flow.floats
    elapsed = f[F_NEXT] - f[F_NOW]
    f[F_NOW] = f[F_NEXT]
    i[I_ID] += 1 + int(_uniform(flow) * 8.0)
    _run_hidden(flow, elapsed)
    half_spread = 0.5 * (i[I_BEST_ASK] - i[I_BEST])
    near = (f[F_FAIR] - i[I_BEST] - half_spread) / (f[F_HOLD] + half_spread)
    if abs(near) >= 1.0:
        _move(flow, ASK if near > 0.0 else BID)
    else:
        takers = _taker_rate(flow)
        orders = flow.rule[P_ORDERS] * flow.spans[i[I_SPAN], S_RATE]
        if _uniform(flow) * (takers + orders) < takers:
            _take(flow, near)
        elif _uniform(flow) < _TOUCH_SHARE:
            _requeue(flow, near)
        else:
            _change_deep(flow)
    schedule(flow)


@njit(cache=True)
def _taker_rate(flow: Flow) -> float:
    unprovoked = flow.rule[P_TAKERS] * (1.0 - BRANCHING) * flow.spans[flow.ints[I_SPAN], S_RATE]
    rate: float = unprovoked + flow.floats[F_HEAT]
    return rate


@njit(cache=True)
def _run_hidden(flow: Flow, elapsed: float) -> None:
    """Advance fair price, pressure, volatility, queue noise and excitation by `elapsed` seconds."""
    i, f, rule = flow.ints, flow.floats, flow.rule
    while f[F_NOW] > flow.spans[i[I_SPAN], S_END] and i[I_SPAN] + 1 < flow.spans.shape[0]:
        i[I_SPAN] += 1
    span = flow.spans[i[I_SPAN]]
    f[F_PRESSURE] = _pulled(flow, f[F_PRESSURE], elapsed / rule[P_DRIFT_TAU])
    f[F_VOLATILITY] = _pulled(flow, f[F_VOLATILITY], elapsed / _VOLATILITY_TAU)
    f[F_NOISE] = _pulled(flow, f[F_NOISE], elapsed / _NOISE_TAU)
    f[F_NOISE_ASK] = _pulled(flow, f[F_NOISE_ASK], elapsed / _NOISE_TAU)
    f[F_HEAT] *= math.exp(-_EXCITATION_DECAY * elapsed)
    # exp(N(-s^2, s^2)) has a mean square of one: changing volatility does not change the variance of a day.
    wobble = math.exp(_VOLATILITY_SIGMA * f[F_VOLATILITY] - _VOLATILITY_SIGMA * _VOLATILITY_SIGMA)
    scale = wobble * span[S_VOLATILITY]
    f[F_FAIR] += scale * rule[P_SIGMA] * math.sqrt(elapsed) * _bell(flow)
    f[F_FAIR] += scale * rule[P_DRIFT] * span[S_EFFECT] * f[F_PRESSURE] * elapsed
    if _uniform(flow) < rule[P_JUMP_RATE] * span[S_JUMPS] * elapsed:
        f[F_FAIR] += scale * rule[P_JUMP] * _normal(flow)
    # Brownian bridge: what is missing to the price of the next midnight, spread over the time that is left.
    left = _DAY_SECONDS - f[F_NOW]
    f[F_FAIR] += (rule[P_TARGET] - f[F_FAIR]) * min(1.0, elapsed / (left + elapsed))


@njit(cache=True)
def _pulled(flow: Flow, value: float, share: float) -> float:
    """One step of an Ornstein-Uhlenbeck process of unit variance; `share` is the step in time constants."""
    if share > 0.5:
        keep = math.exp(-share)
        return keep * value + math.sqrt(1.0 - keep * keep) * _normal(flow)
    return value - share * value + math.sqrt(2.0 * share - share * share) * _bell(flow)


@njit(cache=True)
def _move(flow: Flow, side: int) -> None:
    """The fair price has left the quotes: `side` gives way up to it and the other side follows."""
    i, f, deeper = flow.ints, flow.floats, 2 * side - 1
    goal = math.floor(f[F_FAIR]) + 1 if side == ASK else math.ceil(f[F_FAIR]) - 1
    farthest = i[I_BEST + side] + deeper * int(flow.rule[P_WINDOW])
    goal = min(goal, farthest) if side == ASK else max(goal, farthest)
    if _uniform(flow) < flow.rule[P_SWEEP]:
        _sweep(flow, side, goal)
    _retreat(flow, side, goal)
    if i[I_BEST + side] != goal and _uniform(flow) < 0.8:
        _quote_inside(flow, side, goal)
    _follow(flow, 1 - side)
    f[F_HOLD] = max(0.75, flow.rule[P_HOLD] * (0.4 + 0.6 * _exponential(flow)))


@njit(cache=True)
def _follow(flow: Flow, side: int) -> None:
    """Bring the best quote of `side` to the usual distance from the other side, if it is farther away."""
    deeper = 2 * side - 1
    spread = _usual_spread(flow)
    if _uniform(flow) < _WIDE_SHARE:
        spread += int(_WIDE_GAPS * flow.rule[P_GAP] * _exponential(flow))
    quote = flow.ints[I_BEST + 1 - side] + deeper * spread
    if (flow.ints[I_BEST + side] - quote) * deeper > 0:
        _quote_inside(flow, side, quote)


@njit(cache=True)
def _usual_spread(flow: Flow) -> int:
    return max(1, int(flow.rule[P_SPREAD] * flow.spans[flow.ints[I_SPAN], S_SPREAD]))


@njit(cache=True)
def _sweep(flow: Flow, side: int, goal: int) -> None:
    """A taker prints at every level short of `goal`; what is left of those levels is cancelled by the retreat."""
    mask, deeper = flow.lots.shape[1] - 1, 2 * side - 1
    tick, prints = flow.ints[I_BEST + side], 0
    while (goal - tick) * deeper > 0 and prints < MOST_PRINTS:
        lots = flow.lots[side, tick & mask]
        if lots > 0:
            _log(flow, TRADE, side, tick, min(lots, _print_lots(flow)))
            prints += 1
        tick += deeper
    if prints > 0:
        _excite(flow, side)


@njit(cache=True)
def _take(flow: Flow, near: float) -> None:
    """A market order, printed in pieces; it empties the touch only where the fair price has gone ahead of it."""
    i, mask = flow.ints, flow.lots.shape[1] - 1
    lean = _TAKER_LEAN_NEAR * near + _TAKER_LEAN_SLOW * flow.floats[F_PRESSURE] + _TAKER_MEMORY * i[I_TAKER]
    side = ASK if _uniform(flow) * (1.0 + math.exp(-lean)) < 1.0 else BID
    may_empty = near * (2 * side - 1) > 0.3
    best = i[I_BEST + side]
    again = _LARGE_PRINTS_AGAIN if _uniform(flow) < _LARGE_SHARE else _PRINTS_AGAIN
    for _ in range(MOST_PRINTS):
        queue = flow.lots[side, best & mask]
        lots = min(_print_lots(flow), queue if may_empty else queue - 1)
        if lots <= 0:
            break
        _log(flow, TRADE, side, best, lots)
        _set_level(flow, side, best, queue - lots)
        if _uniform(flow) > again:
            break
    _excite(flow, side)
    if flow.lots[side, best & mask] == 0:
        _retreat(flow, side, best)
        if _uniform(flow) < 0.7:
            _follow(flow, 1 - side)


@njit(cache=True)
def _excite(flow: Flow, side: int) -> None:
    flow.ints[I_TAKER] = 2 * side - 1
    flow.floats[F_HEAT] += BRANCHING * _EXCITATION_DECAY


@njit(cache=True)
def _requeue(flow: Flow, near: float) -> None:
    """A limit order or a cancel at the touch, pulling the queue towards the size its side wants right now."""
    i, rule = flow.ints, flow.rule
    side = ASK if _uniform(flow) < 0.5 else BID
    best = i[I_BEST + side]
    if i[I_BEST_ASK] - i[I_BEST] > _usual_spread(flow) and _uniform(flow) < 0.5:
        _follow(flow, side)
        return
    lean = _QUEUE_LEAN_NEAR * near + _QUEUE_LEAN_SLOW * flow.floats[F_PRESSURE]
    usual = rule[P_TOUCH] * flow.spans[i[I_SPAN], S_DEPTH]
    wanted = usual * math.exp(_NOISE_SIGMA * flow.floats[F_NOISE + side] + (1 - 2 * side) * lean)
    queue = flow.lots[side, best & (flow.lots.shape[1] - 1)]
    change = _around(flow, rule[P_STEP] * max(wanted, float(queue)), 0.6)
    ratio = queue / wanted
    if _uniform(flow) * (1.0 + ratio * ratio) < 1.0:
        _set_level(flow, side, best, queue + change)
    else:
        _set_level(flow, side, best, max(1, queue - change))


@njit(cache=True)
def _change_deep(flow: Flow) -> None:
    """A limit order where levels are sparse, a cancel or a new size where they are dense."""
    mask, gap, window = flow.lots.shape[1] - 1, flow.rule[P_GAP], int(flow.rule[P_WINDOW])
    side = ASK if _uniform(flow) < 0.5 else BID
    deeper = 2 * side - 1
    distance = 1 + int(12.0 * gap * _exponential(flow))
    tick, ahead = flow.ints[I_BEST + side] + deeper * distance, 0
    while distance + ahead < window and flow.lots[side, (tick + deeper * ahead) & mask] == 0:
        ahead += 1
    if distance + ahead >= window:
        return
    if ahead > 0.7 * (gap - 1.0) + _uniform(flow):
        _set_level(flow, side, tick, _level_lots(flow))
    else:
        lots = _level_lots(flow) if _uniform(flow) < 0.5 else 0
        _set_level(flow, side, tick + deeper * ahead, lots)


@njit(cache=True)
def _retreat(flow: Flow, side: int, goal: int) -> None:
    """Drop every level of `side` short of `goal`; the best becomes the first level at or behind it."""
    mask, deeper, window = flow.lots.shape[1] - 1, 2 * side - 1, int(flow.rule[P_WINDOW])
    tick = flow.ints[I_BEST + side]
    while (goal - tick) * deeper > 0 or flow.lots[side, tick & mask] == 0:
        _set_level(flow, side, tick, 0)
        _maybe_fill(flow, side, tick + deeper * window, 1.0)
        tick += deeper
    flow.ints[I_BEST + side] = tick


@njit(cache=True)
def _quote_inside(flow: Flow, side: int, goal: int) -> None:
    """Quote at `goal`, inside the present best, with some levels between; levels beyond the window are dropped."""
    deeper, window = 2 * side - 1, int(flow.rule[P_WINDOW])
    tick = flow.ints[I_BEST + side]
    while tick != goal:
        _set_level(flow, side, tick + deeper * (window - 1), 0)
        tick -= deeper
        if tick != goal:
            _maybe_fill(flow, side, tick, 0.8)
    usual = flow.rule[P_TOUCH] * flow.spans[flow.ints[I_SPAN], S_DEPTH]
    _set_level(flow, side, goal, 1 + int(usual * _uniform(flow)))
    flow.ints[I_BEST + side] = goal


@njit(cache=True)
def _maybe_fill(flow: Flow, side: int, tick: int, density: float) -> None:
    if _uniform(flow) * flow.rule[P_GAP] < density:
        _set_level(flow, side, tick, _level_lots(flow))


@njit(cache=True)
def _set_level(flow: Flow, side: int, tick: int, lots: int) -> None:
    place = tick & (flow.lots.shape[1] - 1)
    if lots != flow.lots[side, place]:
        flow.lots[side, place] = lots
        _log(flow, LEVEL, side, tick, lots)


@njit(cache=True)
def _log(flow: Flow, kind: int, side: int, tick: int, lots: int) -> None:
    row = flow.log[flow.ints[I_LOGGED]]
    row[L_NS], row[L_ID], row[L_KIND] = int(flow.floats[F_NOW] * 1e9), flow.ints[I_ID], kind
    row[L_SIDE], row[L_TICK], row[L_LOTS] = side, tick, lots
    flow.ints[I_LOGGED] += 1


@njit(cache=True)
def _level_lots(flow: Flow) -> int:
    """Size of a level behind the touch: a third the least order allowed, most like one order, some walls."""
    draw, usual = _uniform(flow), flow.rule[P_LEVEL] * flow.spans[flow.ints[I_SPAN], S_DEPTH]
    if draw < 0.3:
        return 1 + int(flow.rule[P_TINY] * (1.0 + 0.7 * _uniform(flow)))
    if draw < 0.92:
        return _around(flow, usual, 0.9)
    return _around(flow, 14.0 * usual, 1.2)


@njit(cache=True)
def _print_lots(flow: Flow) -> int:
    """Size of a print: a third the least order allowed, the rest log-normal with a heavy tail."""
    if _uniform(flow) < 0.24:
        return 1 + int(flow.rule[P_TINY] * (1.0 + 0.7 * _uniform(flow)))
    return min(_around(flow, flow.rule[P_PRINT], 1.6), int(200.0 * flow.rule[P_PRINT]) + 1)


@njit(cache=True)
def _around(flow: Flow, median: float, sigma: float) -> int:
    """Log-normal lots, at least one, kept far from the end of int32."""
    return max(1, int(min(1e8, median * math.exp(sigma * _normal(flow)))))


@njit(cache=True)
def _next(flow: Flow) -> np.uint64:
    flow.random[0] += _GOLDEN
    z: np.uint64 = flow.random[0]
    z = (z ^ (z >> _U30)) * _MIX_1
    z = (z ^ (z >> _U27)) * _MIX_2
    return z ^ (z >> _U31)


@njit(cache=True)
def _uniform(flow: Flow) -> float:
    return (_next(flow) >> _U11) * 2.0**-53


@njit(cache=True)
def _exponential(flow: Flow) -> float:
    return -math.log(1.0 - _uniform(flow))


@njit(cache=True)
def _normal(flow: Flow) -> float:
    return math.sqrt(2.0 * _exponential(flow)) * math.cos(2.0 * math.pi * _uniform(flow))


@njit(cache=True)
def _bell(flow: Flow) -> float:
    """Unit variance and nearly normal, from one draw: the sum of its four quarters. For small steps that add up."""
    z = _next(flow)
    quarters = (z & _LOW_16) + ((z >> _U16) & _LOW_16) + ((z >> _U32) & _LOW_16) + (z >> _U48)
    return (quarters - 131_070.0) * (1.0 / 37_837.22)

"""One simulated UTC day, run in pieces of bounded memory: the order flow and the feed that publishes it.

A day starts from the book of its midnight and ends by making its book equal to that of the next one, in a last depth
update whose id is the next day's base. So the chain U/u/pu, prices and books go on from day to day, although each day
is made from (seed, symbol, day) alone. Trade ids start anew each midnight, above all earlier ones.
"""

import math
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from market import simulator_feed as feeds
from market import simulator_flow as flows
from market.events import LEVELS
from market.simulator_feed import Feed, Published
from market.simulator_flow import Flow
from market.simulator_rule import DAY_NS, Drift, SimulatorRule, midnight_price, multipliers, seed_of
from market.symbols import Symbol

_IDS_A_DAY = 10**10
_TRADES_A_DAY = 10**8
_LAST_EVENT_SECOND = 86_399.999
_JUMP_SHARE, _JUMPS_PER_SECOND = 0.45, 0.1
_SWEPT_SHARE = 0.3
_LEVEL_SHARE = 1.0 / 45.0
_LEAST_NOTIONAL = 100.0


class SimulatedDay:
    """Publishes the span [start_ns, end_ns) of one UTC day; `wanted_ns` are the times to publish snapshots at.

    With `frames` False the levels of updates and snapshots are left out. `chunk_events` bounds the memory, and changes
    nothing else.
    """

    def __init__(
        self,
        symbol: Symbol,
        day_number: int,
        seed: int,
        rule: SimulatorRule,
        *,
        drifts: Sequence[Drift],
        wanted_ns: Sequence[int],
        frames: bool,
        chunk_events: int = 1 << 14,
    ) -> None:
        self._symbol, self._day, self._seed, self._rule = symbol, day_number, seed, rule
        self._day_ns = day_number * DAY_NS
        self._chunk_events = chunk_events
        spans = multipliers(rule, tuple(drifts), day_number)
        self._flow = self._at_midnight(day_number)._replace(spans=spans)
        self._flow.random[0] = seed_of(seed, symbol.name, "day", day_number)
        self._wanted = np.array(sorted(w - self._day_ns for w in wanted_ns), np.int64)
        self._frames = frames

    def run(self, start_ns: int, end_ns: int) -> Iterator[Published]:
        """Yield what is published, chunk by chunk, in buffers that the next chunk overwrites."""
        flow, start, end = self._flow, (start_ns - self._day_ns) / 1e9, (end_ns - self._day_ns) / 1e9
        flows.schedule(flow)
        while not flows.advance(flow, start):
            pass
        feed, out = self._feed(start_ns - self._day_ns), self._buffers()
        finished = False
        while not finished:
            finished = flows.advance(flow, end)
            rows = int(flow.ints[flows.I_LOGGED])
            until_ns = end_ns - self._day_ns if finished else int(flow.log[rows - 1, flows.L_NS])
            yield from _publish(feed, flow.log, rows, until_ns, out)
        if end_ns - self._day_ns == DAY_NS:
            log = self._last_update()
            yield from _publish(feed, log, len(log), DAY_NS, out)
            feeds.flush(feed, out)
            yield out

    def _at_midnight(self, day_number: int) -> Flow:
        """Return the state at the start of a day, which is also how the day before must end: whatever its regime."""
        price = midnight_price(self._symbol, day_number, self._seed, self._rule)
        target = midnight_price(self._symbol, day_number + 1, self._seed, self._rule)
        parameters = _parameters(self._symbol, self._rule, price, target)
        window = int(parameters[flows.P_WINDOW])
        ring = 1 << math.ceil(math.log2(4 * window))
        flow = Flow(
            random=np.array([seed_of(self._seed, self._symbol.name, "book", day_number)], np.uint64),
            ints=np.zeros(flows.N_INTS, np.int64),
            floats=np.zeros(flows.N_FLOATS, np.float64),
            lots=np.zeros((2, ring), np.int64),
            rule=parameters,
            spans=multipliers(SimulatorRule(), (), day_number),
            log=np.empty((self._chunk_events + 8 * window + 1_000, flows.LOG_FIELDS), np.int64),
        )
        flow.ints[flows.I_ID] = day_number * _IDS_A_DAY
        flows.open_book(flow, price / float(self._symbol.price_tick))
        return flow

    def _feed(self, from_ns: int) -> Feed:
        """Return a feed that has published everything up to here."""
        flow, ints = self._flow, np.zeros(feeds.N_INTS, np.int64)
        window, mask = int(flow.rule[flows.P_WINDOW]), flow.lots.shape[1] - 1
        bid, ask = (int(k) for k in flow.ints[flows.I_BEST : flows.I_BEST + 2])
        ints[[feeds.J_BEST, feeds.J_BEST_ASK, feeds.J_SEEN, feeds.J_SEEN_ASK]] = bid, ask, bid, ask
        ints[feeds.J_SEEN_BID_LOTS], ints[feeds.J_SEEN_ASK_LOTS] = flow.lots[0, bid & mask], flow.lots[1, ask & mask]
        ints[[feeds.J_ID, feeds.J_PREVIOUS_ID]] = flow.ints[flows.I_ID]
        ints[feeds.J_BATCH], ints[feeds.J_FRAMES], ints[feeds.J_WINDOW] = 1, int(self._frames), window
        ints[feeds.J_INTERVAL_NS] = self._rule.depth_interval_ms * 1_000_000
        ints[feeds.J_LATENCY_NS] = int(self._rule.latency_ms * 1e6)
        ints[feeds.J_TRADE_ID], ints[feeds.J_DAY_NS] = self._day * _TRADES_A_DAY, self._day_ns
        feed = Feed(
            random=np.array([seed_of(self._seed, self._symbol.name, "feed", self._day)], np.uint64),
            ints=ints,
            lots=flow.lots.copy(),
            stamps=np.zeros((*flow.lots.shape, 2), np.int64),
            touched=np.empty(16 * window, np.int64),
            wanted=self._wanted,
        )
        feeds.start_feed(feed, from_ns)
        return feed

    def _buffers(self) -> Published:
        window = int(self._flow.rule[flows.P_WINDOW])
        levels = (2 * self._chunk_events if self._frames else 0) + 64 * window
        events = np.empty((self._chunk_events + 2 * feeds.EVENT_ROOM, feeds.EVENT_FIELDS), np.int64)
        tops = np.empty((self._chunk_events // 4 + 4, 4 * LEVELS), np.int32)
        return Published(events, tops, np.empty((levels, 2), np.int64), np.zeros(3, np.int64))

    def _last_update(self) -> NDArray[np.int64]:
        """Return the log of one event that turns this book into the next midnight's."""
        flow, ahead = self._flow, self._at_midnight(self._day + 1)
        rows: list[tuple[int, int, int]] = []
        for side in (flows.BID, flows.ASK):
            new = _levels_of(ahead, side)
            rows += [(side, tick, 0) for tick in _levels_of(flow, side) if tick not in new]
            rows += [(side, tick, lots) for tick, lots in new.items()]
        log = np.empty((len(rows), flows.LOG_FIELDS), np.int64)
        log[:, flows.L_NS], log[:, flows.L_KIND] = int(_LAST_EVENT_SECOND * 1e9), flows.LEVEL
        log[:, flows.L_ID] = (self._day + 1) * _IDS_A_DAY
        log[:, flows.L_SIDE : flows.L_LOTS + 1] = rows
        return log


def _publish(feed: Feed, log: NDArray[np.int64], rows: int, until_ns: int, out: Published) -> Iterator[Published]:
    feed.ints[feeds.J_CURSOR] = 0
    finished = False
    while not finished:
        finished = feeds.publish(feed, log, rows, until_ns, out)
        yield out


def _levels_of(flow: Flow, side: int) -> dict[int, int]:
    """Return lots by tick of one side."""
    best, window = int(flow.ints[flows.I_BEST + side]), int(flow.rule[flows.P_WINDOW])
    ticks = best + (2 * side - 1) * np.arange(window)
    lots = flow.lots[side, ticks & (flow.lots.shape[1] - 1)]
    return {int(tick): int(size) for tick, size in zip(ticks, lots, strict=True) if size > 0}


def _parameters(symbol: Symbol, rule: SimulatorRule, price: float, target_price: float) -> NDArray[np.float64]:
    """Turn a rule in basis points and quote currency into one in ticks and lots at the price of the day."""
    tick, p = float(symbol.price_tick), np.zeros(flows.N_PARAMETERS)
    ticks_per_bps = price * 1e-4 / tick
    unit = float(symbol.contract_value) if symbol.market == "inverse" else price
    lots_per_quote = 1.0 / (unit * float(symbol.size_lot))
    sigma, hold = rule.volatility_bps * ticks_per_bps, max(0.75, rule.hold_bps * ticks_per_bps)
    gap = max(1.0, rule.level_gap_bps * ticks_per_bps)
    rest = sigma * math.sqrt(1.0 - rule.order_flow_effect)
    p[flows.P_ORDERS], p[flows.P_SPREAD], p[flows.P_GAP], p[flows.P_HOLD] = (
        rule.orders_per_second,
        rule.spread_ticks,
        gap,
        hold,
    )
    p[flows.P_SIGMA] = rest * math.sqrt(1.0 - _JUMP_SHARE)
    p[flows.P_JUMP_RATE], p[flows.P_JUMP] = _JUMPS_PER_SECOND, rest * math.sqrt(_JUMP_SHARE / _JUMPS_PER_SECOND)
    # An Ornstein-Uhlenbeck drift of standard deviation s adds 2 s^2 tau to the variance of a second.
    p[flows.P_DRIFT_TAU] = rule.effect_horizon_seconds
    p[flows.P_DRIFT] = sigma * math.sqrt(rule.order_flow_effect / (2.0 * rule.effect_horizon_seconds))
    p[flows.P_WINDOW] = math.ceil(rule.levels_each_side * gap)
    p[flows.P_TOUCH] = rule.touch_notional * lots_per_quote
    p[flows.P_LEVEL], p[flows.P_PRINT] = p[flows.P_TOUCH] * _LEVEL_SHARE, rule.trade_notional * lots_per_quote
    p[flows.P_TINY] = max(_LEAST_NOTIONAL, float(symbol.min_notional)) * lots_per_quote
    p[flows.P_STEP] = min(0.4, 3.2 / rule.orders_per_second)
    p[flows.P_TARGET] = target_price / tick
    p[flows.P_SWEEP], p[flows.P_TAKERS] = _taker_parameters(rule, sigma, hold, gap)
    return p


def _taker_parameters(rule: SimulatorRule, sigma: float, hold: float, gap: float) -> tuple[float, float]:
    """Return how often a move is a sweep, and the rate of other takers, so that prints add up to the rule's rate.

    A move comes when the fair price has diffused a hold away (whose mean square is 1.36 of its mean) or has jumped.
    """
    diffused = (1.0 - rule.order_flow_effect) * (1.0 - _JUMP_SHARE) * (sigma / hold) ** 2 / 1.36
    moves_per_second, prints_a_sweep = diffused + 0.5 * _JUMPS_PER_SECOND, 1.0 + 1.3 * hold / gap
    sweeps = min(0.7 * moves_per_second, _SWEPT_SHARE * rule.trades_per_second / prints_a_sweep)
    others = (rule.trades_per_second - sweeps * prints_a_sweep) / flows.PRINTS_A_TAKER
    brought_along = sweeps * flows.BRANCHING / (1.0 - flows.BRANCHING)
    return sweeps / moves_per_second, max(0.2 * others, others - brought_along)

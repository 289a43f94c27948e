"""Our matching over a recorded evening, level by level, with the orders of a run of hftbacktest; and the comparison."""

import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from benchmarks.level_depth import LevelDepth
from bus.messages import BookImage
from live.exchange.matching import PARITY, Execution, Matcher, PaperOrder, Rules
from live.exchange.paper_depth import ImageDepth, LevelChange
from live.exchange.queue_models import Power, QueueModel, RiskAverse

TICK, LOT = 0.1, 0.001
ENTRY_NS, RESPONSE_NS = 7_000_003, 6_000_001
STEP_NS, FIRST_NS, LIFE_STEPS = 500_000_000, 3_000_000_000, 8
MODELS: tuple[tuple[str, float], ...] = (("risk_averse", 0.0), ("power", 3.0), ("power", 1.0), ("power", 0.5))
SIZES = (10.7, 500.7)
"""Lots, off the lot grid: an exact fill ends hftbacktest's run early (its issue 312)."""
EXCHANGE = 1 << 31
"""The bit of events that the exchange sees."""
_DEPTH, _TRADE, _CLEAR, _SNAPSHOT = 1, 2, 3, 4
_BUY = 1 << 29


class Life(NamedTuple):
    """How an order ended: its state, what is left in whole lots, exchange time of the last thing that befell it."""

    state: str
    leaves: int
    at_ns: int


@dataclass
class Run:
    """Every order's end by its number, when each pair was sent and at which prices, and the seconds it took."""

    lives: dict[int, Life]
    pairs: list[tuple[int, int, int]]
    seconds: float


class Action(NamedTuple):
    """What reaches the exchange when: an order by its number, or the wish to cancel it."""

    at_ns: int
    number: int
    order: PaperOrder | None


@dataclass
class Replay:
    """Our matching over the events, with the orders of a reference run."""

    matcher: Matcher
    depth: LevelDepth
    actions: Iterator[Action]
    lives: dict[int, Life] = field(default_factory=dict)
    prints: float = 0.0
    fills: list[Execution] = field(default_factory=list)

    def run(self, tape: NDArray[Any]) -> None:
        """Apply every event of the exchange; at equal times data comes before orders."""
        mine = tape[(tape["ev"] & EXCHANGE) != 0]
        ticks, lots = np.rint(mine["px"] / TICK).astype(np.int64), np.rint(mine["qty"] / LOT)
        due = next(self.actions, None)
        columns = (mine["ev"].tolist(), mine["exch_ts"].tolist(), ticks.tolist(), lots.tolist())
        for kind, now_ns, price, size in zip(*columns, strict=True):
            while due is not None and due.at_ns < now_ns:
                self._act(due)
                due = next(self.actions, None)
            self._apply(kind & 0xFF, 1 if kind & _BUY else -1, price, size, now_ns)

    def _apply(self, kind: int, side: int, ticks: int, size: float, now_ns: int) -> None:
        if kind in (_DEPTH, _SNAPSHOT):
            best = self.depth.best(side)
            before = self.depth.set_level(side, ticks, size)
            self.matcher.changed(LevelChange(side, ticks, before, size))
            if side * (self.depth.best(side) - best) > 0:
                self._note(self.matcher.crossed(side), now_ns)
        elif kind == _TRADE:
            self._note(self.matcher.printed(side, ticks, size), now_ns)
        elif kind == _CLEAR:
            self.depth.clear_to(side, ticks)

    def _note(self, fills: list[Execution], now_ns: int) -> None:
        for each in fills:
            state = "filled" if each.order.is_done else "partial"
            self.lives[int(each.order.client_id)] = Life(state, round(each.order.leaves), now_ns)
        self.fills += fills

    def _act(self, action: Action) -> None:
        number, order = action.number, action.order
        if order is not None:
            rests = self.matcher.rest(order, action.at_ns)
            self.lives[number] = Life("new" if rests else "expired", round(order.size), action.at_ns)
            return
        known = self.lives[number]
        # Its end was known when the wish to cancel would have been sent: none was.
        if known.state in ("filled", "expired") and known.at_ns + RESPONSE_NS <= action.at_ns - ENTRY_NS:
            return
        canceled = self.matcher.cancel(str(number))
        if canceled is not None:
            self.lives[number] = Life("canceled", round(canceled.leaves), action.at_ns)


@dataclass
class ImageReplay(Replay):
    """The same by images of ten levels, as the live side sees the market: one for all changes of a moment."""

    images: ImageDepth = field(default_factory=ImageDepth)
    _changed_ns: int = 0

    def _apply(self, kind: int, side: int, ticks: int, size: float, now_ns: int) -> None:
        if self._changed_ns and (kind == _TRADE or now_ns != self._changed_ns):
            self._show()
        if kind in (_DEPTH, _SNAPSHOT):
            self.depth.set_level(side, ticks, size)
            self._changed_ns = now_ns
        elif kind == _CLEAR:
            self.depth.clear_to(side, ticks)
        else:
            super()._apply(kind, side, ticks, size, now_ns)

    def _show(self) -> None:
        bids, asks = self.depth.top(1), self.depth.top(-1)
        image = BookImage("BTCUSDT", self._changed_ns, 0, 0, 0, [t for t, _ in bids], [round(q) for _, q in bids],
                          [t for t, _ in asks], [round(q) for _, q in asks])  # fmt: skip
        for change in self.images.show(image):
            self.matcher.changed(change)
        for side in (1, -1):
            self._note(self.matcher.crossed(side), self._changed_ns)
        self._changed_ns = 0


def by_images(tape: NDArray[Any], queue: QueueModel, size_lots: float, pairs: list[tuple[int, int, int]]) -> Run:
    """What our matching makes of the orders when it sees ten levels only."""
    images = ImageDepth()
    replay = ImageReplay(Matcher(images, queue, PARITY), LevelDepth(), actions(pairs, size_lots), images=images)
    begin = time.perf_counter()
    replay.run(tape)
    return Run(replay.lives, pairs, time.perf_counter() - begin)


def actions(pairs: list[tuple[int, int, int]], size_lots: float) -> Iterator[Action]:
    """The orders of a run and their cancellations, in order of arrival."""
    for count, (sent_ns, bid, ask) in enumerate(pairs):
        old = 2 * (count - LIFE_STEPS) + 1
        for number in (old, old + 1) if old >= 1 else ():
            yield Action(sent_ns + ENTRY_NS, number, None)
        for number, side, ticks in ((2 * count + 1, 1, bid), (2 * count + 2, -1, ask)):
            yield Action(sent_ns + ENTRY_NS, number, PaperOrder(str(number), side, ticks, size_lots))


def ours(
    tape: NDArray[Any], queue: QueueModel, size_lots: float, pairs: list[tuple[int, int, int]], rules: Rules = PARITY
) -> Run:
    """What our matching makes of the same orders."""
    depth = LevelDepth()
    replay = Replay(Matcher(depth, queue, rules), depth, actions(pairs, size_lots))
    begin = time.perf_counter()
    replay.run(tape)
    return Run(replay.lives, pairs, time.perf_counter() - begin)


def differences(wanted: Run, found: Run) -> tuple[int, list[str]]:
    """How many orders were compared (all but those still open at the end), and a line for each that differs."""
    compared, lines = 0, []
    for number, life in wanted.lives.items():
        if number > 2 * len(wanted.pairs) - 2 * LIFE_STEPS - 4:
            continue
        compared += 1
        mine = found.lives[number]
        if mine[:2] != life[:2] or (life.state == "filled" and mine.at_ns != life.at_ns):
            lines.append(f"order {number}: hftbacktest {life}, ours {mine}")
    return compared, lines


def model_of(model: tuple[str, float]) -> QueueModel:
    """Our twin of a configured model."""
    return RiskAverse() if model[0] == "risk_averse" else Power(model[1])


def fill_rate(found: Run) -> float:
    """The share of accepted orders that filled."""
    states = Counter(life.state for life in found.lives.values())
    return states["filled"] / (sum(states.values()) - states["expired"])

"""Fills of resting and of taking paper orders, driven by the market's own events in exchange time; no clock, no I/O.

The rules are those of hftbacktest's partial fill exchange, held equal to it order for order (benchmarks/paper_fills):

- an order that would cross is refused when it is post-only; else it queues behind the displayed size at its price;
- a print at its price moves the queue, and what exceeds it fills the order; a print through its price fills it whole;
- the opposite best price at or through its price fills it whole;
- a change of the level's size moves the queue as the queue model says.

`Rules` adds what that exchange leaves out. Prices are ticks; sizes lots, whole in trading, broken ones allowed.
"""

import math
from dataclasses import dataclass, field
from typing import NamedTuple

from live.exchange.paper_depth import Depth, LevelChange
from live.exchange.queue_models import Place, QueueModel


@dataclass(frozen=True, slots=True)
class Rules:
    """What of the market our own orders use up.

    `share_prints`: a print's size is shared by all our orders, best price first, then the oldest; else each sees all
    of it. `cap_by_depth`: what crosses us, and what we take, is no more than is displayed, and a level's size is had
    once until it grows.
    """

    share_prints: bool = True
    cap_by_depth: bool = True


PARITY = Rules(share_prints=False, cap_by_depth=False)
"""As hftbacktest has it: for validation."""


@dataclass(slots=True, eq=False)
class PaperOrder:
    """An order on the sheet. `is_lost`: its place is not known until its level is seen again."""

    client_id: str
    side: int
    ticks: int
    size: float
    reduce_only: bool = False
    leaves: float = field(init=False)
    place: Place = field(init=False, default_factory=Place)
    is_lost: bool = field(init=False, default=False)
    accepted_ns: int = field(init=False, default=0)

    def __post_init__(self) -> None:
        self.leaves = self.size

    @property
    def filled(self) -> float:
        """What has traded so far."""
        return self.size - self.leaves

    @property
    def is_done(self) -> bool:
        """Whether less than half a lot is left."""
        return _whole(self.leaves) <= 0


class Execution(NamedTuple):
    """A fill: of an order, this much, at this price."""

    order: PaperOrder
    size: float
    ticks: int
    is_maker: bool


class Matcher:
    """Our orders on one symbol under one queue model. Every method returns the fills it made, in order."""

    def __init__(self, depth: Depth, queue: QueueModel, rules: Rules) -> None:
        self._depth = depth
        self._queue = queue
        self._rules = rules
        self._orders: dict[str, PaperOrder] = {}
        self._levels: dict[int, dict[int, list[PaperOrder]]] = {1: {}, -1: {}}
        self._used: dict[tuple[int, int], float] = {}

    def __len__(self) -> int:
        return len(self._orders)

    def __contains__(self, client_id: str) -> bool:
        return client_id in self._orders

    def orders(self) -> list[PaperOrder]:
        """Everything that rests, oldest first."""
        return list(self._orders.values())

    def would_cross(self, side: int, ticks: int) -> bool:
        """Whether an order would trade at once."""
        return side * (ticks - self._depth.best(-side)) >= 0

    def rest(self, order: PaperOrder, now_ns: int) -> bool:
        """Queue a post-only order; False, and nothing done, when it would cross."""
        if self.would_cross(order.side, order.ticks):
            return False
        order.accepted_ns = now_ns
        self._add(order)
        self._join(order)
        return True

    def put_back(self, order: PaperOrder, now_ns: int) -> None:
        """Have an order rest whose place was lost (a restart): it stands behind everything that is displayed."""
        order.accepted_ns, order.is_lost, order.place.ahead = now_ns, True, math.inf
        self._add(order)

    def take(self, order: PaperOrder) -> list[Execution]:
        """Trade at once what can be had up to the order's price; the rest is left in `leaves` and does not rest."""
        fills: list[Execution] = []
        for ticks, displayed in self._depth.in_sight(-order.side, order.ticks):
            had = self._use(-order.side, ticks, displayed, order.leaves)
            if had > 0:
                fills.append(self._fill(order, had, ticks, is_maker=False))
            if order.is_done:
                break
        return fills

    def cancel(self, client_id: str) -> PaperOrder | None:
        """Take an order from the sheet and return it; None when it does not rest."""
        order = self._orders.get(client_id)
        if order is not None:
            self._remove(order)
        return order

    def changed(self, change: LevelChange) -> None:
        """Move the places at a level whose size has changed."""
        side, ticks, before, after = change
        if self._used and (used := self._used.get((side, ticks))) is not None:
            if after > 0:
                self._used[side, ticks] = min(used, after)
            else:
                del self._used[side, ticks]
        for order in self._levels[side].get(ticks, ()):
            if order.is_lost:
                self._join(order)
            else:
                self._queue.changed(order.place, before, after)

    def crossed(self, side: int) -> list[Execution]:
        """Fill what the best price of `side` has reached: our orders of the other side at or through it."""
        fills: list[Execution] = []
        for order in self._reached(-side, self._depth.best(side)):
            if not self._rules.cap_by_depth:
                fills.append(self._fill(order, order.leaves, order.ticks, is_maker=True))
                continue
            for ticks, displayed in self._depth.in_sight(side, order.ticks):
                had = self._use(side, ticks, displayed, order.leaves)
                if had > 0:
                    fills.append(self._fill(order, had, order.ticks, is_maker=True))
                if order.is_done:
                    break
        return fills

    def printed(self, aggressor: int, ticks: int, size: float) -> list[Execution]:
        """Fill by a print: `aggressor` +1 bought (from our sell orders), -1 sold."""
        fills: list[Execution] = []
        left = size
        for order in self._reached(-aggressor, ticks):
            filled = min(order.leaves, left) if self._rules.share_prints else order.leaves
            if order.ticks == ticks:
                # A lost order trades only when the market goes through it: that much is certain.
                if order.is_lost:
                    continue
                self._queue.printed(order.place, left)
                excess = _whole(-order.place.ahead)
                if excess <= 0:
                    continue
                order.place.ahead = 0.0
                filled = min(excess, filled)
            if filled <= 0:
                continue
            fills.append(self._fill(order, filled, order.ticks, is_maker=True))
            if self._rules.share_prints:
                left -= filled
        return fills

    def lose_places(self) -> None:
        """The book broke: no order knows its place until its level is seen again."""
        self._used.clear()
        for order in self._orders.values():
            order.is_lost, order.place = True, Place(ahead=math.inf)

    def find_places(self) -> None:
        """Put lost orders behind everything that is displayed at their price, where it can be seen again."""
        for order in self._orders.values():
            if order.is_lost:
                self._join(order)

    def _join(self, order: PaperOrder) -> None:
        displayed = self._depth.known(order.side, order.ticks)
        order.is_lost = displayed is None
        if displayed is None:
            order.place = Place(ahead=math.inf)
        else:
            self._queue.join(order.place, displayed)

    def _fill(self, order: PaperOrder, size: float, ticks: int, *, is_maker: bool) -> Execution:
        order.leaves -= size
        if order.is_done and order.client_id in self._orders:
            self._remove(order)
        return Execution(order, size, ticks, is_maker)

    def _use(self, side: int, ticks: int, displayed: float, wanted: float) -> float:
        """How much of a displayed level an order of ours gets, and note it as used."""
        if not self._rules.cap_by_depth:
            return min(displayed, wanted)
        used = self._used.get((side, ticks), 0.0)
        had = min(displayed - used, wanted)
        if had > 0:
            self._used[side, ticks] = used + had
        return max(had, 0.0)

    def _reached(self, side: int, ticks: int) -> list[PaperOrder]:
        """Our orders of a side that a price of the other side is at or through: best price first, then the oldest."""
        levels = self._levels[side]
        reached = [each for each in levels if side * (each - ticks) >= 0]
        if len(reached) > 1:
            reached.sort(reverse=side > 0)
        return [order for each in reached for order in levels[each]]

    def _add(self, order: PaperOrder) -> None:
        self._orders[order.client_id] = order
        self._levels[order.side].setdefault(order.ticks, []).append(order)

    def _remove(self, order: PaperOrder) -> None:
        del self._orders[order.client_id]
        level = self._levels[order.side][order.ticks]
        level.remove(order)
        if not level:
            del self._levels[order.side][order.ticks]


def _whole(lots: float) -> float:
    """Lots rounded to whole ones, halves up."""
    return math.inf if math.isinf(lots) and lots > 0 else -math.inf if math.isinf(lots) else math.floor(lots + 0.5)

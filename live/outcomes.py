"""The barrier of every candidate of one symbol, resolved as the market comes: what `market.labels` does to a day.

Candidates wait in heaps by the price of their target, of their stop, and by their horizon, so a row of the book costs
a look at the top of each and one pop for each candidate that ends. A candidate that is told of late (its score came
behind the rows it concerns, or risk was down) is led through the rows that are remembered first; one whose entry row
is not remembered cannot be judged and is UNRESOLVED.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from heapq import heapify, heappop, heappush
from typing import NamedTuple

from live.touches import BROKEN, LOST, Row, Touches
from market.barriers import STOP, TARGET, TIMEOUT, UNRESOLVED, BarrierRule, barrier_ticks
from market.events import NO_ASK_TICKS, NO_BID_TICKS

MOST_WAITING = 10_000
"""Candidates told of before the book's row that follows them; more than these come from no market of ours."""
_SLACK = 64


class Entry(NamedTuple):
    """A candidate as the resolver takes it: the touch is that of its entry row, times as in Candidate."""

    id: str
    t_ns: int
    local_ns: int
    side: int
    bid_ticks: int
    ask_ticks: int


class Ending(NamedTuple):
    """How a candidate ended: market.barriers' outcome, when, and between which prices (0 when unresolved)."""

    id: str
    outcome: int
    exit_ns: int
    entry_ticks: int
    exit_ticks: int


@dataclass(slots=True)
class _Open:
    """A candidate whose barrier is open. Prices are signed, as in the label kernel: a short is a long on negated ones.

    `blind_ns` is when the first stretch began that it could not be followed through.
    """

    entry: Entry
    paid: int
    upper: int
    lower: int
    deadline_ns: int
    blind_ns: int | None = None
    is_over: bool = False

    def end(self, outcome: int, exit_ns: int, exit_ticks: int) -> Ending:
        self.is_over = True
        if outcome == UNRESOLVED or (self.blind_ns is not None and exit_ns > self.blind_ns):
            return Ending(self.entry.id, UNRESOLVED, -1, 0, 0)
        return Ending(self.entry.id, outcome, exit_ns, self.paid, exit_ticks)

    def touched(self, exit_ticks: int) -> int | None:
        signed = self.entry.side * exit_ticks
        return TARGET if signed >= self.upper else STOP if signed <= self.lower else None

    def meets(self, row: Row) -> None:
        """Note a stretch that nobody saw, unless it ended by the time of the entry."""
        if row.breaks and row.t_ns > self.entry.t_ns and self.blind_ns is None:
            self.blind_ns = row.before_ns


_Heap = list[tuple[int, int, _Open]]


@dataclass(slots=True)
class _Side:
    """Who waits on one side: by target, by stop (negated); the last price one could leave at; entered since then."""

    above: _Heap = field(default_factory=list)
    below: _Heap = field(default_factory=list)
    held: int = 0
    is_new: bool = False


class Resolver:
    """The open candidates of one symbol. `touches` is fed by this class alone."""

    def __init__(self, touches: Touches, taker_fee: float) -> None:
        self.touches = touches
        self._fee = taker_fee
        self._number = 0
        self._sides = {1: _Side(), -1: _Side()}
        self._open: dict[str, _Open] = {}
        self._waiting: list[tuple[int, int, _Open]] = []
        self._deadlines: _Heap = []
        self._blind: list[_Open] = []

    def __len__(self) -> int:
        return len(self._open) + len(self._waiting)

    def add(self, entry: Entry, rule: BarrierRule) -> Ending | None:
        """Take a candidate; return how it ended when the rows that are here already decide that."""
        if entry.bid_ticks == NO_BID_TICKS or entry.ask_ticks == NO_ASK_TICKS:
            return Ending(entry.id, UNRESOLVED, -1, 0, 0)
        paid = entry.ask_ticks if entry.side > 0 else entry.bid_ticks
        target, stop = barrier_ticks(paid, entry.side, rule, self._fee)
        fresh = _Open(entry, paid, entry.side * target, entry.side * stop, entry.t_ns + rule.horizon_ns)
        newest = self.touches.newest
        if newest is None or newest.local_ns < entry.local_ns:
            if len(self._waiting) >= MOST_WAITING:
                return fresh.end(UNRESOLVED, -1, 0)
            self._number += 1
            heappush(self._waiting, (entry.local_ns, self._number, fresh))
            return None
        rows = self.touches.behind(entry.local_ns)
        ending = fresh.end(UNRESOLVED, -1, 0) if rows is None else _led_through(fresh, rows)
        if ending is None:
            self._follow(fresh)
        return ending

    def see(self, row: Row) -> list[Ending]:
        """Take the row that `touches` was just given; return who ends by it."""
        ended: list[Ending] = []
        if self._waiting:
            ended += self._begin(row)
        if row.breaks:
            ended += self._broken(row)
        if self._deadlines and self._deadlines[0][0] < row.t_ns:
            ended += self._timed_out(row)
        if self._blind:
            ended += self._lost_sight(row)
        for side, waits in self._sides.items():
            exit_ticks = row.exit_ticks(side)
            # An unchanged touch reaches nobody, unless somebody has entered since.
            if exit_ticks is not None and (exit_ticks != waits.held or waits.is_new):
                ended += _reached(waits, side * exit_ticks, row.t_ns, exit_ticks)
                waits.held, waits.is_new = exit_ticks, False
        for ending in ended:
            self._open.pop(ending.id, None)
        if ended:
            self._tidy()
        return ended

    def _broken(self, row: Row) -> list[Ending]:
        """What a break before this row does: lost messages end everybody, a stretch unseen is noted."""
        if row.breaks == LOST:
            return [each.end(UNRESOLVED, -1, 0) for each in self._open.values()]
        if row.breaks == BROKEN:
            for each in self._open.values():
                each.meets(row)
            self._blind = [each for each in self._open.values() if each.blind_ns is not None]
        return []

    def _lost_sight(self, row: Row) -> list[Ending]:
        """End those whose path cannot be told any more, as any end from here on would lie behind the stretch."""
        ended = [
            each.end(UNRESOLVED, -1, 0)
            for each in self._blind
            if not each.is_over and each.blind_ns is not None and row.t_ns > each.blind_ns
        ]
        self._blind = [each for each in self._blind if not each.is_over]
        return ended

    def _begin(self, row: Row) -> Iterator[Ending]:
        """Follow those who entered before this row; the first row of all tells nothing of what was before it."""
        while self._waiting and self._waiting[0][0] < row.local_ns:
            fresh = heappop(self._waiting)[2]
            if len(self.touches) == 1:
                yield fresh.end(UNRESOLVED, -1, 0)
            else:
                self._follow(fresh)

    def _follow(self, each: _Open) -> None:
        self._number += 1
        waits = self._sides[each.entry.side]
        waits.is_new = True
        self._open[each.entry.id] = each
        heappush(waits.above, (each.upper, self._number, each))
        heappush(waits.below, (-each.lower, self._number, each))
        heappush(self._deadlines, (each.deadline_ns, self._number, each))
        if each.blind_ns is not None:
            self._blind.append(each)

    def _timed_out(self, row: Row) -> Iterator[Ending]:
        while self._deadlines and self._deadlines[0][0] < row.t_ns:
            each = heappop(self._deadlines)[2]
            if not each.is_over:
                yield each.end(TIMEOUT, each.deadline_ns, self._sides[each.entry.side].held)

    def _tidy(self) -> None:
        """Those who ended by one heap are still in the others: drop them before they outnumber the living."""
        most = _SLACK + 2 * len(self._open)
        for heap in (self._deadlines, *(heap for side in self._sides.values() for heap in (side.above, side.below))):
            if len(heap) > most:
                heap[:] = [item for item in heap if not item[2].is_over]
                heapify(heap)


def _led_through(fresh: _Open, rows: Iterable[Row]) -> Ending | None:
    """Lead one candidate through rows that came before it was told of, in the order `see` would have."""
    held = fresh.entry.bid_ticks if fresh.entry.side > 0 else fresh.entry.ask_ticks
    for row in rows:
        if row.breaks == LOST:
            return fresh.end(UNRESOLVED, -1, 0)
        fresh.meets(row)
        if fresh.deadline_ns < row.t_ns:
            return fresh.end(TIMEOUT, fresh.deadline_ns, held)
        if fresh.blind_ns is not None and row.t_ns > fresh.blind_ns:
            return fresh.end(UNRESOLVED, -1, 0)
        exit_ticks = row.exit_ticks(fresh.entry.side)
        if exit_ticks is not None:
            held = exit_ticks
            outcome = fresh.touched(exit_ticks)
            if outcome is not None:
                return fresh.end(outcome, row.t_ns, exit_ticks)
    return None


def _reached(waits: _Side, signed: int, t_ns: int, exit_ticks: int) -> Iterator[Ending]:
    while waits.above and waits.above[0][0] <= signed:
        each = heappop(waits.above)[2]
        if not each.is_over:
            yield each.end(TARGET, t_ns, exit_ticks)
    while waits.below and -waits.below[0][0] >= signed:
        each = heappop(waits.below)[2]
        if not each.is_over:
            yield each.end(STOP, t_ns, exit_ticks)

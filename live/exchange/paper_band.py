"""Every queue model at once: what fills and what it is worth is told as an interval, for nobody knows the queue.

Each model has a sheet of its own with the same entry orders. An order leaves a sheet when it fills there, when the
executor takes it back, or when the life of an entry is over: a model may still wait where the configured one filled.
What a fill was worth is measured in the same way under every model: against the mid a little later, less its fee.
"""

import math
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

from live.exchange.matching import Execution, Matcher, PaperOrder, Rules
from live.exchange.paper_depth import Depth, LevelChange
from live.exchange.queue_models import NAMES, queue_model

VALUED_AFTER_NS = 5_000_000_000
"""Exchange time from a fill to the mid that it is valued at."""


class Figures(NamedTuple):
    """One model: entries that rested, how many filled whole, their share, profit of all valued fills after fees."""

    entries: int
    filled: int
    fill_rate: float
    net_quote: float


class Valuation(NamedTuple):
    """A fill that waits for its mid."""

    due_ns: int
    side: int
    ticks: int
    lots: float
    fee_quote: float


@dataclass(slots=True)
class Sheet:
    """One model's orders and what came of them."""

    matcher: Matcher
    entries: int = 0
    filled: int = 0
    net_quote: float = 0.0
    waiting: deque[Valuation] = field(default_factory=deque)


class Band:
    """The sheets of one symbol. `value(ticks, lots)` gives quote units; a maker's fee is `maker_fee_bps` of it."""

    def __init__(
        self, depth: Depth, rules: Rules, value: Callable[[float, float], float], maker_fee_bps: float, life_ns: int
    ) -> None:
        self._value = value
        self._fee = maker_fee_bps * 1e-4
        self._life_ns = life_ns
        self.sheets = {name: Sheet(Matcher(depth, queue_model(name), rules)) for name in NAMES}

    def enter(self, client_id: str, side: int, ticks: int, lots: int, now_ns: int) -> None:
        """An entry order arrives that rests."""
        for sheet in self.sheets.values():
            if sheet.matcher.rest(PaperOrder(client_id, side, ticks, lots), now_ns):
                sheet.entries += 1

    def cancel(self, client_id: str) -> None:
        """The executor took an order back."""
        for sheet in self.sheets.values():
            sheet.matcher.cancel(client_id)

    def advance(self, now_ns: int, mid_ticks: float) -> None:
        """End what has lived its life; value the fills whose time has come (at a book with both sides)."""
        for sheet in self.sheets.values():
            if not sheet.waiting and not len(sheet.matcher):
                continue
            for order in sheet.matcher.orders():
                if now_ns - order.accepted_ns >= self._life_ns:
                    sheet.matcher.cancel(order.client_id)
            while sheet.waiting and sheet.waiting[0].due_ns <= now_ns and not math.isnan(mid_ticks):
                _, side, ticks, lots, fee = sheet.waiting.popleft()
                sheet.net_quote += side * self._value(mid_ticks - ticks, lots) - fee

    def changed(self, changes: Iterable[LevelChange], now_ns: int) -> None:
        """The book changed."""
        for sheet in self._busy():
            for change in changes:
                sheet.matcher.changed(change)
            for side in (1, -1):
                self._note(sheet, sheet.matcher.crossed(side), now_ns)

    def printed(self, aggressor: int, ticks: int, lots: int, now_ns: int) -> None:
        """A print."""
        for sheet in self._busy():
            self._note(sheet, sheet.matcher.printed(aggressor, ticks, lots), now_ns)

    def lose_places(self) -> None:
        """The book broke."""
        for sheet in self.sheets.values():
            sheet.matcher.lose_places()

    def find_places(self) -> None:
        """The book is back."""
        for sheet in self.sheets.values():
            sheet.matcher.find_places()

    def _busy(self) -> list[Sheet]:
        return [sheet for sheet in self.sheets.values() if len(sheet.matcher)]

    def _note(self, sheet: Sheet, fills: list[Execution], now_ns: int) -> None:
        for order, lots, ticks, _ in fills:
            fee = self._value(ticks, lots) * self._fee
            sheet.waiting.append(Valuation(now_ns + VALUED_AFTER_NS, order.side, ticks, lots, fee))
        sheet.filled += len({order.client_id for order, *_ in fills if order.is_done})


def figures(bands: Iterable[Band]) -> dict[str, Figures]:
    """Sum the bands of all symbols, by model."""
    found: dict[str, Figures] = {}
    together = list(bands)
    for name in NAMES:
        sheets = [band.sheets[name] for band in together]
        entries, filled = sum(each.entries for each in sheets), sum(each.filled for each in sheets)
        rate = filled / entries if entries else 0.0
        found[name] = Figures(entries, filled, rate, sum(each.net_quote for each in sheets))
    return found

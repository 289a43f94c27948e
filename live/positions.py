"""Positions as the reports tell of them: what risk knows of exposure without asking the executor."""

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from bus.messages import Report

MOST_ORDERS: Final = 1_024
"""Newest orders whose filled lots are remembered: a fill told behind its order's end adds its own lots alone."""


@dataclass(slots=True)
class Position:
    """Signed lots and their mean entry price in ticks."""

    lots: int = 0
    entry_ticks: float = 0.0

    def fill(self, side: int, lots: int, price_ticks: float) -> None:
        """Add a fill; what turns a position around begins a new one at its price."""
        signed = side * lots
        after = self.lots + signed
        if self.lots * signed >= 0:
            self.entry_ticks = (abs(self.lots) * self.entry_ticks + lots * price_ticks) / max(1, abs(after))
        elif after * self.lots < 0:
            self.entry_ticks = price_ticks
        self.lots = after
        if not after:
            self.entry_ticks = 0.0


@dataclass(slots=True)
class Positions:
    """By symbol and whether the money is real. Fills are told by how far an order's filled lots have come."""

    held: dict[tuple[str, bool], Position] = field(default_factory=dict)
    _filled: OrderedDict[str, int] = field(default_factory=OrderedDict)

    def restore(self, held: Mapping[tuple[str, bool], tuple[int, float]], filled: Mapping[str, int]) -> None:
        """Go on with what an earlier run knew: (lots, mean entry ticks) of each position, filled lots of orders."""
        self.held = {key: Position(lots, ticks) for key, (lots, ticks) in held.items()}
        self._filled = OrderedDict(filled)

    def take(self, report: Report) -> int:
        """Take a `partial`, `filled`, `canceled`, `expired` or `resolved` report; return the lots it adds."""
        lots = report.filled_lots - self._filled.get(report.client_id, 0)
        if lots <= 0:
            return 0
        self._filled[report.client_id] = report.filled_lots
        if len(self._filled) > MOST_ORDERS:
            self._filled.popitem(last=False)
        position = self.held.setdefault((report.symbol, report.is_real), Position())
        position.fill(report.side, lots, report.price_ticks)
        return lots

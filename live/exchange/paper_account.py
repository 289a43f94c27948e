"""The money of the paper exchange: balance, positions, fees, funding, margin. Linear contracts; no clock, no I/O."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from market.symbols import Symbol


@dataclass(slots=True)
class Position:
    """Signed lots and their mean entry price in quote units; `mark` is the last mark price (or mid), 0 before one."""

    lots: int = 0
    entry_price: float = 0.0
    mark: float = 0.0


@dataclass(slots=True)
class Account:
    """One wallet for all symbols, cross margin at a fixed leverage."""

    balance: float
    leverage: float
    symbols: Mapping[str, Symbol]
    positions: dict[str, Position] = field(default_factory=dict)

    def position(self, name: str) -> Position:
        """The position of a symbol; flat when there was never one."""
        return self.positions.setdefault(name, Position())

    def value(self, name: str, ticks: float, lots: float) -> float:
        """Quote units of so many lots at a price."""
        symbol = self.symbols[name]
        return ticks * float(symbol.price_tick) * lots * float(symbol.size_lot)

    def trade(self, name: str, side: int, ticks: int, lots: int, *, is_maker: bool) -> float:
        """Book a fill and return its fee (negative: a rebate). What closes is realized against the mean entry."""
        symbol, held = self.symbols[name], self.position(name)
        price, lot = symbol.ticks_to_price(ticks), float(symbol.size_lot)
        fee = self.value(name, ticks, lots) * (symbol.maker_fee_bps if is_maker else symbol.taker_fee_bps) * 1e-4
        closed = min(lots, max(0, -side * held.lots))
        self.balance += -side * closed * lot * (price - held.entry_price) - fee
        opened, kept = lots - closed, abs(held.lots) - closed
        held.lots += side * lots
        if opened:
            held.entry_price = (kept * held.entry_price + opened * price) / (kept + opened)
        elif held.lots == 0:
            held.entry_price = 0.0
        return fee

    def fund(self, name: str, rate: float) -> float:
        """Pay funding on the notional at the mark (a positive rate is paid by longs) and return what was paid."""
        held = self.position(name)
        paid = held.lots * float(self.symbols[name].size_lot) * held.mark * rate
        self.balance -= paid
        return paid

    def equity(self) -> float:
        """Balance and what the positions are worth at their marks."""
        return self.balance + sum(self._unrealized(name) for name in self.positions)

    def free(self, open_notional: float) -> float:
        """What is not bound as initial margin of positions, and of open orders of so much notional."""
        held = sum(
            abs(each.lots) * float(self.symbols[name].size_lot) * (each.mark or each.entry_price)
            for name, each in self.positions.items()
        )
        return self.equity() - (held + open_notional) / self.leverage

    def liquidation_price(self, name: str) -> float:
        """The mark price at which this position alone would eat the account up to its maintenance margin; 0 if none."""
        held, symbol = self.position(name), self.symbols[name]
        if held.lots == 0:
            return 0.0
        size, rate = abs(held.lots) * float(symbol.size_lot), symbol.maintenance_margin_rate
        margin, side = self.equity() - self._unrealized(name), math.copysign(1.0, held.lots)
        return max(0.0, (held.entry_price * size - side * margin) / (size * (1.0 - side * rate)))

    def _unrealized(self, name: str) -> float:
        held = self.positions[name]
        if held.lots == 0 or held.mark == 0.0:
            return 0.0
        return held.lots * float(self.symbols[name].size_lot) * (held.mark - held.entry_price)

"""How much an approval buys, in exact arithmetic: never more than the cap, the balance and the grid allow."""

from decimal import Decimal
from fractions import Fraction

from market.symbols import Symbol


def lots_for(cap_notional: float, free_balance: float, leverage: float, price_ticks: int, symbol: Symbol) -> int:
    """Return floor(min(cap, free balance * leverage) / price / lot) lots; 0 when that is none.

    No float is divided: the decimals that were written are taken exactly, so that a budget which buys n lots to the
    last unit buys n. A balance that is not positive, or a price that is not, buys nothing.
    """
    if price_ticks <= 0 or not free_balance > 0.0:
        return 0
    budget = min(_exact(cap_notional), _exact(free_balance) * _exact(leverage))
    lot_value = Fraction(symbol.price_tick * symbol.size_lot * symbol.contract_value) * price_ticks
    return max(0, int(budget // lot_value))


def is_too_small(lots: int, price_ticks: int, symbol: Symbol) -> bool:
    """Whether the venue would refuse so few lots: none, or below its least notional."""
    value = Fraction(symbol.price_tick * symbol.size_lot * symbol.contract_value) * price_ticks * lots
    return lots < 1 or value < Fraction(symbol.min_notional)


def least_lots(price_ticks: int, symbol: Symbol) -> int:
    """The fewest lots that the venue takes at a price."""
    lot_value = Fraction(symbol.price_tick * symbol.size_lot * symbol.contract_value) * price_ticks
    return max(1, -int(-Fraction(symbol.min_notional) // lot_value))


def _exact(value: float) -> Fraction:
    """The decimal that was written: 0.1 is one tenth."""
    return Fraction(Decimal(repr(value)))

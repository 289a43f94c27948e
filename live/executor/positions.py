"""Round trips as pure arithmetic: what a fill does to one, what it earned, what may be held in the worst case."""

from collections.abc import Iterable
from typing import NamedTuple

from msgspec.structs import replace

from live.executor.orders import leaves
from live.executor.records import Order, Trip
from market.symbols import Symbol


class Exposure(NamedTuple):
    """Worst-case notional of a symbol on one account: what is held and what may still trade; quote units and lots."""

    notional: float = 0.0
    lots: int = 0
    open_entries: int = 0


def fill(trip: Trip, order: Order, price_ticks: int, lots: int, fee_quote: float) -> Trip:
    """Count a fill of one of the trip's orders."""
    fees = trip.fees_quote + fee_quote
    value = price_ticks * lots
    if order.leg == "entry":
        return replace(
            trip, entry_lots=trip.entry_lots + lots, entry_value=trip.entry_value + value, fees_quote=fees, is_open=True
        )
    return replace(
        trip, exit_lots=trip.exit_lots + lots, exit_value=trip.exit_value + value, fees_quote=fees, is_open=True
    )


def entry_ticks(trip: Trip) -> int:
    """The mean entry price, to the nearest tick; 0 before a fill."""
    return (2 * trip.entry_value + trip.entry_lots) // (2 * trip.entry_lots) if trip.entry_lots else 0


def unit_quote(symbol: Symbol) -> float:
    """Quote units of one lot at a price of one tick."""
    return float(symbol.price_tick * symbol.size_lot * symbol.contract_value)


def net_quote(trip: Trip, symbol: Symbol) -> float:
    """Profit of a trip that is flat, after fees, quote units."""
    return trip.side * (trip.exit_value - trip.entry_value) * unit_quote(symbol) - trip.fees_quote


def net_bps(net: float, entry_value: int, symbol: Symbol) -> float:
    """A profit in basis points of the entry notional."""
    notional = entry_value * unit_quote(symbol)
    return net / notional * 1e4 if notional else 0.0


def exposure(trips: Iterable[Trip], orders: Iterable[Order], symbol: Symbol, price_ticks: float) -> Exposure:
    """What a symbol may come to be on one account, with every live entry counted as filled.

    `trips` and `orders` are those of the symbol and account. Held lots are valued at `price_ticks` (their entry price
    where that is 0), entries at the price they were sent with. An unknown order counts in full.
    """
    unit = unit_quote(symbol)
    notional, lots, entries = 0.0, 0, 0
    for trip in trips:
        held = trip.lots
        notional += abs(held) * (price_ticks or entry_ticks(trip)) * unit
        lots += trip.side * held
    for order in orders:
        if order.leg != "entry":
            continue
        left = leaves(order)
        if left:
            entries += 1
            notional += left * order.price_ticks * unit
            lots += order.side * left
    return Exposure(notional, lots, entries)

"""How an entry is laid out: post-only orders at our touch and away from it, each with its chance to fill.

The chance is a plain estimate and decides nothing but a label: of the volume that would have to trade for the order to
be filled, how much did trade at its price or through it in the same span of time lately.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from config.live_sections import Ladder as Rule
from live.executor.sizing import least_lots
from market.symbols import Symbol


class Rung(NamedTuple):
    """One order of an entry."""

    number: int
    price_ticks: int
    size_lots: int
    bucket: str


@dataclass(frozen=True, slots=True)
class Side:
    """Our side of the book, touch first, and the prints that would fill us: (price, lots) within `span_ns`."""

    ticks: Sequence[int]
    lots: Sequence[int]
    prints: Sequence[tuple[int, int]]
    span_ns: int


def rungs(side: int, lots: int, book: Side, symbol: Symbol, rule: Rule) -> list[Rung]:
    """Return the orders of an entry of `lots`; their sizes sum to it. None where even one would be too small.

    There are fewer rungs than configured where the venue would not take such small ones. What does not divide evenly
    goes to the rungs next to the touch.
    """
    prices = [book.ticks[0] - side * number * rule.step_ticks for number in range(rule.rungs)]
    prices = [price for price in prices if price > 0]
    while prices and lots < len(prices) * max(least_lots(price, symbol) for price in prices):
        prices.pop()
    if not prices:
        return []
    share, rest = divmod(lots, len(prices))
    sizes = [share + (number < rest) for number in range(len(prices))]
    return [
        Rung(number, price, size, bucket(chance(side, price, size, book, rule.life_ms * 1_000_000), rule))
        for number, (price, size) in enumerate(zip(prices, sizes, strict=True))
    ]


def chance(side: int, price_ticks: int, size_lots: int, book: Side, life_ns: int) -> float:
    """Return the estimated chance, 0 to 1, that an order at the end of the queue fills within `life_ns`.

    Ahead of it is everything displayed at its price and nearer to the touch. A print at the price or through it works
    on that queue.
    """
    ahead = sum(lots for ticks, lots in zip(book.ticks, book.lots, strict=True) if side * ticks >= side * price_ticks)
    # A price inside the spread has nothing ahead of it.
    traded = sum(lots for ticks, lots in book.prints if side * ticks <= side * price_ticks)
    expected = traded * life_ns / book.span_ns if book.span_ns > 0 else 0.0
    return expected / (expected + ahead + size_lots)


def bucket(share: float, rule: Rule) -> str:
    """The name of a chance: low, mid or high."""
    if share < rule.low_fill_share:
        return "low"
    return "high" if share > rule.high_fill_share else "mid"

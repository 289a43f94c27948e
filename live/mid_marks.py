"""Mark prices for a replay that has none: the mid of the book, once in a second of market time, without funding.

A stand-in, so that guards on the mark can be seen at work; a venue's own mark price takes its place as soon as one
comes.
"""

from collections.abc import Mapping

from bus.messages import BookImage, MarkPrice
from market.columns import BOOK_ONE_SIDED
from market.symbols import Symbol

_EVERY_NS = 1_000_000_000


class MidMarks:
    """Makes marks of images."""

    def __init__(self, symbols: Mapping[str, Symbol]) -> None:
        self._symbols = symbols
        self._next_ns: dict[str, int] = {}

    def next(self, image: BookImage) -> MarkPrice | None:
        """Return the mark that is due with an image, if one is."""
        if image.local_ns < self._next_ns.get(image.symbol, 0) or image.flags & BOOK_ONE_SIDED:
            return None
        self._next_ns[image.symbol] = image.local_ns - image.local_ns % _EVERY_NS + _EVERY_NS
        symbol = self._symbols[image.symbol]
        mid = (symbol.ticks_to_price(image.bid_ticks[0]) + symbol.ticks_to_price(image.ask_ticks[0])) / 2.0
        return MarkPrice(image.symbol, image.exchange_ns, image.local_ns, mid, 0.0, 0)

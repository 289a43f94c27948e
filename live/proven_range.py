"""How deep a book is known: a snapshot ends somewhere, and a level behind its end shows only when it changes.

So a book that has wandered towards the end of its snapshot is renewed beside the old one, in time; a book whose best
levels lie behind the end is not certain any more.
"""

from collections.abc import Sequence
from typing import Literal

from market.book import BookState, OrderBook
from market.events import LEVELS, BookDelta, BookSnapshot, Level
from market.sequence import SequenceRule
from market.symbols import Symbol

_WHOLE_BELOW = 1_000
"""Venues answer with so many levels a side at most; a side with fewer is all there is."""
_NO_END = 2**63
_PAUSE_NS = 10_000_000_000


class ProvenRange:
    """The prices a snapshot has told of: from `_floor` to `_ceiling`, in ticks."""

    def __init__(self) -> None:
        self._floor = self._low = -1
        self._ceiling = self._high = _NO_END

    def note(self, snapshot: BookSnapshot) -> None:
        """A snapshot has replaced the book."""
        self._floor = self._low = -1
        self._ceiling = self._high = _NO_END
        if len(snapshot.bids) >= _WHOLE_BELOW:
            prices = [price for price, _ in snapshot.bids]
            self._floor, self._low = min(prices), (min(prices) + max(prices)) // 2
        if len(snapshot.asks) >= _WHOLE_BELOW:
            prices = [price for price, _ in snapshot.asks]
            self._ceiling, self._high = max(prices), (min(prices) + max(prices)) // 2

    def judge(self, bids: Sequence[Level], asks: Sequence[Level]) -> Literal["inside", "near", "beyond"]:
        """Judge the best levels of a book, touch first: near is in the outer half of what is known."""
        if (len(bids) < LEVELS and self._floor >= 0) or (len(asks) < LEVELS and self._ceiling < _NO_END):
            return "beyond"
        lowest = bids[-1][0] if bids else self._low
        highest = asks[-1][0] if asks else self._high
        if lowest < self._floor or highest > self._ceiling:
            return "beyond"
        return "near" if lowest < self._low or highest > self._high else "inside"


class Renewal:
    """A second book of the same symbol that is brought up beside the first, without anybody noticing."""

    def __init__(self, symbol: Symbol, rule: SequenceRule) -> None:
        self._symbol = symbol
        self._rule = rule
        self._book: OrderBook | None = None
        self._not_before_ns = 0

    def begin(self, mono_ns: int) -> bool:
        """Begin, unless one is under way or was just tried; return whether a snapshot shall be asked for."""
        if mono_ns < self._not_before_ns:
            return False
        self._not_before_ns = mono_ns + _PAUSE_NS
        self._book = OrderBook(self._symbol, self._rule)
        return True

    def apply(self, event: BookDelta | BookSnapshot) -> None:
        """Feed the second book too."""
        if self._book is not None:
            self._book.apply(event)

    def ready(self, sequence: int) -> OrderBook | None:
        """Return the second book once it stands at the same update as the first, and end."""
        book = self._book
        if book is None or book.state is not BookState.LIVE or book.sequence != sequence:
            return None
        self._book = None
        return book

    def drop(self) -> None:
        """Give up: the first book broke."""
        self._book = None

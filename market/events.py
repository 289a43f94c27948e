"""The facts a venue tells us, as frozen records in integer ticks, lots and nanoseconds.

Everything that enters the market room is one of these: a whole book, a change of a book, a best bid and offer, a
trade. They are checked when they are born (prices above zero, sizes not negative, whole numbers), so whoever holds
one may trust it. Times are int64 nanoseconds since the epoch, UTC: `exchange_ns` is the venue's own clock and
`local_ns` ours at reception.

Errors of this package:

    MarketError
    ├── BadEvent         a frame or an event that cannot be: a missing field, a negative size, a foreign symbol
    ├── SequenceGap      a caller asked for something that needs an unbroken book, and the book is broken
    ├── BadReference     symbols.yml is wrong or does not fit the data: unknown symbol, tick that does not divide
    ├── BadRule          a rule (of labels, of candidates, of the simulator) was given values that cannot be
    └── KernelOverflow   a bounded window of a kernel is full: more events in the window than it was built for
"""

from collections.abc import Sequence
from dataclasses import dataclass

LEVELS = 10
"""Book levels a side that are stored and that features may read."""

NO_BID_TICKS = 0
NO_ASK_TICKS = 2**31 - 1
"""The prices of a level that is not there (with 0 lots), so that bids still fall and asks still rise by level."""

Level = tuple[int, int]
"""(price in ticks, size in lots)."""


class MarketError(Exception):
    """Anything the market room refuses; its subclasses are drawn in the docstring of `market.events`."""


class BadEvent(MarketError):
    """A frame or an event that cannot be true."""


class SequenceGap(MarketError):
    """The book has missed an update and must not be used until a snapshot mends it."""


class BadReference(MarketError):
    """What symbols.yml says about an instrument is wrong, missing, or contradicted by the data."""


class BadRule(MarketError):
    """A rule was given values that cannot be."""


class KernelOverflow(MarketError):
    """More events fell into a bounded window than it can hold."""


@dataclass(frozen=True, slots=True)
class BookDelta:
    """One update of an aggregated book: new absolute sizes by price, 0 lots removes the level.

    `first_sequence` and `sequence` are the first and last update ids inside it (Binance `U` and `u`; equal on Bybit),
    `previous_sequence` is the last id of the update before it where the venue tells it (Binance futures `pu`).
    Raises BadEvent when a price is outside (NO_BID_TICKS, NO_ASK_TICKS), a size is negative, or the ids run backwards.
    """

    symbol: str
    first_sequence: int
    sequence: int
    previous_sequence: int | None
    exchange_ns: int
    local_ns: int
    bids: tuple[Level, ...]
    asks: tuple[Level, ...]

    def __post_init__(self) -> None:
        _check_header(self.symbol, self.first_sequence, self.sequence, self.exchange_ns, self.local_ns)
        if self.first_sequence > self.sequence:
            raise BadEvent(
                f"{self.symbol}: update ids run backwards: first {self.first_sequence}, last {self.sequence}"
            )
        if self.previous_sequence is not None and type(self.previous_sequence) is not int:
            raise BadEvent(f"{self.symbol}: previous_sequence must be an int or None, was {self.previous_sequence!r}")
        _check_levels(self.symbol, self.bids, least_lots=0)
        _check_levels(self.symbol, self.asks, least_lots=0)


@dataclass(frozen=True, slots=True)
class BookSnapshot:
    """A whole book (or its top N) as of update id `sequence`; levels in any order, each price once.

    Raises BadEvent when a price is out of range, repeated on its side, or a size is not above zero.
    """

    symbol: str
    sequence: int
    exchange_ns: int
    local_ns: int
    bids: tuple[Level, ...]
    asks: tuple[Level, ...]

    def __post_init__(self) -> None:
        _check_header(self.symbol, self.sequence, self.exchange_ns, self.local_ns)
        for side, levels in (("bid", self.bids), ("ask", self.asks)):
            _check_levels(self.symbol, levels, least_lots=1)
            if len({price_ticks for price_ticks, _ in levels}) != len(levels):
                raise BadEvent(f"{self.symbol}: snapshot {self.sequence} names a {side} price twice")


@dataclass(frozen=True, slots=True)
class BookTicker:
    """The best bid and ask as of update id `sequence`. Raises BadEvent on prices out of range or negative sizes."""

    symbol: str
    sequence: int
    exchange_ns: int
    local_ns: int
    bid_ticks: int
    bid_lots: int
    ask_ticks: int
    ask_lots: int

    def __post_init__(self) -> None:
        _check_header(self.symbol, self.sequence, self.exchange_ns, self.local_ns)
        _check_levels(self.symbol, ((self.bid_ticks, self.bid_lots), (self.ask_ticks, self.ask_lots)), least_lots=0)


@dataclass(frozen=True, slots=True)
class Trade:
    """One print. `aggressor` is +1 when the taker bought, -1 when the taker sold, 0 when the venue does not say.

    Raises BadEvent when the price is out of range, the size is not above zero, or the aggressor is none of the three.
    """

    symbol: str
    trade_id: int
    exchange_ns: int
    local_ns: int
    price_ticks: int
    size_lots: int
    aggressor: int

    def __post_init__(self) -> None:
        _check_header(self.symbol, self.trade_id, self.exchange_ns, self.local_ns)
        _check_levels(self.symbol, ((self.price_ticks, self.size_lots),), least_lots=1)
        if self.aggressor not in {-1, 0, 1}:
            raise BadEvent(
                f"{self.symbol}: trade {self.trade_id}: aggressor must be -1, 0 or 1, was {self.aggressor!r}"
            )


def _check_header(symbol: str, *numbers: int) -> None:
    """Ids and times are whole and not negative (bool and float are refused: both come from broken frames)."""
    for number in numbers:
        if type(number) is not int or number < 0:
            raise BadEvent(f"{symbol}: ids and times must be whole numbers of 0 or more, found {number!r}")


def _check_levels(symbol: str, levels: Sequence[Level], least_lots: int) -> None:
    """Runs for every level of every update: the common case costs three comparisons and no message."""
    for price_ticks, size_lots in levels:
        if not (NO_BID_TICKS < price_ticks < NO_ASK_TICKS and size_lots >= least_lots):
            raise BadEvent(
                f"{symbol}: level ({price_ticks!r}, {size_lots!r}): price must lie between {NO_BID_TICKS} and "
                f"{NO_ASK_TICKS} ticks (exclusive) and size be {least_lots} lots or more"
            )

"""What a venue's own module gives the collector: which sockets to open, what to say on them, what frames mean."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from live.feed import Frame
from market.events import BookDelta, BookSnapshot, BookTicker, Trade


@dataclass(frozen=True, slots=True)
class Mark:
    """The mark price, the funding rate and the next funding's time."""

    symbol: str
    exchange_ns: int
    local_ns: int
    price: float
    funding_rate: float
    next_funding_ns: int


@dataclass(frozen=True, slots=True)
class NotMarket:
    """A print that did not meet the book; its number counts all the same."""

    symbol: str
    trade_id: int


@dataclass(frozen=True, slots=True)
class Delisted:
    """The venue does not trade the symbol (any more)."""

    symbol: str
    text: str


Event = BookDelta | BookSnapshot | BookTicker | Trade | Mark | NotMarket | Delisted


class Line(NamedTuple):
    """One socket: where, what to say when it is open, whose streams it carries, and whether books are among them."""

    name: str
    url: str
    greetings: tuple[str, ...]
    symbols: tuple[str, ...]
    has_books: bool


class Venue(Protocol):
    """The protocol of one venue. `ping` is what the client must say every `ping_seconds`; empty: nothing."""

    name: str
    ping: str
    ping_seconds: float
    unknown_keys: int

    def lines(self) -> Sequence[Line]:
        """The sockets to open."""
        ...

    def anew(self, symbol: str) -> Sequence[str]:
        """What to say on the socket of the books, so that a symbol's streams begin anew."""
        ...

    def snapshot_url(self, symbol: str) -> str:
        """Where to get a whole book; empty when it comes with the subscription."""
        ...

    def read(self, frame: Frame) -> Sequence[Event]:
        """Return what a frame says. Raises FrameRefused, or OffGrid for a price or size between the steps."""
        ...

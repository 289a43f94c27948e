"""A venue as the executor sees it: requests go in and never block, events come out when they are known.

No request raises for what a venue does. Whatever happened to it is an event: Accepted, Refused (certainly not at the
venue), Unknown (may stand: ask, never send again), or one of the later lives of an order.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from bus.messages import BookImage, MarketTrade, MarkPrice

TimeInForce = Literal["GTX", "IOC"]
"""GTX rests or is refused (post-only); IOC trades at once what it can up to its price, the rest is canceled."""


@dataclass(frozen=True, slots=True)
class Place:
    """Send a limit order. `side` +1 buys, -1 sells."""

    client_id: str
    symbol: str
    side: int
    price_ticks: int
    size_lots: int
    time_in_force: TimeInForce
    reduce_only: bool = False


@dataclass(frozen=True, slots=True)
class Cancel:
    """Take an order back."""

    client_id: str
    symbol: str


@dataclass(frozen=True, slots=True)
class CancelAll:
    """Take back everything that rests on a symbol."""

    symbol: str


@dataclass(frozen=True, slots=True)
class Query:
    """Ask what became of an order: orders, open orders and fills alike."""

    client_id: str
    symbol: str


@dataclass(frozen=True, slots=True)
class Survey:
    """Ask for everything that is ours on a symbol: open orders, position, margin, recent fills."""

    symbol: str


@dataclass(frozen=True, slots=True)
class KeepAlive:
    """Dead-man switch: cancel everything unless this comes again within `timeout_ms` (0 switches it off)."""

    symbol: str
    timeout_ms: int


Request = Place | Cancel | CancelAll | Query | Survey | KeepAlive


@dataclass(frozen=True, slots=True)
class Accepted:
    """The order stands at the venue (or stood: it may have traded since)."""

    client_id: str
    symbol: str
    venue_id: str
    exchange_ns: int


@dataclass(frozen=True, slots=True)
class Refused:
    """The request had no effect, certainly. `pause_seconds` > 0: send nothing new for so long (rate limit, overload).

    `is_cancel` says that it was the cancel that was refused: the order has gone another way (query it).
    """

    client_id: str
    symbol: str
    reason: str
    pause_seconds: float = 0.0
    is_cancel: bool = False
    exchange_ns: int = 0


@dataclass(frozen=True, slots=True)
class Unknown:
    """The request may have had its effect: a time-out, a cut connection, a 5xx. Query; never resend."""

    client_id: str
    symbol: str
    reason: str
    is_cancel: bool = False


@dataclass(frozen=True, slots=True)
class Fill:
    """A trade of ours; `trade_id` is unique at the venue. `fee_quote` is what it cost (negative: a rebate)."""

    client_id: str
    symbol: str
    trade_id: str
    side: int
    price_ticks: int
    size_lots: int
    fee_quote: float
    is_maker: bool
    exchange_ns: int


@dataclass(frozen=True, slots=True)
class Ended:
    """The order rests no more: canceled by us or the venue, expired, or filled. `filled_lots` is its final sum."""

    client_id: str
    symbol: str
    state: Literal["canceled", "expired", "filled"]
    filled_lots: int
    reason: str
    exchange_ns: int


@dataclass(frozen=True, slots=True)
class OrderView:
    """The venue's own view of an order."""

    client_id: str
    venue_id: str
    side: int
    price_ticks: int
    size_lots: int
    filled_lots: int
    state: Literal["open", "filled", "canceled", "expired", "rejected"]


@dataclass(frozen=True, slots=True)
class QueryAnswer:
    """The answer to a Query; `order` None: the query succeeded and the venue knows no such order.

    One such answer is no proof (an order may take seconds to show): see the executor's rule of three.
    """

    client_id: str
    symbol: str
    order: OrderView | None
    fills: tuple[Fill, ...] = ()


@dataclass(frozen=True, slots=True)
class Surveyed:
    """The answer to a Survey. `position_lots` is signed; prices in quote units, `liquidation_price` 0 when unknown."""

    symbol: str
    orders: tuple[OrderView, ...]
    position_lots: int
    entry_price: float
    liquidation_price: float
    free_balance: float
    fills: tuple[Fill, ...] = ()


@dataclass(frozen=True, slots=True)
class Trouble:
    """A query or survey failed, or the venue's stream died, was cut, or reported what nobody asked for."""

    symbol: str
    reason: str
    severity: Literal["WARN", "CRIT"]


VenueEvent = Accepted | Refused | Unknown | Fill | Ended | QueryAnswer | Surveyed | Trouble


class Exchange(Protocol):
    """A venue."""

    name: str
    is_real: bool

    def send(self, request: Request) -> None:
        """Take a request; its answer comes from `poll`."""
        ...

    def poll(self) -> Sequence[VenueEvent]:
        """What has become known since the last call, in order."""
        ...

    def on_book(self, image: BookImage) -> None:
        """See the market (a paper exchange fills by it; a real one needs it not)."""
        ...

    def on_trade(self, trade: MarketTrade) -> None:
        """See a print."""
        ...

    def on_mark(self, mark: MarkPrice) -> None:
        """See a mark price (funding)."""
        ...

    def void(self, symbol: str) -> None:
        """The book broke: places in the queue are not known any more."""
        ...

    def close(self) -> None:
        """Give up connections and threads."""
        ...

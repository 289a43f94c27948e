"""What a venue's REST interface says, in our units, and what a venue's dialect must be able to ask and to read.

What goes on from here is journaled and counted as money: ids are text, numbers finite and within int64, whatever the
answer held. Anything else raises AnswerRefused.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Literal, Protocol

from live.errors import AnswerRefused
from live.exchange.outcomes import Venue
from live.exchange.protocol import Place
from live.exchange.rate_budget import Limit
from market.symbols import Symbol

_BEYOND = 2**63
_SHOWN = 80
"""Signs of a value that a refusal quotes."""

OrderState = Literal["open", "filled", "canceled", "expired", "rejected"]


@dataclass(frozen=True, slots=True)
class Call:
    """One request: the name of ccxt's method for the endpoint, and its parameters."""

    method: str
    params: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class VenueOrder:
    """An order as the venue shows it; `reason` where the venue ended it."""

    client_id: str
    venue_id: str
    side: int
    price_ticks: int
    size_lots: int
    filled_lots: int
    state: OrderState
    reason: str
    updated_ns: int

    def __post_init__(self) -> None:
        """Raise AnswerRefused for what no order has."""
        _texts(client_id=self.client_id, venue_id=self.venue_id, reason=self.reason)
        _counts(0, price_ticks=self.price_ticks, size_lots=self.size_lots, filled_lots=self.filled_lots)
        _counts(0, updated_ns=self.updated_ns)


@dataclass(frozen=True, slots=True)
class VenueTrade:
    """A trade of ours; `client_id` empty where the venue names the order by its own id alone."""

    trade_id: str
    venue_order_id: str
    client_id: str
    side: int
    price_ticks: int
    size_lots: int
    fee_quote: float
    is_maker: bool
    exchange_ns: int
    is_forced: bool = False

    def __post_init__(self) -> None:
        """Raise AnswerRefused for what no trade has: one without a price or a size would be a gift."""
        _texts(trade_id=self.trade_id, venue_order_id=self.venue_order_id, client_id=self.client_id)
        _counts(1, price_ticks=self.price_ticks, size_lots=self.size_lots)
        _counts(0, exchange_ns=self.exchange_ns)
        finite("fee_quote", self.fee_quote)


@dataclass(frozen=True, slots=True)
class VenuePosition:
    """Signed lots; prices in quote units, 0 where there is none."""

    lots: int
    entry_price: float
    liquidation_price: float

    def __post_init__(self) -> None:
        """Raise AnswerRefused for what no position has."""
        _counts(0, lots=abs(self.lots))
        finite("entry_price", self.entry_price)
        finite("liquidation_price", self.liquidation_price)


class Dialect(Protocol):
    """One venue's endpoints. `*_call` builds a request, `read_*` its answer (the JSON document of a good reply)."""

    venue: Venue
    limits: tuple[Limit, ...]
    acknowledges_only: bool
    """Whether the answer to placing and canceling says no more than that it was received."""

    forced_prefixes: tuple[str, ...]
    """How the client ids of orders begin that the venue makes to close us."""

    def place_call(self, symbol: Symbol, place: Place) -> Call:
        """Send a limit order."""
        ...

    def cancel_call(self, symbol: Symbol, client_id: str) -> Call:
        """Cancel by client id."""
        ...

    def cancel_all_call(self, symbol: Symbol) -> Call:
        """Cancel everything open on a symbol."""
        ...

    def keep_alive_call(self, symbol: Symbol, timeout_ms: int) -> Call | None:
        """Arm the venue's dead-man switch, or with 0 disarm it; None where it has none for us."""
        ...

    def order_calls(self, symbol: Symbol, client_id: str) -> Sequence[Call]:
        """Every place where an order with this client id can be found; asked in turn until one has it."""
        ...

    def open_orders_call(self, symbol: Symbol) -> Call:
        """Everything open on a symbol."""
        ...

    def recent_orders_call(self, symbol: Symbol) -> Call:
        """The newest orders of a symbol, ended ones too."""
        ...

    def trades_call(self, symbol: Symbol, venue_order_id: str = "") -> Call:
        """The newest trades of ours, of one order or of all."""
        ...

    def position_call(self, symbol: Symbol) -> Call:
        """The position of a symbol."""
        ...

    def balance_call(self) -> Call:
        """The account's free balance."""
        ...

    def instruments_call(self) -> Call:
        """What the venue says of its instruments; no keys needed."""
        ...

    def read_placed(self, symbol: Symbol, place: Place, document: Any) -> VenueOrder:
        """The order in the answer to placing it; open and unfilled where the venue only acknowledges."""
        ...

    def read_orders(self, symbol: Symbol, document: Any) -> list[VenueOrder]:
        """The orders in any answer that holds orders."""
        ...

    def read_trades(self, symbol: Symbol, document: Any) -> list[VenueTrade]:
        """The trades, oldest first."""
        ...

    def read_position(self, symbol: Symbol, document: Any) -> VenuePosition:
        """The position."""
        ...

    def read_balance(self, document: Any) -> float:
        """Free balance in quote units."""
        ...


def price_text(symbol: Symbol, ticks: int) -> str:
    """The exact decimal text of a price: it never was a float."""
    return format(Decimal(ticks) * symbol.price_tick, "f")


def size_text(symbol: Symbol, lots: int) -> str:
    """The exact decimal text of a size."""
    return format(Decimal(lots) * symbol.size_lot, "f")


def fee_of(symbol: Symbol, ticks: int, lots: int, *, is_maker: bool) -> float:
    """The fee by our table, for venues that charge it in another coin."""
    rate = symbol.maker_fee_bps if is_maker else symbol.taker_fee_bps
    return symbol.ticks_to_price(ticks) * symbol.lots_to_size(lots) * rate * 1e-4


def milliseconds_to_ns(text: Any) -> int:
    """Venue milliseconds, text or number, as nanoseconds; nothing is 0."""
    return int(text or 0) * 1_000_000


def optional_price(text: Any) -> float:
    """A price that may be absent, empty or 0."""
    return float(text) if text not in (None, "") else 0.0


def finite(name: str, value: float) -> float:
    """The value, unless it is infinite or no number at all. Raises AnswerRefused."""
    if not math.isfinite(value):
        raise AnswerRefused(f"{name}: wanted a finite number, found {value!r}")
    return value


def _texts(**fields: Any) -> None:
    for name, value in fields.items():
        if not isinstance(value, str):
            raise AnswerRefused(f"{name}: wanted text, found {repr(value)[:_SHOWN]}")


def _counts(least: int, **fields: int) -> None:
    for name, value in fields.items():
        if not least <= value < _BEYOND:
            found = value if value.bit_length() < 99 else f"a number of {value.bit_length()} bits"
            raise AnswerRefused(f"{name}: wanted {least} or more and less than 2^63, found {found}")

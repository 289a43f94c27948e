"""What the journal holds: one small record a fact. Everything the executor knows is made of them, in order.

`at_ns` is our wall clock when the fact was written; days and pauses are counted by it, so that a replay of the journal
gives the same state to the byte.
"""

from typing import Literal

import msgspec
from msgspec import Struct

from bus.messages import Leg, Report, Route
from live.exchange.protocol import TimeInForce

EndState = Literal["filled", "canceled", "expired"]


class Record(Struct, frozen=True, array_like=True, tag=True, forbid_unknown_fields=True):
    """What every record is."""


class Taken(Record, frozen=True):
    """An approval is acted on: a round trip begins. `end_ns` is when its position must be closed at the latest."""

    approval_id: str
    symbol: str
    side: int
    route: Route
    model_id: str
    is_real: bool
    expires_ns: int
    end_ns: int
    tp_pct: float
    sl_pct: float
    at_ns: int


class Intent(Record, frozen=True):
    """An order is about to be sent. On the disk before the venue hears of it."""

    client_id: str
    approval_id: str
    leg: Leg
    rung: int
    replacement: int
    side: int
    price_ticks: int
    size_lots: int
    time_in_force: TimeInForce
    reduce_only: bool
    bucket: str
    reason: str
    at_ns: int


class Accepted(Record, frozen=True):
    """The venue has the order."""

    client_id: str
    venue_id: str
    exchange_ns: int
    at_ns: int


class Refused(Record, frozen=True):
    """The order certainly never stood, or is proven absent."""

    client_id: str
    reason: str
    exchange_ns: int
    at_ns: int


class Doubted(Record, frozen=True):
    """The order may stand or may not: its sending had no certain answer, or this process has restarted since."""

    client_id: str
    reason: str
    at_ns: int


class Filled(Record, frozen=True):
    """A trade of the order. `is_settled`: no trade the venue named, but lots it says have filled, at our price."""

    client_id: str
    trade_id: str
    price_ticks: int
    lots: int
    fee_quote: float
    is_maker: bool
    exchange_ns: int
    at_ns: int
    is_settled: bool = False


class Ended(Record, frozen=True):
    """The order rests no more; `filled_lots` is the venue's final sum."""

    client_id: str
    state: EndState
    filled_lots: int
    reason: str
    exchange_ns: int
    at_ns: int


class Lost(Record, frozen=True):
    """The venue does not have this part of a trip's position: it is taken out at `price_ticks`, and told of."""

    approval_id: str
    lots: int
    price_ticks: int
    at_ns: int


class Foreign(Record, frozen=True):
    """The venue's position less ours, signed lots, as last compared: 0 when they are the same."""

    symbol: str
    is_real: bool
    lots: int
    at_ns: int


class Heard(Record, frozen=True):
    """A control event was acted on, so that a restart does not act on it again."""

    event_id: str
    kind: str
    severity: str
    reason: str
    symbol: str
    route: str
    by: str
    at_ns: int


Fact = Taken | Intent | Accepted | Refused | Doubted | Filled | Ended | Lost | Foreign | Heard
OrderFact = Accepted | Refused | Doubted | Filled | Ended


class Order(Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """An order as far as it is known. `trade_ids` are the fills that were counted.

    `doubt` says why the venue must be asked, empty when it need not. `final_state` and `final_lots` are what the venue
    said of its end while fills of it were still missing (-1: it has not ended). `settled_lots` were counted without a
    trade that the venue named.
    """

    client_id: str
    approval_id: str
    symbol: str
    is_real: bool
    leg: Leg
    rung: int
    replacement: int
    side: int
    price_ticks: int
    size_lots: int
    time_in_force: TimeInForce
    reduce_only: bool
    bucket: str
    state: str = "new"
    venue_id: str = ""
    filled_lots: int = 0
    trade_ids: tuple[str, ...] = ()
    doubt: str = ""
    final_state: str = ""
    final_lots: int = -1
    settled_lots: int = 0
    reason: str = ""
    at_ns: int = 0


class Trip(Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """A round trip: what an approval opened and what closed it. Values are price ticks times lots.

    `exits` counts exit orders, `entries` replacements of each rung. `told_*` is what closed reports have told of.
    """

    approval_id: str
    symbol: str
    side: int
    route: Route
    model_id: str
    is_real: bool
    expires_ns: int
    end_ns: int
    tp_pct: float
    sl_pct: float
    entry_lots: int = 0
    entry_value: int = 0
    exit_lots: int = 0
    exit_value: int = 0
    fees_quote: float = 0.0
    exits: int = 0
    is_open: bool = True
    exit_reason: str = ""
    told: int = 0
    told_net: float = 0.0
    told_value: int = 0

    @property
    def lots(self) -> int:
        """What is held, not signed."""
        return self.entry_lots - self.exit_lots


class Halt(Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """Nothing new in a scope: a symbol or all (""), a route or all ("")."""

    reason: str
    symbol: str
    route: str
    by: str
    at_ns: int


class Money(Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """Profit of one UTC day by route, losses in a row, when the row was last full, when a trip of each side ended."""

    day: int = 0
    by_route: dict[str, float] = {}
    losses: int = 0
    streak_ns: int = 0

    @property
    def total(self) -> float:
        """Profit of the day after fees, quote units."""
        return sum(self.by_route.values())


class State(Struct, array_like=True, forbid_unknown_fields=True):
    """All of it. Keys of `foreign` and `ended` are the symbol and real or paper; of `money` real or paper."""

    orders: dict[str, Order] = {}
    trips: dict[str, Trip] = {}
    approvals: dict[str, int] = {}
    heard: dict[str, int] = {}
    halts: dict[str, Halt] = {}
    money: dict[str, Money] = {}
    foreign: dict[str, int] = {}
    ended: dict[str, tuple[int, int]] = {}


class Snapshot(Record, frozen=True):
    """Everything older records amount to; the first record of a file that was compacted. `told`: newest reports."""

    state: State
    told: tuple[Report, ...] = ()


AnyRecord = Fact | Snapshot
_ENCODE = msgspec.msgpack.Encoder().encode
_DECODER: msgspec.msgpack.Decoder[AnyRecord] = msgspec.msgpack.Decoder(AnyRecord)


def encode(record: AnyRecord) -> bytes:
    """A record as the journal's payload; the same record gives the same bytes."""
    return _ENCODE(record)


def decode(payload: bytes) -> AnyRecord:
    """A record from its payload. Raises msgspec.DecodeError."""
    return _DECODER.decode(payload)


def account_of(is_real: bool) -> str:
    """The name of an account: real or paper."""
    return "real" if is_real else "paper"


def held_key(symbol: str, is_real: bool) -> str:
    """A symbol on an account, as a key."""
    return f"{symbol}:{account_of(is_real)}"

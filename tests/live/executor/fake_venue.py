"""A venue that keeps its truth across restarts of the executor, answers at once, and fails on request.

Faults are taken by the next orders, one each:

    drop      the order never arrives; the sender does not know
    lose      the order stands; the sender does not know
    silent    the order stands and nobody says so
    hide      as lose, and queries do not show it for `hidden_queries` answers
    early     the whole order fills before it is acknowledged
    refuse    refused for `refuse_reason`
"""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

from bus.messages import BookImage, MarketTrade, MarkPrice
from live.exchange.protocol import (
    Accepted,
    Cancel,
    CancelAll,
    Ended,
    Fill,
    KeepAlive,
    OrderView,
    Place,
    Query,
    QueryAnswer,
    Refused,
    Request,
    Survey,
    Surveyed,
    Trouble,
    Unknown,
    VenueEvent,
)


@dataclass
class Standing:
    """An order as the venue has it."""

    place: Place
    state: str = "open"
    filled: int = 0
    fills: list[Fill] = field(default_factory=list)
    hidden: int = 0

    def view(self) -> OrderView:
        """As the venue shows it."""
        place = self.place
        return OrderView(
            place.client_id, f"v-{place.client_id}", place.side, place.price_ticks, place.size_lots, self.filled,
            self.state,  # type: ignore[arg-type]
        )  # fmt: skip


@dataclass
class FakeVenue:
    """An Exchange. IOC orders trade at once unless `ioc_share` is below 1; GTX orders rest until told otherwise."""

    is_real: bool = False
    name: str = "fake"
    balance: float = 10_000.0
    ioc_share: float = 1.0
    hidden_queries: int = 3
    refuse_reason: str = "filter"
    pause_seconds: float = 0.0
    fee_share: float = 0.0002
    now_ns: int = 0
    liquidation: float = 0.0
    answers_queries: bool = True
    orders: dict[str, Standing] = field(default_factory=dict)
    positions: dict[str, int] = field(default_factory=dict)
    requests: list[Request] = field(default_factory=list)
    mail: deque[VenueEvent] = field(default_factory=deque)
    faults: deque[str] = field(default_factory=deque)
    voids: list[str] = field(default_factory=list)
    is_closed: bool = False
    places_refused_twice: int = 0

    def send(self, request: Request) -> None:
        """Take a request; its answer lies in the mail, unless a fault has it."""
        self.requests.append(request)
        match request:
            case Place():
                self._place(request)
            case Cancel(client_id=key):
                self._cancel(key, request.symbol)
            case CancelAll(symbol=symbol):
                for key, standing in self.orders.items():
                    if standing.place.symbol == symbol and standing.state == "open":
                        self._cancel(key, symbol)
            case Query(client_id=key, symbol=symbol):
                self._query(key, symbol)
            case Survey(symbol=symbol):
                self._survey(symbol)
            case KeepAlive():
                pass

    def poll(self) -> Sequence[VenueEvent]:
        """Everything in the mail."""
        events = list(self.mail)
        self.mail.clear()
        return events

    def on_book(self, image: BookImage) -> None:
        """See the time."""
        self.now_ns = image.exchange_ns

    def on_trade(self, trade: MarketTrade) -> None:
        """See nothing."""

    def on_mark(self, mark: MarkPrice) -> None:
        """See nothing."""

    def void(self, symbol: str) -> None:
        """Remember."""
        self.voids.append(symbol)

    def close(self) -> None:
        """Remember."""
        self.is_closed = True

    # What a test makes happen

    def fill(self, key: str, lots: int | None = None, *, price: int | None = None, silent: bool = False) -> Fill:
        """An order trades; `silent` keeps it from the mail (a dead user stream)."""
        standing = self.orders[key]
        place = standing.place
        lots = place.size_lots - standing.filled if lots is None else lots
        standing.filled += lots
        fill = Fill(
            key, place.symbol, f"t-{key}-{standing.filled}", place.side, place.price_ticks if price is None else price,
            lots, lots * place.price_ticks * 1e-4 * self.fee_share, place.time_in_force == "GTX", self.now_ns,
        )  # fmt: skip
        standing.fills.append(fill)
        self.positions[place.symbol] = self.positions.get(place.symbol, 0) + place.side * lots
        done = standing.filled >= place.size_lots
        if done:
            standing.state = "filled"
        if not silent:
            self.mail.append(fill)
            if done:
                self.mail.append(Ended(key, place.symbol, "filled", standing.filled, "", self.now_ns))
        return fill

    def cut(self, reason: str = "venue", *, silent: bool = False) -> None:
        """The venue cancels everything that rests."""
        for key, standing in self.orders.items():
            if standing.state == "open":
                standing.state = "canceled"
                if not silent:
                    self.mail.append(
                        Ended(key, standing.place.symbol, "canceled", standing.filled, reason, self.now_ns)
                    )

    def open(self) -> list[str]:
        """Ids of what rests."""
        return [key for key, standing in self.orders.items() if standing.state == "open"]

    def places(self) -> list[Place]:
        """Every order that was sent."""
        return [request for request in self.requests if isinstance(request, Place)]

    def cancels(self) -> list[str]:
        """Ids that were asked to be canceled."""
        return [request.client_id for request in self.requests if isinstance(request, Cancel)]

    def queries(self, key: str) -> int:
        """How often an order was asked for."""
        return sum(isinstance(request, Query) and request.client_id == key for request in self.requests)

    # Requests

    def _place(self, place: Place) -> None:
        fault = self.faults.popleft() if self.faults else ""
        if place.client_id in self.orders:
            # A venue remembers ids of open orders alone: a second one under the same id would trade twice.
            self.places_refused_twice += 1
            raise AssertionError(f"{place.client_id} was sent twice")
        if fault == "drop":
            self.mail.append(Unknown(place.client_id, place.symbol, "timeout"))
            return
        if fault == "refuse":
            self.mail.append(Refused(place.client_id, place.symbol, self.refuse_reason, self.pause_seconds))
            return
        if place.reduce_only:
            room = max(0, -place.side * self.positions.get(place.symbol, 0))
            if room < place.size_lots:
                self.mail.append(Refused(place.client_id, place.symbol, "reduce_only"))
                return
        standing = self.orders[place.client_id] = Standing(place)
        accepted = Accepted(place.client_id, place.symbol, f"v-{place.client_id}", self.now_ns)
        if fault in ("lose", "hide"):
            standing.hidden = self.hidden_queries if fault == "hide" else 0
            self.mail.append(Unknown(place.client_id, place.symbol, "timeout"))
        elif fault == "early":
            self.fill(place.client_id)
            self.mail.append(accepted)
            return
        elif fault != "silent":
            self.mail.append(accepted)
        if place.time_in_force == "IOC":
            self._take(place, standing, silent=fault in ("lose", "hide", "silent"))

    def _take(self, place: Place, standing: Standing, *, silent: bool) -> None:
        lots = int(place.size_lots * self.ioc_share)
        if lots:
            self.fill(place.client_id, lots, silent=silent)
        if standing.state == "open":
            standing.state = "expired"
            if not silent:
                self.mail.append(Ended(place.client_id, place.symbol, "expired", standing.filled, "ioc", self.now_ns))

    def _cancel(self, key: str, symbol: str) -> None:
        standing = self.orders.get(key)
        if standing is None or standing.state != "open":
            self.mail.append(Refused(key, symbol, "unknown_order", is_cancel=True))
            return
        standing.state = "canceled"
        self.mail.append(Ended(key, symbol, "canceled", standing.filled, "canceled", self.now_ns))

    def _query(self, key: str, symbol: str) -> None:
        if not self.answers_queries:
            self.mail.append(Trouble(symbol, "query_failed", "WARN"))
            return
        standing = self.orders.get(key)
        if standing is not None and standing.hidden > 0:
            standing.hidden -= 1
            standing = None
        if standing is None:
            self.mail.append(QueryAnswer(key, symbol, None))
        else:
            self.mail.append(QueryAnswer(key, symbol, standing.view(), tuple(standing.fills)))

    def _survey(self, symbol: str) -> None:
        views = tuple(
            each.view()
            for each in self.orders.values()
            if each.place.symbol == symbol and each.state == "open" and each.hidden <= 0
        )
        fills = tuple(fill for each in self.orders.values() if each.place.symbol == symbol for fill in each.fills)
        self.mail.append(
            Surveyed(symbol, views, self.positions.get(symbol, 0), 0.0, self.liquidation, self.balance, fills)
        )

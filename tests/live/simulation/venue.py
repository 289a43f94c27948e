"""A venue that outlives every process: it keeps orders, fills and the position, and answers as badly as it is told to.

Everything that reaches it is also told to an observer, before anything is done. What it forgets: a client id that is
not open any more may be used again, as on the real ones.
"""

import heapq
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Protocol

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
from tests.live.simulation.nature import MS, SECOND, Nature

LATEST_NS = 5 * SECOND
"""A request arrives this late at most."""
HIDDEN_NS = 3 * SECOND
"""An order or a fill may be hidden from questions for so long; with LATEST_NS less than the executor's ten seconds."""
FEE = 0.0002


class Watcher(Protocol):
    """Hears of everything at the venue as it happens."""

    def on_send(self, client: "Client", request: Request) -> None:
        """A process hands a request to its client."""
        ...

    def on_stands(self, order: "Stand") -> None:
        """An order begins to stand."""
        ...


@dataclass
class Weather:
    """Chances of what goes wrong at the venue, 0 to 1."""

    lost_reply: float = 0.0
    lost_request: float = 0.0
    late: float = 0.0
    silent: float = 0.0
    limit: float = 0.0
    reject: float = 0.0
    post_only: float = 0.0
    hidden: float = 0.0
    drop: float = 0.0
    repeat: float = 0.0
    reorder: float = 0.0
    fill: float = 0.3
    partial: float = 0.3
    query_fails: float = 0.0
    cancel_lost: float = 0.0


@dataclass
class Stand:
    """An order at the venue."""

    place: Place
    venue_id: str
    at_ns: int
    seen_ns: int
    filled: int = 0
    state: str = "open"
    fills: list[tuple[int, Fill]] = field(default_factory=list)

    @property
    def left(self) -> int:
        """Lots that may still trade."""
        return self.place.size_lots - self.filled if self.state == "open" else 0

    def view(self) -> OrderView:
        """As the venue shows it."""
        place = self.place
        return OrderView(
            place.client_id, self.venue_id, place.side, place.price_ticks, place.size_lots, self.filled, self.state  # type: ignore[arg-type]
        )  # fmt: skip


class Venue:
    """The server. `watcher` is told before things happen."""

    def __init__(self, nature: Nature, rng: Random, symbols: Sequence[str], watcher: Watcher) -> None:
        self.weather = Weather()
        self.orders: list[Stand] = []
        self.open: dict[str, Stand] = {}
        self.position = dict.fromkeys(symbols, 0)
        self.calls = 0
        self._nature, self._rng, self._watcher = nature, rng, watcher
        self._due: list[tuple[int, int, Callable[[], None]]] = []
        self._flying: dict[int, Place] = {}
        self._count = 0
        self._session: Client | None = None
        self._dead_man: dict[str, int] = {}

    def connect(self) -> "Client":
        """A new process logs in; the stream of order events is its from now on."""
        self._session = Client(self)
        return self._session

    @property
    def is_quiet(self) -> bool:
        """Whether nothing stands and nothing is on its way."""
        return not self.open and not self._flying

    def in_flight(self) -> list[Place]:
        """Orders that are on their way and will arrive."""
        return list(self._flying.values())

    def advance(self) -> None:
        """Let everything happen that is due, then let the market trade with what rests."""
        now = self._nature.true_ns
        while self._due and self._due[0][0] <= now:
            heapq.heappop(self._due)[2]()
        for symbol, at_ns in list(self._dead_man.items()):
            if now >= at_ns:
                del self._dead_man[symbol]
                for order in [each for each in self.open.values() if each.place.symbol == symbol]:
                    self._end(order, "canceled", "dead_man")
        for order in list(self.open.values()):
            if self._rng.random() < self.weather.fill:
                is_part = order.left > 1 and self._rng.random() < self.weather.partial
                self._trade(order, self._rng.randint(1, order.left - 1) if is_part else order.left)

    # Requests

    def take(self, client: "Client", request: Request) -> None:
        """A request leaves a process."""
        self.calls += 1
        self._watcher.on_send(client, request)
        match request:
            case Place():
                self._take_place(client, request)
            case Cancel():
                self._take_cancel(client, request)
            case CancelAll():
                self._later(self._wire(), lambda: self._cancel_all(request.symbol))
            case Query():
                self._later(self._wire(), lambda: self._query(client, request))
            case Survey():
                self._later(self._wire(), lambda: self._survey(client, request))
            case KeepAlive():
                until = self._nature.true_ns + request.timeout_ms * MS
                if request.timeout_ms:
                    self._dead_man[request.symbol] = until
                else:
                    self._dead_man.pop(request.symbol, None)

    def _take_place(self, client: "Client", place: Place) -> None:
        fate, weather, key = self._rng.random(), self.weather, place.client_id
        for name in ("lost_reply", "lost_request", "late", "silent", "limit", "reject"):
            chance = getattr(weather, name)
            if fate < chance:
                break
            fate -= chance
        else:
            name = "fine"
        if name in ("limit", "reject"):
            pause = float(self._rng.randint(1, 5)) if name == "limit" else 0.0
            client.hear(Refused(key, place.symbol, "rate_limit" if pause else "rejected", pause), self._wire())
            return
        if name == "lost_request" or (name == "silent" and self._rng.random() < 0.5):
            pass
        else:
            delay = self._rng.randint(0, LATEST_NS) if name in ("late", "silent") else self._wire()
            self._count += 1
            number = self._count
            self._flying[number] = place
            self._later(delay, lambda: self._arrive(client, place, number, answers=name == "fine"))
        if name in ("lost_reply", "lost_request", "late"):
            client.hear(Unknown(key, place.symbol, "timeout"), self._rng.choice((self._wire(), 2 * SECOND)))

    def _arrive(self, client: "Client", place: Place, number: int, *, answers: bool) -> None:
        del self._flying[number]
        now, answer = self._nature.true_ns, client if answers else None
        if place.time_in_force == "GTX" and self._rng.random() < self.weather.post_only:
            if answer:
                answer.hear(Refused(place.client_id, place.symbol, "post_only", exchange_ns=now), self._wire())
            return
        size = place.size_lots
        if place.reduce_only:
            size = min(size, max(0, -place.side * self.position[place.symbol]))
            if not size:
                if answer:
                    answer.hear(Refused(place.client_id, place.symbol, "reduce_only", exchange_ns=now), self._wire())
                return
        self._count += 1
        hidden = self._rng.randint(0, HIDDEN_NS) if self._rng.random() < self.weather.hidden else 0
        order = Stand(place, f"v{self._count}", now, now + hidden)
        self._watcher.on_stands(order)
        self.orders.append(order)
        self.open[place.client_id] = order
        if answer:
            answer.hear(Accepted(place.client_id, place.symbol, order.venue_id, now), self._wire())
        if place.time_in_force == "IOC":
            chance = self._rng.random()
            lots = size if chance < 0.7 else self._rng.randint(0, size)
            if lots:
                self._trade(order, lots)
            if order.state == "open":
                self._end(order, "canceled" if chance < 0.9 else "expired", "ioc")

    def _take_cancel(self, client: "Client", cancel: Cancel) -> None:
        if self._rng.random() < self.weather.cancel_lost:
            arrives = self._rng.random() < 0.5
            client.hear(Unknown(cancel.client_id, cancel.symbol, "timeout", is_cancel=True), SECOND)
            if not arrives:
                return
        self._later(self._wire(), lambda: self._cancel(client, cancel))

    def _cancel(self, client: "Client", cancel: Cancel) -> None:
        order = self.open.get(cancel.client_id)
        if order is None:
            client.hear(Refused(cancel.client_id, cancel.symbol, "unknown_order", is_cancel=True), self._wire())
            return
        if self._rng.random() < self.weather.partial / 2:  # it trades while it is being canceled
            self._trade(order, self._rng.randint(1, order.left))
        if order.state == "open":
            self._end(order, "canceled", "asked")

    def _cancel_all(self, symbol: str) -> None:
        for order in [each for each in self.open.values() if each.place.symbol == symbol]:
            self._end(order, "canceled", "asked")

    def _query(self, client: "Client", query: Query) -> None:
        if self._rng.random() < self.weather.query_fails:
            client.hear(Trouble(query.symbol, "query failed", "WARN"), self._wire())
            return
        now = self._nature.true_ns
        found = [each for each in self.orders if each.place.client_id == query.client_id and each.seen_ns <= now]
        view = found[-1].view() if found else None
        fills = tuple(fill for order in found for seen_ns, fill in order.fills if seen_ns <= now)
        client.hear(QueryAnswer(query.client_id, query.symbol, view, fills), self._wire())

    def _survey(self, client: "Client", survey: Survey) -> None:
        if self._rng.random() < self.weather.query_fails:
            client.hear(Trouble(survey.symbol, "survey failed", "WARN"), self._wire())
            return
        now, name = self._nature.true_ns, survey.symbol
        views = tuple(each.view() for each in self.open.values() if each.place.symbol == name and each.seen_ns <= now)
        ours = [each for each in self.orders[-20:] if each.place.symbol == name]
        fills = tuple(fill for order in ours for seen_ns, fill in order.fills if seen_ns <= now)
        client.hear(Surveyed(name, views, self.position[name], 0.0, 0.0, 10_000.0, fills), self._wire())

    # Orders

    def _trade(self, order: Stand, lots: int) -> None:
        place, now = order.place, self._nature.true_ns
        lots = min(lots, order.left)
        if place.reduce_only:
            lots = min(lots, max(0, -place.side * self.position[place.symbol]))
        if lots <= 0:
            return
        order.filled += lots
        self.position[place.symbol] += place.side * lots
        fee = lots * FEE
        fill = Fill(
            place.client_id, place.symbol, f"t{order.venue_id}-{len(order.fills)}", place.side, place.price_ticks, lots,
            fee, place.time_in_force == "GTX", now,
        )  # fmt: skip
        hidden = self._rng.randint(0, HIDDEN_NS) if self._rng.random() < self.weather.hidden else 0
        order.fills.append((now + hidden, fill))
        self._stream(fill)
        if order.filled >= place.size_lots:
            self._end(order, "filled", "")

    def _end(self, order: Stand, state: str, reason: str) -> None:
        order.state = state
        del self.open[order.place.client_id]
        self._stream(
            Ended(order.place.client_id, order.place.symbol, state, order.filled, reason, self._nature.true_ns)  # type: ignore[arg-type]
        )  # fmt: skip

    def _stream(self, event: VenueEvent) -> None:
        """Tell whoever is logged in now; the stream loses, repeats and reorders."""
        rng, weather, client = self._rng, self.weather, self._session
        if client is None or rng.random() < weather.drop:
            return
        delay = self._wire() + (rng.randint(0, SECOND) if rng.random() < weather.reorder else 0)
        client.hear(event, delay)
        if rng.random() < weather.repeat:
            client.hear(event, delay + rng.randint(0, SECOND))

    def _wire(self) -> int:
        return self._rng.randint(1, 30) * MS

    def _later(self, delay_ns: int, what: Callable[[], None]) -> None:
        self._count += 1
        heapq.heappush(self._due, (self._nature.true_ns + delay_ns, self._count, what))

    def deliver(self, client: "Client", event: VenueEvent, delay_ns: int) -> None:
        """Bring an event to a client in a while; one that has died never hears it."""
        self._later(delay_ns, lambda: client.inbox.append(event))


class Client:
    """A process's access to the venue: a live.exchange.protocol.Exchange."""

    name = "fake"
    is_real = True

    def __init__(self, venue: Venue) -> None:
        self._venue = venue
        self.inbox: list[VenueEvent] = []

    def send(self, request: Request) -> None:
        """As Exchange."""
        self._venue.take(self, request)

    def poll(self) -> Sequence[VenueEvent]:
        """As Exchange."""
        found, self.inbox = self.inbox, []
        return found

    def hear(self, event: VenueEvent, delay_ns: int) -> None:
        """Have an event delivered."""
        self._venue.deliver(self, event, delay_ns)

    def on_book(self, image: BookImage) -> None:
        """As Exchange; it needs it not."""

    def on_trade(self, trade: MarketTrade) -> None:
        """As Exchange; it needs it not."""

    def on_mark(self, mark: MarkPrice) -> None:
        """As Exchange; it needs it not."""

    def void(self, symbol: str) -> None:
        """As Exchange; it needs it not."""

    def close(self) -> None:
        """As Exchange."""

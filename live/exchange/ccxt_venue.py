"""A real venue: Binance USD-M or Bybit v5 linear through ccxt, one thread and one client a symbol.

`send` never waits and `poll` never waits: calls are made in the symbol's thread, one after the other, and what comes
of them is put into a queue, which also ends the host's wait. An order that the rate budget has no room for is refused
here at once; cancellations and questions may use the reserve. What a slow venue keeps waiting is live.exchange.inbox's.
"""

import threading
from collections.abc import Callable, Mapping, Sequence
from queue import SimpleQueue

from bus.messages import BookImage, MarketTrade, MarkPrice
from config.live_sections import Exchange as ExchangeSettings
from live.clock import Clock
from live.errors import NotTradable
from live.exchange.binance_orders import BinanceOrders
from live.exchange.bybit_orders import BybitOrders
from live.exchange.inbox import Inbox
from live.exchange.outcomes import RATE_PAUSE_SECONDS, Venue
from live.exchange.protocol import Place, Refused, Request, Trouble, VenueEvent
from live.exchange.rate_budget import RateBudget
from live.exchange.real_mode import Keys
from live.exchange.rest_client import RestClient
from live.exchange.venue_desk import VenueDesk
from live.exchange.venue_facts import Dialect
from live.service import Wake
from market.symbols import Symbol

NO_DEAD_MAN = (
    "{venue} has no dead-man switch for us: orders that rest when this process or its line dies stay at the venue "
    "until it is back; exchange.keep_alive_seconds has no effect"
)


def dialect_of(venue: Venue) -> Dialect:
    """How a venue is spoken to."""
    return BinanceOrders() if venue == "binance" else BybitOrders()


class CcxtVenue:
    """An Exchange whose orders are real. `keys` come from live.exchange.real_mode.require."""

    is_real = True

    def __init__(
        self, settings: ExchangeSettings, symbols: Mapping[str, Symbol], keys: Keys, clock: Clock, wake: Wake
    ) -> None:
        self.name: str = settings.venue
        self._clock = clock
        self._events: SimpleQueue[VenueEvent] = SimpleQueue()
        self._wake = wake
        dialect = dialect_of(settings.venue)
        self._budget = RateBudget(dialect.limits)
        if settings.keep_alive_seconds and any(dialect.keep_alive_call(each, 1) is None for each in symbols.values()):
            self._events.put(Trouble("", NO_DEAD_MAN.format(venue=settings.venue), "WARN"))
        self._poll_ns = round(settings.poll_seconds * 1e9)
        self._looked_ns = clock.mono_ns()
        self._workers = {
            name: _Worker(symbol, dialect, _client(settings, keys), clock, self._put, settings.timeout_seconds)
            for name, symbol in symbols.items()
        }

    def send(self, request: Request) -> None:
        """Hand a request to its symbol's thread. Raises NotTradable for a symbol that has none."""
        worker = self._workers.get(request.symbol)
        if worker is None:
            raise NotTradable(f"{request.symbol} is not traded here; market.symbols has {', '.join(self._workers)}")
        is_new = isinstance(request, Place) and not request.reduce_only
        wait = self._budget.take(self._clock.mono_ns(), is_new=is_new)
        if wait and isinstance(request, Place):
            self._put(Refused(request.client_id, request.symbol, "rate_budget", min(wait, RATE_PAUSE_SECONDS)))
        else:
            worker.inbox.put(request)

    def poll(self) -> Sequence[VenueEvent]:
        """What the threads have told since the last call; now and then it has them look at what stands."""
        now_ns = self._clock.mono_ns()
        if now_ns - self._looked_ns >= self._poll_ns and not self._budget.is_closed(now_ns):
            self._looked_ns = now_ns
            for worker in self._workers.values():
                worker.inbox.put_look()
        known: list[VenueEvent] = []
        while not self._events.empty():
            event = self._events.get_nowait()
            if isinstance(event, Refused) and event.pause_seconds and event.reason != "rate_budget":
                self._budget.close(now_ns, event.pause_seconds)
            known.append(event)
        return known

    def on_book(self, image: BookImage) -> None:
        """The venue has its own."""

    def on_trade(self, trade: MarketTrade) -> None:
        """The venue has its own."""

    def on_mark(self, mark: MarkPrice) -> None:
        """The venue has its own."""

    def void(self, symbol: str) -> None:
        """Places in the venue's queues are the venue's business."""

    def close(self) -> None:
        """End the threads when they have done what they were told, and their connections."""
        for worker in self._workers.values():
            worker.inbox.end()
        for worker in self._workers.values():
            worker.join()

    def _put(self, event: VenueEvent) -> None:
        self._events.put(event)
        self._wake()


class _Worker:
    """A symbol's thread, its client, its desk."""

    def __init__(
        self,
        symbol: Symbol,
        dialect: Dialect,
        client: RestClient,
        clock: Clock,
        tell: Callable[[VenueEvent], None],
        timeout_seconds: float,
    ) -> None:
        self.inbox = Inbox(clock)
        self._client, self._tell = client, tell
        self._desk = VenueDesk(symbol, dialect, client, clock, tell)
        self._patience_seconds = 3 * timeout_seconds
        self._thread = threading.Thread(target=self._run, name=f"venue {symbol.name}", daemon=True)
        self._thread.start()

    def join(self) -> None:
        """Wait for the end, three time-outs at most: a thread that hangs must not keep the process."""
        self._thread.join(self._patience_seconds)

    def _run(self) -> None:
        while (job := self.inbox.take()) is not None:
            request, reason = job.request, self.inbox.why_not(job)
            if request == "look":
                self._desk.look()
            elif reason and isinstance(request, Place):
                self._tell(Refused(request.client_id, request.symbol, reason))
            else:
                self._desk.handle(request)
        self._client.close()


def _client(settings: ExchangeSettings, keys: Keys) -> RestClient:
    return RestClient(
        settings.venue,
        keys,
        timeout_seconds=settings.timeout_seconds,
        sandbox=settings.sandbox,
        rest_url=settings.rest_url,
    )

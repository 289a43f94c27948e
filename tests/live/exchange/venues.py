"""A desk over a client of the real ccxt over the fake exchange, without threads; one client a venue for a module."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from live.clock import ManualClock
from live.exchange.ccxt_venue import dialect_of
from live.exchange.outcomes import Venue
from live.exchange.protocol import Place, TimeInForce, VenueEvent
from live.exchange.real_mode import Keys
from live.exchange.rest_client import RestClient
from live.exchange.venue_desk import VenueDesk
from market.symbols import SymbolTable
from tests.fake_exchange import orders
from tests.fake_exchange.server import FakeExchange, running
from tests.live.parts import ROOT

VENUES: tuple[Venue, ...] = ("binance", "bybit")
SYMBOL = SymbolTable.load(ROOT / "data" / "reference" / "symbols.yml")["BTCUSDT"]


class Bench:
    """The fake, a client of it, and a desk that tells into `told`."""

    def __init__(self, venue: Venue, exchange: FakeExchange, client: RestClient) -> None:
        self.venue = venue
        self.exchange = exchange
        self.clock = ManualClock()
        self.told: list[VenueEvent] = []
        exchange.state.orders.clear()
        exchange.state.faults.clear()
        exchange.state.log.clear()
        self.account = orders.desk(exchange.state)
        self.client = client
        self.restart()

    def restart(self) -> None:
        """A desk that knows nothing, over an account that stays."""
        symbol = replace(SYMBOL, venue=self.venue)
        self.desk = VenueDesk(symbol, dialect_of(self.venue), self.client, self.clock, self.told.append)

    def taken(self) -> list[VenueEvent]:
        """What was told since the last call."""
        told, self.told[:] = list(self.told), []
        return told

    def place(self, name: str = "a", side: int = 1, ticks: int = 599_000, lots: int = 10, tif: TimeInForce = "GTX",
              reduce_only: bool = False) -> list[VenueEvent]:  # fmt: skip
        """Send an order and return what was told of it."""
        self.desk.handle(Place(name, "BTCUSDT", side, ticks, lots, tif, reduce_only))
        return self.taken()

    def fault(self, op: str, kind: str, times: int = 1, **details: object) -> None:
        """Queue a fault."""
        self.exchange.state.fault(op, kind, times, **details)

    def order(self, name: str = "a") -> orders.FakeOrder | None:
        """The order as the venue has it."""
        return self.account.find(name)


@contextmanager
def connected(venue: Venue) -> Iterator[tuple[FakeExchange, RestClient]]:
    """A fake exchange and a client of it."""
    with running() as exchange:
        client = RestClient(venue, Keys("key", "secret"), timeout_seconds=5.0, rest_url=exchange.rest_url)
        try:
            yield exchange, client
        finally:
            client.close()

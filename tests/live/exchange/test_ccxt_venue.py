"""A real venue with its threads, against the fake: nothing waits, order is kept, the budget refuses here."""

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

import pytest

from live.clock import ManualClock
from live.errors import NotTradable
from live.exchange.ccxt_venue import CcxtVenue
from live.exchange.outcomes import Venue
from live.exchange.protocol import Accepted, Cancel, Ended, Exchange, Fill, Place, Refused, Survey, Surveyed, VenueEvent
from live.exchange.real_mode import Keys
from market.symbols import SymbolTable
from tests.fake_exchange import orders
from tests.fake_exchange.server import FakeExchange, running
from tests.live.exchange.market import image, mark, trade
from tests.live.exchange.venues import VENUES
from tests.live.parts import ROOT, settings

TABLE = SymbolTable.load(ROOT / "data" / "reference" / "symbols.yml")


class Client:
    """A venue under test; `until` waits for what its threads tell."""

    def __init__(self, venue: Venue, exchange: FakeExchange) -> None:
        self.exchange = exchange
        self.clock = ManualClock()
        self.told: list[VenueEvent] = []
        self._woken = threading.Event()
        rows = {"mode": "real", "venue": venue, "rest_url": exchange.rest_url, "keep_alive_seconds": 0.0}
        knobs = settings({"exchange": rows}).exchange
        symbols = {name: replace(TABLE[name], venue=venue) for name in ("BTCUSDT", "ETHUSDT")}
        self.venue = CcxtVenue(knobs, symbols, Keys("key", "secret"), self.clock, self._woken.set)

    def until(self, holds: Callable[[Sequence[VenueEvent]], bool]) -> list[VenueEvent]:
        """Poll whenever the venue has woken us, until what was told is enough."""
        while True:
            self._woken.clear()
            self.told += self.venue.poll()
            if holds(self.told):
                return self.told
            assert self._woken.wait(20.0), f"nothing came; told so far: {self.told}"


@contextmanager
def _client(venue: Venue) -> Iterator[Client]:
    with running() as exchange:
        client = Client(venue, exchange)
        try:
            yield client
        finally:
            client.venue.close()


def _count(kind: type[VenueEvent], number: int) -> Callable[[Sequence[VenueEvent]], bool]:
    return lambda told: sum(isinstance(each, kind) for each in told) >= number


@pytest.mark.parametrize("venue", VENUES)
def test_an_order_lives_from_place_to_its_last_fill(venue: Venue) -> None:
    """Accepted, filled in part, canceled: found by looking, with no user stream."""
    with _client(venue) as client:
        client.venue.send(Place("a", "BTCUSDT", 1, 599_000, 10, "GTX"))
        client.until(_count(Accepted, 1))
        desk = orders.desk(client.exchange.state)
        order = desk.find("a")
        assert order is not None
        desk.fill(order, "0.004")
        client.clock.advance(seconds=1.5)
        client.until(_count(Fill, 1))
        client.venue.send(Cancel("a", "BTCUSDT"))
        told = client.until(_count(Ended, 1))
        assert [type(each).__name__ for each in told] == ["Accepted", "Fill", "Ended"]


def test_symbols_have_threads_of_their_own_and_each_keeps_its_order() -> None:
    """Thirty orders over two symbols arrive in the order in which they were sent."""
    with _client("binance") as client:
        for number in range(15):
            client.venue.send(Place(f"b{number}", "BTCUSDT", 1, 599_000 - number, 10, "GTX"))
            client.venue.send(Place(f"e{number}", "ETHUSDT", 1, 200_000 - number, 100, "GTX"))
        client.until(_count(Accepted, 30))
        sent = [each["newClientOrderId"] for method, _, each in client.exchange.state.log if method == "POST"]
        assert [each for each in sent if each[0] == "b"] == [f"b{number}" for number in range(15)]
        assert [each for each in sent if each[0] == "e"] == [f"e{number}" for number in range(15)]


def test_a_new_order_without_budget_is_refused_here_and_exits_and_cancels_still_go() -> None:
    """Bybit allows ten a second: seven new ones, then what closes and what cancels."""
    with _client("bybit") as client:
        for number in range(8):
            client.venue.send(Place(f"a{number}", "BTCUSDT", 1, 599_000, 10, "GTX"))
        client.venue.send(Place("exit", "BTCUSDT", -1, 601_000, 10, "GTX", reduce_only=True))
        client.until(_count(Accepted, 8))
        client.venue.send(Cancel("a0", "BTCUSDT"))
        told = client.until(_count(Ended, 1))
        refused = [each for each in told if isinstance(each, Refused)]
        assert [(each.client_id, each.reason) for each in refused] == [("a7", "rate_budget")]
        assert 0 < refused[0].pause_seconds <= 1.0
        assert orders.desk(client.exchange.state).find("a7") is None


def test_a_rate_limit_of_the_venue_closes_the_budget_for_its_pause() -> None:
    """Nothing new goes, and nobody looks, until it is over."""
    with _client("binance") as client:
        client.exchange.state.fault("create", "429", retry_after=5)
        client.venue.send(Place("a", "BTCUSDT", 1, 599_000, 10, "GTX"))
        client.until(_count(Refused, 1))
        client.venue.send(Place("b", "BTCUSDT", 1, 599_000, 10, "GTX"))
        told = client.until(_count(Refused, 2))
        assert [each.reason for each in told if isinstance(each, Refused)] == ["rate_limit", "rate_budget"]
        client.clock.advance(seconds=5.1)
        client.venue.send(Place("c", "BTCUSDT", 1, 599_000, 10, "GTX"))
        client.until(_count(Accepted, 1))
        assert client.exchange.state.asked("/fapi/v1/order") == 2


def test_nobody_looks_while_the_venue_has_told_us_to_stop() -> None:
    """An order stands and the time to look has come: what is asked is the survey's alone."""
    with _client("binance") as client:
        client.venue.send(Place("a", "BTCUSDT", 1, 599_000, 10, "GTX"))
        client.until(_count(Accepted, 1))
        client.exchange.state.fault("create", "429", retry_after=5)
        client.venue.send(Place("b", "BTCUSDT", 1, 599_000, 10, "GTX"))
        client.until(_count(Refused, 1))
        client.clock.advance(seconds=1.5)
        client.venue.poll()
        client.venue.send(Survey("BTCUSDT"))
        client.until(_count(Surveyed, 1))
        assert client.exchange.state.asked("/fapi/v1/openOrders") == 1


def test_a_survey_answers_and_a_foreign_symbol_is_refused() -> None:
    """NotTradable names what is traded."""
    with _client("binance") as client:
        client.venue.send(Survey("BTCUSDT"))
        client.until(_count(Surveyed, 1))
        with pytest.raises(NotTradable, match="BTCUSDT, ETHUSDT"):
            client.venue.send(Survey("XRPUSDT"))


def test_it_is_an_exchange_that_needs_no_market() -> None:
    """Market data passes without effect; keys are in no repr; closing leaves no thread."""
    before = threading.active_count()
    with _client("binance") as client:
        venue: Exchange = client.venue
        venue.on_book(image([(1, 1)], [(2, 1)]))
        venue.on_trade(trade(1, 2, 1))
        venue.on_mark(mark(1.0, 0.0, 0.0))
        venue.void("BTCUSDT")
        assert venue.is_real and venue.name == "binance" and list(venue.poll()) == []
        assert "secret" not in repr(vars(venue))
    assert threading.active_count() == before


def test_bybit_says_at_the_start_that_nothing_cancels_when_we_are_gone() -> None:
    """And is silent where people switched it off, as is Binance, which has such a switch."""
    for venue, seconds, is_told in (("bybit", 30.0, True), ("bybit", 0.0, False), ("binance", 30.0, False)):
        knobs = settings({"exchange": {"mode": "real", "venue": venue, "keep_alive_seconds": seconds}}).exchange
        symbols = {"BTCUSDT": replace(TABLE["BTCUSDT"], venue=venue)}
        made = CcxtVenue(knobs, symbols, Keys("key", "secret"), ManualClock(), lambda: None)
        told = [(each.severity, "no dead-man switch" in each.reason) for each in made.poll()]  # type: ignore[union-attr]
        made.close()
        assert told == ([("WARN", True)] if is_told else [])

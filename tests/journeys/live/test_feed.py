"""A collector's sockets that look well and are not: every symbol has its own clock, and nothing is traded meanwhile."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from bus.codec import decode
from bus.messages import Approval, BookStatus, Report
from bus.publisher import Publisher
from bus.streams import APPROVED, REPORTS, book
from tests.fake_exchange.server import FakeExchange, running
from tests.journeys.live.processes import Process, Site, wait

SYMBOLS = ("BTCUSDT", "ETHUSDT")
SILENCE = {"FEED_SILENCE_SECONDS": "0.6", "FEED_RECONNECT_SECONDS": "0.05", "FEED_RECONNECT_MAX_SECONDS": "0.2"}
VENUE_SPEED = 40
"""The venue's clock, so that a quarter of a second is the ten seconds of market that gates want."""


class Listening:
    """Collector and executor in one process on a loopback exchange whose market is stepped."""

    def __init__(self, place: Site, exchange: FakeExchange, process: Process) -> None:
        self.place, self.exchange, self.process = place, exchange, process
        self.scorer = Publisher(place.bus, "ai_scorer", time.time_ns)
        self.spoken: tuple[str, ...] = SYMBOLS
        self._steps = 0

    def play(self, holds: Callable[[], bool], what: str) -> None:
        """Step the market of the symbols that speak until something holds."""

        def stepped() -> bool:
            assert self.process.is_running, self.process.text()[-3_000:]
            self._steps += 1
            for symbol in self.spoken:
                self.exchange.step(symbol, bids=[("99.9", f"{40 + self._steps % 5}.000")])
                self.exchange.mark(symbol, "100.0")
            return holds()

        wait(stepped, what)

    def states(self, symbol: str) -> list[str]:
        """Every state the collector said a symbol to be in."""
        bodies = [decode(entry).body for entry in self.place.bus.recent(book(symbol), 100_000)]
        return [body.state for body in bodies if isinstance(body, BookStatus)]

    def state(self, symbol: str) -> str:
        """The newest of them."""
        return (self.states(symbol) or ["unknown"])[-1]

    def fate(self, symbol: str) -> str:
        """What becomes of an approval of now: the gate that drops it, or `acted`."""
        now = time.time_ns()
        key = f"{symbol}-{now}"
        leave = Approval(key, key, symbol, 1, "paper", "m", 1, 0.6, 0.5, now, now, now + 60_000_000_000, 999, 1001,
                         0.01, 0.01, 1_000_000_000)  # fmt: skip
        self.scorer.publish(APPROVED, leave, message_id=key)
        self.scorer.flush()
        self.play(lambda: self._told(key) != [], "word of it")
        first = self._told(key)[0]
        return first.reason if first.kind == "dropped" else "acted"

    def is_acted_on(self, symbol: str) -> bool:
        """Whether an approval of now is acted on."""
        return self.fate(symbol) == "acted"

    def _told(self, key: str) -> list[Report]:
        bodies = [decode(entry).body for entry in self.place.bus.recent(REPORTS, 10_000)]
        return [body for body in bodies if isinstance(body, Report) and body.approval_id == key]


@contextmanager
def listening(place: Site) -> Iterator[Listening]:
    """A collector whose books are live, and an executor that acts on approvals of both symbols."""
    began = time.time_ns()

    def now_ms() -> int:
        return (began + (time.time_ns() - began) * VENUE_SPEED) // 1_000_000

    with running(SYMBOLS, now_ms) as exchange:
        for symbol in SYMBOLS:
            exchange.step(symbol, [("100.0", "50.000"), ("99.9", "50.000")], [("100.1", "50.000"), ("100.2", "50.000")])
        process = place.start(
            "collector", "executor", MARKET_SYMBOLS=",".join(SYMBOLS), FEED_KIND="binance",
            FEED_WS_URL=exchange.ws_url, FEED_REST_URL=exchange.rest_url, GATES_MAX_SPREAD_BPS="50", **SILENCE,
        )  # fmt: skip
        found = Listening(place, exchange, process)
        found.play(lambda: place.is_ready(process), "the services")
        for symbol in SYMBOLS:
            found.play(lambda symbol=symbol: found.is_acted_on(symbol), "an approval acted on")  # type: ignore[misc]
        yield found
        assert process.end() == 0, process.text()[-3_000:]


def test_a_socket_that_is_half_open(place: Site) -> None:
    """Fault 11: nothing comes and nothing is closed. Stale within the time, a new socket, and no order in between."""
    with listening(place) as found:
        before = len(found.states("BTCUSDT"))
        opened = found.exchange.state.opened
        found.exchange.state.fault("connect", "refused", times=30)
        found.exchange.mute("all")
        found.play(lambda: "stale" in found.states("BTCUSDT")[before:], "the alarm")
        assert found.fate("BTCUSDT") in ("warmup", "stale_book")
        assert found.fate("ETHUSDT") in ("warmup", "stale_book")
        found.exchange.state.faults.clear()
        found.play(lambda: {found.state(symbol) for symbol in SYMBOLS} == {"live"}, "books that are live again")
        assert found.exchange.state.opened > opened
        found.play(lambda: found.is_acted_on("BTCUSDT"), "an approval acted on")


def test_a_venue_that_only_pongs(place: Site) -> None:
    """Fault 12: the socket answers every ping and says nothing of the market: the age of the data is the alarm."""
    with listening(place) as found:
        before = len(found.states("BTCUSDT"))
        found.exchange.state.fault("connect", "refused", times=30)
        found.exchange.mute("data")
        found.play(lambda: "stale" in found.states("BTCUSDT")[before:], "the alarm")
        assert found.fate("BTCUSDT") in ("warmup", "stale_book")
        found.exchange.state.faults.clear()
        found.play(lambda: {found.state(symbol) for symbol in SYMBOLS} == {"live"}, "books that are live again")
        assert found.place.scrape(found.process).total("book_resyncs_total", symbol="BTCUSDT") >= 2


def test_one_symbol_that_is_silent(place: Site) -> None:
    """Faults 11 and 12: its socket is busy with another symbol, which trades on."""
    with listening(place) as found:
        others = found.states("ETHUSDT")
        found.spoken = ("ETHUSDT",)
        before = len(found.states("BTCUSDT"))
        found.play(lambda: "stale" in found.states("BTCUSDT")[before:], "the alarm")
        assert found.fate("BTCUSDT") in ("warmup", "stale_book")
        assert found.is_acted_on("ETHUSDT")
        assert found.states("ETHUSDT") == others
        found.spoken = SYMBOLS
        found.play(lambda: found.state("BTCUSDT") == "live", "a book that is live again")
        found.play(lambda: found.is_acted_on("BTCUSDT"), "an approval acted on")

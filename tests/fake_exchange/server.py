"""A loopback exchange for tests: Binance USD-M and Bybit v5 linear, REST and websockets, with a queue of faults.

    with running() as exchange:
        ... exchange.rest_url, exchange.ws_url, exchange.state.fault("depth", "429")
        exchange.step("BTCUSDT", bids=[("100.0", "2")])

It has a thread and a loop of its own, a free port, and no clock: times come from `now_ms`.
"""

import asyncio
import importlib.util
import threading
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from aiohttp import web

from tests.fake_exchange import market_data
from tests.fake_exchange.market_data import STATE
from tests.fake_exchange.state import FakeBook, State

T = TypeVar("T")
Changes = list[tuple[str, str]]

_PATIENCE_SECONDS = 10.0


class FakeExchange:
    """The exchange, as a test drives it. Every method returns when the server has done it."""

    def __init__(self, state: State) -> None:
        self.state = state
        self.port = 0
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="fake exchange", daemon=True)
        self._runner: web.AppRunner | None = None

    @property
    def rest_url(self) -> str:
        """Where REST is."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def ws_url(self) -> str:
        """Where the websockets are."""
        return f"ws://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Listen on a free port."""
        self._thread.start()
        self.call(self._serve())

    def stop(self) -> None:
        """Cut every connection and end."""
        self.cut()
        if self._runner is not None:
            self.call(self._runner.cleanup())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(_PATIENCE_SECONDS)
        self._loop.close()

    def call(self, work: Coroutine[Any, Any, T]) -> T:
        """Do something in the server's thread."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(_PATIENCE_SECONDS)

    def step(self, symbol: str, bids: Changes | None = None, asks: Changes | None = None) -> None:
        """Change a book and tell of it."""
        self.call(market_data.step(self.state, symbol, bids or [], asks or []))

    def trade(self, symbol: str, price: str = "100.0", size: str = "1.000", *, lose: bool = False) -> None:
        """Print a trade."""
        self.call(market_data.trade(self.state, symbol, price, size, lose=lose))

    def mark(self, symbol: str, price: str) -> None:
        """Tell a mark price."""
        self.call(market_data.mark(self.state, symbol, price))

    def publish(self, topic: str, payload: str) -> None:
        """Send a payload of the test's own to whoever has the topic."""
        self.call(market_data.publish(self.state, topic, payload))

    def cut(self) -> None:
        """End every websocket without a word."""

        async def abort() -> None:
            for socket in self.state.live_sockets():
                if socket.request.transport is not None:
                    socket.request.transport.abort()

        self.call(abort())

    def mute(self, kind: str) -> None:
        """Make the websockets that stand half open (`all`), or leave them their pongs (`data`)."""

        async def silence() -> None:
            for socket in self.state.live_sockets():
                socket.mute = kind

        self.call(silence())

    def subscribed(self, topic: str) -> int:
        """How many websockets that stand and speak have a topic."""
        return sum(topic in socket.topics and not socket.mute for socket in self.state.live_sockets())

    async def _serve(self) -> None:
        app = web.Application()
        app[STATE] = self.state
        app.add_routes(market_data.routes())
        # The order side is a module of its own, made by others.
        if importlib.util.find_spec("tests.fake_exchange.orders"):
            app.add_routes(importlib.import_module("tests.fake_exchange.orders").routes(self.state))
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.port = self._runner.addresses[0][1]


@contextmanager
def running(
    symbols: tuple[str, ...] = ("BTCUSDT", "ETHUSDT"), now_ms: Callable[[], int] = lambda: 1_767_787_200_000
) -> Iterator[FakeExchange]:
    """Run an exchange that lists these symbols, each with a book around 100."""
    books = {
        name: FakeBook(name, {"100.0": "1.000", "99.9": "2.000"}, {"100.1": "1.000", "100.2": "2.000"})
        for name in symbols
    }
    exchange = FakeExchange(State(now_ms, books))
    exchange.start()
    try:
        yield exchange
    finally:
        exchange.stop()

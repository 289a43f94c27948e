"""A collector with real sockets on the fake exchange, pumped by the test: no sleeping, time turned by hand."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from bus.messages import BookImage, BookStatus
from live.clock import ManualClock
from live.collector import Collector
from tests.fake_exchange.server import FakeExchange, running
from tests.live.parts import RecordingOutput, parts

_ROUNDS = 3_000


class Listener:
    """The collector, its exchange, and what it said."""

    def __init__(
        self, tmp_path: Path, exchange: FakeExchange, kind: str, symbols: tuple[str, ...], knobs: Mapping[str, Any]
    ) -> None:
        self.exchange = exchange
        self.woken = threading.Event()
        urls = {"kind": kind, "ws_url": exchange.ws_url, "rest_url": exchange.rest_url}
        self.parts = replace(parts(tmp_path, {"feed": {**urls, **knobs}}, symbols), wake=self.woken.set)
        assert isinstance(self.parts.clock, ManualClock)
        assert isinstance(self.parts.out, RecordingOutput)
        self.clock, self.out = self.parts.clock, self.parts.out
        self.collector = Collector(self.parts)
        self.collector.start()

    def until(self, holds: Callable[[], bool], turn_seconds: float = 0.0) -> None:
        """Tick until something holds, waiting for the sockets in between; each round may turn the clock."""
        for _ in range(_ROUNDS):
            self.collector.tick()
            if holds():
                return
            self.woken.wait(0.005)
            self.woken.clear()
            self.clock.advance(seconds=turn_seconds)
        raise AssertionError(f"never came: {self.collector.status()}, {self.states()}")

    def pass_time(self, seconds: float) -> None:
        """Turn the clock and look."""
        self.clock.advance(seconds=seconds)
        self.collector.tick()

    def states(self, symbol: str = "BTCUSDT") -> list[tuple[str, str]]:
        """Every state a symbol was told to be in."""
        return [(each.state, each.reason) for each in self.out.of(BookStatus) if each.symbol == symbol]

    def live(self, symbol: str = "BTCUSDT") -> bool:
        """Whether the symbol's book is live."""
        return self.states(symbol)[-1][0] == "live"

    def images(self, symbol: str = "BTCUSDT") -> list[BookImage]:
        """Every image of a symbol."""
        return [each for each in self.out.of(BookImage) if each.symbol == symbol]

    def book(self, symbol: str = "BTCUSDT") -> tuple[dict[int, int], dict[int, int]]:
        """The newest image's sizes by price, both sides."""
        image = self.images(symbol)[-1]
        bids = {p: q for p, q in zip(image.bid_ticks, image.bid_lots, strict=True) if q}
        return bids, {p: q for p, q in zip(image.ask_ticks, image.ask_lots, strict=True) if q}

    def refused(self, reason: str) -> float:
        """How many frames were refused for a reason."""
        counter = self.parts.metrics.market_frames_refused_total
        venue = self.parts.settings.feed.kind
        return float(counter.labels(venue, reason)._value.get())

    def reconnects(self) -> Mapping[str, int]:
        """How often lines were opened anew, by reason."""
        found: Mapping[str, int] = self.collector.status()["reconnects"]
        return found


@contextmanager
def listening(
    tmp_path: Path, kind: str = "binance", symbols: tuple[str, ...] = ("BTCUSDT", "ETHUSDT"), **knobs: Any
) -> Iterator[Listener]:
    """A collector of these symbols on a fake exchange that lists BTCUSDT and ETHUSDT, nothing joined yet."""
    with running() as exchange:
        listener = Listener(tmp_path, exchange, kind, symbols, knobs)
        try:
            yield listener
        finally:
            listener.collector.stop()


def truth(exchange: FakeExchange, symbol: str = "BTCUSDT") -> tuple[dict[int, int], dict[int, int]]:
    """The exchange's own book in ticks of 0.1 and lots of 0.001 (0.01 for ETHUSDT)."""
    book, scale = exchange.state.books[symbol], 100 if symbol == "ETHUSDT" else 10
    bids, asks = (
        {round(float(p) * scale): round(float(q) * 1_000) for p, q in side.items()} for side in (book.bids, book.asks)
    )
    return bids, asks

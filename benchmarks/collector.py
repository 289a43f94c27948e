"""The collector on one core: a recorded USD-M market from its file to the messages that are published.

The whole way is `Collector.tick` over the recording: lines of the file, JSON, events in ticks and lots, the sequence
check and the book, the venue's own touch against ours, images and prints. Its parts are measured alone over the same
frames. The peer is decoding the JSON alone, which no reader of these frames can do without. Run with
`python -m benchmarks.collector`.
"""

import os
import random
import tempfile
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import structlog

from benchmarks.rows import fact, row, show
from benchmarks.timing import measure
from bus.messages import BookImage, BookStatus, MarketTrade, Message
from live.backoff import Backoff
from live.book_keeper import BookKeeper
from live.collector import Collector
from live.exchange.binance import Binance
from live.exchange.venue import Event
from live.feed import Frame
from live.replay import capture_frames
from market.book import OrderBook
from market.events import BookDelta, BookSnapshot, BookTicker, Trade
from market.sequence import SequenceRule
from market.symbols import Symbol, SymbolTable
from tests.live.parts import ROOT, parts

ROUNDS = 5
WANTED = 20_000
RULE = SequenceRule.BINANCE_FUTURES


def recording() -> Path:
    """Where the recorded evening lies; it need not be there."""
    return Path(os.environ.get("TIDEGATE_RECORDED", ROOT.parent / "shared/data")) / "binance_ws" / "usdm"


def run() -> list[dict[str, Any]]:
    """Return the rows {name, value, unit, ratio, goal, holds}; a ratio is against the CPU of decoding JSON."""
    path = recording()
    if not path.exists():
        raise ModuleNotFoundError(name=f"the recording {path}")
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
    symbol = SymbolTable.load(ROOT / "data" / "reference" / "symbols.yml")["BTCUSDT"]
    frames = list(capture_frames(path, [symbol]))
    events = list(_read(symbol, frames))
    books = [event for event in events if isinstance(event, BookDelta | BookSnapshot)]
    with tempfile.TemporaryDirectory() as folder:
        work: dict[str, Callable[[], object]] = {
            "whole": lambda: _whole(Path(folder), path),
            "read": lambda: deque(_read(symbol, frames), 0),
            "keep": lambda: _kept(symbol, events),
            "book": lambda: _booked(symbol, books),
            "json": lambda: _decoded(frames),
        }
        seconds = measure(work, ROUNDS)
        published, collector = _whole(Path(folder), path)
    shown = collector.status()["books"][symbol.name]
    parts_named = {
        "read": "JSON into events in ticks and lots",
        "keep": "events through checks and book into messages",
        "book": "of that, the order book alone",
        "json": "decoding the JSON alone",
    }
    return [
        row("collector: frames of a recorded evening, one core", len(frames) / seconds["whole"] / 1e3, "k fr/s",
            ratio=len(frames) / seconds["whole"] / WANTED, least=1.0),
        row("collector: events published (books and prints)", published / seconds["whole"] / 1e3, "k ev/s"),
        row("collector: CPU a frame", seconds["whole"] / len(frames) * 1e6, "us",
            ratio=seconds["whole"] / seconds["json"]),
        *(row(f"collector: {name}", seconds[each] / len(frames) * 1e6, "us", ratio=seconds[each] / seconds["json"])
          for each, name in parts_named.items()),
        row("collector: a book update and its image", seconds["book"] / len(books) * 1e6, "us"),
        fact("collector: books that differ from bookTicker", shown["ticker_mismatched"], "", wanted=0),
        fact("collector: books that were compared with it", shown["ticker_checked"], ""),
    ]  # fmt: skip


class _Counting:
    """An output that keeps nothing, as the bus does not."""

    def __init__(self) -> None:
        self.market = 0

    def publish(self, stream: str, body: Message, **header: Any) -> None:  # noqa: ARG002 - nothing is kept
        self.market += isinstance(body, (BookImage, MarketTrade))


def _whole(folder: Path, path: Path) -> tuple[int, Collector]:
    out = _Counting()
    made = replace(parts(folder, {"feed": {"kind": "capture", "path": str(path), "speed": 0}}), out=out)
    collector = Collector(made)
    collector.start()
    while not collector.status()["finished"]:
        collector.tick()
    return out.market, collector


def _read(symbol: Symbol, frames: list[Frame]) -> Iterator[Event]:
    venue = Binance([symbol])
    return (event for frame in frames for event in venue.read(frame))


def _kept(symbol: Symbol, events: list[Event]) -> int:
    said: deque[BookImage | BookStatus | MarketTrade] = deque(maxlen=1)
    asked: list[str] = []
    backoff = Backoff(0.25, 30.0, random.Random(1))
    keeper = BookKeeper(symbol, RULE, said.append, asked.append, backoff, answer_ns=10**10, steady_ns=10**10)
    for event in events:
        if isinstance(event, BookDelta | BookSnapshot):
            keeper.on_book(event, 0)
        elif isinstance(event, BookTicker):
            keeper.on_ticker(event, 0)
        elif isinstance(event, Trade):
            keeper.on_trade(event, 0)
    return len(said)


def _booked(symbol: Symbol, books: list[BookDelta | BookSnapshot]) -> None:
    book = OrderBook(symbol, RULE)
    for event in books:
        book.apply(event)


def _decoded(frames: list[Frame]) -> None:
    for frame in frames:
        msgspec.json.decode(frame.payload)


if __name__ == "__main__":
    show(run())

"""Books rebuilt from recorded Binance sockets against the best bid and offer that the venue sent beside them.

bookTicker is sent for every change of the best prices, so the book after update `u` must show what the latest ticker
at or before `u` said, price and size, on both sides.
"""

import gzip
import json
from bisect import bisect_right
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from market.book import BookState, OrderBook
from market.events import BookDelta, BookSnapshot
from market.sequence import SequenceRule
from market.symbols import Symbol, SymbolTable
from market.wire import binance_depth, binance_payload, binance_snapshot, binance_ticker, binance_trade
from tests import recorded

TABLE = SymbolTable.load(Path(__file__).parents[2] / "data" / "reference" / "symbols.yml")
Best = tuple[int, int, int, int]


class _Capture:
    """One recording, in the order of its lines."""

    def __init__(self, symbol: Symbol, *names: str) -> None:
        self.books: list[BookDelta | BookSnapshot] = []
        self.tickers: dict[int, Best] = {}
        self.trade_ids: list[int] = []
        for local_ns, payload in _lines(*names):
            if "lastUpdateId" in payload:
                self.books.append(binance_snapshot(payload, symbol, local_ns))
            elif payload.get("e") == "depthUpdate":
                self.books.append(binance_depth(payload, symbol, local_ns))
            elif payload.get("e") == "trade":
                trade = binance_trade(payload, symbol, local_ns)
                self.trade_ids += [trade.trade_id] if trade else []
            else:
                best = binance_ticker(payload, symbol, local_ns)
                self.tickers[best.sequence] = (best.bid_ticks, best.bid_lots, best.ask_ticks, best.ask_lots)


def _lines(*names: str) -> Iterator[tuple[int, dict[str, Any]]]:
    for name in names:
        with gzip.open(recorded.path("binance_ws", name), "rt", encoding="utf-8") as lines:
            for line in lines:
                local_ns, _, frame = line.partition(" ")
                yield int(local_ns), dict(binance_payload(json.loads(frame)))


def _rebuild(book: OrderBook, events: list[BookDelta | BookSnapshot]) -> dict[int, Best]:
    """Best prices by the id the book was at after each event that left it LIVE."""
    found: dict[int, Best] = {}
    for event in events:
        if book.apply(event) is BookState.LIVE:
            found[book.sequence] = book.best()
    return found


def _compare_latest(books: dict[int, Best], tickers: dict[int, Best]) -> tuple[int, list[int]]:
    """How many updates have a ticker at or before them, and the ids of those that show another best."""
    ids = sorted(tickers)
    compared = [(u, ids[bisect_right(ids, u) - 1]) for u in books if u >= ids[0]]
    return len(compared), [u for u, ticker in compared if books[u] != tickers[ticker]]


@pytest.mark.slow
def test_the_usdm_book_is_the_tickers_on_every_update() -> None:
    """All 6,547 updates behind the snapshot, both sides, price and size; trade ids are contiguous."""
    symbol = TABLE["BTCUSDT"]
    capture = _Capture(symbol, "usdm/btcusdt_20240808.gz")
    book = OrderBook(symbol, SequenceRule.BINANCE_FUTURES)
    arrived = _rebuild(book, capture.books)
    assert (book.counts.stale, book.counts.gaps, book.counts.snapshots_too_old) == (4, 0, 0)
    # Two of the updates were waiting when the snapshot came; given the snapshot first, each can be looked at.
    snapshot_first = sorted(capture.books, key=lambda event: isinstance(event, BookDelta))
    books = _rebuild(OrderBook(symbol, SequenceRule.BINANCE_FUTURES), snapshot_first)
    assert arrived.items() <= books.items()
    assert _compare_latest(books, capture.tickers) == (6_547, [])
    same_id = books.keys() & capture.tickers.keys()
    assert len(same_id) > 600
    assert all(books[u] == capture.tickers[u] for u in same_id)
    assert capture.trade_ids == list(range(capture.trade_ids[0], capture.trade_ids[0] + 21_313))


@pytest.mark.slow
def test_the_coinm_book_is_carried_over_midnight() -> None:
    """The second day has no snapshot: its first update joins the last of the first day; all agree with the ticker."""
    symbol = TABLE["BTCUSD_PERP"]
    first = _Capture(symbol, "cm/btcusd_perp_20240808.gz")
    second = _Capture(symbol, "cm/btcusd_perp_20240809.gz")
    book = OrderBook(symbol, SequenceRule.BINANCE_FUTURES)
    before = _rebuild(book, first.books)
    after = _rebuild(book, second.books)
    assert not any(isinstance(event, BookSnapshot) for event in second.books)
    assert len(after) == len(second.books)
    assert (book.state, book.counts.gaps) == (BookState.LIVE, 0)
    books, tickers = before | after, first.tickers | second.tickers
    assert _compare_latest(books, tickers) == (44_771, [])
    same_id = books.keys() & tickers.keys()
    assert len(same_id) > 1_800
    assert all(books[u] == tickers[u] for u in same_id)


@pytest.mark.slow
def test_the_spot_book_is_the_ticker_wherever_both_have_the_same_id() -> None:
    """Contiguous over midnight; at every id both streams sent, the best prices and sizes are equal.

    Spot sends no ticker for some changes (two of 6,493 updates show one that no ticker told), so only shared ids bind.
    """
    symbol = TABLE["BTCUSDT-SPOT"]
    capture = _Capture(symbol, "spot/btcusdt_20240808.gz", "spot/btcusdt_20240809.gz")
    book = OrderBook(symbol, SequenceRule.BINANCE_SPOT)
    books = _rebuild(book, capture.books)
    assert (book.state, book.counts.gaps, book.counts.stale) == (BookState.LIVE, 0, 2)
    same_id = books.keys() & capture.tickers.keys()
    assert len(same_id) > 1_000
    assert all(books[u] == capture.tickers[u] for u in same_id)
    compared, different = _compare_latest(books, capture.tickers)
    assert (compared, len(different)) == (6_493, 2)


@pytest.mark.slow
def test_a_day_without_its_snapshot_stays_syncing_and_loses_nothing_it_could_use() -> None:
    """The second COIN-M file alone is never LIVE: the book waits for a snapshot and keeps its newest updates."""
    symbol = TABLE["BTCUSD_PERP"]
    events = _Capture(symbol, "cm/btcusd_perp_20240809.gz").books
    book = OrderBook(symbol, SequenceRule.BINANCE_FUTURES, buffer_limit=1_000)
    assert _rebuild(book, events) == {}
    assert (book.state, book.needs_snapshot) == (BookState.SYNCING, True)
    assert book.counts.discarded == len(events) - 1_000

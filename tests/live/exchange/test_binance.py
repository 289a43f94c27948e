import json
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import pytest

from bus.messages import BookImage, MarketTrade, MarkPrice
from live.errors import FeedRefused, FrameRefused, OffGrid, SubscriptionRefused
from live.exchange.binance import Binance
from live.exchange.venue import Delisted, Mark, NotMarket
from live.feed import Frame
from market.columns import BOOK_RESET
from market.events import BookDelta, BookSnapshot, BookTicker, Trade
from market.symbols import SymbolTable
from tests.live.exchange.listening import Listener, listening, truth
from tests.live.parts import ROOT

TABLE = SymbolTable.load(ROOT / "data" / "reference" / "symbols.yml")


def venue() -> Binance:
    """The venue of two symbols."""
    return Binance([TABLE["BTCUSDT"], TABLE["ETHUSDT"]])


def frame(payload: Any, symbol: str = "") -> Frame:
    """A frame of a payload."""
    return Frame(7, msgspec.json.encode(payload), symbol)


def join(listener: Listener, *symbols: str) -> None:
    """Bring books to life."""
    exchange = listener.exchange
    listener.until(lambda: exchange.subscribed("btcusdt@depth@100ms") == 1)

    def stepped(symbol: str) -> bool:
        exchange.step(symbol, bids=[("99.8", "1")])
        return listener.live(symbol)

    for symbol in symbols or ("BTCUSDT", "ETHUSDT"):
        listener.until(partial(stepped, symbol))
        last = exchange.state.books[symbol].u
        listener.until(lambda symbol=symbol, last=last: listener.images(symbol)[-1].sequence == last)  # type: ignore[misc]
        assert listener.book(symbol) == truth(exchange, symbol)


def test_every_symbol_has_its_streams_on_the_right_path() -> None:
    """Books, tickers and prints on /public, mark prices on /market; fifty symbols a socket."""
    public, market = venue().lines()
    assert public.url == (
        "wss://fstream.binance.com/public/stream?streams=btcusdt@depth@100ms/btcusdt@bookTicker/btcusdt@trade/"
        "ethusdt@depth@100ms/ethusdt@bookTicker/ethusdt@trade"
    )
    assert market.url.endswith("/market/stream?streams=btcusdt@markPrice@1s/ethusdt@markPrice@1s/!contractInfo")
    assert (public.has_books, market.has_books) == (True, False)
    assert venue().snapshot_url("ETHUSDT") == "https://fapi.binance.com/fapi/v1/depth?symbol=ETHUSDT&limit=1000"
    leave, enter = (json.loads(text) for text in venue().anew("BTCUSDT"))
    assert (leave["method"], enter["method"]) == ("UNSUBSCRIBE", "SUBSCRIBE")
    assert enter["params"] == ["btcusdt@depth@100ms", "btcusdt@bookTicker", "btcusdt@trade"]


def test_two_symbols_of_one_name_are_refused() -> None:
    """BTCUSDT is a perpetual and a spot pair: their frames could not be told apart."""
    with pytest.raises(FeedRefused, match="BTCUSDT-SPOT"):
        Binance([TABLE["BTCUSDT"], TABLE["BTCUSDT-SPOT"]])


@pytest.mark.parametrize(
    ("payload", "kind"),
    [
        ({"e": "depthUpdate", "E": 1, "T": 1, "s": "BTCUSDT", "U": 1, "u": 2, "pu": 0, "b": [], "a": []}, BookDelta),
        ({"e": "bookTicker", "u": 1, "s": "BTCUSDT", "b": "1.0", "B": "1", "a": "1.1", "A": "1", "T": 1}, BookTicker),
        ({"e": "aggTrade", "E": 1, "s": "BTCUSDT", "a": 1, "p": "1.0", "q": "1", "T": 1, "m": False}, Trade),
        ({"e": "trade", "E": 1, "s": "ETHUSDT", "t": 1, "p": "1", "q": "1", "T": 1, "X": "NA", "m": False}, NotMarket),
        ({"e": "markPriceUpdate", "E": 1, "s": "BTCUSDT", "p": "1.05", "i": "1", "P": "1", "r": "", "T": 0}, Mark),
        ({"e": "contractInfo", "s": "BTCUSDT", "cs": "CLOSE"}, Delisted),
        ({"lastUpdateId": 1, "E": 1, "T": 1, "bids": [], "asks": [], "symbol": "BTCUSDT"}, BookSnapshot),
    ],
)  # fmt: skip
def test_frames_are_read_bare_and_wrapped(payload: dict[str, Any], kind: type) -> None:
    """Each into its event."""
    for each in (payload, {"stream": "x", "data": payload}):
        (event,) = venue().read(frame(each))
        assert isinstance(event, kind)
        assert event.symbol == payload.get("s", "BTCUSDT")


def test_the_first_kind_of_prints_seen_is_the_one_that_counts() -> None:
    """trade and aggTrade tell the same."""
    one = venue()
    agg = {"e": "aggTrade", "E": 1, "s": "BTCUSDT", "a": 1, "p": "1.0", "q": "1", "T": 1, "m": False}
    print_ = {"e": "trade", "E": 1, "s": "BTCUSDT", "t": 1, "p": "1.0", "q": "1", "T": 1, "X": "MARKET", "m": False}
    assert len(one.read(frame(print_))) == 1
    assert one.read(frame(agg)) == ()


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        ({"e": "depthUpdate", "s": "BTCUSDT", "U": 1, "u": 2}, "malformed"),
        ({"e": "depthUpdate", "E": 1, "T": 1, "s": "BTCUSDT", "U": 9, "u": 2, "pu": 0, "b": [], "a": []}, "malformed"),
        ({"e": "markPriceUpdate", "E": 1, "s": "BTCUSDT", "p": "NaN", "r": "0", "T": 0}, "malformed"),
        ({"e": "trade", "s": "DOGEUSDT"}, "foreign"),
        ({"lastUpdateId": 3}, "foreign"),
        ({"e": ["list"]}, "unknown"),
        ({"x": 1}, "unknown"),
        ({"data": 5}, "malformed"),
        ({"error": {"code": 2, "msg": "Invalid request"}, "id": 1}, "subscription"),
    ],
)
def test_what_cannot_be_read_says_why(payload: dict[str, Any], reason: str) -> None:
    """The reason is the metric's label."""
    with pytest.raises(FrameRefused) as caught:
        venue().read(frame(payload))
    assert caught.value.reason == reason
    assert isinstance(caught.value, SubscriptionRefused) is (reason == "subscription")


def test_a_price_between_the_ticks_names_its_symbol() -> None:
    """And a size between the lots."""
    for level in (["1.05", "1"], ["1.0", "0.0005"]):
        payload = {"e": "depthUpdate", "E": 1, "T": 1, "s": "BTCUSDT", "U": 1, "u": 2, "pu": 0, "b": [level], "a": []}
        with pytest.raises(OffGrid) as caught:
            venue().read(frame(payload))
        assert caught.value.symbol == "BTCUSDT"


def test_books_prints_and_marks_come_over_real_sockets(tmp_path: Path) -> None:
    """Joined with the REST snapshot; equal to the exchange's own book."""
    with listening(tmp_path) as listener:
        join(listener)
        exchange = listener.exchange
        for k in range(20):
            exchange.step("BTCUSDT", bids=[("99.9", f"{k + 1}")], asks=[("100.1", f"{k + 2}")])
            exchange.trade("BTCUSDT")
        exchange.mark("ETHUSDT", "100.057")
        listener.until(lambda: bool(listener.out.of(MarkPrice)) and len(listener.out.of(MarketTrade)) == 20)
        listener.until(lambda: listener.book() == truth(exchange))
        books = listener.collector.status()["books"]
        assert books["BTCUSDT"]["ticker_checked"] >= 20
        assert books["BTCUSDT"]["ticker_mismatched"] == books["BTCUSDT"]["gaps"] == 0
        assert listener.out.of(MarkPrice)[0].price == 100.057


def test_a_lost_frame_is_a_gap_of_one_symbol_and_mended(tmp_path: Path) -> None:
    """The other symbol stays live; the book is the exchange's again."""
    with listening(tmp_path, silence_seconds=600.0) as listener:
        join(listener)
        exchange = listener.exchange
        listener.pass_time(31)
        exchange.state.fault("step", "lose")
        for k in range(4):
            exchange.step("BTCUSDT", bids=[("99.9", f"{k + 5}")])
        listener.until(lambda: ("gap", "gap") in listener.states())
        listener.until(lambda: listener.live() and listener.book() == truth(exchange))
        assert [state for state, _ in listener.states("ETHUSDT")] == ["syncing", "live"]
        assert listener.images()[-1].sequence == exchange.state.books["BTCUSDT"].u


@pytest.mark.parametrize("kind", ["hold", "garble"])
def test_swapped_and_torn_frames_are_gaps(tmp_path: Path, kind: str) -> None:
    """Neither is passed over: the numbers show it."""
    with listening(tmp_path) as listener:
        join(listener)
        listener.exchange.state.fault("step", kind)
        for k in range(3):
            listener.exchange.step("BTCUSDT", bids=[("99.9", f"{k + 5}")])
        listener.until(lambda: ("gap", "gap") in listener.states())
        listener.until(lambda: listener.live() and listener.book() == truth(listener.exchange), turn_seconds=0.1)
        assert listener.refused("malformed") == (kind == "garble")


@pytest.mark.parametrize(
    ("kind", "reason"),
    [("429", "http_429"), ("503", "http_503"), ("cut", "http_0"), ("old", "snapshot_too_old")],
)
def test_a_snapshot_that_fails_is_fetched_again_later(tmp_path: Path, kind: str, reason: str) -> None:
    """The symbol is not live meanwhile; the reason is counted."""
    with listening(tmp_path, symbols=("BTCUSDT",)) as listener:
        exchange = listener.exchange
        exchange.state.fault("depth", kind, times=2)
        listener.until(lambda: exchange.subscribed("btcusdt@depth@100ms") == 1)
        exchange.step("BTCUSDT", bids=[("99.0", "1")])
        exchange.step("BTCUSDT", bids=[("98.9", "1")])
        listener.until(lambda: exchange.state.asked("/fapi/v1/depth") == 1)
        assert not listener.live()

        def stepped() -> bool:
            exchange.step("BTCUSDT", bids=[("98.9", "2")])
            return listener.live()

        listener.until(stepped, turn_seconds=0.2)
        assert exchange.state.asked("/fapi/v1/depth") >= 3
        asked = listener.parts.metrics.book_resyncs_total.labels("BTCUSDT", reason)
        assert asked._value.get() == 2
        assert listener.book() == truth(exchange)


def test_a_symbol_the_venue_does_not_know_halts(tmp_path: Path) -> None:
    """Delisted: the snapshot says so."""
    with listening(tmp_path, symbols=("BTCUSDT",)) as listener:
        listener.until(lambda: listener.exchange.subscribed("btcusdt@depth@100ms") == 1)
        book = listener.exchange.state.books.pop("BTCUSDT")
        listener.exchange.state.books["BTCUSDT_OLD"] = book
        delta = {"e": "depthUpdate", "E": 1, "T": 1, "s": "BTCUSDT", "U": 1, "u": 2, "pu": 0, "b": [], "a": []}
        listener.exchange.publish("btcusdt@depth@100ms", json.dumps(delta))
        listener.until(lambda: listener.states()[-1] == ("halted", "delisted"))


def test_a_cut_is_stale_at_once_and_reconnected(tmp_path: Path) -> None:
    """The first try is immediate; what was missed is a gap, then the book is whole again."""
    with listening(tmp_path) as listener:
        join(listener)
        exchange = listener.exchange
        exchange.state.fault("connect", "503", times=2)
        exchange.cut()
        listener.until(lambda: ("stale", "disconnected") in listener.states())
        assert ("stale", "disconnected") in listener.states("ETHUSDT")
        listener.until(lambda: not exchange.state.faults)
        exchange.step("BTCUSDT", bids=[("99.9", "9")])
        listener.until(lambda: exchange.subscribed("btcusdt@depth@100ms") == 1, turn_seconds=0.1)
        exchange.step("BTCUSDT", bids=[("99.9", "8")])
        listener.until(lambda: listener.live() and listener.book() == truth(exchange), turn_seconds=0.1)
        assert listener.reconnects()["cut"] >= 1
        assert ("gap", "gap") in listener.states()
        assert [image.flags for image in listener.images()].count(BOOK_RESET) == 2


@pytest.mark.parametrize("kind", ["all", "data"])
def test_a_half_open_socket_is_found_by_silence(tmp_path: Path, kind: str) -> None:
    """Nothing comes, or pongs alone: stale after the knob's seconds, then a new socket."""
    with listening(tmp_path, silence_seconds=5.0) as listener:
        join(listener)
        exchange = listener.exchange
        exchange.mute(kind)
        listener.pass_time(5.5)
        assert listener.states()[-1] == listener.states("ETHUSDT")[-1] == ("stale", "silence")
        listener.until(lambda: exchange.subscribed("btcusdt@depth@100ms") == 1, turn_seconds=0.05)
        exchange.step("BTCUSDT", bids=[("99.9", "8")])
        listener.until(lambda: listener.live() and listener.book() == truth(exchange), turn_seconds=0.05)
        assert listener.reconnects()["silence"] >= 1


def test_a_refused_connection_is_tried_again_with_growing_waits(tmp_path: Path) -> None:
    """By our clock alone."""
    with listening(tmp_path, symbols=("BTCUSDT",)) as listener:
        exchange = listener.exchange
        listener.until(lambda: exchange.subscribed("btcusdt@depth@100ms") == 1)
        exchange.state.fault("connect", "503", times=8)
        exchange.cut()
        listener.until(lambda: listener.reconnects().get("refused", 0) >= 8, turn_seconds=0.1)
        listener.until(lambda: exchange.subscribed("btcusdt@depth@100ms") == 1, turn_seconds=0.1)


def test_a_frame_too_large_is_refused_and_the_line_goes_on(tmp_path: Path) -> None:
    """Nothing else is lost."""
    with listening(tmp_path, symbols=("BTCUSDT",), max_frame_bytes=2_048) as listener:
        join(listener, "BTCUSDT")
        listener.exchange.publish("btcusdt@depth@100ms", json.dumps({"e": "x" * 4_000}))
        listener.exchange.step("BTCUSDT", bids=[("99.9", "8")])
        listener.until(lambda: listener.book() == truth(listener.exchange))
        assert listener.refused("oversize") == 1
        assert listener.states()[-1] == ("live", "joined")


def test_a_planned_reconnect_loses_nothing(tmp_path: Path) -> None:
    """The new socket speaks before the old one is closed; no gap, no reset, every update once."""
    with listening(tmp_path, symbols=("BTCUSDT",), silence_seconds=600.0, planned_reconnect_hours=0.1) as listener:
        join(listener, "BTCUSDT")
        exchange = listener.exchange
        before, states = len(listener.images()), listener.states()
        listener.pass_time(361)
        listener.until(lambda: exchange.subscribed("btcusdt@depth@100ms") == 2)
        for k in range(10):
            exchange.step("BTCUSDT", bids=[("99.9", f"{k + 5}")])
            exchange.trade("BTCUSDT")
        listener.until(lambda: listener.book() == truth(exchange))
        listener.pass_time(1.1)
        listener.until(lambda: exchange.subscribed("btcusdt@depth@100ms") == 1)
        for k in range(10):
            exchange.step("BTCUSDT", bids=[("99.9", f"{k + 50}")])
            exchange.trade("BTCUSDT")
        listener.until(lambda: listener.book() == truth(exchange) and len(listener.out.of(MarketTrade)) == 20)
        assert listener.states() == states
        assert len(listener.images()) == before + 20
        assert not any(image.flags for image in listener.out.of(BookImage)[before:])
        assert listener.reconnects()["planned"] == 2

import json
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import pytest

from bus.messages import BookImage, MarketTrade, MarkPrice
from live.errors import FeedRefused, FrameRefused, OffGrid, SubscriptionRefused
from live.exchange.bybit import Bybit
from live.exchange.venue import Mark
from live.feed import Frame
from market.columns import BOOK_RESET
from market.events import BookDelta, BookSnapshot, Trade
from market.symbols import SymbolTable
from tests.live.exchange.listening import Listener, listening, truth
from tests.live.parts import ROOT

SYMBOL = "BTCUSDT-BYBIT"
TABLE = SymbolTable.load(ROOT / "data" / "reference" / "symbols.yml")
TOPIC = "orderbook.50.BTCUSDT"


def venue() -> Bybit:
    """The venue of one symbol."""
    return Bybit([TABLE[SYMBOL]])


def frame(payload: Any) -> Frame:
    """A frame of a payload."""
    return Frame(7, msgspec.json.encode(payload))


def join(listener: Listener) -> None:
    """Wait for the book that comes with the subscription."""
    listener.until(lambda: listener.live(SYMBOL))


def stepped(listener: Listener, size: int) -> bool:
    """Step the exchange's book and tell whether ours is it."""
    listener.exchange.step("BTCUSDT", bids=[("99.9", f"{size}")])
    listener.woken.wait(0.02)
    listener.collector.tick()
    return listener.live(SYMBOL) and listener.book(SYMBOL) == truth(listener.exchange)


def test_a_symbol_s_topics_are_asked_for_ten_at_a_time() -> None:
    """Book, prints and ticker; the venue hangs up on a client that does not speak."""
    (line,) = venue().lines()
    assert line.url == "wss://stream.bybit.com/v5/public/linear"
    assert [json.loads(text) for text in line.greetings] == [
        {
            "op": "subscribe",
            "args": [TOPIC, "publicTrade.BTCUSDT", "tickers.BTCUSDT"],
            "req_id": f"subscribe-{TOPIC}",
        }
    ]
    assert (venue().ping, venue().ping_seconds) == ('{"op":"ping"}', 20.0)
    assert venue().snapshot_url(SYMBOL) == ""
    assert [json.loads(text)["args"] for text in venue().anew(SYMBOL)] == [[TOPIC], [TOPIC]]
    with pytest.raises(FeedRefused, match="stands for two"):
        Bybit([TABLE[SYMBOL], TABLE["BTCUSDT"]])


def test_frames_are_read_into_events() -> None:
    """Whole books, steps, prints (block trades are not in the book), marks (which tell only what changed)."""
    one = venue()
    data = {"s": "BTCUSDT", "b": [["1.0", "1"]], "a": [], "u": 5, "seq": 9}
    (whole,) = one.read(frame({"topic": TOPIC, "type": "snapshot", "ts": 2, "cts": 1, "data": data}))
    (change,) = one.read(frame({"topic": TOPIC, "type": "delta", "ts": 2, "cts": 1, "data": data}))
    assert isinstance(whole, BookSnapshot)
    assert isinstance(change, BookDelta)
    entry = {"T": 1, "s": "BTCUSDT", "S": "Sell", "v": "1", "p": "1.0", "i": "77", "BT": False}
    prints = one.read(frame({"topic": "publicTrade.BTCUSDT", "ts": 2, "data": [entry, {**entry, "BT": True}]}))
    assert [type(each) for each in prints] == [Trade]
    first = {"symbol": "BTCUSDT", "markPrice": "1.05", "fundingRate": "0.0002", "nextFundingTime": "9"}
    one.read(frame({"topic": "tickers.BTCUSDT", "type": "snapshot", "ts": 3, "data": first}))
    later = {"topic": "tickers.BTCUSDT", "type": "delta", "ts": 4, "data": {"symbol": "BTCUSDT", "markPrice": "1.06"}}
    assert one.read(frame(later)) == (Mark(SYMBOL, 4_000_000, 7, 1.06, 0.0002, 9_000_000),)
    quiet = {"topic": "tickers.BTCUSDT", "type": "delta", "ts": 5, "data": {"symbol": "BTCUSDT", "lastPrice": "1"}}
    assert one.read(frame(quiet)) == ()
    assert one.read(frame({"success": True, "op": "subscribe"})) == one.read(frame({"op": "pong"})) == ()


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        ({"topic": TOPIC, "type": "delta", "ts": 1, "data": {"s": "BTCUSDT", "b": [], "a": []}}, "malformed"),
        ({"topic": TOPIC, "type": "delta", "ts": 1, "data": None}, "malformed"),
        ({"topic": "tickers.BTCUSDT", "type": "snapshot", "ts": 1, "data": {"markPrice": "inf"}}, "malformed"),
        ({"topic": "orderbook.50.DOGEUSDT"}, "foreign"),
        ({"topic": "kline.5.BTCUSDT"}, "unknown"),
        ([1], "malformed"),
        ({"x": 1}, "unknown"),
        ({"success": False, "ret_msg": "error:handler not found", "op": "subscribe"}, "subscription"),
    ],
)
def test_what_cannot_be_read_says_why(payload: Any, reason: str) -> None:
    """The reason is the metric's label."""
    with pytest.raises(FrameRefused) as caught:
        venue().read(frame(payload))
    assert caught.value.reason == reason
    assert isinstance(caught.value, SubscriptionRefused) is (reason == "subscription")


def test_a_price_between_the_ticks_names_its_symbol_and_strange_keys_are_counted() -> None:
    """The one halts, the other is a note."""
    one = venue()
    data = {"s": "BTCUSDT", "b": [["1.05", "1"]], "a": [], "u": 5, "seq": 9}
    with pytest.raises(OffGrid) as caught:
        one.read(frame({"topic": TOPIC, "type": "delta", "ts": 1, "data": data}))
    assert caught.value.symbol == SYMBOL
    one.read(frame({"topic": TOPIC, "type": "delta", "ts": 1, "data": {**data, "b": [], "new": 1}}))
    assert one.unknown_keys == 1
    with pytest.raises(FrameRefused, match="malformed"):
        one.read(Frame(1, b"{"))


def test_books_prints_and_marks_come_over_real_sockets(tmp_path: Path) -> None:
    """The book with the subscription, no REST call."""
    with listening(tmp_path, "bybit", (SYMBOL,)) as listener:
        join(listener)
        exchange = listener.exchange
        assert listener.book(SYMBOL) == truth(exchange)
        for k in range(20):
            exchange.step("BTCUSDT", bids=[("99.9", f"{k + 1}")])
            exchange.trade("BTCUSDT")
        exchange.mark("BTCUSDT", "100.05")
        listener.until(lambda: bool(listener.out.of(MarkPrice)) and len(listener.out.of(MarketTrade)) == 20)
        assert listener.book(SYMBOL) == truth(exchange)
        assert [image.flags for image in listener.out.of(BookImage)] == [BOOK_RESET] + [0] * 20
        assert exchange.state.asked("/fapi/v1/depth") == 0


@pytest.mark.parametrize("kind", ["lose", "hold", "garble"])
def test_a_break_of_the_numbers_subscribes_again(tmp_path: Path, kind: str) -> None:
    """Lost, swapped or torn: the venue answers with a whole book."""
    with listening(tmp_path, "bybit", (SYMBOL,)) as listener:
        join(listener)
        listener.exchange.state.fault("step", kind)
        for k in range(3):
            listener.exchange.step("BTCUSDT", bids=[("99.9", f"{k + 5}")])
        listener.until(lambda: ("gap", "gap") in listener.states(SYMBOL))
        listener.until(lambda: listener.live(SYMBOL) and listener.book(SYMBOL) == truth(listener.exchange))
        (socket,) = listener.exchange.state.live_sockets("bybit")
        assert [json.loads(text)["op"] for text in socket.heard[-2:]] == ["unsubscribe", "subscribe"]


def test_a_cut_socket_comes_back_with_a_whole_book(tmp_path: Path) -> None:
    """Stale at once, then windows begin anew."""
    with listening(tmp_path, "bybit", (SYMBOL,)) as listener:
        join(listener)
        listener.exchange.cut()
        listener.until(lambda: ("stale", "disconnected") in listener.states(SYMBOL))
        listener.until(lambda: listener.live(SYMBOL), turn_seconds=0.1)
        assert listener.images(SYMBOL)[-1].flags == BOOK_RESET
        listener.until(partial(stepped, listener, 7))


@pytest.mark.parametrize("kind", ["all", "data"])
def test_a_silent_socket_is_replaced(tmp_path: Path, kind: str) -> None:
    """Pongs are no market."""
    with listening(tmp_path, "bybit", (SYMBOL,), silence_seconds=5.0) as listener:
        join(listener)
        listener.exchange.mute(kind)
        listener.pass_time(5.5)
        assert listener.states(SYMBOL)[-1] == ("stale", "silence")
        listener.until(lambda: listener.live(SYMBOL), turn_seconds=0.02)
        listener.until(partial(stepped, listener, 7))
        assert listener.reconnects() == {"silence": 1}


def test_the_client_speaks_every_twenty_seconds(tmp_path: Path) -> None:
    """Or the venue hangs up."""
    with listening(tmp_path, "bybit", (SYMBOL,), silence_seconds=600.0) as listener:
        join(listener)
        (socket,) = listener.exchange.state.live_sockets("bybit")
        for _ in range(3):
            listener.pass_time(20.0)
        listener.until(lambda: socket.heard.count('{"op":"ping"}') == 3)
        listener.until(partial(stepped, listener, 7))
        assert listener.refused("unknown") == 0


def test_a_topic_the_venue_does_not_have_is_told(tmp_path: Path) -> None:
    """Counted and logged; the symbol never becomes live."""
    with listening(tmp_path, "bybit", (SYMBOL,)) as listener:
        assert listener.exchange.state.books.pop("BTCUSDT")
        listener.exchange.cut()
        listener.until(lambda: listener.refused("subscription") >= 1, turn_seconds=0.1)


def test_a_planned_reconnect_loses_nothing(tmp_path: Path) -> None:
    """The second socket's whole book is behind ours by then: no reset, every update and print once."""
    knobs: dict[str, Any] = {"silence_seconds": 600.0, "planned_reconnect_hours": 0.1}
    with listening(tmp_path, "bybit", (SYMBOL,), **knobs) as listener:
        join(listener)
        exchange = listener.exchange
        before, states = len(listener.images(SYMBOL)), listener.states(SYMBOL)
        listener.pass_time(361)
        listener.until(lambda: exchange.subscribed(TOPIC) == 2)
        for k in range(10):
            exchange.step("BTCUSDT", bids=[("99.9", f"{k + 5}")])
            exchange.trade("BTCUSDT")
        listener.until(lambda: listener.book(SYMBOL) == truth(exchange))
        listener.pass_time(1.1)
        listener.until(lambda: exchange.subscribed(TOPIC) == 1)
        for k in range(10):
            exchange.step("BTCUSDT", bids=[("99.9", f"{k + 50}")])
            exchange.trade("BTCUSDT")
        listener.until(lambda: listener.book(SYMBOL) == truth(exchange) and len(listener.out.of(MarketTrade)) == 20)
        assert listener.states(SYMBOL) == states
        assert len(listener.images(SYMBOL)) == before + 20
        assert not any(image.flags for image in listener.images(SYMBOL)[before:])
        assert listener.reconnects() == {"planned": 1}

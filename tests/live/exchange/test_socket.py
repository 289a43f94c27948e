import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from live.clock import ManualClock
from live.exchange.socket import Sockets, fetch
from live.exchange.wires import Answer, Closed, Happening, Message, Opened
from tests.fake_exchange.server import FakeExchange, running

STREAM = "/public/stream?streams=btcusdt@depth@100ms"


class Pump:
    """Sockets, and everything that has happened on them."""

    def __init__(self, most_bytes: int = 10_000) -> None:
        self.woken = threading.Event()
        self.clock = ManualClock()
        self.sockets = Sockets(self.clock, self.woken.set, most_bytes)
        self.seen: list[Happening] = []

    def until(self, holds: Callable[[], bool]) -> None:
        """Wait for something to have happened."""
        for _ in range(2_000):
            self.seen.extend(self.sockets.drain())
            if holds():
                return
            self.woken.wait(0.01)
            self.woken.clear()
        raise AssertionError(f"never came: {self.seen}")

    def of(self, kind: type[Any]) -> list[Any]:
        """Every happening of a kind."""
        return [each for each in self.seen if isinstance(each, kind)]


@pytest.fixture
def exchange() -> Iterator[FakeExchange]:
    """A fake exchange."""
    with running() as started:
        yield started


@pytest.fixture
def pump() -> Iterator[Pump]:
    """Sockets that are stopped at the end."""
    made = Pump()
    yield made
    made.sockets.stop()


def test_messages_come_in_order_stamped_by_our_clock(exchange: FakeExchange, pump: Pump) -> None:
    """Opened first, then what is sent, as bytes."""
    pump.sockets.open("a", exchange.ws_url + STREAM, ())
    pump.until(lambda: bool(pump.of(Opened)))
    for k in range(50):
        exchange.publish("btcusdt@depth@100ms", str(k))
    pump.until(lambda: len(pump.of(Message)) == 50)
    expected = [b'{"stream":"btcusdt@depth@100ms","data":%d}' % k for k in range(50)]
    assert [each.payload for each in pump.of(Message)] == expected
    assert {each.local_ns for each in pump.of(Message)} == {pump.clock.wall_ns()}


def test_greetings_and_words_are_heard(exchange: FakeExchange, pump: Pump) -> None:
    """Greetings before Opened, words behind it; a word on a line that is not open is no error."""
    pump.sockets.say("a", "nobody hears")
    pump.sockets.open("a", exchange.ws_url + "/v5/public/linear", ('{"op":"ping"}',))
    pump.until(lambda: bool(pump.of(Message)))
    pump.sockets.say("a", '{"op":"ping","req_id":"2"}')
    pump.until(lambda: len(pump.of(Message)) == 2)
    assert exchange.state.live_sockets()[0].heard == ['{"op":"ping"}', '{"op":"ping","req_id":"2"}']


def test_a_cut_line_is_told_and_one_that_was_closed_is_not(exchange: FakeExchange, pump: Pump) -> None:
    """Closing is no news to who asked for it."""
    for line in ("a", "b"):
        pump.sockets.open(line, exchange.ws_url + STREAM, ())
    pump.until(lambda: len(pump.of(Opened)) == 2)
    pump.sockets.close("a")
    pump.until(lambda: len(exchange.state.live_sockets()) == 1)
    exchange.cut()
    pump.until(lambda: bool(pump.of(Closed)))
    assert [each.line for each in pump.of(Closed)] == ["b"]


def test_a_line_that_cannot_be_opened_is_told(exchange: FakeExchange, pump: Pump) -> None:
    """Refused by the venue, nobody there, no address at all."""
    exchange.state.fault("connect", "503")
    urls = (exchange.ws_url + STREAM, "ws://127.0.0.1:1/", "nonsense")
    for number, url in enumerate(urls):
        pump.sockets.open(str(number), url, ())
    pump.until(lambda: len(pump.of(Closed)) == 3)
    assert all(each.reason.startswith("refused: ") for each in pump.of(Closed))


def test_a_large_message_comes_without_its_bytes(exchange: FakeExchange) -> None:
    """So that it is refused, and the line goes on."""
    pump = Pump(most_bytes=1_024)
    try:
        pump.sockets.open("a", exchange.ws_url + STREAM, ())
        pump.until(lambda: bool(pump.of(Opened)))
        exchange.publish("btcusdt@depth@100ms", '"' + "x" * 2_000 + '"')
        exchange.publish("btcusdt@depth@100ms", "1")
        pump.until(lambda: len(pump.of(Message)) == 2)
        large, small = pump.of(Message)
        assert (large.payload, large.size > 2_000) == (b"", True)
        assert small.size == len(small.payload)
        exchange.publish("btcusdt@depth@100ms", '"' + "x" * 20_000 + '"')
        pump.until(lambda: bool(pump.of(Closed)))
    finally:
        pump.sockets.stop()


def test_questions_are_answered_whatever_becomes_of_them(exchange: FakeExchange, pump: Pump) -> None:
    """Status, body, and the pause the server asks for."""
    url = exchange.rest_url + "/fapi/v1/depth?symbol=BTCUSDT"
    exchange.state.fault("depth", "429")
    for tag, address in (("limited", url), ("nobody", "http://127.0.0.1:1/"), ("file", "file:///etc/passwd")):
        pump.sockets.get(tag, address, 5.0)
        pump.until(lambda tag=tag: any(each.tag == tag for each in pump.of(Answer)))  # type: ignore[misc]
    found = {each.tag: each for each in pump.of(Answer)}
    assert (found["limited"].status, found["limited"].pause_seconds) == (429, 2.0)
    assert found["nobody"].status == found["file"].status == 0
    assert b"wanted an http address" in found["file"].body
    status, body, _ = fetch(url, 5.0)
    assert status == 200
    assert b'"lastUpdateId": 1000' in body


def test_stopping_twice_and_speaking_behind_it_are_harmless(tmp_path: Path) -> None:
    """The thread is gone."""
    pump = Pump()
    pump.sockets.stop()
    pump.sockets.stop()
    pump.sockets.open("a", "ws://127.0.0.1:1/", ())
    assert pump.sockets.drain() == []

from random import Random
from typing import Any

import pytest

from config.live_sections import Feed as FeedKnobs
from live.clock import ManualClock
from live.exchange.binance import Binance
from live.exchange.bybit import Bybit
from live.exchange.lines import VenueFeed
from live.exchange.wires import Answer, Closed, Happening, Message, Opened
from live.feed import Frame, Item, LineDown, LineUp, Refused, SnapshotFailed
from market.symbols import SymbolTable
from tests.live.parts import ROOT

TABLE = SymbolTable.load(ROOT / "data" / "reference" / "symbols.yml")
BTC, BYBIT = TABLE["BTCUSDT"], TABLE["BTCUSDT-BYBIT"]


class FakeWires:
    """Remembers what it was told; the test says what happens."""

    def __init__(self) -> None:
        self.told: list[tuple[str, ...]] = []
        self.happenings: list[Happening] = []

    def open(self, line: str, url: str, greetings: Any) -> None:
        self.told.append(("open", line))

    def close(self, line: str) -> None:
        self.told.append(("close", line))

    def say(self, line: str, text: str) -> None:
        self.told.append(("say", line, text))

    def get(self, tag: str, url: str, timeout_seconds: float) -> None:
        self.told.append(("get", tag))

    def drain(self) -> list[Happening]:
        happenings, self.happenings = self.happenings, []
        return happenings

    def stop(self) -> None:
        self.told.append(("stop",))


class Bench:
    """A feed of one symbol on fake wires."""

    def __init__(self, symbol: Any = BTC) -> None:
        self.clock, self.wires = ManualClock(), FakeWires()
        venue = Binance([symbol]) if symbol is BTC else Bybit([symbol])
        knobs = FeedKnobs(reconnect_seconds=1.0, reconnect_max_seconds=8.0, planned_reconnect_hours=1.0)
        self.feed = VenueFeed(venue, self.wires, knobs, self.clock, Random(3))
        self.feed.start()

    def take(self, *happenings: Happening, seconds: float = 0.0) -> list[Item]:
        """Let time pass and things happen, and take what comes of it."""
        self.clock.advance(seconds=seconds)
        self.wires.happenings.extend(happenings)
        return list(self.feed.take())

    def said(self, verb: str) -> list[str]:
        """The lines a verb was used on."""
        return [each[1] for each in self.wires.told if each[0] == verb]


def message(line: str, text: str = "x") -> Message:
    """A message on a line."""
    return Message(line, 5, text.encode(), len(text))


def test_lines_are_opened_at_the_start_and_tell_when_books_come() -> None:
    """The line of the mark prices is nobody's book."""
    bench = Bench()
    assert bench.said("open") == ["public-0#1", "market-0#1"]
    assert bench.take(Opened("market-0#1"), Opened("public-0#1")) == [LineUp(("BTCUSDT",))]
    assert bench.take(message("public-0#1", "a"), message("market-0#1", "b")) == [Frame(5, b"a"), Frame(5, b"b")]
    assert bench.feed.status()["lines"] == {"public-0": "open", "market-0": "open"}
    assert not bench.feed.finished


def test_a_lost_line_is_opened_at_once_then_later_and_later() -> None:
    """Never above the cap; a line that held long enough begins anew."""
    bench = Bench()
    assert bench.take(Opened("public-0#1"), Closed("public-0#1", "cut")) == [
        LineUp(("BTCUSDT",)),
        LineDown(("BTCUSDT",), "disconnected"),
    ]
    assert bench.said("open")[-1] == "public-0#2"
    waits = []
    for number in range(2, 9):
        bench.take(Opened(f"public-0#{number}"), message(f"public-0#{number}"), Closed(f"public-0#{number}", "cut"))
        waited = 0.0
        while f"public-0#{number + 1}" not in bench.said("open"):
            bench.take(seconds=0.125)
            waited += 0.125
        waits.append(waited)
    assert waits[0] <= 1.0
    assert waits[0] < waits[2] < waits[-1]
    assert max(waits) <= 8.0
    bench.take(Opened("public-0#9"))
    bench.take(seconds=8.0)
    bench.take(Closed("public-0#9", "cut"))
    assert bench.said("open")[-1] == "public-0#10"
    assert bench.feed.reconnects == {"cut": 9}


def test_a_closed_line_says_nothing_any_more() -> None:
    """What was under way when it was given up is not handed on."""
    bench = Bench()
    bench.take(Opened("public-0#1"))
    bench.feed.reconnect("BTCUSDT", "silence")
    assert bench.said("close") == ["public-0#1"]
    assert bench.take(message("public-0#1"), Closed("public-0#1", "late"), Opened("public-0#1")) == []
    bench.feed.reconnect("BTCUSDT", "silence")
    assert bench.said("open").count("public-0#2") == 1
    assert bench.said("close") == ["public-0#1"], "it is being opened: left to it"


def test_a_planned_replacement_holds_back_the_new_line_for_a_second() -> None:
    """Its frames come as repeats, then the old line is closed."""
    bench = Bench()
    bench.take(Opened("public-0#1"), Opened("market-0#1"))
    bench.take(seconds=3_600)
    assert bench.said("open")[-2:] == ["public-0#2", "market-0#2"]
    assert bench.take(Opened("public-0#2"), message("public-0#2", "n"), message("public-0#1", "o")) == [Frame(5, b"o")]
    assert bench.take(message("public-0#1", "p"), seconds=0.9) == [Frame(5, b"p")]
    assert bench.take(seconds=0.1) == [Frame(5, b"n", "", True)]
    assert bench.said("close") == ["public-0#1"]
    assert bench.take(message("public-0#1", "late"), message("public-0#2", "m")) == [Frame(5, b"m")]
    assert bench.take(seconds=3_599) == []
    assert bench.said("open")[-1] == "market-0#2"
    bench.take(seconds=1)
    assert bench.said("open")[-1] == "public-0#3"


def test_a_replacement_takes_over_when_the_old_line_dies_first() -> None:
    """No LineDown: somebody speaks."""
    bench = Bench()
    bench.take(Opened("public-0#1"), Opened("market-0#1"))
    bench.take(seconds=3_600)
    bench.take(Opened("public-0#2"), message("public-0#2", "n"))
    assert bench.take(Closed("public-0#1", "cut")) == [Frame(5, b"n", "", True)]
    assert bench.take(message("public-0#2", "m")) == [Frame(5, b"m")]


def test_a_replacement_that_fails_leaves_the_old_line_and_is_tried_again() -> None:
    """A minute later."""
    bench = Bench()
    bench.take(Opened("public-0#1"), Opened("market-0#1"))
    bench.take(seconds=3_600)
    assert bench.take(Closed("public-0#2", "refused"), message("public-0#1", "o")) == [Frame(5, b"o")]
    bench.take(seconds=59)
    assert bench.said("open")[-1] == "market-0#2"
    bench.take(seconds=1)
    assert bench.said("open")[-1] == "public-0#3"


@pytest.mark.parametrize(
    ("answer", "item"),
    [
        (Answer("BTCUSDT", 5, 200, b"{}", 0.0), Frame(5, b"{}", "BTCUSDT")),
        (Answer("BTCUSDT", 5, 429, b"", 0.0), SnapshotFailed("BTCUSDT", "http_429", 1.0)),
        (Answer("BTCUSDT", 5, 429, b"", 7.0), SnapshotFailed("BTCUSDT", "http_429", 7.0)),
        (Answer("BTCUSDT", 5, 418, b"", 0.0), SnapshotFailed("BTCUSDT", "http_418", 120.0)),
        (Answer("BTCUSDT", 5, 503, b"", 0.0), SnapshotFailed("BTCUSDT", "http_503")),
        (Answer("BTCUSDT", 5, 0, b"timed out", 0.0), SnapshotFailed("BTCUSDT", "http_0")),
        (Answer("BTCUSDT", 5, 400, b'{"code":-1121}', 0.0), SnapshotFailed("BTCUSDT", "http_400", 0.0, True)),
    ],
)
def test_answers_say_when_to_ask_again(answer: Answer, item: Item) -> None:
    """The venue's own pause is kept, a ban is two minutes at least."""
    bench = Bench()
    bench.feed.ask_snapshot("BTCUSDT")
    assert bench.said("get") == ["BTCUSDT"]
    assert bench.take(answer) == [item]


def test_bybit_asks_by_subscribing_again_and_speaks_in_time() -> None:
    """On the line that carries the book; not before it is open."""
    bench = Bench(BYBIT)
    bench.feed.ask_snapshot("BTCUSDT-BYBIT")
    assert bench.said("say") == []
    bench.take(Opened("linear-0#1"))
    bench.feed.ask_snapshot("BTCUSDT-BYBIT")
    assert len(bench.said("say")) == 2
    bench.take(seconds=20)
    assert bench.wires.told[-1] == ("say", "linear-0#1", '{"op":"ping"}')
    bench.feed.stop()
    assert bench.wires.told[-1] == ("stop",)


def test_a_frame_too_large_is_refused_by_name() -> None:
    """Its size is told."""
    (item,) = Bench().take(Message("public-0#1", 5, b"", 9_000_000))
    assert isinstance(item, Refused)
    assert item.reason == "oversize"
    assert "9000000" in item.text

import gzip
from datetime import date
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from archive.sources.binance_ws import BinanceWsSource
from bus.messages import BookImage, BookStatus, ControlEvent, MarketTrade, MarkPrice
from live.clock import ManualClock
from live.collector import Collector
from live.exchange.binance import Binance
from live.feed import Frame, Item, LineDown, LineUp, Refused, Retiming, SnapshotFailed
from live.service import Parts
from market.columns import BookColumns, TradeColumns
from market.symbols import SymbolTable
from tests import recorded
from tests.live.parts import ROOT, START_NS, RecordingOutput, parts

SYMBOLS = ("BTCUSDT", "ETHUSDT")
TABLE = SymbolTable.load(ROOT / "data" / "reference" / "symbols.yml")
STEP_NS = 100_000_000


class FakeFeed:
    """A feed that a test fills."""

    venue = "binance"
    turns_clock = False
    has_marks = True
    answers = True
    finished = False
    retiming: Retiming | None = None

    def __init__(self) -> None:
        self.items: list[Item] = []
        self.calls: list[tuple[str, str]] = []

    def start(self) -> None:
        self.calls.append(("start", ""))

    def take(self) -> list[Item]:
        items, self.items = self.items, []
        return items

    def ask_snapshot(self, symbol: str) -> None:
        self.calls.append(("ask", symbol))

    def revive(self, symbol: str) -> None:
        self.calls.append(("revive", symbol))

    def reconnect(self, symbol: str, reason: str) -> None:
        self.calls.append((f"reconnect {reason}", symbol))

    def status(self) -> dict[str, Any]:
        return {}

    def stop(self) -> None:
        self.calls.append(("stop", ""))


class Desk:
    """A collector on a fake feed, and the frames of two symbols."""

    def __init__(self, tmp_path: Path, symbols: tuple[str, ...] = SYMBOLS) -> None:
        self.parts: Parts = parts(tmp_path, {"feed": {"kind": "binance"}}, symbols)
        self.feed = FakeFeed()
        self.venue = Binance([TABLE[name] for name in symbols])
        self.collector = Collector(self.parts, self.feed, self.venue)
        self.collector.start()
        self.out = self.parts.out
        assert isinstance(self.out, RecordingOutput)
        self.said = self.out.said
        self.ns = START_NS

    def deliver(self, *payloads: dict[str, Any] | bytes | Item) -> None:
        """Deliver frames, each a step later, in one tick."""
        for payload in payloads:
            self.ns += STEP_NS
            if isinstance(payload, dict):
                self.feed.items.append(Frame(self.ns, msgspec.json.encode(payload)))
            elif isinstance(payload, bytes):
                self.feed.items.append(Frame(self.ns, payload))
            else:
                self.feed.items.append(payload)
        self.collector.tick()

    def wait(self, seconds: float) -> None:
        """Let time pass, and look."""
        assert isinstance(self.parts.clock, ManualClock)
        self.parts.clock.advance(seconds=seconds)
        self.collector.tick()

    def join(self, symbol: str) -> None:
        """Bring a symbol's book to life behind update 10."""
        self.deliver(depth(symbol, 9, 10, 8), snapshot(symbol, 9))

    def states(self, symbol: str) -> list[tuple[str, str]]:
        """Every state a symbol was told to be in."""
        told = [said.body for said in self.said if isinstance(said.body, BookStatus)]
        return [(each.state, each.reason) for each in told if each.symbol == symbol]

    def bodies(self, kind: type[Any]) -> list[Any]:
        """Every message of a kind."""
        return [said.body for said in self.said if isinstance(said.body, kind)]


def depth(symbol: str, first: int, last: int, previous: int, bids: Any = (), asks: Any = ()) -> dict[str, Any]:
    """A depth frame."""
    data = {"e": "depthUpdate", "E": last, "T": last, "s": symbol, "U": first, "u": last, "pu": previous,
            "b": list(bids), "a": list(asks)}  # fmt: skip
    return {"stream": f"{symbol.lower()}@depth@100ms", "data": data}


def trade(symbol: str, number: int, kind: str = "MARKET") -> dict[str, Any]:
    """A trade frame."""
    data = {"e": "trade", "E": 5, "T": 5, "s": symbol, "t": number, "p": "100.0", "q": "1.000", "X": kind, "m": True}
    return {"stream": f"{symbol.lower()}@trade", "data": data}


def snapshot(symbol: str, last: int) -> Frame:
    """The answer to a question for a snapshot."""
    body = {"lastUpdateId": last, "E": last, "T": last, "bids": [["100.0", "5"]], "asks": [["100.1", "5"]]}
    return Frame(START_NS, msgspec.json.encode(body), symbol)


def test_books_and_prints_of_a_symbol_are_numbered_together(tmp_path: Path) -> None:
    """One writer for both streams, mark prices under their own."""
    desk = Desk(tmp_path)
    desk.join("BTCUSDT")
    desk.deliver(trade("BTCUSDT", 1), depth("BTCUSDT", 11, 12, 10))
    mark = {"e": "markPriceUpdate", "E": 7, "s": "BTCUSDT", "p": "100.05", "i": "1", "P": "1", "r": "0.0001", "T": 8}
    desk.deliver({"stream": "btcusdt@markPrice@1s", "data": mark})
    ours = [said for said in desk.said if said.writer == "collector:BTCUSDT"]
    assert [said.message_id for said in ours] == [f"BTCUSDT-{k}" for k in range(1, len(ours) + 1)]
    assert [said.stream for said in ours[-2:]] == ["md:{BTCUSDT}:trade", "md:{BTCUSDT}:book"]
    assert [type(said.body) for said in ours] == [BookStatus, BookStatus, BookImage, MarketTrade, BookImage]
    (price,) = desk.bodies(MarkPrice)
    assert price == MarkPrice("BTCUSDT", 7_000_000, desk.ns, 100.05, 0.0001, 8_000_000)
    assert desk.said[-1].writer == "collector:BTCUSDT:mark"
    assert desk.said[-1].stream == "md:{BTCUSDT}:mark"


def test_one_symbol_alone_is_mended(tmp_path: Path) -> None:
    """A gap of one asks for its snapshot and leaves the other live."""
    desk = Desk(tmp_path)
    for symbol in SYMBOLS:
        desk.join(symbol)
    assert desk.collector.status()["ready"]
    desk.wait(31)
    desk.feed.calls.clear()
    desk.deliver(depth("ETHUSDT", 11, 12, 10), depth("BTCUSDT", 20, 21, 15), depth("ETHUSDT", 13, 14, 12))
    assert desk.states("BTCUSDT")[-1] == ("gap", "gap")
    assert desk.states("ETHUSDT")[-1][0] == "live"
    assert desk.feed.calls == [("ask", "BTCUSDT")]
    assert desk.collector.status()["books"]["BTCUSDT"]["gaps"] == 1
    assert not desk.collector.status()["ready"]
    desk.deliver(snapshot("BTCUSDT", 20))
    assert desk.states("BTCUSDT")[-1] == ("live", "joined")


def test_frames_nobody_can_take_are_counted_and_nothing_else_is_lost(tmp_path: Path) -> None:
    """Malformed, foreign, unknown, too large: each under its reason."""
    desk = Desk(tmp_path)
    desk.join("BTCUSDT")
    desk.deliver(
        b"[" * 100_000, b"{not json", b"[1]", b'"text"', b"\xff\xfe",
        depth("DOGEUSDT", 1, 2, 0), {"e": "kline", "s": "BTCUSDT"},
        {"what": 1}, {"stream": "x", "data": {**depth("BTCUSDT", 11, 12, 10)["data"], "u": "12"}},
        Refused("oversize", "a frame of 9 bytes"), {"result": None, "id": 1}, trade("BTCUSDT", 1),
        depth("BTCUSDT", 11, 12, 10),
    )  # fmt: skip
    assert desk.states("BTCUSDT")[-1][0] == "live"
    assert desk.bodies(BookImage)[-1].sequence == 12
    counts = {
        reason: desk.parts.metrics.market_frames_refused_total.labels("binance", reason)._value.get()
        for reason in ("malformed", "foreign", "unknown", "oversize")
    }
    assert counts == {"malformed": 6, "foreign": 1, "unknown": 2, "oversize": 1}


def test_unknown_keys_are_counted_and_the_frame_used(tmp_path: Path) -> None:
    """Venues add keys every year."""
    desk = Desk(tmp_path, ("BTCUSDT",))
    desk.join("BTCUSDT")
    frame = depth("BTCUSDT", 11, 12, 10)
    frame["data"]["new"] = 1
    desk.deliver(frame)
    desk.wait(1)
    assert desk.bodies(BookImage)[-1].sequence == 12
    assert desk.parts.metrics.market_unknown_keys_total.labels("binance")._value.get() == 1


def test_a_lost_print_is_counted_and_one_off_the_book_is_not_lost(tmp_path: Path) -> None:
    """Insurance fund prints have numbers too; they are not shown."""
    desk = Desk(tmp_path)
    desk.deliver(trade("BTCUSDT", 1), trade("BTCUSDT", 2, "INSURANCE_FUND"), trade("BTCUSDT", 3), trade("BTCUSDT", 6))
    desk.wait(1)
    assert [each.trade_id for each in desk.bodies(MarketTrade)] == [1, 3, 6]
    assert desk.parts.metrics.trade_id_gaps_total.labels("BTCUSDT")._value.get() == 2


def test_a_price_between_the_ticks_halts_the_symbol_and_calls(tmp_path: Path) -> None:
    """The venue has changed its steps: every number behind it would be wrong."""
    desk = Desk(tmp_path)
    desk.join("BTCUSDT")
    desk.deliver(
        depth("BTCUSDT", 11, 12, 10, bids=[["100.05", "1"]]), depth("BTCUSDT", 13, 14, 12, bids=[["99.95", "1"]])
    )
    assert desk.states("BTCUSDT")[-1] == ("halted", "grid_changed")
    (alert,) = desk.bodies(ControlEvent)
    assert (alert.event, alert.severity, alert.symbol, alert.reason) == ("ALERT", "CRIT", "BTCUSDT", "grid_changed")
    assert "100.05" in alert.text
    desk.join("ETHUSDT")
    assert desk.states("ETHUSDT")[-1][0] == "live"
    desk.feed.calls.clear()
    for k in range(12):
        desk.wait(1)
        desk.deliver(depth("ETHUSDT", 11 + k, 11 + k, 10 + k))
    assert desk.feed.calls == [], "nobody waits for what was given up"


def test_a_size_beyond_the_lake_calls_too(tmp_path: Path) -> None:
    """The keeper of the book gives the symbol up by itself: a person must hear of that as well."""
    desk = Desk(tmp_path)
    desk.join("BTCUSDT")
    desk.deliver(depth("BTCUSDT", 11, 12, 10, bids=[["99.0", "3000000"]]))
    assert desk.states("BTCUSDT")[-1] == ("halted", "beyond_int32")
    (alert,) = desk.bodies(ControlEvent)
    assert (alert.severity, alert.symbol, alert.reason) == ("CRIT", "BTCUSDT", "beyond_int32")


def test_a_delisted_symbol_halts(tmp_path: Path) -> None:
    """By the contract's own news, or because the venue does not know it any more."""
    desk = Desk(tmp_path)
    desk.deliver({"stream": "!contractInfo", "data": {"e": "contractInfo", "s": "ETHUSDT", "cs": "SETTLING"}})
    desk.deliver({"stream": "!contractInfo", "data": {"e": "contractInfo", "s": "XRPUSDT", "cs": "SETTLING"}})
    desk.deliver(SnapshotFailed("BTCUSDT", "http_400", 0.0, is_final=True))
    assert desk.states("ETHUSDT")[-1] == desk.states("BTCUSDT")[-1] == ("halted", "delisted")
    assert len(desk.bodies(ControlEvent)) == 2


def test_silence_is_a_symbol_s_own(tmp_path: Path) -> None:
    """The other one speaks: first the streams anew, then the socket."""
    desk = Desk(tmp_path)
    for symbol in SYMBOLS:
        desk.join(symbol)
    desk.feed.calls.clear()
    for k in range(25):
        desk.wait(1)
        desk.deliver(depth("ETHUSDT", 11 + k, 11 + k, 10 + k))
    assert desk.states("BTCUSDT")[-1] == ("stale", "silence")
    assert desk.states("ETHUSDT")[-1][0] == "live"
    assert desk.feed.calls == [("revive", "BTCUSDT"), ("reconnect silence", "BTCUSDT")]


def test_silence_of_all_is_a_dead_socket(tmp_path: Path) -> None:
    """Whatever its pongs say."""
    desk = Desk(tmp_path)
    for symbol in SYMBOLS:
        desk.join(symbol)
    desk.feed.calls.clear()
    desk.wait(11)
    assert desk.feed.calls == [("reconnect silence", symbol) for symbol in SYMBOLS]
    assert {desk.states(symbol)[-1] for symbol in SYMBOLS} == {("stale", "silence")}
    desk.deliver(LineDown(SYMBOLS, "disconnected"), LineUp(SYMBOLS), depth("BTCUSDT", 11, 12, 10))
    assert desk.states("BTCUSDT")[-1] == ("live", "fresh")


def test_metrics_show_ages_states_and_depth(tmp_path: Path) -> None:
    """Carried over a few times a second."""
    desk = Desk(tmp_path, ("BTCUSDT",))
    desk.join("BTCUSDT")
    desk.wait(2)
    page = desk.parts.metrics.render()
    assert 'book_state{state="live",symbol="BTCUSDT"} 1.0' in page
    assert 'book_age_seconds{symbol="BTCUSDT"} 2.0' in page
    assert 'liquidity_by_side{side="bid",symbol="BTCUSDT"} 500.0' in page
    assert 'book_resyncs_total{reason="start",symbol="BTCUSDT"} 1.0' in page
    desk.collector.stop()
    assert desk.feed.calls[-1] == ("stop", "")


@settings(max_examples=60, deadline=None)
@given(st.lists(st.one_of(st.binary(max_size=60), st.dictionaries(st.sampled_from(
    ["e", "s", "data", "stream", "lastUpdateId", "U", "u", "pu", "b", "a", "T", "E", "topic", "p", "q", "X", "m", "t"]),
    st.one_of(st.none(), st.booleans(), st.integers(-5, 5), st.text(max_size=5), st.floats(),
              st.sampled_from(["depthUpdate", "trade", "bookTicker", "aggTrade", "markPriceUpdate", "contractInfo",
                               "BTCUSDT"]),
              st.lists(st.lists(st.text(max_size=3), max_size=3), max_size=2)))), max_size=6))  # fmt: skip
def test_no_frame_breaks_the_collector(tmp_path_factory: pytest.TempPathFactory, payloads: list[Any]) -> None:
    """Whatever the venue sends, it is taken or refused."""
    desk = Desk(tmp_path_factory.getbasetemp())
    desk.join("BTCUSDT")
    desk.deliver(*payloads)
    desk.deliver(trade("ETHUSDT", 1))
    assert desk.bodies(MarketTrade)


def _replayed(tmp_path: Path, path: Path, symbols: tuple[str, ...] = ("BTCUSDT",)) -> tuple[RecordingOutput, Collector]:
    made = parts(tmp_path, {"feed": {"kind": "capture", "path": str(path), "speed": 0}}, symbols)
    collector = Collector(made)
    collector.start()
    while not collector.status()["finished"]:
        collector.tick()
    collector.tick()
    collector.stop()
    assert isinstance(made.out, RecordingOutput)
    return made.out, collector


@pytest.fixture(scope="module")
def usdm(tmp_path_factory: pytest.TempPathFactory) -> tuple[RecordingOutput, Collector]:
    """The recorded USD-M market, once through a collector."""
    return _replayed(tmp_path_factory.mktemp("usdm"), recorded.path("binance_ws", "usdm"))


def test_a_recording_through_the_collector_is_what_importing_it_gives(
    usdm: tuple[RecordingOutput, Collector],
) -> None:
    """Row for row, column for column; our receive times differ where ties were moved on."""
    out, _ = usdm
    images, trades = out.of(BookImage), out.of(MarketTrade)
    source = BinanceWsSource(recorded.path("binance_ws", "usdm"), TABLE)
    days = [source.read_day(TABLE["BTCUSDT"], day) for day in (date(2024, 8, 8), date(2024, 8, 9))]
    book = BookColumns.concat([day.book for day in days])
    prints = TradeColumns.concat([day.trades for day in days])
    assert len(images) == len(book) > 6_000
    for name in ("exchange_ns", "sequence", "flags"):
        assert np.array_equal([getattr(each, name) for each in images], getattr(book, name))
    for name in ("bid_ticks", "bid_lots", "ask_ticks", "ask_lots"):
        assert np.array_equal(np.array([getattr(each, name) for each in images]).T, getattr(book, name))
    for name in ("exchange_ns", "trade_id", "price_ticks", "size_lots", "aggressor"):
        assert np.array_equal([getattr(each, name) for each in trades], getattr(prints, name))
    moved = np.array([each.local_ns for each in images]) - book.local_ns
    assert 0 <= moved.min() <= moved.max() < 1_000_000


def test_a_recorded_book_equals_the_venue_s_own_touch_every_time(usdm: tuple[RecordingOutput, Collector]) -> None:
    """6,545 of the recording's 6,546 books (behind the last one no ticker follows), none differs."""
    _, collector = usdm
    shown = collector.status()["books"]["BTCUSDT"]
    assert shown["ticker_mismatched"] == 0
    assert shown["ticker_checked"] >= shown["updates"] - 1 > 6_000
    assert (shown["gaps"], shown["trades_missing"], shown["crossed"]) == (0, 0, 0)


def test_books_and_prints_are_in_one_strict_order(usdm: tuple[RecordingOutput, Collector]) -> None:
    """The order of the numbers is the order of our receive times: so live is what the lake says."""
    out, _ = usdm
    times = [each.body.local_ns for each in out.said if isinstance(each.body, BookImage | MarketTrade)]
    assert (np.diff(times) > 0).all()


def test_a_recording_says_the_same_every_time(tmp_path: Path) -> None:
    """Message for message, a hole in the recording included."""
    lines = []
    last = 10
    for k in range(40):
        ns = START_NS + k * STEP_NS
        if k == 2:
            lines.append(b"%d %b" % (ns, snapshot("BTCUSDT", last).payload))
        if k != 20:
            lines.append(b"%d %b" % (ns, msgspec.json.encode(depth("BTCUSDT", last + 1, last + 2, last))))
        lines.append(b"%d %b" % (ns, msgspec.json.encode(trade("BTCUSDT", k))))
        last += 2
    path = tmp_path / "btcusdt_20260107.gz"
    path.write_bytes(gzip.compress(b"\n".join(lines)))
    one, other = (_replayed(tmp_path, path)[0].said for _ in range(2))
    assert one == other
    assert [each.body.state for each in one if isinstance(each.body, BookStatus)] == ["syncing", "live", "gap"]

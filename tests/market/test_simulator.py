"""The simulated market from outside: frames, columns and captures agree, repeat, and go on across midnight."""

import gzip
import itertools
import json
import tracemalloc
from dataclasses import fields
from datetime import date
from pathlib import Path

import numpy as np
import pytest

from archive.sources.binance_ws import BinanceWsSource
from market.columns import BOOK_RESET, BookColumns, TradeColumns
from market.events import BadRule
from market.simulator import simulate, simulate_columns, write_capture
from market.simulator_defects import Defect
from market.simulator_rule import DAY_NS, SimulatorRule
from market.symbols import SymbolTable
from tests.market.simulated import BTC, DAY, MIDNIGHT, SECOND, imported

HOUR = 3_600 * SECOND
TABLE = SymbolTable.load(Path(__file__).resolve().parents[2] / "data/reference/symbols.yml")


def test_columns_are_what_importing_an_hour_of_frames_gives() -> None:
    """The fast path equals the wire path through an OrderBook: every field of every row."""
    found = imported(simulate(BTC, MIDNIGHT, MIDNIGHT + HOUR, seed=3))
    book, trades = simulate_columns(BTC, MIDNIGHT, MIDNIGHT + HOUR, seed=3)
    assert len(book) > 7_000
    assert len(trades) > 2_000
    same(found.book, book)
    same(found.trades, trades)
    assert found.crossed == 0
    assert found.ladder.counts.gaps == 0
    assert np.flatnonzero(book.flags).tolist() == [0]


@pytest.mark.parametrize("name", ["ETHUSDT", "BTCUSD_PERP", "BTCUSDT-SPOT", "SUSHIUSDT"])
def test_every_kind_of_instrument_can_be_simulated(name: str) -> None:
    """Fine and coarse ticks, spot and inverse contracts: frames and columns agree, prices lie near the start."""
    symbol, start = TABLE[name], MIDNIGHT + 500 * SECOND
    rule = SimulatorRule(start_price=1.05 if name == "SUSHIUSDT" else 3_000.0)
    found = imported(simulate(symbol, start, start + 120 * SECOND, seed=3, rule=rule), symbol)
    book, trades = simulate_columns(symbol, start, start + 120 * SECOND, seed=3, rule=rule)
    assert len(book) > 200
    same(found.book, book)
    same(found.trades, trades)
    assert abs(np.log(symbol.ticks_to_price(int(book.bid_ticks[0, 0])) / rule.start_price)) < 0.3
    assert trades.size_lots.min() >= 1


def test_a_simulation_repeats_and_depends_on_seed_symbol_and_rule() -> None:
    """The same call gives the same bytes; any other seed, symbol or rule gives others."""
    end = MIDNIGHT + 20 * SECOND
    first = list(simulate(BTC, MIDNIGHT, end, seed=1))
    assert first == list(simulate(BTC, MIDNIGHT, end, seed=1))
    others = [
        list(simulate(BTC, MIDNIGHT, end, seed=2)),
        list(simulate(TABLE["ETHUSDT"], MIDNIGHT, end, seed=1)),
        list(simulate(BTC, MIDNIGHT, end, seed=1, rule=SimulatorRule(touch_notional=100_000.0))),
        list(simulate(BTC, MIDNIGHT + DAY_NS, end + DAY_NS, seed=1)),
    ]
    assert all(other != first for other in others)


def test_a_stretch_of_a_day_is_a_stretch_of_its_market() -> None:
    """Starting in mid-day joins the day's own flow: the same prints at the same times."""
    start, end = MIDNIGHT + 900 * SECOND, MIDNIGHT + 1_200 * SECOND
    _, whole = simulate_columns(BTC, MIDNIGHT, end, seed=5)
    _, part = simulate_columns(BTC, start, end, seed=5)
    first = int(np.searchsorted(whole.exchange_ns, start))
    for name in ("exchange_ns", "price_ticks", "size_lots", "aggressor"):
        assert np.array_equal(getattr(whole, name)[first:], getattr(part, name))


def test_frames_are_those_of_binance_usd_m() -> None:
    """Updates chain by pu, the snapshot lies inside one, trades are contiguous, times of arrival never go back."""
    frames = [(ns, json.loads(text)) for ns, text in simulate(BTC, MIDNIGHT, MIDNIGHT + 60 * SECOND, seed=1)]
    arrivals = [ns for ns, _ in frames]
    assert arrivals == sorted(arrivals)
    snapshots = [f for _, f in frames if "lastUpdateId" in f]
    updates = [f["data"] for _, f in frames if f.get("stream") == "btcusdt@depth@500ms"]
    trades = [f["data"] for _, f in frames if f.get("stream") == "btcusdt@trade"]
    tickers = [f["data"] for _, f in frames if f.get("stream") == "btcusdt@bookTicker"]
    assert len(snapshots) + len(updates) + len(trades) + len(tickers) == len(frames)
    assert sum(u["U"] <= snapshots[0]["lastUpdateId"] <= u["u"] for u in updates) == 1
    assert all(b["pu"] == a["u"] < b["U"] <= b["u"] for a, b in itertools.pairwise(updates))
    assert all(a["T"] <= a["E"] for a in updates)
    assert [t["t"] for t in trades] == list(range(trades[0]["t"], trades[0]["t"] + len(trades)))
    assert {t["X"] for t in trades} == {"MARKET"}
    assert set(tickers[0]) == {"e", "u", "s", "b", "B", "a", "A", "T", "E"}


def test_the_rebuilt_book_is_the_book_ticker_of_the_same_id() -> None:
    """Wherever an update ends on a change of the touch, both tell the same prices and sizes."""
    frames = list(simulate(BTC, MIDNIGHT, MIDNIGHT + 600 * SECOND, seed=2))
    tickers = {f["u"]: f for f in (json.loads(t).get("data", {}) for _, t in frames) if f.get("e") == "bookTicker"}
    book = imported(frames).book
    shared = 0
    for row, sequence in enumerate(book.sequence.tolist()):
        if ticker := tickers.get(sequence):
            shared += 1
            assert BTC.price_to_ticks(ticker["b"]) == book.bid_ticks[0, row]
            assert BTC.size_to_lots(ticker["B"]) == book.bid_lots[0, row]
            assert BTC.price_to_ticks(ticker["a"]) == book.ask_ticks[0, row]
            assert BTC.size_to_lots(ticker["A"]) == book.ask_lots[0, row]
    assert shared > 500


def test_books_are_sorted_full_and_never_crossed() -> None:
    """Ten rising levels a side, every size at least one lot, a spread of at least a tick."""
    book, _ = simulate_columns(BTC, MIDNIGHT, MIDNIGHT + HOUR, seed=11)
    assert (np.diff(book.bid_ticks, axis=0) < 0).all()
    assert (np.diff(book.ask_ticks, axis=0) > 0).all()
    assert (book.ask_ticks[0] > book.bid_ticks[0]).all()
    assert min(book.bid_lots.min(), book.ask_lots.min()) >= 1


def test_midnight_is_not_special() -> None:
    """Two days in one go are the first day and then the second with its book carried over; ids and prices go on."""
    start, middle, end = MIDNIGHT + DAY_NS - 60 * SECOND, MIDNIGHT + DAY_NS, MIDNIGHT + DAY_NS + 60 * SECOND
    drift = Defect("drifted_feature", middle - 30 * SECOND, 60 * SECOND, feature="depth", factor=3.0)
    frames = list(simulate(BTC, start, end, seed=4, defects=[drift]))
    parts = list(simulate(BTC, start, middle, seed=4, defects=[drift]))
    parts += simulate(BTC, middle, end, seed=4, defects=[drift], carried=True)
    assert frames == parts
    assert [ns for ns, _ in frames] == sorted(ns for ns, _ in frames)
    found = imported(frames)
    assert found.ladder.counts.gaps == 0
    book, trades = simulate_columns(BTC, start, end, seed=4, defects=[drift])
    same(found.book, book)
    same(found.trades, trades)
    across = int(np.searchsorted(book.exchange_ns, middle))
    assert 0 < across < len(book)
    assert book.exchange_ns[across - 1] // 1_000_000 == middle // 1_000_000 - 1
    assert abs(book.bid_ticks[0, across] / book.bid_ticks[0, across - 5] - 1.0) < 5e-4
    later, _ = simulate_columns(BTC, middle, end, seed=4, defects=[drift], carried=True)
    assert not (later.flags & BOOK_RESET).any()
    same(later, book.slice(across, len(book)))


def test_memory_does_not_grow_with_the_span() -> None:
    """Four times the span needs no more memory at once."""
    peaks = []
    for minutes in (40, 160):
        tracemalloc.start()
        for _ in simulate(BTC, MIDNIGHT, MIDNIGHT + minutes * 60 * SECOND, seed=1):
            pass
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.2 * peaks[0]


def test_a_capture_is_read_back_by_the_importer(tmp_path: Path) -> None:
    """Two recorded days as files: the importer gives the columns, day by day, without a break."""
    spans = [(DAY, 86_100, 86_400), (DAY + 1, 0, 300)]
    for day, first, last in spans:
        name = f"btcusdt_{date.fromordinal(date(1970, 1, 1).toordinal() + day):%Y%m%d}.gz"
        start, end = day * DAY_NS + first * SECOND, day * DAY_NS + last * SECOND
        count = write_capture(tmp_path / name, BTC, start, end, seed=9, carried=first == 0)
        with gzip.open(tmp_path / name) as lines:
            assert sum(1 for _ in lines) == count
    source = BinanceWsSource(tmp_path, SymbolTable({"BTCUSDT": BTC}))
    assert [d.toordinal() for d in source.days(BTC)] == [date(2024, 8, 8).toordinal(), date(2024, 8, 9).toordinal()]
    for day, first, last in spans:
        start, end = day * DAY_NS + first * SECOND, day * DAY_NS + last * SECOND
        read = source.read_day(BTC, date.fromordinal(date(1970, 1, 1).toordinal() + day))
        book, trades = simulate_columns(BTC, start, end, seed=9, carried=first == 0)
        same(read.book, book)
        same(read.trades, trades)
        assert not read.breaks


def test_a_capture_is_the_same_file_every_time_and_whole_or_absent(tmp_path: Path) -> None:
    """Bytes repeat; a simulation that is refused leaves nothing behind."""
    for name in ("a.gz", "b.gz"):
        write_capture(tmp_path / name, BTC, MIDNIGHT, MIDNIGHT + 10 * SECOND, seed=1)
    assert (tmp_path / "a.gz").read_bytes() == (tmp_path / "b.gz").read_bytes()
    with pytest.raises(BadRule):
        write_capture(tmp_path / "c.gz", BTC, MIDNIGHT, MIDNIGHT, seed=1)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.gz", "b.gz"]


@pytest.mark.parametrize(
    ("start", "end", "options", "message"),
    [
        (MIDNIGHT, MIDNIGHT, {}, "wanted 0 <= start < end"),
        (MIDNIGHT + 1, MIDNIGHT + 2, {"carried": True}, "only a midnight"),
        (MIDNIGHT, MIDNIGHT + 1, {"defects": [Defect("crossed", MIDNIGHT)]}, "use simulate"),
    ],
)
def test_what_cannot_be_simulated_is_refused_with_a_reason(
    start: int, end: int, options: dict[str, object], message: str
) -> None:
    """An empty span, a book carried over from no midnight, and a defect that columns cannot show."""
    with pytest.raises(BadRule, match=message):
        simulate_columns(BTC, start, end, 1, **options)  # type: ignore[arg-type]


def same(found: BookColumns | TradeColumns, wanted: BookColumns | TradeColumns) -> None:
    """Every column equal."""
    for column in fields(wanted):
        assert np.array_equal(getattr(found, column.name), getattr(wanted, column.name)), column.name

"""Hyperliquid CSV: columns, stalls, early trades, what a reconnection sends again, broken rows, recorded files."""

from datetime import date
from pathlib import Path

import numpy as np
import pytest

from archive.errors import SourceError
from archive.sources.day import DayOfMarket
from archive.sources.hyperliquid import HyperliquidSource
from market.columns import BOOK_RESET
from market.events import BadReference
from tests import recorded
from tests.archive.sources.made import DAY, MS_NS, TABLE, at, csv, touch, truncate, write

BTC = TABLE["BTC-HL"]
LEVELS = 20
BOOK_HEADER = [
    "timestamp",
    "sequence",
    "exchange_timestamp",
    *(f"{side}_{what}_{k}" for k in range(LEVELS) for side in ("bid", "ask") for what in ("price", "size")),
]
TRADE_HEADER = ["timestamp", "price", "size", "side", "trade_id", "exchange_timestamp"]


def _book(seconds: float, bid: float = 100.0, ask: float = 101.0, local: float | None = None) -> list[object]:
    levels = [value for k in range(LEVELS) for value in (bid - k, 0.5, ask + k, 0.25)]
    ms = at(seconds) // MS_NS
    return [at(seconds + 0.4 if local is None else local) / 1e9, ms, ms, *levels]


def _trade(trade_id: int, seconds: float, side: str = "buy", local: float | None = None) -> list[object]:
    return [at(seconds + 0.4 if local is None else local) / 1e9, 101.0, 0.003, side, trade_id, at(seconds) // MS_NS]


def _recording(folder: Path, books: list[list[object]], trades: list[list[object]]) -> HyperliquidSource:
    write(folder / "orderbooks_BTC.csv.gz", csv(BOOK_HEADER, books))
    write(folder / "trades_BTC.csv.gz", csv(TRADE_HEADER, trades))
    return HyperliquidSource(folder, TABLE)


def _read(folder: Path, books: list[list[object]], trades: list[list[object]]) -> DayOfMarket:
    return _recording(folder, books, trades).read_day(BTC, DAY)


def test_columns_become_ticks_lots_and_nanoseconds(tmp_path: Path) -> None:
    """Local seconds keep their microseconds, exchange milliseconds are event time, side is the aggressor's."""
    day = _read(tmp_path, [_book(1), _book(2, 101, 103)], [_trade(7, 1), _trade(8, 2, "sell")])
    assert touch(day) == [(100, 101), (101, 103)]
    assert (day.book.bid_lots[9, 0], day.book.ask_lots[9, 0]) == (50_000, 25_000)
    assert day.book.exchange_ns.tolist() == [at(1), at(2)]
    assert day.book.local_ns.tolist() == [at(1.4), at(2.4)]
    assert day.book.sequence.tolist() == [at(1) // MS_NS, at(2) // MS_NS]
    assert (day.trades.trade_id.tolist(), day.trades.aggressor.tolist()) == ([7, 8], [1, -1])
    assert day.trades.size_lots.tolist() == [300, 300]
    assert not day.trades.flags.any()


def test_stalls_are_counted(tmp_path: Path) -> None:
    """A silence of 18 s is a long stall, none of it is filled in."""
    day = _read(tmp_path, [_book(1), _book(19), _book(26)], [_trade(1, 2)])
    assert len(day.book) == 3
    assert (day.defects["stalls_10s_to_60s"], day.defects["stalls_5s_to_10s"]) == (1, 1)


def test_trades_before_the_first_book_are_kept_and_counted(tmp_path: Path) -> None:
    """They are true, only nothing is known of the book they met."""
    day = _read(tmp_path, [_book(10)], [_trade(1, 2, local=10.4), _trade(2, 11)])
    assert day.trades.exchange_ns.tolist() == [at(2), at(11)]
    assert day.defects["trades_before_book"] == 1


def test_what_a_reconnection_sends_again_is_dropped(tmp_path: Path) -> None:
    """Trades known by id and the last book come twice after a stall; the first arrival counts."""
    trades = [_trade(1, 1), _trade(2, 2), _trade(1, 1, local=30), _trade(2, 2, local=30), _trade(3, 3, local=30)]
    day = _read(tmp_path, [_book(1), _book(1, local=30), _book(31)], trades)
    assert day.trades.trade_id.tolist() == [1, 2, 3]
    assert day.trades.local_ns.tolist() == [at(1.4), at(2.4), at(30)]
    assert (len(day.book), day.defects["duplicates"]) == (2, 3)


def test_rows_that_cannot_be_parsed_are_counted_with_the_line(tmp_path: Path) -> None:
    """A word for a number, a short row, an unknown side: dropped; the first one's line is kept."""
    books = [_book(1), ["x", *_book(2)[1:]], _book(3)[:7], _book(4)]
    trades = [_trade(1, 1), _trade(2, 2, "both"), [*_trade(3, 3)[:1], "", *_trade(3, 3)[2:]]]
    day = _read(tmp_path, books, trades)
    assert day.book.exchange_ns.tolist() == [at(1), at(4)]
    assert day.trades.trade_id.tolist() == [1]
    assert day.defects["malformed"] == 4
    assert day.first_seen["malformed"] == f"{tmp_path / 'orderbooks_BTC.csv.gz'}, row 3"


def test_empty_fields_are_missing_levels_holes_are_malformed(tmp_path: Path) -> None:
    """A book may end early; a level missing between two is no book."""
    short, hole = _book(1), _book(2)
    first = BOOK_HEADER.index("bid_price_5")
    for k in range(first, len(BOOK_HEADER)):
        short[k] = ""
    hole[first], hole[first + 1] = "", ""
    day = _read(tmp_path, [short, hole], [])
    assert (len(day.book), day.defects["malformed"]) == (1, 1)
    assert (day.book.bid_lots[:, 0] > 0).sum() == 5


def test_rows_are_cut_to_the_day(tmp_path: Path) -> None:
    """One recording, two days: each row belongs to one."""
    source = _recording(tmp_path, [_book(-1), _book(1)], [_trade(1, -0.5), _trade(2, 1)])
    assert source.days(BTC) == (date(2026, 1, 5), DAY)
    day, before = source.read_day(BTC, DAY), source.read_day(BTC, date(2026, 1, 5))
    assert (day.book.flags.tolist(), before.book.flags.tolist()) == ([0], [BOOK_RESET])
    assert (day.trades.trade_id.tolist(), before.trades.trade_id.tolist()) == ([2], [1])
    assert len(source.read_day(BTC, date(2025, 1, 1)).book) == 0


def test_prices_off_the_tick_and_unreadable_files_are_refused(tmp_path: Path) -> None:
    """Half a dollar is no price of a tick of 1; half a gzip file is none either; nor are other columns."""
    with pytest.raises(BadReference, match=r"orderbooks_BTC.csv.gz, row 3: .*100.5.* of 1"):
        _read(tmp_path, [_book(1), _book(2, 100.5)], [])
    source = _recording(tmp_path, [_book(k) for k in range(300)], [])
    with pytest.raises(SourceError, match="no order books of ETH, found BTC"):
        source.read_day(TABLE["ETH-HL"], DAY)
    truncate(tmp_path / "orderbooks_BTC.csv.gz")
    with pytest.raises(SourceError, match=r"orderbooks_BTC\.csv\.gz: wanted a whole"):
        source.read_day(BTC, DAY)
    write(tmp_path / "orderbooks_BTC.csv.gz", csv(["timestamp", "bid"], [[1, 2]]))
    with pytest.raises(SourceError, match=r"wanted columns .*ask_price_9 float.*found timestamp, bid"):
        source.read_day(BTC, DAY)
    write(tmp_path / "orderbooks_BTC.csv.gz", "")
    with pytest.raises(SourceError, match="found no first line"):
        source.read_day(BTC, DAY)


@pytest.mark.parametrize(("name", "repeated"), [("BTC-HL", 3), ("ETH-HL", 20)])
def test_the_recorded_half_hour(name: str, repeated: int) -> None:
    """3,785 books a symbol, 3 of them sent again; 30 trades older than the first; one stall of 18 s; ETH replays 17."""
    source = HyperliquidSource(recorded.path("hyperliquid_20250904"), TABLE)
    assert [symbol.name for symbol in source.symbols()] == ["BTC-HL", "ETH-HL"]
    assert source.days(TABLE[name]) == (date(2025, 9, 4),)
    day = source.read_day(TABLE[name], date(2025, 9, 4))
    assert len(day.book) == 3_782
    assert len(day.trades) == {"BTC-HL": 6_675, "ETH-HL": 6_884 - 17}[name]
    assert (day.defects["duplicates"], day.defects["trades_before_book"]) == (repeated, 30)
    assert day.defects["stalls_10s_to_60s"] == 1
    assert day.first_seen["stalls_10s_to_60s"].startswith("17.976 s")
    assert not {"malformed", "crossed", "locked"} & day.defects.keys()
    assert np.median(day.book.ask_ticks[0] - day.book.bid_ticks[0]) == 1

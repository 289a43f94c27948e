"""Binance's published day files: with and without header, milliseconds and microseconds, neighbours, broken rows."""

from collections.abc import Sequence
from datetime import date, timedelta
from pathlib import Path

import pytest

from archive.errors import SourceError
from archive.sources.binance_vision import BinanceVisionSource
from archive.sources.day import DayOfMarket
from market.columns import BOOK_RESET
from market.events import NO_ASK_TICKS, NO_BID_TICKS, BadReference
from tests.archive.sources.made import DAY, MS_NS, TABLE, at, csv, touch, truncate, write

BTC = TABLE["BTCUSDT"]
TICKER = ["update_id", "best_bid_price", "best_bid_qty", "best_ask_price", "best_ask_qty", "transaction_time"]
TICKER += ["event_time"]
AGG = ["agg_trade_id", "price", "quantity", "first_trade_id", "last_trade_id", "transact_time", "is_buyer_maker"]
RAW = ["id", "price", "qty", "quote_qty", "time", "is_buyer_maker"]


def _ms(seconds: float) -> int:
    return at(seconds) // MS_NS


def _ticker(update: int, seconds: float, bid: float = 100.0, ask: float = 100.1) -> list[object]:
    return [update, bid, 0.5, ask, 0.25, _ms(seconds), _ms(seconds) + 3]


def _agg(trade: int, seconds: float, maker: str = "false") -> list[object]:
    return [trade, 100.1, 0.004, trade, trade, _ms(seconds), maker]


def _file(
    folder: Path, kind: str, rows: Sequence[Sequence[object]], header: Sequence[str] = (), day: date = DAY
) -> Path:
    text = csv(header, rows) if header else csv([], rows).lstrip("\n")
    return write(folder / f"BTCUSDT-{kind}-{day}.zip", text)


def _read(folder: Path, day: date = DAY) -> DayOfMarket:
    return BinanceVisionSource(folder, TABLE).read_day(BTC, day)


@pytest.mark.parametrize("header", [True, False])
def test_the_touch_is_read_the_other_levels_are_missing(tmp_path: Path, header: bool) -> None:
    """bookTicker knows one level a side; files come with a header or without."""
    _file(tmp_path, "bookTicker", [_ticker(7, 1), _ticker(9, 2, 100.1, 100.3)], TICKER if header else ())
    _file(tmp_path, "aggTrades", [_agg(1, 1), _agg(2, 2, "true")], AGG if header else ())
    day = _read(tmp_path)
    assert touch(day) == [(1_000, 1_001), (1_001, 1_003)]
    assert (set(day.book.bid_ticks[1:, 0]), set(day.book.ask_ticks[1:, 0])) == ({NO_BID_TICKS}, {NO_ASK_TICKS})
    assert (day.book.bid_lots[0, 0], day.book.sequence.tolist()) == (500, [7, 9])
    assert day.book.exchange_ns.tolist() == day.book.local_ns.tolist() == [at(1), at(2)]
    assert (day.trades.trade_id.tolist(), day.trades.aggressor.tolist()) == ([1, 2], [1, -1])
    assert "malformed" not in day.defects


def test_single_trades_stand_in_for_missing_aggregates(tmp_path: Path) -> None:
    """Days without aggTrades are read from trades; both together are not told twice."""
    _file(tmp_path, "trades", [[1, 100.1, 0.004, 0.4, _ms(1), "True"], [3, 100.1, 0.004, 0.4, _ms(2), "False"]], RAW)
    day = _read(tmp_path)
    assert (day.trades.aggressor.tolist(), day.defects["trade_id_gaps"]) == ([-1, 1], 1)
    assert (len(day.book), day.defects["missing_files"]) == (0, 1)
    _file(tmp_path, "aggTrades", [_agg(10, 1)], AGG)
    assert _read(tmp_path).trades.trade_id.tolist() == [10]


def test_spot_times_since_2025_are_microseconds(tmp_path: Path) -> None:
    """Spot files have no header, a column more, and since 2025 microseconds."""
    row = [1, 100.1, 0.004, 1, 1, at(1) // 1_000, "True", "True"]
    folder = tmp_path / "spot" / "daily"
    write(folder / f"BTCUSDT-aggTrades-{DAY}.zip", csv([], [row]).lstrip("\n"))
    source = BinanceVisionSource(tmp_path, TABLE)
    assert [symbol.name for symbol in source.symbols()] == ["BTCUSDT-SPOT"]
    assert source.read_day(source.symbols()[0], DAY).trades.exchange_ns.tolist() == [at(1)]


def test_rows_of_the_neighbours_are_found_and_cut(tmp_path: Path) -> None:
    """A file may hold a row of the day beside it; every row is in one day, midnight is no reset."""
    before = DAY - timedelta(days=1)
    _file(tmp_path, "bookTicker", [_ticker(1, -1), _ticker(2, 0.5)], TICKER, day=before)
    _file(tmp_path, "bookTicker", [_ticker(3, 1), _ticker(4, 86_401)], TICKER)
    day = _read(tmp_path)
    assert day.book.sequence.tolist() == [2, 3]
    assert day.book.flags.tolist() == [0, 0]
    assert _read(tmp_path, before).book.flags.tolist() == [BOOK_RESET]
    assert day.defects["rows_of_next_day"] == 1


def test_rows_out_of_order_and_repeated_trades_are_mended_and_counted(tmp_path: Path) -> None:
    """Some published bookTicker files are not in order of their update ids."""
    _file(tmp_path, "bookTicker", [_ticker(1, 1), _ticker(3, 3), _ticker(2, 2)], TICKER)
    _file(tmp_path, "aggTrades", [_agg(1, 1), _agg(1, 1), _agg(2, 2)], AGG)
    day = _read(tmp_path)
    assert day.book.sequence.tolist() == [1, 2, 3]
    assert day.trades.trade_id.tolist() == [1, 2]
    assert (day.defects["out_of_order"], day.defects["duplicates"]) == (1, 1)


def test_broken_rows_are_counted_and_broken_files_refused(tmp_path: Path) -> None:
    """A maker flag that is neither, a price below zero; a file cut in half; a price off the tick; other columns."""
    _file(tmp_path, "bookTicker", [_ticker(1, 1), _ticker(2, 2, -1)], TICKER)
    trades = _file(tmp_path, "aggTrades", [_agg(1, 1, "maybe"), *(_agg(k, k) for k in range(2, 400))], AGG)
    day = _read(tmp_path)
    assert (len(day.book), len(day.trades), day.defects["malformed"]) == (1, 398, 2)
    with pytest.raises(SourceError, match=rf"no day file of BTCUSDT on 2026-03-01; found {DAY}"):
        _read(tmp_path, date(2026, 3, 1))
    truncate(trades)
    with pytest.raises(SourceError, match=r"aggTrades.*wanted a zip"):
        _read(tmp_path)
    _file(tmp_path, "aggTrades", [[1, 2]], ["price", "size"])
    with pytest.raises(SourceError, match=r"wanted columns agg_trade_id int.*found price, size"):
        _read(tmp_path)
    _file(tmp_path, "bookTicker", [_ticker(1, 1, 100.05)], TICKER)
    with pytest.raises(BadReference, match=r"bookTicker.*row 2: .*100.05"):
        _read(tmp_path)


def test_an_empty_folder_is_refused(tmp_path: Path) -> None:
    """Nothing to read is an error, not an empty market."""
    with pytest.raises(SourceError, match="no Binance day files"):
        BinanceVisionSource(tmp_path, TABLE)

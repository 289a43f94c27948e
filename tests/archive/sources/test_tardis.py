"""Tardis-style day files: replayed deltas, snapshots, midnight, reconnections, trades, broken rows."""

from collections.abc import Sequence
from datetime import date, timedelta
from pathlib import Path

import pytest

from archive.errors import SourceError
from archive.sources.day import DayOfMarket
from archive.sources.tardis import TardisSource
from market.columns import BOOK_RESET
from market.events import BadReference
from tests.archive.sources.made import DAY, TABLE, at, csv, touch, truncate, write

BTC = TABLE["BTCUSDT"]
TOMORROW = DAY + timedelta(days=1)
DELTA = ["exchange", "symbol", "timestamp", "local_timestamp", "is_snapshot", "side", "price", "amount"]
TRADE = ["exchange", "symbol", "timestamp", "local_timestamp", "id", "side", "price", "amount"]
LAG = 0.25


def _row(seconds: float, *rest: object) -> list[object]:
    return ["binance-futures", "BTCUSDT", at(seconds) // 1_000, at(seconds + LAG) // 1_000, *rest]


def _snapshot(seconds: float, bid: float = 100.0, ask: float = 100.1) -> list[list[object]]:
    sides = (("bid", bid, -0.1), ("ask", ask, 0.1))
    return [
        _row(seconds, "true", side, round(touch + k * step, 1), 0.5) for side, touch, step in sides for k in range(12)
    ]


def _delta(seconds: float, side: str, price: float, amount: float) -> list[object]:
    return _row(seconds, "false", side, price, amount)


def _file(folder: Path, kind: str, rows: Sequence[list[object]], header: Sequence[str], day: date = DAY) -> Path:
    return write(folder / f"binance-futures_{kind}_{day}_BTCUSDT.csv.gz", csv(header, rows))


def _deltas(folder: Path, rows: Sequence[list[object]], day: date = DAY) -> Path:
    return _file(folder, "incremental_book_L2", rows, DELTA, day)


def _read(folder: Path, day: date = DAY) -> DayOfMarket:
    return TardisSource(folder, TABLE).read_day(BTC, day)


def test_deltas_are_replayed_message_by_message(tmp_path: Path) -> None:
    """Rows that share both times are one message and make one row; amounts are absolute, 0 removes."""
    rows = [*_snapshot(1), _delta(2, "bid", 100.0, 0), _delta(2, "ask", 100.1, 0.75), _delta(3, "bid", 100.0, 0.1)]
    _deltas(tmp_path, rows)
    day = _read(tmp_path)
    assert touch(day) == [(1_000, 1_001), (999, 1_001), (1_000, 1_001)]
    assert (day.book.ask_lots[0, 1], day.book.bid_lots[0, 2]) == (750, 100)
    assert day.book.exchange_ns.tolist() == [at(1), at(2), at(3)]
    assert day.book.local_ns.tolist() == [at(1.25), at(2.25), at(3.25)]
    assert day.book.flags.tolist() == [BOOK_RESET, 0, 0]
    assert not day.book.sequence.any()


def test_a_snapshot_in_mid_day_is_a_reconnection(tmp_path: Path) -> None:
    """It replaces the book: levels that it does not name are gone, and the row starts anew."""
    _deltas(tmp_path, [*_snapshot(1), _delta(2, "bid", 100.0, 0.7), *_snapshot(9, 99.0, 99.1)])
    day = _read(tmp_path)
    assert touch(day)[-1] == (990, 991)
    assert day.book.flags.tolist() == [BOOK_RESET, 0, BOOK_RESET]


def test_the_daily_snapshot_is_no_reset(tmp_path: Path) -> None:
    """A file that follows within a minute goes on where the last ended; after an hour of nothing it does not."""
    _deltas(tmp_path, [*_snapshot(86_000), _delta(86_399.9, "bid", 100.0, 0.7)])
    _deltas(tmp_path, [*_snapshot(86_400.5), _delta(86_401, "bid", 100.0, 0.8)], TOMORROW)
    assert _read(tmp_path, TOMORROW).book.flags.tolist() == [0, 0]
    _deltas(tmp_path, _snapshot(82_000))
    assert _read(tmp_path, TOMORROW).book.flags.tolist() == [BOOK_RESET, 0]


def test_files_cut_by_the_local_clock_lose_no_row(tmp_path: Path) -> None:
    """What arrived after midnight but happened before is read from the next file."""
    _deltas(tmp_path, _snapshot(86_399))
    _deltas(tmp_path, [_delta(86_399.9, "bid", 100.0, 0.7), _delta(86_400.1, "bid", 100.0, 0.8)], TOMORROW)
    assert _read(tmp_path).book.exchange_ns.tolist() == [at(86_399), at(86_399.9)]
    assert _read(tmp_path, TOMORROW).book.exchange_ns.tolist() == [at(86_400.1)]


def test_deltas_before_any_snapshot_are_counted(tmp_path: Path) -> None:
    """They change a book nobody has seen."""
    _deltas(tmp_path, [_delta(1, "bid", 100.0, 0.7), _delta(1.5, "bid", 100.0, 0.8), *_snapshot(2)])
    day = _read(tmp_path)
    assert (len(day.book), day.defects["unsynced"]) == (1, 2)


def test_crossed_books_are_dropped(tmp_path: Path) -> None:
    """The next sound row carries BOOK_RESET."""
    _deltas(tmp_path, [*_snapshot(1), _delta(2, "bid", 100.3, 1), _delta(3, "bid", 100.3, 0)])
    day = _read(tmp_path)
    assert (touch(day), day.defects["crossed"]) == ([(1_000, 1_001)] * 2, 1)
    assert day.book.flags.tolist() == [BOOK_RESET, BOOK_RESET]


def test_snapshot_files_are_read_where_there_are_no_deltas(tmp_path: Path) -> None:
    """Five levels make five; the deepest type is taken; repeated rows are dropped."""
    header = ["exchange", "symbol", "timestamp", "local_timestamp"]
    header += [f"{side}[{k}].{what}" for k in range(5) for side in ("asks", "bids") for what in ("price", "amount")]
    levels = [value for k in range(5) for value in (round(100.1 + k / 10, 1), 0.5, round(100.0 - k / 10, 1), 0.25)]
    _file(tmp_path, "book_snapshot_5", [_row(1, *levels), _row(1, *levels), _row(2, *levels)], header)
    day = _read(tmp_path)
    assert touch(day) == [(1_000, 1_001)] * 2
    assert day.book.bid_lots[:, 0].tolist() == [250] * 5 + [0] * 5
    assert day.defects["duplicates"] == 1


def test_trades_keep_the_taker_and_unknown_ones_are_counted(tmp_path: Path) -> None:
    """Ids are numbers or UUIDs; a side the venue does not tell is 0."""
    rows = [
        _row(1, 7, "buy", 100.1, 0.004),
        _row(2, "9f8a4c52-0000-4000-8000-000000000000", "sell", 100.0, 0.001),
        _row(3, 8, "unknown", 100.0, 0.001),
        _row(4, "?", "buy", 100.0, 0.001),
    ]
    _file(tmp_path, "trades", rows, TRADE)
    day = _read(tmp_path)
    assert day.trades.aggressor.tolist() == [1, -1, 0]
    assert day.trades.trade_id.tolist()[::2] == [7, 8]
    assert 0 < day.trades.trade_id[1] < 2**63 - 1
    assert (day.defects["aggressor_unknown"], day.defects["malformed"], day.defects["missing_files"]) == (1, 1, 1)


def test_exchanges_are_told_apart(tmp_path: Path) -> None:
    """binance is spot, binance-futures the perpetual; an exchange we have no symbols of is passed over."""
    for exchange, name in (("binance", "BTCUSDT"), ("binance-futures", "BTCUSDT"), ("bitstamp", "BTCUSD"), ("x", "Y")):
        write(tmp_path / f"{exchange}_trades_{DAY}_{name}.csv.gz", csv(TRADE, []))
    source = TardisSource(tmp_path, TABLE)
    assert {symbol.name for symbol in source.symbols()} == {"BTCUSDT", "BTCUSDT-SPOT", "BTCUSD-BITSTAMP"}
    assert source.days(BTC) == (DAY,)
    assert len(source.read_day(BTC, DAY).trades) == 0


def test_broken_rows_are_counted_and_broken_files_refused(tmp_path: Path) -> None:
    """A side that is neither; half a file; another day; a price off the tick; other columns."""
    path = _deltas(tmp_path, [*_snapshot(1), _delta(2, "both", 100.0, 1), _delta(3, "bid", 100.0, -1)])
    day = _read(tmp_path)
    assert (len(day.book), day.defects["malformed"]) == (1, 2)
    assert day.first_seen["malformed"] == f"{path}, row 26"
    with pytest.raises(SourceError, match=f"2026-03-01; found {DAY}"):
        _read(tmp_path, date(2026, 3, 1))
    _deltas(tmp_path, [_delta(1, "bid", 100.05, 1)])
    with pytest.raises(BadReference, match=r"incremental_book_L2.*row 2: .*100.05"):
        _read(tmp_path)
    truncate(_deltas(tmp_path, _snapshot(1) * 50))
    with pytest.raises(SourceError, match="incremental_book_L2"):
        _read(tmp_path)
    write(path, csv(["timestamp"], [[1]]))
    with pytest.raises(SourceError, match=r"wanted columns local_timestamp int.*found timestamp"):
        _read(tmp_path)

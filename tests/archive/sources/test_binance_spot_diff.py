"""Binance spot recordings in JSON arrays: joining the snapshot, missing files, broken entries, recorded files."""

import json
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from archive.errors import SourceError
from archive.sources.binance_spot_diff import BinanceSpotDiffSource
from archive.sources.day import DayOfMarket, SequenceBreak
from market.columns import BOOK_RESET
from market.events import BadReference
from tests import recorded
from tests.archive.sources.made import DAY, MS_NS, TABLE, at, depth, print_of, snapshot, touch, truncate, write

BTC = TABLE["BTCUSDT-SPOT"]
START = "2026-01-06T00-00-00"


def _ms(seconds: float) -> int:
    return at(seconds) // MS_NS


def _recording(folder: Path, start: str = START, **arrays: Any) -> None:
    for kind, content in arrays.items():
        write(folder / f"BTCUSDT_{start}_{kind}.json.gz", json.dumps(content))


def _updates(*ids: tuple[int, int], start: float = 1) -> list[dict[str, Any]]:
    return [depth(first, last, None, _ms(start + k)) for k, (first, last) in enumerate(ids)]


def _agg(trade_id: int, seconds: float, **fields: Any) -> dict[str, Any]:
    frame = print_of(0, _ms(seconds), q="0.010", M=True, f=1, l=1, **fields) | {"e": "aggTrade", "a": trade_id}
    return {key: value for key, value in frame.items() if key not in {"t", "X"}}


def _read(folder: Path, day: date = DAY) -> DayOfMarket:
    return BinanceSpotDiffSource(folder, TABLE).read_day(BTC, day)


def test_the_first_update_spans_the_snapshot_and_older_ones_go(tmp_path: Path) -> None:
    """u <= L is dropped; U <= L + 1 <= u joins; then U is the previous u plus one."""
    _recording(tmp_path, snapshot=snapshot(10), update=_updates((1, 4), (5, 10), (11, 13), (14, 14)), trades=[])
    day = _read(tmp_path)
    assert day.book.sequence.tolist() == [13, 14]
    assert day.book.flags.tolist() == [BOOK_RESET, 0]
    assert touch(day) == [(10_000, 10_010)] * 2
    assert day.defects["before_snapshot"] == 2
    assert day.book.exchange_ns.tolist() == day.book.local_ns.tolist() == [at(3), at(4)]


def test_a_break_ends_the_book_until_the_next_recording(tmp_path: Path) -> None:
    """Without a snapshot nothing can mend it; the next recording's does, and starts anew."""
    _recording(tmp_path, snapshot=snapshot(10), update=_updates((11, 11), (13, 13), (14, 14)), trades=[])
    later = _updates((90, 95), (96, 96), start=3_600)
    _recording(tmp_path, "2026-01-06T01-00-00", snapshot=snapshot(94), update=later, trades=[])
    day = _read(tmp_path)
    assert day.book.sequence.tolist() == [11, 95, 96]
    assert day.book.flags.tolist() == [BOOK_RESET, BOOK_RESET, 0]
    assert day.breaks == (SequenceBreak(12, 13, at(2)),)


def test_a_recording_that_follows_without_a_hole_needs_no_reset(tmp_path: Path) -> None:
    """Files cut by the hour go on where the last ended; the second snapshot is not needed."""
    _recording(tmp_path, snapshot=snapshot(10), update=_updates((11, 11)), trades=[])
    later = _updates((12, 12), (13, 13), start=3_600)
    _recording(tmp_path, "2026-01-06T01-00-00", snapshot=snapshot(12), update=later, trades=[])
    day = _read(tmp_path)
    assert day.book.flags.tolist() == [BOOK_RESET, 0, 0]
    assert day.breaks == ()


def test_trades_carry_their_time_and_aggressor(tmp_path: Path) -> None:
    """T is event time, E stands in for the local clock; ids of aggTrades are contiguous."""
    trades = [_agg(5, 1, E=_ms(1) + 2, m=True), _agg(6, 2), _agg(9, 3)]
    _recording(tmp_path, snapshot=snapshot(10), update=_updates((11, 11)), trades=trades)
    day = _read(tmp_path)
    assert day.trades.trade_id.tolist() == [5, 6, 9]
    assert day.trades.aggressor.tolist() == [-1, 1, 1]
    assert (day.trades.exchange_ns[0], day.trades.local_ns[0]) == (at(1), at(1) + 2 * MS_NS)
    assert (day.defects["trade_id_gaps"], day.first_seen["trade_id_gaps"]) == (1, "trade 9 after 6")


def test_trades_alone_are_a_day_without_a_book(tmp_path: Path) -> None:
    """The missing updates are counted; the trades are not thrown away with them."""
    _recording(tmp_path, snapshot=snapshot(10), trades=[_agg(1, 1)])
    day = _read(tmp_path)
    assert (len(day.book), len(day.trades), day.defects["missing_files"]) == (0, 1, 1)
    assert "update beside" in day.first_seen["missing_files"]


def test_broken_entries_are_counted_with_their_number(tmp_path: Path) -> None:
    """Not an object, no levels, unknown keys: each counted, the rest read."""
    updates: list[Any] = _updates((11, 11), (12, 12))
    broken = {key: value for key, value in updates[0].items() if key != "b"}
    _recording(tmp_path, snapshot=snapshot(10), update=[updates[0], 7, broken, updates[1] | {"x": 1}], trades=[])
    day = _read(tmp_path)
    assert day.book.sequence.tolist() == [11, 12]
    assert (day.defects["malformed"], day.defects["unknown_keys"]) == (2, 1)
    assert f"{START}_update.json.gz, entry 1" in day.first_seen["malformed"]


def test_rows_after_midnight_belong_to_the_next_day(tmp_path: Path) -> None:
    """A recording over midnight fills two days, without a reset between."""
    updates = _updates((11, 11), (12, 12), (13, 13), start=86_399)
    _recording(tmp_path, "2026-01-06T23-00-00", snapshot=snapshot(10), update=updates, trades=[])
    assert _read(tmp_path).book.sequence.tolist() == [11]
    tomorrow = _read(tmp_path, date(2026, 1, 7))
    assert (tomorrow.book.sequence.tolist(), tomorrow.book.flags.tolist()) == ([12, 13], [0, 0])


def test_unreadable_recordings_are_refused(tmp_path: Path) -> None:
    """Half a gzip, JSON of another shape, a day that is not there, a price off the tick."""
    _recording(tmp_path, snapshot=snapshot(10), update=_updates(*((k, k) for k in range(11, 99))), trades=[])
    with pytest.raises(SourceError, match="2026-02-01; found 2026-01-06"):
        _read(tmp_path, date(2026, 2, 1))
    truncate(tmp_path / f"BTCUSDT_{START}_update.json.gz")
    with pytest.raises(SourceError, match=r"update\.json\.gz: wanted a whole file"):
        _read(tmp_path)
    _recording(tmp_path, update={"e": 1})
    with pytest.raises(SourceError, match="wanted a JSON list"):
        _read(tmp_path)
    _recording(tmp_path, update=[depth(11, 11, None, _ms(1), b=[["100.001", "1"]])])
    with pytest.raises(BadReference, match=r"update.json.gz, entry 0: .*100.001"):
        _read(tmp_path)


def test_the_recorded_hour_of_ethbtc() -> None:
    """3,600 updates, one older than the snapshot; no break; 1,736 trades."""
    source = BinanceSpotDiffSource(recorded.path("binance_spot_diff_20201101"), TABLE)
    assert {symbol.name for symbol in source.symbols()} == {"BTCUSDT-SPOT", "ETHBTC-SPOT"}
    day = source.read_day(TABLE["ETHBTC-SPOT"], date(2020, 11, 1))
    assert (len(day.book), len(day.trades), day.breaks) == (3_599, 1_736, ())
    assert day.defects["before_snapshot"] == 1
    assert not {"crossed", "malformed", "unknown_keys", "trade_id_gaps"} & day.defects.keys()


def test_the_recorded_trades_of_btcusdt_come_without_a_book() -> None:
    """The set has no updates of it."""
    source = BinanceSpotDiffSource(recorded.path("binance_spot_diff_20201101"), TABLE)
    day = source.read_day(BTC, date(2020, 11, 1))
    assert (len(day.book), len(day.trades), day.defects["missing_files"]) == (0, 18_054, 1)

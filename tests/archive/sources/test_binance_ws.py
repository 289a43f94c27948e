"""Binance websocket captures: synchronising, clocks, midnight, breaks, broken lines, and the recorded files."""

import json
from datetime import date
from pathlib import Path

import numpy as np
import pytest

from archive.errors import SourceError
from archive.sources.binance_ws import BinanceWsSource
from archive.sources.day import DayBounds, DayOfMarket, SequenceBreak
from market.columns import BOOK_LOCKED, BOOK_RESET
from market.events import BadReference
from tests import recorded
from tests.archive.sources.made import (
    DAY,
    MS_NS,
    TABLE,
    at,
    capture,
    depth,
    print_of,
    snapshot,
    streamed,
    touch,
    truncate,
)

BTC = TABLE["BTCUSDT"]
SKEW_NS = 1_270 * MS_NS


def _ms(seconds: float) -> int:
    return at(seconds) // MS_NS


def _name(folder: Path, day: date = DAY) -> Path:
    return folder / f"btcusdt_{day:%Y%m%d}.gz"


def _read(folder: Path, day: date = DAY) -> DayOfMarket:
    return BinanceWsSource(folder, TABLE).read_day(BTC, day)


def _chain(count: int, start_seconds: float = 1.0, first: int = 11) -> list[tuple[int, dict[str, object]]]:
    """Updates that follow snapshot 10 one by one, a second apart, each changing the best bid's size."""
    return [
        (at(start_seconds + k), streamed(depth(n, n, n - 1, _ms(start_seconds + k), b=[["100.0", f"{k + 1}.000"]])))
        for k, n in enumerate(range(first, first + count))
    ]


def test_updates_before_the_snapshot_join_it_in_one_row(tmp_path: Path) -> None:
    """Diffs kept while the snapshot was awaited: the older dropped, the rest known when the snapshot arrived."""
    early = [(at(0.1), streamed(depth(8, 9, 7, _ms(0.1)))), (at(0.2), streamed(depth(10, 11, 9, _ms(0.2))))]
    capture(_name(tmp_path), [*early, (at(0.5), snapshot(10)), (at(0.6), streamed(depth(12, 12, 11, _ms(0.6))))])
    day = _read(tmp_path)
    assert day.book.sequence.tolist() == [11, 12]
    assert day.book.local_ns.tolist() == [at(0.5), at(0.6)]
    assert day.book.exchange_ns.tolist() == [at(0.2), at(0.6)]
    assert day.book.flags.tolist() == [BOOK_RESET, 0]
    assert day.defects["before_snapshot"] == 1
    assert day.breaks == ()


def test_sizes_are_absolute_and_zero_removes(tmp_path: Path) -> None:
    """A removed best level lets the next one up; removing an unknown one is normal."""
    gone = depth(11, 11, 10, _ms(1), b=[["100.0", "0.000"], ["55.5", "0"]], a=[["100.1", "2.500"]])
    capture(_name(tmp_path), [(at(0.5), snapshot(10)), (at(1), streamed(gone))])
    day = _read(tmp_path)
    assert touch(day) == [(999, 1_001)]
    assert (day.book.bid_lots[0, 0], day.book.ask_lots[0, 0]) == (1_000, 2_500)


def test_a_slow_local_clock_is_kept_and_its_skew_reported(tmp_path: Path) -> None:
    """The recorder lies 1.27 s behind: local_ns as recorded, event time the exchange's, skew in milliseconds."""
    lines = [(ns - SKEW_NS, frame) for ns, frame in [(at(5), snapshot(10)), *_chain(3, 6)]]
    capture(_name(tmp_path), [*lines, (at(9) - SKEW_NS, streamed(print_of(7, _ms(9))))])
    day = _read(tmp_path)
    assert day.book.exchange_ns.tolist() == [at(6), at(7), at(8)]
    assert day.book.local_ns.tolist() == [at(6) - SKEW_NS, at(7) - SKEW_NS, at(8) - SKEW_NS]
    assert (day.trades.exchange_ns[0], day.trades.local_ns[0]) == (at(9), at(9) - SKEW_NS)
    assert day.defects["local_clock_skew_ms"] == -1_270


def test_the_book_is_carried_over_midnight(tmp_path: Path) -> None:
    """The second file has no snapshot: the first one's book goes on, unbroken and without a reset."""
    tomorrow = date(2026, 1, 7)
    end = 86_400
    capture(_name(tmp_path), [(at(end - 5), snapshot(10)), *_chain(3, end - 4)])
    capture(_name(tmp_path, tomorrow), _chain(3, end + 1, first=14))
    day = _read(tmp_path, tomorrow)
    assert day.book.sequence.tolist() == [14, 15, 16]
    assert day.book.flags.tolist() == [0, 0, 0]
    assert "rows_of_next_day" not in _read(tmp_path).defects
    _name(tmp_path).unlink()
    alone = _read(tmp_path, tomorrow)
    assert len(alone.book) == 0
    assert alone.defects["unsynced"] == 3


def test_the_snapshot_may_lie_days_before(tmp_path: Path) -> None:
    """Files are taken back to the last that has a snapshot, and no further."""
    days = [date(2026, 1, d) for d in (4, 5, 6, 7)]
    capture(_name(tmp_path, days[0]), ["not even read"])
    capture(_name(tmp_path, days[1]), [(at(-86_400), snapshot(10)), *_chain(1, -86_399)])
    capture(_name(tmp_path, days[2]), _chain(1, 1, first=12))
    capture(_name(tmp_path, days[3]), _chain(1, 86_401, first=13))
    day = _read(tmp_path, days[3])
    assert day.book.sequence.tolist() == [13]
    assert not day.book.flags.any()


def test_rows_past_midnight_in_the_day_before_are_found(tmp_path: Path) -> None:
    """Files are cut at the recorder's midnight: rows the exchange dates to the next day are read from there."""
    lines = [(at(86_398), snapshot(10)), *_chain(4, 86_398.5)]
    capture(_name(tmp_path), [(ns - SKEW_NS, frame) for ns, frame in lines])
    first, second = _read(tmp_path), _read(tmp_path, date(2026, 1, 7))
    assert first.book.sequence.tolist() == [11, 12]
    assert second.book.sequence.tolist() == [13, 14]
    assert first.defects["rows_of_next_day"] == 2
    assert (first.book.exchange_ns < DayBounds.of(DAY).stop_ns).all()


def test_a_break_is_recorded_and_the_next_row_starts_anew(tmp_path: Path) -> None:
    """A missing update: (expected, seen, when), nothing until a snapshot, then BOOK_RESET."""
    lost = streamed(depth(14, 14, 13, _ms(3)))
    after = [(at(5), streamed(depth(20, 20, 19, _ms(5)))), (at(6), streamed(depth(21, 21, 20, _ms(6))))]
    capture(_name(tmp_path), [(at(0.5), snapshot(10)), *_chain(2), (at(3), lost), (at(4), snapshot(19)), *after])
    day = _read(tmp_path)
    assert day.breaks == (SequenceBreak(expected=12, seen=13, exchange_ns=at(3)),)
    assert day.book.sequence.tolist() == [11, 12, 20, 21]
    assert day.book.flags.tolist() == [BOOK_RESET, 0, BOOK_RESET, 0]
    assert day.defects["sequence_breaks"] == 1
    assert day.defects["before_snapshot"] == 1


def test_updates_after_a_break_without_a_snapshot_are_counted(tmp_path: Path) -> None:
    """What no snapshot can place is dropped, not guessed."""
    capture(_name(tmp_path), [(at(0.5), snapshot(10)), *_chain(1), *_chain(3, 3, first=15)])
    day = _read(tmp_path)
    assert (len(day.book), day.defects["unsynced"], day.defects["sequence_breaks"]) == (1, 3, 1)


def test_a_crossed_book_is_dropped_a_locked_one_kept(tmp_path: Path) -> None:
    """The update that crosses makes no row; the one that mends it carries BOOK_RESET."""
    cross = streamed(depth(12, 12, 11, _ms(2), b=[["100.2", "1.000"]]))
    lock = streamed(depth(13, 13, 12, _ms(3), b=[["100.2", "0"], ["100.1", "1.000"]]))
    capture(_name(tmp_path), [(at(0.5), snapshot(10)), *_chain(1), (at(2), cross), (at(3), lock)])
    day = _read(tmp_path)
    assert touch(day) == [(1_000, 1_001), (1_001, 1_001)]
    assert day.book.flags.tolist() == [BOOK_RESET, BOOK_RESET | BOOK_LOCKED]
    assert (day.defects["crossed"], day.defects["locked"]) == (1, 1)


def test_trades_are_read_with_their_aggressor_and_checked_for_holes(tmp_path: Path) -> None:
    """m true: the taker sold. Repeats dropped, jumps counted, insurance prints left out without making a hole."""
    fund = print_of(4, _ms(4), X="INSURANCE_FUND")
    prints = [print_of(1, _ms(1), m=True), print_of(2, _ms(2)), print_of(2, _ms(2)), fund, print_of(5, _ms(5))]
    capture(_name(tmp_path), [(at(k), streamed(frame, "btcusdt@trade")) for k, frame in enumerate(prints)])
    day = _read(tmp_path)
    assert day.trades.trade_id.tolist() == [1, 2, 5]
    assert day.trades.aggressor.tolist() == [-1, 1, 1]
    assert day.trades.size_lots.tolist() == [10, 10, 10]
    assert (day.defects["duplicates"], day.defects["trade_id_gaps"], day.defects["trades_not_market"]) == (1, 1, 1)


@pytest.mark.parametrize(
    "line",
    [
        "not a line",
        f"{at(2)} " + '{"stream":"btcusdt@depth@0ms","data":{"e":"depthUpd',
        f"{at(2)} [1, 2]",
        f"{at(2)} " + '{"stream":"x","data":3}',
        'then {"e":"depthUpdate","s":"BTCUSDT"}',
        f"{at(2)} " + json.dumps(streamed({"e": "depthUpdate", "s": "BTCUSDT", "U": 1})),
        f"{at(2)} " + json.dumps(streamed(depth(12, 11, 10, _ms(2)))),
        f"{at(2)} " + json.dumps(streamed(depth(12, 12, 11, _ms(2), b=[["-1", "1"]]))),
        f"{at(2)} " + json.dumps(streamed(print_of(1, _ms(2), q="0"))),
        f"{at(2)} " + json.dumps(streamed(print_of(1, _ms(2), X="INSURANCE_FUND") | {"t": "one"})),
        f"{at(2)} " + json.dumps(streamed({"e": "trade", "s": "BTCUSDT", "X": "ADL"})),
    ],
)
def test_a_broken_line_is_counted_not_a_crash(tmp_path: Path, line: str) -> None:
    """One bad line costs itself; its place is kept."""
    path = capture(_name(tmp_path), [(at(0.5), snapshot(10)), *_chain(1), line, *_chain(1, 3, first=12)])
    day = _read(tmp_path)
    assert day.book.sequence.tolist() == [11, 12]
    assert day.defects["malformed"] == 1
    assert day.first_seen["malformed"].startswith(f"{path}, line 3: ")


def test_unknown_keys_are_ignored_and_counted_foreign_frames_too(tmp_path: Path) -> None:
    """Venues add keys every year; frames we have no use for are counted, other symbols' are not ours."""
    lines = [
        (at(0.5), snapshot(10)),
        (at(1), streamed(depth(11, 11, 10, _ms(1), ps="BTCUSDT", st=3))),
        (at(2), streamed({"e": "markPriceUpdate", "s": "BTCUSDT", "p": "1"})),
        (at(2.2), streamed({"e": ["depthUpdate"], "s": "BTCUSDT"})),
        (at(2.5), streamed({"u": 11, "s": "BTCUSDT", "b": "100.0"}, "btcusdt@bookTicker")),
    ]
    capture(_name(tmp_path), lines)
    day = _read(tmp_path)
    assert len(day.book) == 1
    assert (day.defects["unknown_keys"], day.defects["unknown_frames"]) == (1, 2)


def test_inline_snapshots_of_several_symbols_find_their_owner(tmp_path: Path) -> None:
    """Files of many symbols name the snapshot's owner; a bare one belongs to nobody and is counted."""
    lines = [
        (at(0.1), snapshot(99)),
        (at(0.5), {"rest": "depth", "symbol": "BTCUSDT", "data": snapshot(10)}),
        (at(0.6), {"rest": "depth", "symbol": "ETHUSDT", "data": snapshot(500)}),
        *_chain(2),
        (at(3), streamed(depth(501, 501, 500, _ms(3)) | {"s": "ETHUSDT"})),
    ]
    capture(tmp_path / "all_20260106.gz", lines)
    source = BinanceWsSource(tmp_path, TABLE)
    assert [symbol.name for symbol in source.symbols()] == ["BTCUSDT", "ETHUSDT"]
    assert source.read_day(BTC, DAY).book.sequence.tolist() == [11, 12]
    assert source.read_day(TABLE["ETHUSDT"], DAY).book.sequence.tolist() == [501]
    assert source.read_day(BTC, DAY).defects["unknown_frames"] == 1


def test_spot_is_told_from_futures_by_its_frames(tmp_path: Path) -> None:
    """Spot names no previous update; its first update spans the snapshot's id plus one."""
    lines = [(at(0.5), snapshot(10)), (at(1), streamed(depth(9, 11, None, _ms(1))))]
    capture(_name(tmp_path), [*lines, (at(2), streamed(depth(12, 14, None, _ms(2))))])
    source = BinanceWsSource(tmp_path, TABLE)
    assert [symbol.market for symbol in source.symbols()] == ["spot"]
    assert source.read_day(source.symbols()[0], DAY).book.sequence.tolist() == [11, 14]


def test_a_local_clock_that_goes_back_is_held(tmp_path: Path) -> None:
    """Rows keep the order of the file; the held time is counted."""
    lines = [(at(0.5), snapshot(10)), *_chain(1, 3), *_chain(1, 2, first=12)]
    capture(_name(tmp_path), lines)
    day = _read(tmp_path)
    assert day.book.local_ns.tolist() == [at(3), at(3)]
    assert day.defects["local_clock_backwards"] == 1
    assert day.defects["exchange_clock_backwards"] == 1


def test_a_price_off_the_tick_names_file_and_line(tmp_path: Path) -> None:
    """The symbol, the price, the tick and the line: enough to mend the table."""
    path = capture(_name(tmp_path), [(at(0.5), snapshot(10)), (at(1), depth(11, 11, 10, _ms(1), a=[["100.15", "1"]]))])
    with pytest.raises(BadReference) as caught:
        _read(tmp_path)
    for part in (str(path), "line 2", "BTCUSDT", "100.15", "0.1"):
        assert part in str(caught.value)


def test_unreadable_files_and_folders_are_refused(tmp_path: Path) -> None:
    """A truncated gzip, a folder without captures, a day that is not there."""
    with pytest.raises(SourceError, match="no Binance websocket captures"):
        BinanceWsSource(tmp_path, TABLE)
    path = capture(_name(tmp_path), [(at(0.5), snapshot(10)), *_chain(400)])
    with pytest.raises(SourceError, match="2026-03-01; found 2026-01-06"):
        _read(tmp_path, date(2026, 3, 1))
    with pytest.raises(SourceError, match=path.name):
        BinanceWsSource(truncate(path).parent, TABLE).read_day(BTC, DAY)


@pytest.mark.slow
def test_the_recorded_usdm_capture() -> None:
    """6,551 updates: 4 older than the snapshot, the rest chain without a break; 21,313 trades without a hole."""
    source = BinanceWsSource(recorded.path("binance_ws", "usdm"), TABLE)
    assert [symbol.name for symbol in source.symbols()] == ["BTCUSDT"]
    day = source.read_day(BTC, date(2024, 8, 8))
    assert (len(day.trades), day.defects["before_snapshot"], day.defects["rows_of_next_day"]) == (21_313, 4, 4)
    # One kept update joined the snapshot's row: 6,551 - 4 stale - 1, less 4 after midnight.
    assert len(day.book) == 6_542
    assert (
        not {"sequence_breaks", "crossed", "locked", "malformed", "trade_id_gaps", "unknown_keys"} & day.defects.keys()
    )
    assert -1_280 < day.defects["local_clock_skew_ms"] < -1_260
    assert np.median(day.book.ask_ticks[0] - day.book.bid_ticks[0]) == 1
    assert day.book.exchange_ns[-1] < DayBounds.of(date(2024, 8, 8)).stop_ns


@pytest.mark.slow
@pytest.mark.parametrize(("folder", "name"), [("cm", "BTCUSD_PERP"), ("spot", "BTCUSDT-SPOT")])
def test_the_recorded_books_go_on_over_midnight(folder: str, name: str) -> None:
    """The second day has no snapshot, begins without a reset and ends without a break."""
    source = BinanceWsSource(recorded.path("binance_ws", folder), TABLE)
    day = source.read_day(TABLE[name], date(2024, 8, 9))
    assert len(day.book) > 3_000
    assert not day.book.flags.any()
    assert day.breaks == ()
    assert day.book.exchange_ns[0] - DayBounds.of(date(2024, 8, 9)).start_ns < 200 * MS_NS
    assert day.book.local_ns[0] < DayBounds.of(date(2024, 8, 9)).start_ns, "its first rows lie in the first file"


def test_the_recorded_capture_of_four_symbols() -> None:
    """Snapshots inline, one file for all: each symbol's book chains."""
    path = recorded.path("ws_captures_30s", "binance_usdm_20210722.gz")
    source = BinanceWsSource(path.parent, TABLE)
    assert {symbol.name for symbol in source.symbols()} >= {"SUSHIUSDT", "AKROUSDT", "KEEPUSDT", "CTKUSDT"}
    day = source.read_day(TABLE["SUSHIUSDT"], date(2021, 7, 22))
    assert (len(day.book), len(day.trades), day.breaks) == (252, 40, ())
    assert day.defects["unknown_frames"] == 22, "candles"

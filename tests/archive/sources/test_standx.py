"""StandX parquet: what becomes of each defect, on made hours and on the recorded days."""

from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from archive.errors import SourceError
from archive.sources.day import DayOfMarket
from archive.sources.standx import StandxSource
from market.columns import BOOK_LOCKED, BOOK_ONE_SIDED, BOOK_RESET, TRADE_INFERRED
from market.events import NO_ASK_TICKS, BadReference
from tests import recorded
from tests.archive.sources.made import DAY, MS_NS, TABLE, at, ladder, standx_hour, touch, truncate

BTC = TABLE["BTC-USD"]


def _read(folder: Path, day: date = DAY) -> DayOfMarket:
    return StandxSource(folder, TABLE).read_day(BTC, day)


def _book(seconds: float, bid: float = 100.0, ask: float = 100.1, **more: object) -> dict[str, object]:
    return {"exchange": at(seconds), "local": at(seconds + 0.4), **ladder(bid, ask), **more}


def test_ticks_lots_and_ten_levels_come_out(tmp_path: Path) -> None:
    """Prices become ticks of 0.01, sizes lots of 0.0001, and the best ten of twenty levels stay."""
    standx_hour(tmp_path, [_book(1), _book(2, 100.1, 100.3)], [(at(1.5), at(1.7), 100.1, 0.0003)])
    day = _read(tmp_path)
    assert day.book.bid_ticks[:, 0].tolist() == [10_000 - 10 * k for k in range(10)]
    assert day.book.ask_lots[:, 0].tolist() == [5_000] * 10
    assert touch(day) == [(10_000, 10_010), (10_010, 10_030)]
    assert (day.book.exchange_ns.tolist(), day.book.local_ns.tolist()) == ([at(1), at(2)], [at(1.4), at(2.4)])
    assert (day.trades.price_ticks.tolist(), day.trades.size_lots.tolist()) == ([10_010], [3])
    assert day.book.flags.tolist() == [BOOK_RESET, 0]


def test_rows_stored_twice_are_dropped_and_counted(tmp_path: Path) -> None:
    """A row equal to the one before is dropped; another book in the same millisecond stays."""
    standx_hour(tmp_path, [_book(1), _book(1), _book(1, 100.1, 100.2), _book(2), _book(2)])
    day = _read(tmp_path)
    assert touch(day) == [(10_000, 10_010), (10_010, 10_020), (10_000, 10_010)]
    assert day.defects["duplicates"] == 2


def test_locked_rows_stay_flagged_crossed_rows_go(tmp_path: Path) -> None:
    """Locked is legal; crossed is dropped and the row after it starts anew."""
    standx_hour(tmp_path, [_book(1), _book(2, 100.1, 100.1), _book(3, 100.2, 100.1), _book(4)])
    day = _read(tmp_path)
    assert touch(day) == [(10_000, 10_010), (10_010, 10_010), (10_000, 10_010)]
    assert day.book.flags.tolist() == [BOOK_RESET, BOOK_LOCKED, BOOK_RESET]
    assert (day.defects["locked"], day.defects["crossed"]) == (1, 1)


def test_short_and_empty_sides_have_missing_levels(tmp_path: Path) -> None:
    """Levels a list does not reach are missing; an empty side is flagged."""
    short = _book(1) | {name: levels[:3] for name, levels in ladder(100.0, 100.1).items()}
    no_asks = _book(2, ask_prices=[], ask_quantities=[])
    standx_hour(tmp_path, [short, no_asks])
    day = _read(tmp_path)
    assert (day.book.bid_lots[:, 0] > 0).sum() == 3
    assert day.book.ask_ticks[:, 1].tolist() == [NO_ASK_TICKS] * 10
    assert day.book.flags.tolist() == [BOOK_RESET, BOOK_ONE_SIDED]
    assert day.defects["one_sided"] == 1


@pytest.mark.parametrize(
    "wrong",
    [
        {"bid_prices": [float("nan"), *ladder(100, 101)["bid_prices"][1:]]},
        {"ask_prices": ladder(100, 101)["ask_prices"][::-1]},
        {"bid_quantities": [-1.0] * 20},
        {"ask_quantities": [0.0] * 20},
        {"bid_prices": [0.0] * 20},
        {"bid_prices": None},
        {"exchange": None},
    ],
)
def test_impossible_rows_are_counted_with_the_first_place(tmp_path: Path, wrong: dict[str, object]) -> None:
    """NaN, unsorted, negative, empty, null: the row goes, the rest stays, the place of the first is kept."""
    books, _ = standx_hour(tmp_path, [_book(1), _book(2) | wrong, _book(3)])
    day = _read(tmp_path)
    assert day.book.exchange_ns.tolist() == [at(1), at(3)]
    assert day.defects["malformed"] == 1
    assert day.first_seen["malformed"] == f"{books}, row 1"


def test_rows_the_recorder_calls_invalid_are_dropped(tmp_path: Path) -> None:
    """is_valid False is the recorder's own verdict."""
    standx_hour(tmp_path, [_book(1), _book(2, is_valid=False)])
    day = _read(tmp_path)
    assert len(day.book) == 1
    assert day.defects["flagged_invalid"] == 1


def test_the_aggressor_is_inferred_though_every_trade_says_sell(tmp_path: Path) -> None:
    """At the ask a buy, at the bid a sell; flagged as inferred, whatever the side column says."""
    prints = [(at(1.5), at(1.7), 100.1, 0.1), (at(1.6), at(1.8), 100.0, 0.1)]
    standx_hour(tmp_path, [_book(1)], prints)
    day = _read(tmp_path)
    assert day.trades.aggressor.tolist() == [1, -1]
    assert (day.trades.flags == TRADE_INFERRED).all()
    assert day.defects["aggressor_inferred"] == 2
    assert "aggressor_unknown" not in day.defects


def test_trades_are_put_in_order_of_arrival(tmp_path: Path) -> None:
    """The recorder sorted by exchange time; a trade that arrived late goes behind those that overtook it."""
    prints = [(at(1.5), at(2.5), 100.1, 0.1), (at(1.6), at(1.8), 100.0, 0.2)]
    standx_hour(tmp_path, [_book(1), _book(3)], prints)
    day = _read(tmp_path)
    assert day.trades.local_ns.tolist() == [at(1.8), at(2.5)]
    assert day.trades.size_lots.tolist() == [2_000, 1_000]
    assert (day.defects["out_of_order"], day.defects["exchange_clock_backwards"]) == (1, 1)


def test_stalls_and_silences_are_counted_by_length(tmp_path: Path) -> None:
    """5 s, 10 s and 60 s are the borders, each belonging to the longer kind."""
    moments = np.cumsum([0, 4.999, 5, 9.999, 10, 59.999, 60, 108])
    standx_hour(tmp_path, [_book(float(second)) for second in moments])
    day = _read(tmp_path)
    counts = [day.defects[f"stalls_{span}"] for span in ("5s_to_10s", "10s_to_60s")]
    assert [*counts, day.defects["silences_over_60s"]] == [2, 2, 2]
    assert day.first_seen["silences_over_60s"].startswith("60.000 s after")


def test_missing_hours_and_uncovered_seconds_are_counted(tmp_path: Path) -> None:
    """A day of one hour lacks 23; what the book does not cover is told in seconds."""
    standx_hour(tmp_path, [_book(3_600), _book(3_700)], hour=1)
    day = _read(tmp_path)
    assert day.defects["missing_files"] == 23
    assert day.first_seen["missing_files"].endswith(f"orderbook_BTC-USD_{DAY}_00.parquet")
    assert day.defects["uncovered_seconds"] == 86_400 - 100


def test_the_hour_before_midnight_is_context_only(tmp_path: Path) -> None:
    """It makes the day's first row no reset and infers the first trade; its own defects are its own day's."""
    before = DAY - timedelta(days=1)
    late = [_book(-2), _book(-2), _book(-1, 100.1, 100.1)]
    standx_hour(tmp_path, late, [(at(-0.5), at(-0.3), 100.1, 0.1)], hour=23, day=before)
    standx_hour(tmp_path, [_book(0)], [(at(0.1), at(0.2), 100.3, 0.1)])
    day = _read(tmp_path)
    assert day.book.exchange_ns.tolist() == [at(0)]
    assert day.book.flags.tolist() == [0]
    assert day.trades.aggressor.tolist() == [1]
    assert not {"duplicates", "locked"} & day.defects.keys()
    assert _read(tmp_path, before).defects["duplicates"] == 1


def test_a_trade_that_arrived_after_midnight_belongs_to_the_day_of_its_monotone_time(tmp_path: Path) -> None:
    """A trade of 23:59:59.9 overtaken by one of the new day is a row of the new day; none is lost or told twice."""
    before = DAY - timedelta(days=1)
    standx_hour(tmp_path, [_book(-5)], [(at(-0.1), at(0.6), 100.1, 0.1)], hour=23, day=before)
    standx_hour(tmp_path, [_book(1)], [(at(0.1), at(0.3), 100.1, 0.2)])
    assert _read(tmp_path, before).trades.size_lots.tolist() == []
    assert _read(tmp_path).trades.size_lots.tolist() == [2_000, 1_000]


def test_a_price_off_the_tick_names_symbol_price_tick_file_and_row(tmp_path: Path) -> None:
    """The table is wrong or the data is: nothing of the day is taken."""
    off = _book(2) | {"bid_prices": [100.003, *ladder(100.0, 100.1)["bid_prices"][1:]]}
    books, _ = standx_hour(tmp_path, [_book(1), off])
    with pytest.raises(BadReference) as caught:
        _read(tmp_path)
    for part in ("BTC-USD", "100.003", "0.01", str(books), "row 1"):
        assert part in str(caught.value)


def test_a_truncated_file_is_refused_by_name(tmp_path: Path) -> None:
    """Half a parquet file is no day."""
    books, _ = standx_hour(tmp_path, [_book(1)])
    truncate(books)
    with pytest.raises(SourceError, match=books.name):
        _read(tmp_path)


def test_a_changed_layout_is_refused_with_wanted_and_found(tmp_path: Path) -> None:
    """A column of another type or name is a schema change, told as wanted and found."""
    books, _ = standx_hour(tmp_path, [_book(1)])
    table = pq.read_table(books)
    pq.write_table(table.drop_columns(["is_valid"]).rename_columns({"received_at": "got_at"}), books)
    with pytest.raises(SourceError, match=r"wanted columns received_at.*is_valid.*found.*nothing"):
        _read(tmp_path)
    pq.write_table(table.set_column(3, "bid_prices", pa.array(["100"])), books)
    with pytest.raises(SourceError, match=r"bid_prices list<.*found bid_prices string"):
        _read(tmp_path)


def test_an_empty_folder_a_missing_one_and_a_foreign_day_are_refused(tmp_path: Path) -> None:
    """Each says what is there instead."""
    with pytest.raises(SourceError, match="no StandX hours"):
        StandxSource(tmp_path, TABLE)
    with pytest.raises(SourceError, match="does not exist"):
        StandxSource(tmp_path / "nowhere", TABLE)
    file, _ = standx_hour(tmp_path, [_book(1)])
    with pytest.raises(SourceError, match="is a file"):
        StandxSource(file, TABLE)
    with pytest.raises(SourceError, match=rf"2027-01-01; found {DAY}"):
        _read(tmp_path, date(2027, 1, 1))


def test_an_hour_without_trades_or_without_rows_is_no_error(tmp_path: Path) -> None:
    """A missing trades file is counted, an empty hour gives no rows."""
    _, trades = standx_hour(tmp_path, [_book(1)])
    trades.unlink()
    standx_hour(tmp_path, [], hour=1)
    day = _read(tmp_path)
    assert (len(day.book), len(day.trades)) == (1, 0)
    assert day.first_seen["missing_files"].endswith("_02.parquet")
    assert day.defects["missing_files"] == 22 + 1


@pytest.mark.slow
def test_the_recorded_day_has_the_defects_it_is_known_for() -> None:
    """2026-01-06 of SOURCES: every row twice, 47 % locked, none crossed, 2,350 stalls, one gap of 108 s in hour 19."""
    source = StandxSource(recorded.path("standx"), TABLE)
    assert source.symbols() == (BTC,)
    assert source.days(BTC) == (date(2026, 1, 5), DAY, date(2026, 1, 7))
    day = source.read_day(BTC, DAY)
    assert (len(day.book), day.defects["duplicates"], len(day.trades)) == (261_470, 261_470, 165_660)
    assert 0.46 < day.defects["locked"] / len(day.book) < 0.48
    assert not {"crossed", "malformed", "one_sided", "missing_files", "aggressor_unknown"} & day.defects.keys()
    assert (day.defects["stalls_5s_to_10s"], day.defects["silences_over_60s"]) == (2_350, 1)
    gap = day.first_seen["silences_over_60s"]
    assert gap.startswith("107.970 s after") and at(19 * 3_600) < int(gap.rsplit(" ", 1)[1]) < at(20 * 3_600)
    assert day.book.flags[0] == 0, "the recording runs on through midnight"
    assert day.defects["aggressor_inferred"] == len(day.trades)
    assert 0.4 < (day.trades.aggressor > 0).mean() < 0.6, "the feed cuts prices down; a naive mid calls two thirds buys"
    assert (np.diff(day.book.local_ns) >= 0).all() and (np.diff(day.trades.local_ns) >= 0).all()
    assert 300 * MS_NS < np.median(day.book.local_ns - day.book.exchange_ns) < 450 * MS_NS


def test_the_recorded_first_hour_is_partial() -> None:
    """2026-01-05 begins at 22:54: 22 hours have no file, and all before is uncovered."""
    day = StandxSource(recorded.path("standx"), TABLE).read_day(BTC, date(2026, 1, 5))
    assert (len(day.book), len(day.trades), day.defects["missing_files"]) == (12_083, 2_802, 22)
    assert day.defects["uncovered_seconds"] == 82_487
    assert day.book.flags[0] & BOOK_RESET

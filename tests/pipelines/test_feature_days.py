from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from archive.errors import MissingPartition
from archive.layout import ROW_GROUP_ROWS
from archive.store import Lake
from market.candidates import CandidateRule, select
from market.columns import BookColumns, TradeColumns
from market.features import CONTEXT_NAMES, FEATURE_NAMES, KernelState, interleave, run
from market.simulator import simulate_columns
from market.simulator_rule import SimulatorRule
from pipelines.feature_days import Columns, compute_day, examine
from pipelines.partitions import Cell
from tests.pipelines.days import DAYS, MIDDLE, SECOND_NS, TABLE, Bench, bench, flat_book, market, same_bits

NAMES = (*FEATURE_NAMES, *CONTEXT_NAMES)
RULE = CandidateRule(interval_ms=20_000)


def one_pass(book: BookColumns, trades: TradeColumns, rule: CandidateRule) -> Columns:
    """What the kernel says in one uninterrupted pass over everything: time, side and every column of a candidate."""
    events = interleave(book, trades)
    out, valid = np.empty((len(events), len(NAMES)), np.float32), np.empty(len(events), np.uint8)
    run(KernelState.new(), events, out, valid)
    index, side = select(rule, np.ascontiguousarray(events[:, 0]), out, valid)
    return {"t_ns": events[index, 0], "side": side} | {name: out[index, k] for k, name in enumerate(NAMES)}


def kernel_part(columns: Columns, since_ns: int = 0) -> Columns:
    """The columns that a pass of the kernel gives, of the rows from a time on."""
    return {name: columns[name][columns["t_ns"] >= since_ns] for name in ("t_ns", "side", *NAMES)}


def test_midnight_is_not_special(finished: Bench) -> None:
    """With the tail of the day before, a day has bit for bit the rows of one pass over both days."""
    days = [market(MIDDLE.symbol, day) for day in DAYS[:2]]
    whole = one_pass(
        BookColumns.concat([day.book for day in days]), TradeColumns.concat([day.trades for day in days]), RULE
    )
    found = compute_day(finished.lake, MIDDLE, RULE)
    assert found["t_ns"][0] < MIDDLE.start_ns + 21 * SECOND_NS
    assert same_bits(kernel_part(found), kernel_part(whole, MIDDLE.start_ns))


def test_without_the_day_before_only_the_warm_up_is_missing(finished: Bench) -> None:
    """The first day of a lake starts two minutes late, and holds rows of its own day alone."""
    at = Cell(DAYS[0], "BTCUSDT")
    found = compute_day(finished.lake, at, RULE)
    assert at.start_ns + 120 * SECOND_NS <= found["t_ns"][0] < at.start_ns + 150 * SECOND_NS
    assert found["t_ns"][-1] < at.end_ns


def test_a_day_that_is_not_in_the_lake_is_refused_by_name(finished: Bench) -> None:
    """A missing day is an error, where a missing day before is not."""
    with pytest.raises(MissingPartition, match=r"symbol=BTCUSDT/date=2026-01-09"):
        compute_day(finished.lake, Cell(DAYS[2], "BTCUSDT").shifted(2), RULE)


def test_a_candidate_keeps_the_touch_it_saw(finished: Bench) -> None:
    """Its book row is the last one at or before it, and holds the prices it is labelled with."""
    found, book = compute_day(finished.lake, MIDDLE, RULE), finished.lake.read_book(MIDDLE.symbol, MIDDLE.day)
    rows = found["book_row"]
    later = rows[rows >= 0]
    assert len(later) >= len(rows) - 1
    assert np.array_equal(book.bid_ticks[0, later], found["bid_ticks"][rows >= 0])
    assert np.array_equal(book.ask_ticks[0, later], found["ask_ticks"][rows >= 0])
    assert (book.local_ns[later] <= found["local_ns"][rows >= 0]).all()
    following = np.minimum(later + 1, len(book) - 1)
    assert (book.local_ns[following] >= found["local_ns"][rows >= 0])[following > later].all()


def test_the_pieces_of_a_long_day_are_one_pass(tmp_path: Path) -> None:
    """A day of more than one row group gives the rows of a single pass, and numbers its book rows through."""
    at = Cell(DAYS[0], "BTCUSDT")
    rule = SimulatorRule(depth_interval_ms=500, orders_per_second=8.0, trades_per_second=0.1)
    book, trades = simulate_columns(TABLE[at.symbol], at.start_ns, at.end_ns, 3, rule=rule, carried=True)
    assert len(book) > ROW_GROUP_ROWS
    lake = Lake.create(tmp_path)
    lake.write_book(at.symbol, at.day, book, source="test")
    lake.write_trades(at.symbol, at.day, trades, source="test")
    found = compute_day(lake, at, RULE)
    assert same_bits(kernel_part(found), kernel_part(one_pass(book, trades, RULE)))
    assert (np.diff(found["book_row"]) > 0).all()
    assert found["book_row"][-1] > ROW_GROUP_ROWS
    assert np.array_equal(book.bid_ticks[0, found["book_row"]], found["bid_ticks"])


def test_trades_behind_the_last_book_row_are_walked_too(tmp_path: Path) -> None:
    """They are part of the day: the candidate at such a trade stands on the last book row."""
    at = Cell(DAYS[0], "BTCUSDT")
    day = market(at.symbol, at.day)
    cut = replace(day, book=day.book.slice(0, 4_000))
    workspace = bench(tmp_path, {at: cut})
    workspace.lake.write_book(at.symbol, at.day, cut.book, source="test")
    workspace.lake.write_trades(at.symbol, at.day, cut.trades, source="test")
    found = compute_day(workspace.lake, at, RULE)
    assert same_bits(kernel_part(found), kernel_part(one_pass(cut.book, cut.trades, RULE)))
    assert found["t_ns"][-1] > cut.book.exchange_ns[-1]
    assert found["book_row"][-1] == 3_999


def test_a_day_too_short_to_warm_up_has_no_rows_but_every_column(tmp_path: Path) -> None:
    """An empty result still has the layout of the table."""
    at, lake = Cell(DAYS[0], "BTCUSDT"), Lake.create(tmp_path)
    times = at.start_ns + np.arange(5) * SECOND_NS
    lake.write_book(at.symbol, at.day, flat_book(times, [100] * 5), source="test")
    lake.write_trades(at.symbol, at.day, TradeColumns.empty(), source="test", allow_empty=True)
    found = compute_day(lake, at, RULE)
    assert {len(column) for column in found.values()} == {0}
    assert set(NAMES) < set(found)
    assert found["book_row"].dtype == np.int64


def test_a_value_that_is_not_finite_fails_the_check_and_is_named(finished: Bench) -> None:
    """One NaN or infinity among all rows is enough."""
    for name, value in (("spread_bps", np.nan), ("ofi_1_1s", np.inf)):
        columns = compute_day(finished.lake, MIDDLE, RULE)
        columns[name][17] = value  # type: ignore[call-overload]
        enough, finite = examine(MIDDLE, columns, 100)
        assert (enough.passed, finite.passed) == (True, False)
        assert finite.detail == f"not finite: {name}"


def test_too_few_candidates_fail_the_check(finished: Bench) -> None:
    """The finding says how many there are and how many are wanted."""
    rows = compute_day(finished.lake, MIDDLE, RULE)
    enough, _ = examine(MIDDLE, rows, len(rows["t_ns"]) + 1)
    assert not enough.passed
    assert enough.detail == f"{len(rows['t_ns'])} candidates, at least {len(rows['t_ns']) + 1} wanted"

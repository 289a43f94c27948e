from collections.abc import Callable
from datetime import UTC, date, datetime

import dagster as dg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.partitions import Cell, cell, cells, day_after, day_before, grid
from tests.pipelines.days import CELLS, DAYS, MIDDLE, SYMBOLS, Context

_GRID = grid(DAYS[0], DAYS[-1], SYMBOLS)


@given(st.dates(date(2000, 1, 1), date(2100, 1, 1)), st.from_regex(r"[A-Z0-9_-]{1,20}", fullmatch=True))
def test_a_cell_comes_back_from_its_partition_key(day: date, symbol: str) -> None:
    """The key names day and symbol, whatever characters a symbol's name may hold."""
    assert cell(str(Cell(day, symbol).key)) == Cell(day, symbol)


def test_the_grid_holds_every_day_from_first_to_last_times_every_symbol() -> None:
    """Both ends are included, and nothing else."""
    assert {cell(str(key)) for key in _GRID.get_partition_keys()} == set(CELLS)


def test_a_symbol_listed_out_of_order_stands_in_order_in_the_grid() -> None:
    """Ranges of partitions run from symbol to symbol in alphabetical order, so the grid must too."""
    assert grid(DAYS[0], DAYS[0], ["ETHUSDT", "BTCUSDT"]).get_partition_keys() == [
        "2026-01-05|BTCUSDT",
        "2026-01-05|ETHUSDT",
    ]


def test_a_cell_knows_its_day_in_nanoseconds_and_its_neighbours() -> None:
    """A day ends where the next begins."""
    assert MIDDLE.end_ns == MIDDLE.shifted(1).start_ns
    assert MIDDLE.end_ns - MIDDLE.start_ns == 86_400_000_000_000
    assert MIDDLE.shifted(-1) == Cell(DAYS[0], MIDDLE.symbol)


def test_a_run_gets_its_cells_in_time_order() -> None:
    """Whatever order Dagster names the keys in."""
    assert cells(Context(reversed(CELLS))) == CELLS  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("mapping", "at", "read"),
    [
        (day_before, DAYS[1], [DAYS[0], DAYS[1]]),
        (day_before, DAYS[0], [DAYS[0]]),
        (day_after, DAYS[1], [DAYS[1], DAYS[2]]),
        (day_after, DAYS[2], [DAYS[2]]),
    ],
)
def test_an_asset_depends_on_the_neighbouring_day_it_reads(
    mapping: Callable[[], dg.MultiPartitionMapping], at: date, read: list[date]
) -> None:
    """Of the same symbol, and only where the grid has that day."""
    found = mapping().get_upstream_mapped_partitions_result_for_partitions(
        _GRID.subset_with_partition_keys([Cell(at, "BTCUSDT").key]),
        _GRID,
        _GRID,
        current_time=datetime(2026, 2, 1, tzinfo=UTC),
    )
    assert {cell(str(key)) for key in found.partitions_subset.get_partition_keys()} == {
        Cell(day, "BTCUSDT") for day in read
    }

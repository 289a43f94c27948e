import fcntl
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path

import dagster as dg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from archive.layout import BOOK
from pipelines.definitions import build
from pipelines.errors import PipelineError
from pipelines.launching import Launcher, blocks
from pipelines.partitions import Cell
from tests.pipelines.days import CELLS, DAYS, MIDDLE, Bench, bench, file_of, ingest, market, thinned

_GRID = ("A", "B", "C", "D")
_CELLS = st.sets(st.builds(Cell, st.integers(0, 9).map(lambda n: DAYS[0] + timedelta(days=n)), st.sampled_from(_GRID)))


@pytest.fixture(scope="module")
def instance() -> Iterator[dg.DagsterInstance]:
    """An instance in memory."""
    with dg.DagsterInstance.ephemeral() as made:
        yield made


def launcher(workspace: Bench, instance: dg.DagsterInstance) -> Launcher:
    """Launches the jobs of a workspace."""
    return Launcher(build(workspace), workspace, instance)


def inside(first: Cell, last: Cell) -> set[Cell]:
    """Every cell of the grid in a rectangle."""
    days = range((last.day - first.day).days + 1)
    symbols = [symbol for symbol in _GRID if first.symbol <= symbol <= last.symbol]
    return {Cell(first.day + timedelta(days=n), symbol) for n in days for symbol in symbols}


@given(_CELLS)
def test_blocks_hold_the_cells_asked_for_each_once_and_no_other_of_the_grid(cells: set[Cell]) -> None:
    """Also when the symbols asked for have another between them."""
    covered = [inside(first, last) for first, last in blocks(cells, _GRID)]
    assert set().union(*covered) == cells
    assert sum(len(block) for block in covered) == len(cells)


def test_a_whole_grid_is_one_block() -> None:
    """A run costs a second or more whatever it does."""
    assert blocks(CELLS, ["ETHUSDT", "BTCUSDT"]) == [(CELLS[0], CELLS[-1])]


def test_a_hole_in_the_days_or_the_symbols_makes_blocks_around_it() -> None:
    """Neither the day nor the symbol between is asked for."""
    day = date(2026, 1, 5)
    apart = [Cell(day, "A"), Cell(day, "C"), Cell(day + timedelta(days=2), "A")]
    assert blocks(apart, _GRID) == [(each, each) for each in apart]


def test_a_launch_works_on_its_cells_alone_and_counts_its_time(tmp_path: Path, instance: dg.DagsterInstance) -> None:
    """Two cells that do not touch are two runs."""
    workspace = bench(tmp_path)
    runs = launcher(workspace, instance)
    asked = [CELLS[0], CELLS[3]]
    assert runs.launch("ingest_job", ["market_data"], asked) == ""
    assert workspace.lake.partitions(BOOK) == sorted((each.symbol, each.day) for each in asked)
    assert (runs.runs, len(runs.run_ids)) == (2, 2)
    assert 0 < sum(workspace.progress.body_seconds.values()) < runs.run_seconds


def test_a_run_of_which_dagster_would_leave_cells_out_is_refused(tmp_path: Path, instance: dg.DagsterInstance) -> None:
    """The tags of a job launched over several cells from its page name the first of them beside the range."""
    workspace = bench(tmp_path)
    first = {"dagster/partition/day": CELLS[0].day.isoformat(), "dagster/partition/symbol": CELLS[0].symbol}
    failure = launcher(workspace, instance).launch("ingest_job", ["market_data"], CELLS[:2], first)
    assert f"this run was asked for {CELLS[0].key} to {CELLS[1].key}" in failure
    assert "launch them one by one" in failure
    assert workspace.lake.partitions(BOOK) == []


def test_a_run_while_another_writes_fails_with_the_reason(tmp_path: Path, instance: dg.DagsterInstance) -> None:
    """The failed run tells who is writing and what to do; the other block still runs."""
    workspace = bench(tmp_path)
    ingest(workspace, [CELLS[0]])
    file = file_of(workspace, BOOK, CELLS[0])
    with (file.parent / f".{file.name}.lock").open("a+") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        failure = launcher(workspace, instance).launch("ingest_job", ["market_data"], [CELLS[0], CELLS[3]])
    assert failure.startswith("market_data: ")
    assert "is writing it; wait for that run to end" in failure
    assert (CELLS[3].symbol, CELLS[3].day) in workspace.lake.partitions(BOOK)


def test_a_blocking_check_stops_what_reads_the_bad_partition(tmp_path: Path, instance: dg.DagsterInstance) -> None:
    """Features of a day of too few rows are not made, and the launch says which check it was."""
    workspace = bench(tmp_path, {MIDDLE: thinned(market(MIDDLE.symbol, MIDDLE.day), 500)})
    runs = launcher(workspace, instance)
    with pytest.raises(PipelineError, match=r"^ingest_job: market_data: check row_count: .*500 book rows"):
        runs.must("ingest_job", cells=[MIDDLE])
    assert workspace.lake.partitions("features") == []
    assert workspace.lake.partitions("labels") == []

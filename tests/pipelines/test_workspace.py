from datetime import date
from pathlib import Path

import pytest

from archive.errors import MissingLake, SourceError
from archive.layout import BOOK
from archive.store import Lake
from pipelines.simulated import SimulatedSource
from pipelines.workspace import Workspace
from tests.pipelines.days import CELLS, DAYS, settings


def workspace(folder: Path, **sections: dict[str, object]) -> Workspace:
    """A workspace below a folder, on the fourth of February."""
    return Workspace(settings(folder, **sections), date(2026, 2, 4))


def test_nothing_is_opened_before_it_is_asked_for(tmp_path: Path) -> None:
    """Loading the definitions must neither make folders nor import a trainer."""
    workspace(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_the_cells_are_every_symbol_of_every_day_in_time_order(tmp_path: Path) -> None:
    """As the grid of partitions has them."""
    assert workspace(tmp_path).all_cells == CELLS


def test_an_open_range_ends_yesterday(tmp_path: Path) -> None:
    """Today is not over."""
    open_ended = workspace(tmp_path, market={"first_day": date(2026, 2, 1), "last_day": None})
    assert open_ended.last_day == date(2026, 2, 3)
    assert open_ended.all_cells[-1].day == date(2026, 2, 3)


def test_the_lake_is_made_once_it_is_used(tmp_path: Path) -> None:
    """A new lake is empty; a lake that somebody else opens must be there."""
    assert workspace(tmp_path).lake.partitions(BOOK) == []
    with pytest.raises(MissingLake, match="elsewhere"):
        Lake(tmp_path / "elsewhere").partitions(BOOK)


def test_a_backfill_of_the_simulator_asks_it_for_days_without_the_gap(tmp_path: Path) -> None:
    """The primary feed and the second one are the same simulator."""
    for backfill in (False, True):
        assert isinstance(workspace(tmp_path).source(backfill=backfill), SimulatedSource)


def test_a_folder_of_recordings_that_does_not_exist_is_named(tmp_path: Path) -> None:
    """For the source and for the backfill's own source."""
    absent = tmp_path / "absent"
    for section, backfill in (("source", False), ("backfill", True)):
        chosen = workspace(tmp_path, **{section: {"kind": "standx", "path": absent}})
        with pytest.raises(SourceError, match="absent"):
            chosen.source(backfill=backfill)


def test_run_time_folders_lie_under_var(tmp_path: Path) -> None:
    """Made when they are asked for."""
    assert workspace(tmp_path).folder("reports", "old") == tmp_path / "var" / "reports" / "old"
    assert (tmp_path / "var" / "reports" / "old").is_dir()


def test_the_rules_are_those_of_the_settings(tmp_path: Path) -> None:
    """In the units the code works with."""
    made = workspace(tmp_path, ingest={"gap_threshold_seconds": 90})
    assert made.gap_ns == 90_000_000_000
    assert made.candidate_rule.interval_ms == 20_000
    assert made.barrier_rule.horizon_seconds == 300
    assert set(made.symbols) > {each.symbol for each in CELLS}
    assert made.all_cells[0].day == DAYS[0]

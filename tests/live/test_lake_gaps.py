"""The longest silence in the newest day of the lake."""

import json
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest

from archive.store import Lake
from live.lake_gaps import longest_gaps, main
from tests.archive.lakes import DAY, NEXT_DAY, SECOND_NS, START_NS, put_book, steady_ns


def test_only_the_newest_day_counts(tmp_path: Path) -> None:
    """A gap of the day before is another matter; a silence below the threshold is none."""
    lake = Lake.create(tmp_path)
    holed = steady_ns(DAY)
    put_book(lake, "X", DAY, holed[(holed < holed[100]) | (holed > holed[300])])
    put_book(lake, "X", NEXT_DAY, steady_ns(NEXT_DAY))
    assert longest_gaps(str(tmp_path), ["X", "Y"], 60.0) == {"X": 0.0}


def test_the_longest_silence_is_told(tmp_path: Path) -> None:
    """In seconds; the end of an unfinished day is no silence, and neither is the beginning of the first one."""
    lake = Lake.create(tmp_path)
    times = START_NS + np.array([3_600, 3_610, 3_800, 3_810, 4_110], np.int64) * SECOND_NS
    put_book(lake, "X", DAY, times)
    assert longest_gaps(str(tmp_path), ["X"], 60.0) == {"X": 300.0}
    assert longest_gaps(str(tmp_path), ["X"], 400.0) == {"X": 0.0}


def test_the_newest_day_begins_at_midnight_when_the_day_before_is_there(tmp_path: Path) -> None:
    """Two hours without a row after midnight are a silence."""
    lake = Lake.create(tmp_path)
    put_book(lake, "X", DAY, steady_ns(DAY))
    late = steady_ns(NEXT_DAY)
    put_book(lake, "X", NEXT_DAY, late[late >= late[0] + 7_200 * SECOND_NS])
    assert longest_gaps(str(tmp_path), ["X"], 60.0)["X"] == pytest.approx(7_200.0, abs=60)


def test_a_day_that_cannot_be_read_is_silent_all_day(tmp_path: Path) -> None:
    """A torn file tells nothing of its rows."""
    lake = Lake.create(tmp_path)
    path = Path(put_book(lake, "X", DAY, steady_ns(DAY)).path)
    path.write_bytes(path.read_bytes()[:100])
    assert longest_gaps(str(tmp_path), ["X"], 60.0) == {"X": 86_400.0}


def test_without_a_lake_there_is_nothing_to_tell(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Printed as JSON, for the process that asks."""
    assert main([str(tmp_path / "none"), "60", "X"]) == 0
    assert json.loads(capsys.readouterr().out) == {}
    assert DAY + timedelta(days=1) == NEXT_DAY

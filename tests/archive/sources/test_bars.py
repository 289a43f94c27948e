"""One-minute bars: which minutes are there, which are missing."""

from pathlib import Path

import numpy as np
import pytest

from archive.errors import SourceError
from archive.sources.bars import MINUTE_NS, read_minutes
from tests import recorded
from tests.archive.sources.made import DAY, START_NS, csv, write

HEADER = ["timestamp", "open", "high", "low", "close", "volume"]


def _bars(path: Path, *moments: str) -> Path:
    return write(path, csv(HEADER, [[f"{DAY} {moment}", 1, 1, 1, 1, 1] for moment in moments]))


def _minutes(ns: np.ndarray) -> list[int]:
    return ((ns - START_NS) // MINUTE_NS).tolist()


def test_minutes_between_the_first_and_the_last_may_be_missing(tmp_path: Path) -> None:
    """00:02 to 00:04 are not there; what lies outside the recording is not missing."""
    found = read_minutes(_bars(tmp_path / "bars.csv.gz", "00:01:00.000000", "00:05:00.000000", "00:06:00.000000"))
    assert _minutes(found.there_ns) == [1, 5, 6]
    assert _minutes(found.missing_ns) == [2, 3, 4]
    assert found.defects == {}


def test_repeated_misplaced_and_broken_bars_are_counted(tmp_path: Path) -> None:
    """Each with the line of the first; a bar that does not start on the minute is none."""
    path = _bars(tmp_path / "bars.csv", "00:01:00", "00:03:00", "00:02:00", "00:03:00", "00:04:30", "noon")
    found = read_minutes(path)
    assert _minutes(found.there_ns) == [1, 2, 3]
    assert len(found.missing_ns) == 0
    assert found.defects == {"malformed": 2, "out_of_order": 1, "duplicates": 1}
    assert found.first_seen["out_of_order"] == f"{path}, row 4"


def test_time_zones_are_read(tmp_path: Path) -> None:
    """A moment with an offset is the same moment in UTC."""
    found = read_minutes(_bars(tmp_path / "bars.csv", "01:01:00+01:00", "00:02:00Z"))
    assert _minutes(found.there_ns) == [1, 2]


def test_files_without_bars_are_refused(tmp_path: Path) -> None:
    """No bar, no timestamp, no file."""
    with pytest.raises(SourceError, match="found none"):
        read_minutes(_bars(tmp_path / "none.csv"))
    with pytest.raises(SourceError, match="wanted columns timestamp time; found time"):
        read_minutes(write(tmp_path / "other.csv", csv(["time"], [[1]])))
    with pytest.raises(SourceError, match="does not exist"):
        read_minutes(tmp_path / "nowhere.csv")


def test_the_recorded_month_lacks_no_minute() -> None:
    """45,031 bars from 2021-12-31 23:01 on."""
    found = read_minutes(recorded.path("bars_1m", "btc-perp-20211231-20220201_1m.csv.gz"))
    assert (len(found.there_ns), len(found.missing_ns), found.defects) == (45_031, 0, {})
    assert found.there_ns[0] == 1_640_991_660 * 10**9

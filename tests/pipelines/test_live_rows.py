from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest

from archive.live_tables import OUTCOMES, REPORTS, ROUTE_CODES
from archive.store import Lake
from pipelines.live_rows import LiveTable, outcomes, survey, traded, unended
from tests.pipelines.live_tables import DAY, SYMBOL, a_trade, at, judged, put, put_reports, report


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    """An empty lake."""
    return Lake.create(tmp_path / "lake")


def test_a_lake_without_live_rows_is_an_empty_survey(lake: Lake) -> None:
    """And empty tables, of every kind."""
    found = survey(lake, OUTCOMES, 7)
    assert (found.leaves, found.rows, found.last_ns) == ({}, 0, 0)
    assert len(outcomes(lake, found)) == 0
    empty = traded(lake, survey(lake, REPORTS, 7))
    assert (len(empty.orders), len(empty.fills), len(empty.trips)) == (0, 0, 0)


def test_a_survey_holds_the_newest_days_and_changes_with_their_rows(lake: Lake) -> None:
    """Days before the window are not there; the root moves with the content."""
    rows = judged(50)
    old = {**rows, "t_ns": rows["t_ns"] - 9 * 86_400_000_000_000}
    put(lake, rows)
    put(lake, old, day=DAY - timedelta(days=9))
    found = survey(lake, OUTCOMES, 7)
    assert list(found.leaves) == [f"{DAY}|{SYMBOL}"]
    assert (found.rows, found.first_ns, found.last_ns) == (50, at(0), at(49))
    put(lake, judged(50, seed=2))
    assert survey(lake, OUTCOMES, 7).data_hash != found.data_hash


def test_a_partition_that_is_damaged_is_left_out_and_said(lake: Lake) -> None:
    """The others still speak."""
    put(lake, judged(20))
    put(lake, judged(20), symbol="ETHUSDT")
    path = Path(lake.info(OUTCOMES, SYMBOL, DAY).path)
    path.write_bytes(path.read_bytes()[:-40])
    found = survey(lake, OUTCOMES, 7)
    assert list(found.leaves) == [f"{DAY}|ETHUSDT"]
    assert list(found.left_out) == [f"{DAY}|{SYMBOL}"]
    assert outcomes(lake, found).symbols == ("ETHUSDT",)


def test_symbols_are_joined_in_the_order_of_time(lake: Lake) -> None:
    """One candidate told twice counts once; one of another symbol at the same moment is another."""
    rows = judged(30)
    twice = {name: np.concatenate([column, column[-1:]]) for name, column in rows.items()}
    put(lake, twice)
    put(lake, rows, symbol="ETHUSDT")
    found = outcomes(lake, survey(lake, OUTCOMES, 7))
    assert len(found) == 60
    assert (np.diff(found["t_ns"]) >= 0).all()
    assert np.bincount(found["symbol"]).tolist() == [30, 30]


def test_a_trade_is_its_order_its_fills_and_its_round_trip(lake: Lake) -> None:
    """Reports tell totals, so a fill is what was added; the version is that of the candidate's score."""
    put(lake, judged(10))
    put_reports(lake, *a_trade(4, order=1), report(2, "accepted", order=2), report(3, "canceled", order=2))
    found = traded(lake, survey(lake, REPORTS, 7))
    assert sorted(found.orders["has_filled"].tolist()) == [False, True]
    assert found.fills["lots"].tolist() == [1, 2, 3]
    assert found.fills["side"].tolist() == [1, 1, -1]
    assert found.trips["net_bps"].tolist() == [-2.0]
    assert set(found.orders["version"]) | set(found.fills["version"]) | set(found.trips["version"]) == {1}


def test_on_the_canary_route_the_canarys_version_decided(lake: Lake) -> None:
    """And a report whose candidate has no score is nobody's."""
    put(lake, judged(10, canary_share=0.5))
    canary = {"route": ROUTE_CODES.index("canary")}
    put_reports(lake, *a_trade(4, order=1, **canary), *a_trade(500, order=2))
    found = traded(lake, survey(lake, REPORTS, 7))
    assert found.trips["version"].tolist() == [2, 0]


def test_an_order_without_an_end_is_counted_unless_it_may_still_rest(lake: Lake) -> None:
    """The last minute's may."""
    put_reports(
        lake, report(0, "accepted", order=1), report(1, "accepted", order=2), report(2, "canceled", order=2),
        report(150, "accepted", order=3), report(160, "dropped", order=4),
    )  # fmt: skip
    assert unended(lake, survey(lake, REPORTS, 7)) == 1


def test_a_survey_is_read_in_the_order_of_its_places() -> None:
    """By symbol, then by day."""
    found = LiveTable(OUTCOMES, {"2026-01-09|A": "x", "2026-01-08|B": "y", "2026-01-08|A": "z"}, "", 0, 0, 0)
    assert [f"{symbol} {day}" for symbol, day in found.places] == ["A 2026-01-08", "A 2026-01-09", "B 2026-01-08"]

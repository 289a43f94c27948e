from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest

from archive.errors import MissingPartition
from archive.layout import FEATURES
from archive.store import Lake
from market.barriers import BarrierRule
from market.columns import BOOK_RESET, BookColumns
from pipelines.label_days import Columns, examine, label_day, shares
from pipelines.partitions import Cell
from tests.pipelines.days import DAYS, SECOND_NS, TABLE, entries, flat_book

AT = Cell(DAYS[0], "BTCUSDT")
RULE = BarrierRule(tp_pct=0.01, sl_pct=0.01, horizon_seconds=60, net_of_fees=False)
GAP_NS = 60 * SECOND_NS
TICKS = 10_000
TP, SL, TIMEOUT, UNRESOLVED = 1, -1, 0, 2
UP, DOWN = TICKS + 200, TICKS - 200


def book(at: Cell, seconds: Iterable[float], bids: Iterable[int]) -> BookColumns:
    """A book of one level at seconds after the day's start."""
    return flat_book((at.start_ns + round(s * SECOND_NS) for s in seconds), bids)


def labelled(
    tmp_path: Path, today: BookColumns, entered: Iterable[int], tomorrow: BookColumns | None = None
) -> Columns:
    """Label entries made on these book rows, at the rows' own times."""
    lake, rows = Lake.create(tmp_path), list(entered)
    lake.write_book(AT.symbol, AT.day, today, source="test")
    if tomorrow is not None:
        lake.write_book(AT.symbol, AT.shifted(1).day, tomorrow, source="test")
    times = [AT.start_ns if row < 0 else int(today.exchange_ns[row]) for row in rows]
    lake.write(FEATURES, AT.symbol, AT.day, entries(times, TICKS, rows), source="test")
    return label_day(lake, AT, RULE, TABLE[AT.symbol], GAP_NS)


def test_a_rise_pays_the_long_and_stops_the_short(tmp_path: Path) -> None:
    """Both sides of every moment are judged, on prices one could have traded."""
    found = labelled(tmp_path, book(AT, range(0, 200, 10), [TICKS] * 3 + [UP] * 17), [0])
    assert (found["outcome_long"][0], found["outcome_short"][0]) == (TP, SL)
    assert found["exit_ns_long"][0] == AT.start_ns + 30 * SECOND_NS
    assert found["net_bps_long"][0] < found["gross_bps_long"][0]


def test_labels_look_past_midnight(tmp_path: Path) -> None:
    """What happens in the next day's first minute decides a candidate of this day's last."""
    seconds = [86_300 + n for n in range(0, 100, 10)]
    found = labelled(tmp_path, book(AT, seconds, [TICKS] * 10), [9], book(AT.shifted(1), range(0, 90, 10), [UP] * 9))
    assert (found["outcome_long"][0], found["outcome_short"][0]) == (TP, SL)
    assert found["exit_ns_long"][0] == AT.end_ns


def test_the_newest_day_leaves_its_last_horizon_open(tmp_path: Path) -> None:
    """While the next day is missing, nobody knows; what ended before is known all the same."""
    seconds = [86_300 + n for n in range(0, 100, 10)]
    found = labelled(tmp_path, book(AT, seconds, [TICKS] * 10), [0, 9])
    assert found["outcome_long"].tolist() == [TIMEOUT, UNRESOLVED]


@pytest.mark.parametrize("reset", [False, True])
def test_no_label_looks_across_a_gap(tmp_path: Path, reset: bool) -> None:
    """Neither over a silence nor over a resync; what had ended before it, and what began behind it, is judged."""
    silence = 10 if reset else 70
    seconds = [*range(0, 60, 10), *range(50 + silence, 250, 10)]
    bids = [TICKS] * 6 + [UP] * (len(seconds) - 6)
    bids[2] = DOWN
    day = book(AT, seconds, bids)
    if reset:
        day.flags[6] = BOOK_RESET
    found = labelled(tmp_path, day, [0, 3, 5, 6])
    assert found["outcome_long"].tolist()[:3] == [SL, UNRESOLVED, UNRESOLVED]
    assert found["outcome_short"].tolist()[:3] == [TP, UNRESOLVED, UNRESOLVED]
    assert found["outcome_long"].tolist()[3] != UNRESOLVED


def test_a_silence_over_midnight_is_a_gap_too(tmp_path: Path) -> None:
    """Forty seconds before and forty after are eighty."""
    today, tomorrow = book(AT, range(86_300, 86_361, 10), [TICKS] * 7), book(AT.shifted(1), range(40, 90, 10), [UP] * 5)
    assert labelled(tmp_path, today, [6], tomorrow)["outcome_long"].tolist() == [UNRESOLVED]


def test_a_candidate_that_saw_only_yesterdays_book_has_no_outcome(tmp_path: Path) -> None:
    """It has no row of today to trade on."""
    found = labelled(tmp_path, book(AT, range(0, 200, 10), [TICKS] * 3 + [UP] * 17), [-1, 0])
    assert found["outcome_long"].tolist() == [UNRESOLVED, TP]


def test_labels_without_features_are_refused(tmp_path: Path) -> None:
    """The error names the partition that is missing."""
    lake = Lake.create(tmp_path)
    lake.write_book(AT.symbol, AT.day, book(AT, range(0, 50, 10), [TICKS] * 5), source="test")
    with pytest.raises(MissingPartition, match=r"features/symbol=BTCUSDT/date=2026-01-05"):
        label_day(lake, AT, RULE, TABLE[AT.symbol], GAP_NS)


def outcomes(long: list[int], short: list[int]) -> Columns:
    """Label columns with these outcomes."""
    return {"outcome_long": np.array(long, np.int8), "outcome_short": np.array(short, np.int8)}


def test_shares_add_up_to_one_for_each_side() -> None:
    """Every candidate has one outcome a side; a day without one has none of each."""
    share = shares(outcomes([1, 1, -1, 0], [2, 1, -1, -1]))
    assert share["tp_long"] == 0.5
    assert share["unresolved_short"] == 0.25
    for side in ("long", "short"):
        assert sum(value for name, value in share.items() if name.endswith(side)) == 1.0
    assert set(shares(outcomes([], [])).values()) == {0.0}


@pytest.mark.parametrize(
    ("long", "short", "balanced"),
    [
        ([1, -1, 0, 1], [-1, 1, 0, -1], True),
        ([1, 1, 1, 1], [-1, -1, -1, -1], False),
        ([-1, -1, -1, -1], [1, 1, -1, -1], False),
        ([0, 0, 0, 0], [0, 0, 0, 0], False),
        ([1, 1, 2, 2], [-1, 1, -1, 1], False),
        ([], [], False),
    ],
)
def test_a_day_with_every_label_alike_fails_the_check(long: list[int], short: list[int], balanced: bool) -> None:
    """All won, all lost, all timed out, or no loss among what was resolved: nothing to learn from."""
    finding = examine(AT, outcomes(long, short), 0.02)
    assert finding.passed is balanced
    assert "at least 0.02 wanted" in finding.detail

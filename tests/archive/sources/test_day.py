"""Days are cut by monotone event time; defects are counted under their names with the first place."""

from datetime import UTC, date, datetime

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from archive.sources.day import DayBounds, Defect, Defects, days_of, event_time, neighbour

_DAYS = st.dates(date(1971, 1, 1), date(2200, 1, 1))


@given(_DAYS)
def test_days_touch_without_overlap(day: date) -> None:
    """The end of a day is the start of the next, and both are midnight UTC."""
    bounds, following = DayBounds.of(day), DayBounds.of(neighbour(day, 1))
    assert bounds.stop_ns == following.start_ns
    assert datetime.fromtimestamp(bounds.start_ns // 10**9, UTC) == datetime(day.year, day.month, day.day, tzinfo=UTC)


@given(st.lists(st.integers(0, 10**18), min_size=1, max_size=50))
def test_every_row_lies_in_exactly_one_of_the_days(times: list[int]) -> None:
    """What days_of names holds every row once."""
    ns = np.array(times, np.int64)
    held = sum(DayBounds.of(day).hold(event_time(ns)).astype(int) for day in days_of(ns))
    assert (held == 1).all()
    assert days_of(np.empty(0, np.int64)) == ()


def test_the_margin_widens_the_day_on_both_sides() -> None:
    """Its own borders: the start is in, the stop is not."""
    bounds = DayBounds(100, 200)
    times = np.array([89, 90, 99, 100, 199, 200, 209, 210])
    assert bounds.hold(times).tolist() == [False] * 3 + [True] * 2 + [False] * 3
    assert bounds.hold(times, 10).tolist() == [False] + [True] * 6 + [False]


def test_counts_add_up_and_keep_the_first_place() -> None:
    """Nothing is noted for 0; the place is that of the first one counted."""
    defects = Defects()
    defects.count(Defect.MALFORMED, 0, "nowhere")
    assert defects.counts == {}
    defects.count(Defect.MALFORMED, 2, "line 3")
    defects.count(Defect.MALFORMED, np.int64(1), "line 9")
    defects.count(Defect.LOCAL_CLOCK_SKEW_MS, -1_270)
    assert defects.counts == {"malformed": 3, "local_clock_skew_ms": -1_270}
    assert defects.first_seen == {"malformed": "line 3"}
    assert {type(n) for n in defects.counts.values()} == {int}

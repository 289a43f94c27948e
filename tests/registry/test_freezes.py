from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry.freezes import Freeze, freeze_of, frozen_by

MONDAY = datetime(2026, 11, 23, tzinfo=UTC)
WEEKEND = "Fri 20:00-Mon 06:00"


@pytest.mark.parametrize(
    ("day", "hour", "minute", "is_frozen"),
    [(4, 19, 59, False), (4, 20, 0, True), (5, 12, 0, True), (6, 23, 59, True), (0, 5, 59, True), (0, 6, 0, False),
     (2, 12, 0, False)],
)  # fmt: skip
def test_a_freeze_over_the_end_of_the_week(day: int, hour: int, minute: int, is_frozen: bool) -> None:
    """From its first minute to the one before its end."""
    at = MONDAY + timedelta(days=day, hours=hour, minutes=minute, seconds=30)
    assert frozen_by(["Tue 13:00-Tue 15:30", WEEKEND], at) == (WEEKEND if is_frozen else None)


def test_a_freeze_within_a_day_and_none_at_all() -> None:
    """Two hours of a Tuesday."""
    at = MONDAY + timedelta(days=1, hours=14)
    assert frozen_by(["Tue 13:00-Tue 15:30"], at) == "Tue 13:00-Tue 15:30"
    assert frozen_by((), at) is None


def test_another_zone_is_the_same_moment() -> None:
    """Windows are UTC, whatever zone the clock speaks."""
    at = (MONDAY + timedelta(hours=5, minutes=59)).astimezone(timezone(timedelta(hours=9)))
    assert frozen_by([WEEKEND], at) == WEEKEND


@pytest.mark.parametrize(
    "text", ["", "weekend", "Fri 20:00", "Fri 24:00-Mon 06:00", "Foo 20:00-Mon 06:00", "Fri 20:60-Mon 06:00"]
)
def test_what_is_no_freeze_is_refused(text: str) -> None:
    """The error names the text."""
    with pytest.raises(ValueError, match="freeze"):
        freeze_of(text)


def test_a_freeze_without_a_length_is_refused() -> None:
    """Nobody can tell whether it means always or never."""
    with pytest.raises(ValueError, match="ends when it begins"):
        freeze_of("Tue 13:00-Tue 13:00")


@given(st.integers(0, 10_079), st.integers(0, 10_079), st.integers(0, 10_079))
def test_a_minute_is_in_a_freeze_or_in_what_the_freeze_leaves(begin: int, end: int, minute: int) -> None:
    """The same two moments the other way round give the rest of the week."""
    if begin != end:
        assert Freeze(begin, end).holds(minute) != Freeze(end, begin).holds(minute)

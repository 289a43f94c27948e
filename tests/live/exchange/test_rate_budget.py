"""Requests a venue allows: the reserve is for cancellations, and no window ever holds more than its limit."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from live.exchange.rate_budget import Limit, RateBudget

SECOND = 1_000_000_000


def test_new_orders_leave_the_reserve_to_cancellations() -> None:
    """Of 8 in a second a quarter is kept back."""
    budget = RateBudget((Limit(8, 1.0),))
    assert [budget.take(0, is_new=True) == 0.0 for _ in range(7)] == [True] * 6 + [False]
    assert [budget.take(0, is_new=False) == 0.0 for _ in range(3)] == [True, True, False]


def test_the_wait_is_until_the_oldest_leaves_the_window() -> None:
    """A refused one is not counted."""
    budget = RateBudget((Limit(4, 1.0),))
    for now in (0, 100_000_000, 200_000_000):
        assert budget.take(now, is_new=True) == 0.0
    assert budget.take(400_000_000, is_new=True) == pytest.approx(0.6)
    assert budget.take(SECOND, is_new=True) == 0.0


def test_the_longest_of_several_limits_holds() -> None:
    """4 a second and 8 in ten."""
    budget = RateBudget((Limit(4, 1.0), Limit(8, 10.0)), reserve=0.0)
    for second in (0, 1):
        for _ in range(4):
            assert budget.take(second * SECOND, is_new=True) == 0.0
    assert budget.take(2 * SECOND, is_new=True) == pytest.approx(8.0)


def test_closed_by_the_venue_it_gives_nothing_new_and_still_cancels() -> None:
    """A shorter pause does not shorten a longer one."""
    budget = RateBudget((Limit(8, 1.0),))
    budget.close(0, 5.0)
    budget.close(0, 1.0)
    assert budget.is_closed(4 * SECOND) and not budget.is_closed(5 * SECOND)
    assert budget.take(3 * SECOND, is_new=True) == pytest.approx(2.0)
    assert budget.take(3 * SECOND, is_new=False) == 0.0
    assert budget.take(5 * SECOND, is_new=True) == 0.0


@given(
    steps=st.lists(st.tuples(st.integers(0, 400_000_000), st.booleans()), max_size=120),
    requests=st.integers(1, 10),
)
def test_no_window_holds_more_than_its_limit(steps: list[tuple[int, bool]], requests: int) -> None:
    """Whatever is asked when."""
    budget, now, taken = RateBudget((Limit(requests, 1.0),)), 0, []
    for wait, is_new in steps:
        now += wait
        if budget.take(now, is_new=is_new) == 0.0:
            taken.append(now)
        assert sum(each > now - SECOND for each in taken) <= requests

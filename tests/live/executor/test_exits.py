"""Exits: the barriers of the label at the opposite touch, the horizon, and prices that go further with each try."""

from hypothesis import given
from hypothesis import strategies as st

from live.executor.exits import Touch, barriers, exit_reason, exit_ticks
from live.executor.records import Trip
from market.barriers import BarrierRule, barrier_ticks

END = 1_000


def trip(side: int = 1, lots: int = 2, **fields: object) -> Trip:
    """A trip that holds lots bought at 100,000 ticks."""
    base = {"entry_lots": lots, "entry_value": lots * 100_000}
    return Trip("a", "BTCUSDT", side, "paper", "m", False, 0, END, 0.001, 0.002, **{**base, **fields})  # type: ignore[arg-type]


@given(st.sampled_from([1, -1]), st.floats(0.0, 0.001))
def test_barriers_are_the_labels(side: int, fee: float) -> None:
    """The same function that judges candidates, at the mean entry price."""
    rule = BarrierRule(0.001, 0.002, 60.0, net_of_fees=True)
    assert barriers(trip(side), net_of_fees=True, taker_fee=fee) == barrier_ticks(100_000, side, rule, fee)


def test_a_long_ends_at_the_bid_and_a_short_at_the_ask() -> None:
    """One tick short of the barrier holds; at it closes; the stop comes before the target."""
    long, short = (100_100, 99_800), (99_900, 100_200)
    assert exit_reason(trip(1), Touch(100_099, 100_105), 0, long) == ""
    assert exit_reason(trip(1), Touch(100_100, 100_105), 0, long) == "target"
    assert exit_reason(trip(1), Touch(99_800, 99_801), 0, long) == "stop"
    assert exit_reason(trip(-1), Touch(99_890, 99_901), 0, short) == ""
    assert exit_reason(trip(-1), Touch(99_890, 99_900), 0, short) == "target"
    assert exit_reason(trip(-1), Touch(100_190, 100_200), 0, short) == "stop"


def test_the_horizon_and_what_has_begun_close_in_any_market() -> None:
    """At the horizon's nanosecond, not before; an exit that was begun goes on; without lots there is none."""
    far = (10**9, 0)
    assert exit_reason(trip(), Touch(100_000, 100_001), END - 1, far) == ""
    assert exit_reason(trip(), Touch(100_000, 100_001), END, far) == "horizon"
    assert exit_reason(trip(), None, END, far) == "horizon"
    assert exit_reason(trip(exit_reason="stop"), None, 0, far) == "stop"
    assert exit_reason(trip(lots=0), None, END, far) == ""


@given(st.sampled_from([1, -1]), st.integers(0, 1_000), st.integers(0, 100))
def test_each_try_goes_as_far_or_further_and_never_beyond_the_band(side: int, tries: int, most: int) -> None:
    """From the touch on, through the book, at least at one tick."""
    touch = Touch(50, 60)
    first, this, later = (exit_ticks(trip(side), touch, number, most) for number in (0, tries, tries + 1))
    assert first == touch.exit_ticks(side)
    assert side * later <= side * this <= side * first
    assert abs(first - this) <= most
    assert this >= 1

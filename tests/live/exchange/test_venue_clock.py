"""The venue's time from the least lag of its messages; latencies that are constant or drawn from a seed."""

from hypothesis import given
from hypothesis import strategies as st

from live.exchange.venue_clock import ConstantLatency, SampledLatency, VenueClock

SECOND = 1_000_000_000


def test_nothing_is_known_before_a_message() -> None:
    """Then both times are taken as one."""
    clock = VenueClock(5)
    assert not clock.is_known and clock.to_exchange(100) == 100


def test_the_least_lag_beyond_the_feeds_own_is_the_difference_of_the_clocks() -> None:
    """Lags of 40, 25 and 90: at 25 the message took 5, so we are 20 ahead."""
    clock = VenueClock(5)
    for exchange_ns, lag in ((1_000, 40), (2_000, 25), (3_000, 90)):
        clock.observe(exchange_ns, exchange_ns + lag)
    assert clock.offset_ns == 20
    assert clock.to_exchange(5_020) == 5_000 and clock.to_local(5_000) == 5_020


def test_a_clock_behind_the_venues_gives_a_negative_difference() -> None:
    """As in the recorded capture, 1.27 s."""
    clock = VenueClock(5_000_000)
    clock.observe(10 * SECOND, 10 * SECOND - 1_267_000_000)
    assert clock.to_local(clock.to_exchange(77)) == 77
    assert clock.offset_ns == -1_272_000_000


def test_an_old_least_is_forgotten_after_two_windows() -> None:
    """Clocks drift; a lag of two minutes ago says nothing of now."""
    clock = VenueClock(0)
    clock.observe(0, 10)
    for minute in (1, 2, 3):
        clock.observe(minute * 61 * SECOND, minute * 61 * SECOND + 50)
    assert clock.offset_ns == 50


@given(lags=st.lists(st.integers(-(10**9), 10**9), min_size=1, max_size=50))
def test_no_message_comes_earlier_than_the_feed_allows(lags: list[int]) -> None:
    """By the clock's own reckoning every message of a window took at least feed_ns."""
    clock = VenueClock(3)
    for step, lag in enumerate(lags):
        clock.observe(step * 1_000, step * 1_000 + lag)
    for step, lag in enumerate(lags):
        assert clock.to_exchange(step * 1_000 + lag) >= step * 1_000 + 3


def test_latencies_are_constant_or_drawn_the_same_by_the_same_seed() -> None:
    """A replay waits as the first run did."""
    constant = ConstantLatency(7, 6)
    assert (constant.entry_ns(), constant.response_ns()) == (7, 6)
    first, again = (SampledLatency([1, 2, 3], [40, 50], seed=9) for _ in range(2))
    drawn = [(first.entry_ns(), first.response_ns()) for _ in range(20)]
    assert drawn == [(again.entry_ns(), again.response_ns()) for _ in range(20)]
    assert {entry for entry, _ in drawn} == {1, 2, 3}

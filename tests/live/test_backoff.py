from random import Random

from hypothesis import given
from hypothesis import strategies as st

from live.backoff import Backoff


def test_the_first_try_is_at_once_and_waits_double() -> None:
    """0, then within half and all of 0.25, 0.5, 1, ..."""
    backoff = Backoff(0.25, 30.0, Random(1))
    waits = [backoff.next_seconds() for _ in range(5)]
    assert waits[0] == 0.0
    for wait, most in zip(waits[1:], (0.25, 0.5, 1.0, 2.0), strict=True):
        assert most / 2 <= wait <= most


@given(st.integers(0, 2**32), st.floats(0.001, 10.0), st.floats(10.0, 60.0), st.integers(1, 400))
def test_no_wait_is_above_the_cap(seed: int, first: float, most: float, tries: int) -> None:
    """However often, with whatever jitter."""
    backoff = Backoff(first, most, Random(seed))
    assert max(backoff.next_seconds() for _ in range(tries)) <= most


def test_a_reset_begins_anew_and_a_seed_replays() -> None:
    """The same seed gives the same waits; after a reset the first try is at once again."""
    one, other = (Backoff(0.25, 30.0, Random("seed")) for _ in range(2))
    assert [one.next_seconds() for _ in range(9)] == [other.next_seconds() for _ in range(9)]
    one.reset()
    assert one.next_seconds() == 0.0

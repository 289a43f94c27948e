"""The kills of a soak: drawn from a seed, all victims have their turn, and the last third is quiet."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from benchmarks.soak_plan import EVERYTHING, KILLED_SHARE, OFTEN, SELDOM, plan


@given(st.integers(0, 2**31), st.floats(2.0, 60.0))
def test_a_seed_is_a_plan_and_the_last_third_is_quiet(seed: int, minutes: float) -> None:
    """In order of time, the last one takes everything."""
    kills = plan(seed, minutes)
    assert kills == plan(seed, minutes)
    assert all(before.at_seconds <= later.at_seconds for before, later in pairwise(kills))
    assert kills[-1].victim == EVERYTHING
    assert kills[0].at_seconds > 0.0
    assert kills[-1].at_seconds < minutes * 60.0 * KILLED_SHARE


@given(st.integers(0, 2**31))
def test_everybody_dies_in_half_an_hour(seed: int) -> None:
    """Those that cost the engine its windows now and then, the others again and again."""
    victims = [each.victim for each in plan(seed, 30.0)]
    assert set(victims) == {*OFTEN, *SELDOM, EVERYTHING}
    assert all(victims.count(each) >= 10 for each in OFTEN)
    assert all(1 <= victims.count(each) <= 4 for each in SELDOM)

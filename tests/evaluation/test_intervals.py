"""Wilson's interval: known values, edges, coverage."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from evaluation.errors import BadRule, BadSample
from evaluation.intervals import wilson


@given(st.integers(1, 5_000), st.floats(0.0, 1.0), st.sampled_from([0.5, 0.9, 0.95, 0.99]))
def test_agrees_with_scipy(n: int, share: float, confidence: float) -> None:
    """The bounds are those of scipy's Wilson interval without continuity correction."""
    k = round(share * n)
    low, high = wilson(k, n, confidence)
    wanted = binomtest(k, n).proportion_ci(confidence, method="wilson")
    assert low == pytest.approx(wanted.low, abs=1e-12)
    assert high == pytest.approx(wanted.high, abs=1e-12)


def test_no_trials_tell_nothing() -> None:
    """Zero trials leave the whole range open, beside elements that have some."""
    low, high = wilson([0, 5], [0, 10])
    assert (low[0], high[0]) == (0.0, 1.0)
    assert 0.0 < low[1] < 0.5 < high[1] < 1.0


def test_extreme_shares_touch_the_end() -> None:
    """None won gives a low of exactly 0, all won a high of exactly 1."""
    low, high = wilson([0, 30], [30, 30])
    assert low[0] == 0.0
    assert high[1] == 1.0


def test_covers_the_truth_about_as_often_as_it_says() -> None:
    """Over 20,000 samples of 40 at p = 0.1, a 95 % interval holds p in 93 to 97 % of them."""
    k = np.random.default_rng(7).binomial(40, 0.1, size=20_000)
    low, high = wilson(k, 40)
    assert 0.93 < np.mean((low <= 0.1) & (high >= 0.1)) < 0.97


@pytest.mark.parametrize(("k", "n"), [(5, 4), (-1, 4), (float("nan"), 4), (1, float("inf"))])
def test_refuses_impossible_counts(k: float, n: float) -> None:
    """More successes than trials, negative or non-finite counts are refused with their values."""
    with pytest.raises(BadSample, match="successes <= trials"):
        wilson(k, n)


@pytest.mark.parametrize("confidence", [0.0, 1.0, -2.0, float("nan")])
def test_refuses_a_confidence_outside_its_range(confidence: float) -> None:
    """A confidence that is no probability strictly between 0 and 1 is refused."""
    with pytest.raises(BadRule, match="confidence"):
        wilson(1, 2, confidence)

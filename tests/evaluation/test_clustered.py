"""Intervals of rows that come in bursts: they cover what they say, and fall back to the plain ones without bursts."""

from typing import Any

import numpy as np
import pytest
from scipy.stats import ttest_1samp

from evaluation.clustered import Estimate, clustered_mean, clustered_share
from evaluation.errors import BadSample
from evaluation.intervals import wilson


def _burst(rng: np.random.Generator, clusters: int, size: int, share: float, tie: float) -> tuple[Any, Any]:
    """Outcomes in bursts: with chance `tie` a row repeats what its burst drew."""
    drawn = np.repeat(rng.random(clusters) < share, size)
    alone = rng.random(clusters * size) < share
    return np.where(rng.random(clusters * size) < tie, drawn, alone), np.repeat(np.arange(clusters), size)


def test_bursts_make_the_interval_as_wide_as_they_are_worth() -> None:
    """Covers in about 95 % of draws where Wilson on all rows covers far fewer."""
    rng, covered, plain = np.random.default_rng(1), 0, 0
    for _ in range(400):
        hits, clusters = _burst(rng, 60, 10, 0.4, 0.7)
        found = clustered_share(hits, clusters)
        low, high = wilson(hits.sum(), hits.size)
        covered += found.low <= 0.4 <= found.high
        plain += bool(low <= 0.4 <= high)
    assert covered / 400 >= 0.92
    assert plain / 400 <= 0.80


def test_a_mean_of_bursts_is_covered_by_its_interval() -> None:
    """In about 95 % of draws."""
    rng, covered = np.random.default_rng(2), 0
    for _ in range(400):
        common = np.repeat(rng.normal(size=40), 8)
        values = 1.5 + common + rng.normal(size=common.size)
        found = clustered_mean(values, np.repeat(np.arange(40), 8))
        covered += found.low <= 1.5 <= found.high
    assert 0.92 <= covered / 400 <= 0.99


def test_rows_that_are_their_own_clusters_give_wilson_and_student() -> None:
    """But for one row, which the variance has cost."""
    rng = np.random.default_rng(3)
    hits, values = rng.random(500) < 0.3, rng.normal(size=500)
    share, mean = clustered_share(hits, np.arange(500)), clustered_mean(values, np.arange(500))
    assert share.effective_rows == pytest.approx(499, abs=1)
    assert (share.low, share.high) == pytest.approx([float(each) for each in wilson(hits.sum(), 500)], abs=2e-3)
    wanted = ttest_1samp(values, 0.0).confidence_interval()
    assert (mean.low, mean.high) == pytest.approx((wanted.low, wanted.high), rel=1e-6)


def test_nothing_and_one_cluster_promise_nothing() -> None:
    """No rows: any share, any mean. One stretch of market counts once, whatever it held."""
    assert clustered_share([], []) == Estimate(0.0, 0.0, 1.0, 0, 0.0)
    assert clustered_mean([], []) == Estimate(0.0, -np.inf, np.inf, 0, 0.0)
    assert clustered_share([True] * 50, [7] * 50).low == pytest.approx(float(wilson(1, 1)[0]))
    assert clustered_mean([1.0] * 50, [7] * 50).high == np.inf
    assert clustered_share([True] * 50, np.arange(50)).effective_rows == 50


def test_every_row_needs_a_cluster() -> None:
    """Named with both lengths."""
    with pytest.raises(BadSample, match=r"a cluster for each of the 2 values, found 1"):
        clustered_mean([1.0, 2.0], [1])

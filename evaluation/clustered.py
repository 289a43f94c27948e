"""How far a share, or a mean, of rows that come in bursts can be trusted.

Beside `intervals` since it needs scipy, which live does without.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import stdtrit

from evaluation.errors import BadSample
from evaluation.intervals import wilson


@dataclass(frozen=True, slots=True)
class Estimate:
    """A mean or a share with its interval; `rows` it was measured on, `effective_rows` what they are worth.

    Without rows the value is 0 and the interval is as wide as it can be.
    """

    value: float
    low: float
    high: float
    rows: int
    effective_rows: float


def clustered_share(hits: ArrayLike, clusters: ArrayLike, confidence: float = 0.95) -> Estimate:
    """Return the share of hits bool[n] with Wilson's interval on the effective number of rows.

    Rows of one cluster (int64[n]: the same stretch of market) are not independent: labels overlap. Their number is
    divided by the design effect, the clustered variance over the binomial one, at least 1 (Korn and Graubard, Survey
    Methodology 24, 1998). When all rows agree there is no variance to go by, and each cluster counts once.
    """
    won, cluster = np.asarray(hits, np.float64), np.asarray(clusters)
    rows = won.size
    if not rows:
        return Estimate(0.0, 0.0, 1.0, 0, 0.0)
    share = float(won.mean())
    variance, groups = _clustered_variance(won, cluster)
    binomial = share * (1.0 - share) / rows
    is_even = binomial == 0.0 or groups < 2
    effective = float(min(rows, groups)) if is_even else rows / max(1.0, variance / binomial)
    low, high = wilson(share * effective, effective, confidence)
    return Estimate(share, float(low), float(high), rows, effective)


def clustered_mean(values: ArrayLike, clusters: ArrayLike, confidence: float = 0.95) -> Estimate:
    """Return the mean of values float[n] with a Student interval whose variance is summed by cluster, int64[n].

    Liang and Zeger, Biometrika 73 (1986), with the factor G/(G-1) for few clusters and G-1 degrees of freedom (Cameron
    and Miller, Journal of Human Resources 50, 2015). One cluster tells nothing of the spread: the interval is infinite.
    """
    found, cluster = np.asarray(values, np.float64), np.asarray(clusters)
    if not found.size:
        return Estimate(0.0, -math.inf, math.inf, 0, 0.0)
    mean = float(found.mean())
    variance, groups = _clustered_variance(found, cluster)
    if groups < 2:
        return Estimate(mean, -math.inf, math.inf, found.size, 1.0)
    half = float(stdtrit(groups - 1, 0.5 + confidence / 2.0)) * math.sqrt(variance)
    plain = float(found.var(ddof=1)) / found.size
    effective = found.size * min(1.0, plain / variance) if variance else float(found.size)
    return Estimate(mean, mean - half, mean + half, found.size, effective)


def _clustered_variance(values: NDArray[np.float64], clusters: NDArray[np.int64]) -> tuple[float, int]:
    """Return the variance of the mean, and how many clusters there are."""
    if values.shape != clusters.shape:
        raise BadSample(f"wanted a cluster for each of the {values.size} values, found {clusters.size}")
    _, place = np.unique(clusters, return_inverse=True)
    sums = np.bincount(place, weights=values - values.mean())
    groups = sums.size
    if groups < 2:
        return 0.0, groups
    return float(groups / (groups - 1) * np.square(sums).sum() / values.size**2), groups

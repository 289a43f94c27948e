"""How far a share, or a mean, measured on a few signals can be trusted."""

import math
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import stdtrit

from evaluation.errors import BadRule, BadSample


def wilson(
    successes: ArrayLike, trials: ArrayLike, confidence: float = 0.95
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the (low, high) bounds of Wilson's score interval for a proportion, element by element.

    Wilson, "Probable inference, the law of succession, and statistical inference", JASA 22 (1927). Two-sided at the
    given confidence. Zero trials tell nothing and give (0, 1). Raises BadSample unless 0 <= successes <= trials, and
    BadRule unless 0 < confidence < 1.
    """
    if not 0.0 < confidence < 1.0:
        raise BadRule(f"confidence must lie between 0 and 1, was {confidence}")
    k, n = np.broadcast_arrays(np.asarray(successes, np.float64), np.asarray(trials, np.float64))
    wrong = ~((k >= 0.0) & (k <= n) & np.isfinite(n))
    if wrong.any():
        raise BadSample(f"wanted 0 <= successes <= trials, found {k[wrong].flat[0]} of {n[wrong].flat[0]}")
    z = NormalDist().inv_cdf(0.5 + confidence / 2.0)
    safe_n = np.maximum(n, 1.0)
    share = k / safe_n
    centre = share + z * z / (2.0 * safe_n)
    spread = z * np.sqrt(share * (1.0 - share) / safe_n + z * z / (4.0 * safe_n * safe_n))
    scale = 1.0 + z * z / safe_n
    # Rounding leaves a residue of 1e-17 where the bound is 0 or 1 by algebra.
    low = np.where((n == 0.0) | (k == 0.0), 0.0, (centre - spread) / scale)
    high = np.where((n == 0.0) | (k == n), 1.0, (centre + spread) / scale)
    return low, high


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

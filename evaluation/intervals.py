"""How far a share measured on a few signals can be trusted."""

from statistics import NormalDist

import numpy as np
from numpy.typing import ArrayLike, NDArray

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

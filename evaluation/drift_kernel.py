"""The two-sample Kolmogorov-Smirnov statistic of many features at once, against a reference sorted beforehand."""

import numpy as np
from numba import njit
from numpy.typing import NDArray


@njit(cache=True, nogil=True)
def ks_sorted(
    reference: NDArray[np.float32], window: NDArray[np.float32], out: NDArray[np.float64]
) -> None:  # pragma: no cover - compiled
    """Write sup |F_reference - F_window| of each feature into out float64[F].

    reference float32[F, N] and window float32[F, n] hold one sorted feature a row, without NaN. Walks the window and
    gallops through the reference (Bentley and Yao 1976), so n log(N/n) steps rather than N. The counts are divided
    as in scipy.stats.ks_2samp(method="asymp"), which gives the same float64.
    """
    n_reference, n_window = reference.shape[1], window.shape[1]
    for feature in range(reference.shape[0]):
        ordered, values = reference[feature], window[feature]
        greatest, below, start = 0.0, 0, 0
        while start < n_window:
            value = values[start]
            stop = start + 1
            while stop < n_window and values[stop] == value:
                stop += 1
            # Between two window values F_window is flat, so the extremes lie just before and at each of them.
            below = _count_below(ordered, below, value, False)
            greatest = max(greatest, below / n_reference - start / n_window)
            below = _count_below(ordered, below, value, True)
            greatest = max(greatest, stop / n_window - below / n_reference)
            start = stop
        out[feature] = greatest


@njit(cache=True, nogil=True)
def _count_below(
    ordered: NDArray[np.float32], start: int, value: float, or_equal: bool
) -> int:  # pragma: no cover - compiled
    """Return how many entries are below value (or equal to it), given that the first `start` are; looks there first."""
    step, low, high = 1, start, start
    while high < ordered.size and (ordered[high] < value or (or_equal and ordered[high] == value)):
        low = high + 1
        high += step
        step *= 2
    high = min(high, ordered.size)
    while low < high:
        middle = (low + high) // 2
        if ordered[middle] < value or (or_equal and ordered[middle] == value):
            low = middle + 1
        else:
            high = middle
    return low

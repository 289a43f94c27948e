"""Do scores mean what they say: of the signals scored 0.6, do six in ten win?

Every binned error is biased upwards on a small sample, because a perfect scorer's bins miss their mean by luck alone
(ten bins of 50 rows: about 0.055). The debiased forms subtract what luck explains, and may come out below zero.
Bins are of equal mass; rows with equal scores always share one, so a step calibrator's atoms are never split.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from evaluation import samples
from evaluation.errors import BadSample
from evaluation.intervals import wilson


@dataclass(frozen=True, slots=True)
class Reliability:
    """The reliability curve, one entry a bin, scores rising: float64[bins] each, except rows int64[bins]."""

    rows: NDArray[np.int64]
    predicted: NDArray[np.float64]  # mean score
    observed: NDArray[np.float64]  # share of wins
    low: NDArray[np.float64]  # Wilson bounds of observed
    high: NDArray[np.float64]


def brier(p: ArrayLike, y: ArrayLike) -> float:
    """Return the mean squared error of scores p[n] against labels y[n] of 0 and 1 (Brier, 1950)."""
    scores, labels = samples.scored(p, y)
    return float(np.mean((scores - labels) ** 2))


def ece_raw(p: ArrayLike, y: ArrayLike, bins: int = 10) -> float:
    """Return the expected calibration error: the row-weighted mean of |observed - predicted| over equal-mass bins.

    Naeini, Cooper and Hauskrecht, AAAI 2015. At most `bins` bins: ties may leave fewer. Biased upwards; see the module.
    """
    return _gap(_Binned.of(p, y, bins))


def ece_debiased(p: ArrayLike, y: ArrayLike, bins: int = 10) -> float:
    """Return ece_raw less its mean for a calibrated scorer with the same scores; about 0 when calibrated.

    Under calibration a bin's observed share is nearly normal around its mean score with variance
    sum p(1-p) / n_b**2, and the mean of |N(0, s**2)| is s sqrt(2/pi). Gauges show max(0, this).
    """
    binned = _Binned.of(p, y, bins)
    luck = np.sqrt(2.0 / np.pi) * np.sqrt(binned.variance_sum) / binned.rows
    return _gap(binned) - float(np.average(luck, weights=binned.rows))


def l2_debiased(p: ArrayLike, y: ArrayLike, bins: int = 10) -> float:
    """Return the debiased squared calibration error, sum_b w_b ((o_b - p_b)**2 - o_b (1 - o_b) / (n_b - 1)).

    Brocker 2012; Ferro and Fricker 2012; Kumar, Liang and Ma, NeurIPS 2019. In squared probability; needs two rows.
    """
    binned = _Binned.of(p, y, bins)
    if binned.rows.min() < 2:
        raise BadSample(f"l2_debiased needs 2 rows or more, found {int(binned.rows.sum())}")
    luck = binned.observed * (1.0 - binned.observed) / (binned.rows - 1)
    return float(np.average((binned.observed - binned.predicted) ** 2 - luck, weights=binned.rows))


def reliability(p: ArrayLike, y: ArrayLike, bins: int = 10) -> Reliability:
    """Return the reliability curve over equal-mass bins, with 95 % Wilson bounds of each observed share."""
    binned = _Binned.of(p, y, bins)
    low, high = wilson(binned.wins, binned.rows)
    return Reliability(binned.rows, binned.predicted, binned.observed, low, high)


def spiegelhalter_z(p: ArrayLike, y: ArrayLike) -> float:
    """Return Spiegelhalter's z, standard normal when calibrated: sum (y-p)(1-2p) / sqrt(sum (1-2p)**2 p(1-p)).

    Spiegelhalter, Statistics in Medicine 5 (1986). Sees a wrong slope; blind to level when scores sit near 0.5.
    Raises BadSample when every score is 0, 0.5 or 1: then it has no variance.
    """
    scores, labels = samples.scored(p, y)
    lever = 1.0 - 2.0 * scores
    return _z(float(np.sum((labels - scores) * lever)), float(np.sum(lever**2 * scores * (1.0 - scores))), labels.size)


def level_z(p: ArrayLike, y: ArrayLike) -> float:
    """Return calibration in the large, standard normal when calibrated: sum (y-p) / sqrt(sum p(1-p)).

    Cox, Biometrika 45 (1958). Sees that scores are too high or too low as a whole; negative when they promise too much.
    """
    scores, labels = samples.scored(p, y)
    return _z(float(np.sum(labels - scores)), float(np.sum(scores * (1.0 - scores))), labels.size)


@dataclass(frozen=True, slots=True)
class _Binned:
    """Sums of a sample over equal-mass bins."""

    rows: NDArray[np.int64]
    wins: NDArray[np.float64]
    predicted: NDArray[np.float64]
    observed: NDArray[np.float64]
    variance_sum: NDArray[np.float64]

    @staticmethod
    def of(p: ArrayLike, y: ArrayLike, bins: int) -> "_Binned":
        scores, labels = samples.scored(p, y)
        order = np.argsort(scores, kind="stable")
        scores, labels = scores[order], labels[order]
        starts = _bin_starts(scores, samples.bin_count(bins, least=1))
        rows = np.diff(starts, append=scores.size)
        wins = np.add.reduceat(labels, starts)
        predicted = np.add.reduceat(scores, starts) / rows
        variance = np.add.reduceat(scores * (1.0 - scores), starts)
        return _Binned(rows, wins, predicted, wins / rows, variance)


def _bin_starts(ordered: NDArray[np.float64], bins: int) -> NDArray[np.int64]:
    """Return the first row of each bin: near equal mass, ties kept together, two rows or more where there are two."""
    cuts = np.arange(1, bins) * ordered.size // bins
    cuts = cuts[cuts > 0]
    # A cut inside a run of equal scores moves to the run's end.
    cuts = np.unique(np.searchsorted(ordered, ordered[cuts - 1], side="right"))
    starts = [0]
    for cut in cuts.tolist():
        if cut - starts[-1] >= 2 and ordered.size - cut >= 2:
            starts.append(cut)
    return np.asarray(starts, dtype=np.int64)


def _gap(binned: _Binned) -> float:
    return float(np.average(np.abs(binned.observed - binned.predicted), weights=binned.rows))


def _z(total: float, variance: float, rows: int) -> float:
    if variance <= 0.0:
        raise BadSample(f"the scores of these {rows} rows leave the z statistic no variance; it is not defined")
    return total / float(np.sqrt(variance))

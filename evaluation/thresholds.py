"""Where to draw the line: which signals are taken when those scored at or above tau are.

Scores are compared as float32, the precision in which the live scorer answers, so a tau read off here cuts the same
rows there.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from evaluation import samples
from evaluation.errors import BadRule
from evaluation.intervals import wilson


@dataclass(frozen=True, slots=True)
class ThresholdTable:
    """What each threshold would have taken, thresholds rising; arrays of one length."""

    tau: NDArray[np.float64]  # each a float32 value
    rows: NDArray[np.int64]  # signals with score >= tau
    share: NDArray[np.float64]  # of all signals
    precision: NDArray[np.float64]  # share of wins among those taken
    wilson_low: NDArray[np.float64]  # lower 95 % Wilson bound of precision

    def __len__(self) -> int:
        return int(self.tau.size)


@dataclass(frozen=True, slots=True)
class TauChoice:
    """One row of a ThresholdTable."""

    tau: float
    rows: int
    share: float
    precision: float
    wilson_low: float


def sweep(p: ArrayLike, y: ArrayLike, points: int | None = None) -> ThresholdTable:
    """Return the table over every distinct score, or over about `points` of them, evenly spread over the rows.

    p float[n] in [0, 1], y[n] of 0 and 1. Every row of the table takes one signal or more, so precision is defined.
    The table is monotone in rows and share, not in precision.
    """
    if points is not None and points < 1:
        raise BadRule(f"points must be 1 or more, was {points}")
    scores, labels = samples.scored(p, y)
    scores = scores.astype(np.float32).astype(np.float64)
    order = np.argsort(scores, kind="stable")
    tau, first = np.unique(scores[order], return_index=True)
    if points is not None and tau.size > points:
        wanted_rows = np.arange(points) * scores.size // points
        kept = np.unique(np.searchsorted(first, wanted_rows, side="right") - 1)
        tau, first = tau[kept], first[kept]
    wins_below = np.concatenate(([0.0], np.cumsum(labels[order])))[first]
    rows = scores.size - first
    wins = labels.sum() - wins_below
    low, _ = wilson(wins, rows)
    return ThresholdTable(tau, rows, rows / scores.size, wins / rows, low)


def choose_tau(table: ThresholdTable, target_precision: float, min_samples: int) -> TauChoice | None:
    """Return the lowest threshold, so the one that takes most signals, whose precision is target_precision or more.

    Thresholds which leave fewer than min_samples signals are not considered: a short tail reaches any precision by
    luck. None when no threshold qualifies; the caller decides whether that refuses the model. The precision is in
    sample: look at wilson_low before promising it. Raises BadRule for a target outside (0, 1] or min_samples < 1.
    """
    if not 0.0 < target_precision <= 1.0:
        raise BadRule(f"target_precision must lie above 0 and not above 1, was {target_precision}")
    if min_samples < 1:
        raise BadRule(f"min_samples must be 1 or more, was {min_samples}")
    eligible = np.flatnonzero((table.precision >= target_precision) & (table.rows >= min_samples))
    if eligible.size == 0:
        return None
    row = int(eligible[0])
    return TauChoice(
        tau=float(table.tau[row]),
        rows=int(table.rows[row]),
        share=float(table.share[row]),
        precision=float(table.precision[row]),
        wilson_low=float(table.wilson_low[row]),
    )

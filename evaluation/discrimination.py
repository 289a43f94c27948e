"""How well scores tell wins from losses, whatever their level."""

import numpy as np
from numpy.typing import ArrayLike

from evaluation import samples
from evaluation.errors import BadSample

_LOG_FLOOR = float(np.finfo(np.float64).eps)


def auc(p: ArrayLike, y: ArrayLike) -> float:
    """Return the area under the ROC curve: the chance that a win scores above a loss, ties counting one half.

    Computed from mid-ranks (Mann and Whitney 1947; Hanley and McNeil, Radiology 143, 1982). p float[n] in [0, 1],
    y[n] of 0 and 1. Raises BadSample when either class is missing: there is nothing to tell apart.
    """
    scores, labels = samples.scored(p, y)
    wins = int(labels.sum())
    losses = labels.size - wins
    if wins == 0 or losses == 0:
        raise BadSample(f"auc needs wins and losses, found {wins} wins and {losses} losses in {labels.size} rows")
    _, group, size = np.unique(scores, return_inverse=True, return_counts=True)
    mid_rank = np.cumsum(size) - (size - 1) / 2.0
    rank_sum = float(mid_rank[group][labels == 1.0].sum())
    return (rank_sum - wins * (wins + 1) / 2.0) / (wins * losses)


def log_loss(p: ArrayLike, y: ArrayLike) -> float:
    """Return the mean negative log-likelihood in nats; scores are kept one float64 epsilon away from 0 and 1."""
    scores, labels = samples.scored(p, y)
    kept = np.clip(scores, _LOG_FLOOR, 1.0 - _LOG_FLOOR)
    return float(-np.mean(labels * np.log(kept) + (1.0 - labels) * np.log1p(-kept)))


def base_rate(y: ArrayLike) -> float:
    """Return the share of wins among labels y[n] of 0 and 1: what a model must beat."""
    return float(samples.labels(y, np.size(y)).mean())

"""What a fitted model is worth on days it has not seen: the numbers of the card, of the gates and of MLflow."""

import numpy as np
from numpy.typing import NDArray

from evaluation.calibration import brier, ece_debiased, ece_raw, reliability
from evaluation.discrimination import auc, base_rate, log_loss
from evaluation.intervals import wilson
from evaluation.thresholds import choose_tau, sweep
from pipelines.artifacts import Curve, Measured
from pipelines.dataset import Candidates
from pipelines.estimator import Fitted

_SWEEP_POINTS = 200
_NEVER = 1.0
_NS_PER_HOUR = 3_600_000_000_000


def choose_threshold(fitted: Fitted, held_out: Candidates, target: float, min_samples: int) -> tuple[float, bool]:
    """The lowest tau that reached the precision target on held-out candidates, and whether any did."""
    table = sweep(fitted.probabilities(held_out.oriented()), held_out.won)
    choice = choose_tau(table, target, min_samples)
    return (_NEVER, False) if choice is None else (choice.tau, True)


def measure(fitted: Fitted, test: Candidates, tau: tuple[float, bool], train_base_rate: float) -> Measured:
    """Measure a fitted model on the candidates of the test days, each from the side the rule chose.

    Args:
        train_base_rate: share of wins among the training rows: the constant forecast that the model must beat.
    """
    scores = fitted.probabilities(test.oriented())
    won = test.won
    curve, table = reliability(scores, won), sweep(scores, won, _SWEEP_POINTS)
    return Measured(
        metrics=_metrics(fitted, test, scores, train_base_rate) | _taken(test, scores, tau[0]),
        tau_entry=tau[0],
        tau_reached=tau[1],
        reliability=_curve(curve, "predicted", "observed", "low", "high", "rows"),
        sweep=_curve(table, "tau", "precision", "wilson_low", "share", "rows"),
        scores=scores.astype(float).tolist(),
        won=won.tolist(),
    )


def direction_auc(fitted: Fitted, test: Candidates) -> float:
    """AUC of up against down among the candidates that touched a barrier.

    The score is the margin of the moment seen as a long less its margin seen as a short, so it does not depend on the
    side the rule chose.
    """
    touched = test.where(test.touched)
    ones = np.ones(len(touched), np.int8)
    difference = fitted.margins(touched.oriented(ones)) - fitted.margins(touched.oriented(-ones))
    went_up = touched.won == (touched.side > 0)
    return auc(1.0 / (1.0 + np.exp(-difference)), went_up)


def _metrics(fitted: Fitted, test: Candidates, scores: NDArray[np.float32], rate: float) -> dict[str, float]:
    won = test.won
    constant = np.full(len(test), rate)
    return {
        "test_rows": float(len(test)),
        "test_touched_share": float(test.touched.mean()),
        "test_base_rate": base_rate(won),
        "test_win_auc": auc(scores, won),
        "test_direction_auc": direction_auc(fitted, test),
        "test_log_loss": log_loss(scores, won),
        "test_log_loss_base": log_loss(constant, won),
        "test_brier": brier(scores, won),
        "test_brier_base": brier(constant, won),
        "test_ece": max(0.0, ece_debiased(scores, won)),
        "test_ece_raw": ece_raw(scores, won),
        "validation_log_loss": fitted.validation_log_loss,
        "rounds": float(fitted.rounds),
    }


def _taken(test: Candidates, scores: NDArray[np.float32], tau: float) -> dict[str, float]:
    """What the chosen threshold would have taken on the test days.

    Every run has every metric, so that MLflow lines them up: when nothing is taken, precision is 0 between 0 and 1,
    which is all that no sample says, and `test_taken` tells why.
    """
    taken = scores.astype(np.float64) >= tau
    count, wins = int(taken.sum()), int(test.won[taken].sum())
    low, high = wilson(wins, count) if count else (0.0, 1.0)
    hours = np.bincount((test.t_ns[taken] - test.t_ns[0]) // _NS_PER_HOUR, minlength=1)
    return {
        "test_taken": float(count),
        "test_taken_share": count / len(test),
        "test_precision": wins / count if count else 0.0,
        "test_precision_low": float(low),
        "test_precision_high": float(high),
        "test_gross_bps_mean": float(test.gross_bps[taken].mean()) if count else 0.0,
        "test_net_bps_mean": float(test.net_bps[taken].mean()) if count else 0.0,
        "test_taken_per_hour_p95": float(np.percentile(hours, 95)),
    }


def _curve(source: object, *names: str) -> Curve:
    return Curve({name: np.asarray(getattr(source, name), float).tolist() for name in names})

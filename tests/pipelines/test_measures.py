from dataclasses import replace

import numpy as np
import pytest

from evaluation.discrimination import auc
from pipelines.dataset import Candidates, load
from pipelines.measures import choose_threshold, direction_auc, measure
from tests.pipelines.conftest import Release


@pytest.fixture(scope="module")
def test_days(first: Release) -> Candidates:
    """The candidates that the model has not seen."""
    return load(first.workspace.lake, first.training_set.test_cells)


def test_the_numbers_are_those_of_the_scores(first: Release, test_days: Candidates) -> None:
    """Scored again, the test days give the stored scores, and these the stored figures."""
    fitted, measured = first.model.fitted(), first.model.measured
    scores = fitted.probabilities(test_days.oriented())
    assert np.array_equal(np.asarray(measured.scores, np.float32), scores)
    assert measured.won == test_days.won.tolist()
    assert measured.metrics["test_rows"] == len(test_days)
    assert measured.metrics["test_win_auc"] == auc(scores, test_days.won)
    assert measured.metrics["test_base_rate"] == test_days.won.mean()


def test_the_slow_market_can_be_learned(first: Release) -> None:
    """Its order flow tells where the price goes, so the model beats the base rate on days it has not seen."""
    metrics = first.model.measured.metrics
    assert metrics["test_log_loss"] < metrics["test_log_loss_base"]
    assert metrics["test_brier"] < metrics["test_brier_base"]
    assert metrics["test_direction_auc"] > 0.6
    assert 0.0 <= metrics["test_ece"] <= metrics["test_ece_raw"]


def test_what_a_threshold_takes_adds_up(first: Release, test_days: Candidates) -> None:
    """Precision lies in its interval, the share is the count over the rows."""
    middle = float(np.median(first.model.measured.scores))
    found = measure(first.model.fitted(), test_days, (middle, True), 0.3).metrics
    assert found["test_taken"] == pytest.approx(found["test_taken_share"] * len(test_days))
    assert found["test_precision_low"] < found["test_precision"] < found["test_precision_high"]
    assert found["test_net_bps_mean"] < found["test_gross_bps_mean"]


def test_a_threshold_that_takes_nothing_has_every_metric_too(first: Release, test_days: Candidates) -> None:
    """MLflow compares runs by name; a precision of 0 between 0 and 1 is all that no sample says."""
    something = measure(first.model.fitted(), test_days, (0.0, True), 0.3).metrics
    found = measure(first.model.fitted(), test_days, (1.0, False), 0.3).metrics
    assert found["test_taken"] == 0.0
    assert found.keys() == something.keys()
    assert (found["test_precision"], found["test_precision_low"], found["test_precision_high"]) == (0.0, 0.0, 1.0)


def test_a_threshold_is_the_lowest_that_reaches_its_target(first: Release, test_days: Candidates) -> None:
    """Everything when the target is below the base rate; 1, which takes nothing, when no threshold reaches it."""
    fitted = first.model.fitted()
    easy, reached = choose_threshold(fitted, test_days, 0.01, 100)
    assert reached
    assert (fitted.probabilities(test_days.oriented()) >= np.float32(easy)).mean() > 0.95
    assert choose_threshold(fitted, test_days, 0.999, 100) == (1.0, False)


def test_direction_does_not_depend_on_the_side_the_rule_chose(first: Release, test_days: Candidates) -> None:
    """Up or down is judged from the moment seen from both sides."""
    sides = test_days.side
    # Symmetric barriers that one side won and the other lost: what is up does not depend on who looks.
    clear = test_days.where(test_days.won_long != test_days.won_short)
    clear = replace(clear, touched=np.ones(len(clear), np.bool_))
    assert 0 < (sides < 0).sum() < len(sides)
    fitted = first.model.fitted()
    assert direction_auc(fitted, replace(clear, side=-clear.side)) == pytest.approx(direction_auc(fitted, clear))


def test_the_curves_of_the_card_have_columns_of_one_length(first: Release) -> None:
    """Predicted and observed shares lie in [0, 1], thresholds climb."""
    measured = first.model.measured
    for curve in (measured.reliability, measured.sweep):
        assert len({len(column) for column in curve.columns.values()}) == 1
    assert ((measured.reliability["observed"] >= 0) & (measured.reliability["observed"] <= 1)).all()
    assert (np.diff(measured.sweep["tau"]) > 0).all()

"""What is refused before any statistic sees it, and how the refusal reads."""

import numpy as np
import pytest

from evaluation import samples
from evaluation.errors import BadRule, BadSample, EvaluationError


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ([], r"found \(0,\)"),
        ([[0.1, 0.2]], r"found \(1, 2\)"),
        ([0.1, float("nan"), 0.3], "1 of 3 values are not probabilities, first nan at row 1"),
        ([0.1, 1.5, -0.2], "2 of 3 values are not probabilities, first 1.5 at row 1"),
        ([0.1, float("inf")], "first inf at row 1"),
        (["high", "low"], "wanted numbers"),
    ],
)
def test_scores_are_probabilities(values: list[object], said: str) -> None:
    """Empty, nested, non-finite, out-of-range and non-numeric scores are refused, with the first offender named."""
    with pytest.raises(BadSample, match=said):
        samples.scores(values)  # type: ignore[arg-type]  # the point of the test


@pytest.mark.parametrize(
    ("values", "said"),
    [([0, 1], "each of the 3 scores, found 2"), ([0, 2, 1], "first 2.0 at row 1"), ([0, float("nan"), 1], "first nan")],
)
def test_labels_are_zero_and_one(values: list[float], said: str) -> None:
    """Labels of another length or value are refused."""
    with pytest.raises(BadSample, match=said):
        samples.labels(values, wanted_rows=3)


def test_booleans_and_narrow_types_are_labels_and_scores() -> None:
    """Labels may be booleans and scores float32: both arrive as float64."""
    p, y = samples.scored(np.array([0.25, 0.5], np.float32), np.array([True, False]))
    assert p.dtype == y.dtype == np.float64
    assert p.tolist() == [0.25, 0.5]
    assert y.tolist() == [1.0, 0.0]


def test_feature_rows_name_the_feature_that_is_not_finite() -> None:
    """A NaN is refused with its feature and row."""
    with pytest.raises(BadSample, match="1 values are not finite, first nan in feature spread at row 2"):
        samples.feature_rows([[1.0, 2.0], [3.0, 4.0], [5.0, float("nan")]], ("depth", "spread"))


def test_feature_rows_refuse_what_float32_cannot_hold() -> None:
    """A float64 that overflows float32 is refused rather than turned into infinity."""
    with pytest.raises(BadSample, match=r"first 1e\+39 in feature a at row 0"):
        samples.feature_rows(np.array([[1e39]]), ("a",))


@pytest.mark.parametrize("rows", [np.empty((0, 2)), np.empty((3, 1)), np.empty(2)])
def test_feature_rows_have_one_column_a_feature(rows: np.ndarray) -> None:
    """No rows, another width, or one dimension are refused."""
    with pytest.raises(BadSample, match=r"wanted shape \(n >= 1, 2 features\)"):
        samples.feature_rows(rows, ("a", "b"))


def test_feature_rows_refuse_text() -> None:
    """Rows that are no real numbers are refused with their dtype."""
    with pytest.raises(BadSample, match="wanted real numbers, found dtype <U1"):
        samples.feature_rows(np.array([["a"]]), ("a",))


def test_every_refusal_is_an_evaluation_error() -> None:
    """One base class catches all of the package."""
    assert issubclass(BadSample, EvaluationError)
    with pytest.raises(EvaluationError, match="bins must be 3 or more, was 2"):
        samples.bin_count(2, least=3)
    assert issubclass(BadRule, EvaluationError)

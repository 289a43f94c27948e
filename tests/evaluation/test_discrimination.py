"""AUC, log loss and base rate against scikit-learn, with ties."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import log_loss as sklearn_log_loss
from sklearn.metrics import roc_auc_score

from evaluation.discrimination import auc, base_rate, log_loss
from evaluation.errors import BadSample

# Scores on a coarse lattice, so that ties are common.
_PAIRS = st.lists(st.tuples(st.integers(0, 20), st.booleans()), min_size=2, max_size=200)


@given(_PAIRS)
def test_auc_agrees_with_sklearn(pairs: list[tuple[int, bool]]) -> None:
    """AUC with ties equals scikit-learn's whenever both classes are there, and is refused otherwise."""
    p = np.array([score / 20 for score, _ in pairs])
    y = np.array([won for _, won in pairs])
    if y.all() or not y.any():
        with pytest.raises(BadSample, match="needs wins and losses"):
            auc(p, y)
    else:
        assert auc(p, y) == pytest.approx(roc_auc_score(y, p), abs=1e-12)


@given(_PAIRS)
def test_log_loss_agrees_with_sklearn(pairs: list[tuple[int, bool]]) -> None:
    """Log loss equals scikit-learn's, scores of exactly 0 and 1 and single-class samples included."""
    p = np.array([score / 20 for score, _ in pairs])
    y = np.array([won for _, won in pairs])
    assert log_loss(p, y) == pytest.approx(sklearn_log_loss(y, p, labels=[False, True]), rel=1e-9)


@pytest.mark.parametrize(
    ("p", "y", "wanted"),
    [
        ([0.1, 0.9], [0, 1], 1.0),
        ([0.9, 0.1], [0, 1], 0.0),
        ([0.5, 0.5, 0.5], [0, 1, 1], 0.5),
        ([0.2, 0.4, 0.4, 0.8], [0, 0, 1, 1], 0.875),
    ],
)
def test_auc_of_small_cases(p: list[float], y: list[int], wanted: float) -> None:
    """Perfect, reversed, all-tied and half-tied samples give the values worked out by hand."""
    assert auc(p, y) == wanted


def test_base_rate_is_the_share_of_wins() -> None:
    """Three wins in four signals are 0.75; no signal at all is refused."""
    assert base_rate([1, 1, 0, 1]) == 0.75
    with pytest.raises(BadSample, match="labels"):
        base_rate([])

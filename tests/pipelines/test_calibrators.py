"""The calibrators against scikit-learn as an oracle, and the properties the ONNX graph leans on."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.isotonic import isotonic_regression
from sklearn.linear_model import LogisticRegression

from pipelines.calibrators import Isotonic, Platt, fit_calibrator, fit_isotonic, fit_platt, pool_adjacent_violators
from pipelines.errors import NotEnoughData

_weighted = st.lists(st.tuples(st.floats(0.0, 1.0), st.floats(0.5, 50.0)), min_size=1, max_size=40)


def _drawn(n: int = 4_000, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    margins = rng.normal(size=n)
    return margins, rng.random(n) < 1.0 / (1.0 + np.exp(-(0.6 * margins - 0.4)))


@given(_weighted)
def test_pooling_finds_the_sequence_of_scikit_learn(points: list[tuple[float, float]]) -> None:
    """Pool adjacent violators gives the weighted isotonic fit."""
    values, weights = np.array(points).T
    found = pool_adjacent_violators(values, weights)
    assert found == pytest.approx(isotonic_regression(values, sample_weight=weights), abs=1e-9)
    assert (np.diff(found) >= 0).all()


@given(st.integers(0, 1_000), st.integers(2, 60))
def test_an_isotonic_curve_never_falls_and_stays_inside_zero_and_one(seed: int, steps: int) -> None:
    """Rising margins give rising probabilities, to the last bit, and never certainty."""
    rng = np.random.default_rng(seed)
    margins = np.round(rng.normal(size=300), rng.integers(0, 4))
    curve = fit_isotonic(margins, rng.random(300) < 0.3 + 0.4 * (margins > 0), steps)
    assert len(curve.knots) <= steps
    knots = np.array(curve.knots)
    beside = np.r_[knots, np.nextafter(knots, -np.inf), np.nextafter(knots, np.inf), rng.normal(size=500) * 3]
    answers = curve.apply(np.sort(beside))
    assert (np.diff(answers) >= 0).all()
    assert 0.0 < answers[0] <= answers[-1] < 1.0


def test_an_isotonic_curve_passes_through_its_knots_and_is_flat_outside() -> None:
    """Values at the knots, half way between them, and beyond both ends."""
    curve = Isotonic((-1.0, 0.0, 2.0), (0.1, 0.3, 0.9))
    assert curve.apply(np.array([-5.0, -1.0, -0.5, 0.0, 1.0, 2.0, 9.0])) == pytest.approx(
        [0.1, 0.1, 0.2, 0.3, 0.6, 0.9, 0.9]
    )


def test_equal_margins_give_a_curve_of_one_knot() -> None:
    """A model that says the same of every row is calibrated to the base rate."""
    curve = fit_isotonic(np.full(100, 0.25), np.arange(100) < 30, 30)
    assert curve.apply(np.array([-1.0, 0.25, 1.0])) == pytest.approx([0.3, 0.3, 0.3])


def test_platt_finds_the_unpenalised_logistic_fit() -> None:
    """Slope and offset agree with scikit-learn's logistic regression up to Platt's softened targets."""
    margins, y = _drawn()
    found = fit_platt(margins, y)
    oracle = LogisticRegression(C=1e12).fit(margins[:, None], y)
    assert (found.slope, found.offset) == pytest.approx((oracle.coef_[0, 0], oracle.intercept_[0]), abs=2e-3)


def test_platt_stays_finite_on_separable_labels() -> None:
    """Softened targets keep the slope bounded where plain logistic regression runs away."""
    margins = np.linspace(-2.0, 2.0, 200)
    found = fit_platt(margins, margins > 0)
    assert 1.0 < found.slope < 100.0
    assert np.isfinite(found.apply(np.array([-1e6, 1e6]))).all()


@pytest.mark.parametrize("kind", ["isotonic", "platt"])
def test_both_calibrators_bring_the_mean_to_the_base_rate(kind: str) -> None:
    """On the rows it was fitted on, the mean probability is the share of wins."""
    margins, y = _drawn()
    curve = fit_calibrator(margins, y, kind, 30)
    assert isinstance(curve, Platt if kind == "platt" else Isotonic)
    assert float(curve.apply(margins).mean()) == pytest.approx(float(y.mean()), abs=5e-3)


@pytest.mark.parametrize("label", [False, True])
def test_labels_all_alike_are_refused_with_their_number(label: bool) -> None:
    """A calibration piece of one class is refused."""
    with pytest.raises(NotEnoughData, match=f"{50 * label} of 50 labels are wins"):
        fit_calibrator(np.arange(50.0), np.full(50, label), "isotonic", 10)

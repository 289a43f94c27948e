"""Parity to the bit: what counts as a mismatch, and rows that a rounded threshold cannot survive."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from evaluation.errors import BadRule, BadSample
from evaluation.parity import TINY, compare, random_rows, threshold_rows

_FINITE = st.floats(-1e6, 1e6)


@given(hnp.arrays(np.float64, st.integers(1, 50), elements=_FINITE))
def test_a_scorer_agrees_with_itself(margins: NDArray[np.float64]) -> None:
    """Equal bits pass, with no differences to report."""
    p = _sigmoid(margins)
    report = compare(margins, margins.copy(), p, p.astype(np.float32), tau=0.5)
    assert report.passed
    assert (report.rows, report.margin_mismatches, report.prob_mismatches, report.flips) == (margins.size, 0, 0, 0)
    assert (report.max_margin_diff, report.max_abs_diff, report.first_bad_row) == (0.0, 0.0, None)


@given(hnp.arrays(np.float64, st.integers(1, 50), elements=_FINITE), st.data())
def test_one_ulp_of_one_margin_fails(margins: NDArray[np.float64], data: st.DataObject) -> None:
    """The smallest change of a single margin is found, counted once and named by its row."""
    row = data.draw(st.integers(0, margins.size - 1))
    found = margins.copy()
    found[row] = np.nextafter(found[row], np.inf)
    p = _sigmoid(margins)
    report = compare(margins, found, p, p, tau=0.5)
    assert not report.passed
    assert report.margin_mismatches == 1
    assert report.first_bad_row == row
    assert repr(float(found[row])) in report.first_bad


def test_negative_zero_is_another_margin() -> None:
    """Bits are compared, not values."""
    assert compare([0.0], [-0.0], [0.5], [0.5], tau=0.5).margin_mismatches == 1


def test_probabilities_are_compared_as_float32() -> None:
    """A float64 reference and its float32 rounding are equal; the next float32 is not, and flips at its tau."""
    p = np.array([0.1234567890123, 0.6])
    narrow = p.astype(np.float32)
    assert compare([1.0, 2.0], [1.0, 2.0], p, narrow, tau=0.5).passed
    beside = np.nextafter(narrow, np.float32(0.0))
    report = compare([1.0, 2.0], [1.0, 2.0], p, beside, tau=float(narrow[1]))
    assert (report.prob_mismatches, report.flips, report.first_bad_row) == (2, 1, 0)
    assert report.max_abs_diff == pytest.approx(5.96e-8, rel=0.01)


def test_a_flip_far_from_the_margin_is_counted() -> None:
    """A probability that moves across tau is a flip even when the margins agree."""
    report = compare([0.0, 0.0], [0.0, 0.0], [0.4, 0.6], [0.6, 0.6], tau=0.5)
    assert (report.flips, report.prob_mismatches, report.margin_mismatches) == (1, 1, 0)
    assert "probability 0.4000000059604645 wanted, 0.6000000238418579 found" in report.first_bad


@pytest.mark.parametrize(
    ("margins", "said"),
    [
        (np.array([], np.float64), "shape"),
        (np.array([1.0], np.float32), "wanted float64"),
        (np.array([[1.0]]), "shape"),
        (np.array([float("nan")]), "1 of 1 are not finite, first nan at row 0"),
        (np.array([1.0, 2.0]), r"found lengths \[1, 2\]"),
    ],
)
def test_margins_must_be_comparable(margins: NDArray[np.float64], said: str) -> None:
    """Empty, narrow, nested, non-finite and unequal margins prove nothing and are refused."""
    with pytest.raises(BadSample, match=said):
        compare(margins, margins, [0.5], [0.5], tau=0.5)


def test_bad_probabilities_and_tau_are_refused() -> None:
    """A NaN probability or a tau which is none is refused by name."""
    with pytest.raises(BadSample, match="found probabilities"):
        compare([0.0], [0.0], [0.5], [float("nan")], tau=0.5)
    with pytest.raises(BadRule, match=r"tau must lie between 0 and 1, was 1\.5"):
        compare([0.0], [0.0], [0.5], [0.5], tau=1.5)


@given(st.lists(st.tuples(st.integers(0, 2), st.floats(-1e30, 1e30)), min_size=1, max_size=30))
def test_threshold_rows_lie_below_on_and_above(splits: list[tuple[int, float]]) -> None:
    """Each split gives the nearest float32 and its two neighbours, in its own column of its base row only."""
    base = np.arange(6, dtype=np.float32).reshape(2, 3) + 1
    features = np.array([feature for feature, _ in splits])
    limits = np.array([limit for _, limit in splits])
    rows = threshold_rows(features, limits, base)
    assert rows.shape == (3 * len(splits), 3)
    assert rows.dtype == np.float32
    for i, (feature, limit) in enumerate(splits):
        below, on, above = rows[3 * i : 3 * i + 3, feature]
        if abs(limit) > 1e-34:
            assert on == np.float32(limit)
            assert np.nextafter(below, np.float32(np.inf)) == on == np.nextafter(above, np.float32(-np.inf))
        others = np.delete(rows[3 * i : 3 * i + 3], feature, axis=1)
        assert (others == np.delete(base[i % 2], feature)).all()


def test_threshold_rows_catch_a_threshold_rounded_to_float32() -> None:
    """Of thresholds in double, those that round up send their own float32 to the wrong side, and the rows show it."""
    limits = np.random.default_rng(2).normal(size=200)
    rows = threshold_rows(np.zeros(200, int), limits, np.zeros((1, 1), np.float32))[:, 0]
    exact = rows.astype(np.float64) <= np.repeat(limits, 3)
    rounded = rows <= np.repeat(limits.astype(np.float32), 3)
    rounds_up = limits.astype(np.float32).astype(np.float64) > limits
    assert (exact != rounded).sum() == rounds_up.sum() > 50


def test_threshold_rows_flush_what_lightgbm_reads_as_zero() -> None:
    """LightGBM's own zero thresholds, +-1e-35, give exact zeros and what lies outside."""
    rows = threshold_rows([0, 0], [1.0000000180025095e-35, -1.0000000180025095e-35], np.ones((1, 1), np.float32))
    assert (rows[np.abs(rows) <= TINY] == 0.0).all()
    assert (np.abs(rows) > TINY).sum() == 2


def test_threshold_rows_do_not_touch_their_base() -> None:
    """The base rows stay as they were, and no splits give no rows."""
    base = np.full((1, 2), 1e-36, np.float32)
    threshold_rows([1], [5.0], base)
    assert (base == np.float32(1e-36)).all()
    assert threshold_rows([], [], base).shape == (0, 2)


@pytest.mark.parametrize(
    ("features", "limits", "said"),
    [
        ([2], [0.0], "features 2 to 2 are not columns of 2"),
        ([-1], [0.0], "not columns"),
        ([0, 1], [0.0], "one length"),
        ([0], [float("nan")], "not finite as float32"),
        ([0], [1e39], "not finite as float32"),
    ],
)
def test_impossible_splits_are_refused(features: list[int], limits: list[float], said: str) -> None:
    """Columns which are not there, unequal lengths and thresholds beyond float32 are refused."""
    with pytest.raises(BadSample, match=said):
        threshold_rows(features, limits, np.zeros((1, 2), np.float32))


def test_random_rows_are_seeded_and_half_on_the_lattice() -> None:
    """The same seed gives the same bits; about half the cells of a tick column keep its values, the rest leave it."""
    rng = np.random.default_rng(9)
    base = np.column_stack([rng.integers(0, 5, 400), rng.normal(size=400)]).astype(np.float32)
    rows = random_rows(base, 2_000, seed=4)
    assert rows.tobytes() == random_rows(base, 2_000, seed=4).tobytes()
    assert rows.tobytes() != random_rows(base, 2_000, seed=5).tobytes()
    on_lattice = np.isin(rows[:, 0], base[:, 0])
    assert 0.45 < on_lattice.mean() < 0.55
    assert rows[:, 0].min() < 0.0
    assert rows[:, 0].max() > 4.0
    assert np.isfinite(rows).all()


def test_random_rows_of_a_constant_column_stay_there() -> None:
    """A column without range has nowhere to go; a column as wide as float32 stays finite."""
    largest = np.finfo(np.float32).max
    base = np.array([[3.0, -largest], [3.0, largest]], np.float32)
    rows = random_rows(base, 100, seed=0)
    assert (rows[:, 0] == 3.0).all()
    assert np.isfinite(rows).all()


def test_base_rows_must_be_finite_float32() -> None:
    """Other dtypes, no rows, NaN and a count below 1 are refused."""
    good = np.zeros((1, 1), np.float32)
    for base in (good.astype(np.float64), good[:0], good[0]):
        with pytest.raises(BadSample, match="wanted float32"):
            random_rows(base, 1, seed=0)
    with pytest.raises(BadSample, match="1 values are not finite"):
        threshold_rows([0], [0.0], np.full((1, 1), np.nan, np.float32))
    with pytest.raises(BadRule, match="n must be 1 or more, was 0"):
        random_rows(good, 0, seed=0)


def _sigmoid(margins: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(1.0 / (1.0 + np.exp(-np.clip(margins, -500, 500))))

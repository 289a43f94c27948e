"""Calibration errors: by hand, against scikit-learn, and how they behave on small samples of a perfect scorer."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn.calibration import calibration_curve
from sklearn.metrics import brier_score_loss

from evaluation import calibration
from evaluation.errors import BadRule, BadSample

_PAIRS = st.lists(st.tuples(st.integers(0, 40), st.booleans()), min_size=2, max_size=300)


@given(_PAIRS)
def test_brier_agrees_with_sklearn(pairs: list[tuple[int, bool]]) -> None:
    """The Brier score equals scikit-learn's."""
    p, y = _arrays(pairs)
    assert calibration.brier(p, y) == pytest.approx(brier_score_loss(y, p, pos_label=True), abs=1e-12)


@given(_PAIRS, st.integers(1, 12))
def test_bins_partition_the_rows_and_keep_ties_together(pairs: list[tuple[int, bool]], bins: int) -> None:
    """Bins hold every row once, two or more each, and no score lies in two bins."""
    p, y = _arrays(pairs)
    table = calibration.reliability(p, y, bins)
    assert table.rows.sum() == p.size
    assert table.rows.min() >= 2
    assert len(table.rows) <= bins
    ordered = np.sort(p)
    starts = np.cumsum(table.rows)[:-1]
    assert (ordered[starts] > ordered[starts - 1]).all()
    assert (table.observed * table.rows).sum() == pytest.approx(y.sum())
    assert ((table.low <= table.observed) & (table.observed <= table.high)).all()


def test_reliability_agrees_with_sklearn_without_ties() -> None:
    """On distinct scores the curve is scikit-learn's quantile curve, and raw ECE its weighted gap."""
    p, y = _calibrated(np.random.default_rng(1), 1_000)
    table = calibration.reliability(p, y, 10)
    observed, predicted = calibration_curve(y, p, n_bins=10, strategy="quantile")
    assert table.rows.tolist() == [100] * 10
    np.testing.assert_allclose(table.observed, observed, atol=1e-12)
    np.testing.assert_allclose(table.predicted, predicted, atol=1e-12)
    assert calibration.ece_raw(p, y) == pytest.approx(np.abs(observed - predicted).mean(), abs=1e-12)


def test_values_worked_out_by_hand() -> None:
    """Two bins of two rows: (0.2, 0.4; one win) and (0.6, 0.8; two wins)."""
    p, y = [0.2, 0.4, 0.6, 0.8], [0, 1, 1, 1]
    assert calibration.ece_raw(p, y, bins=2) == pytest.approx((0.2 + 0.3) / 2)
    # Luck in a bin: sqrt(2/pi) sqrt(0.16 + 0.24) / 2, the same in both.
    assert calibration.ece_debiased(p, y, bins=2) == pytest.approx(0.25 - np.sqrt(2 / np.pi) * np.sqrt(0.4) / 2)
    assert calibration.l2_debiased(p, y, bins=2) == pytest.approx(((0.2**2 - 0.25) + 0.3**2) / 2)
    assert calibration.level_z(p, y) == pytest.approx(1.0 / np.sqrt(0.8))
    lever = np.array([0.6, 0.2, -0.2, -0.6])
    gaps = np.array([-0.2, 0.6, 0.4, 0.2])
    wanted = (gaps * lever).sum() / np.sqrt((lever**2 * np.array([0.16, 0.24, 0.24, 0.16])).sum())
    assert calibration.spiegelhalter_z(p, y) == pytest.approx(wanted)


def test_debiased_ece_is_about_zero_for_a_calibrated_scorer_where_the_raw_one_is_not() -> None:
    """At 200 rows raw ECE of a perfect scorer averages over 0.05, the debiased forms within 0.004 of 0."""
    measured = _repeat(200, 400, calibration.ece_raw, calibration.ece_debiased, calibration.l2_debiased)
    raw, debiased, l2 = measured.mean(axis=0)
    assert 0.07 < raw < 0.10
    assert abs(debiased) < 0.004
    assert abs(l2) < 0.001


def test_raw_ece_of_500_rows_exceeds_the_line_by_luck_alone() -> None:
    """At 500 rows a perfect scorer passes 0.05 raw about half the time or more, debiased hardly ever."""
    measured = _repeat(500, 400, calibration.ece_raw, calibration.ece_debiased)
    over = (measured > 0.05).mean(axis=0)
    assert over[0] > 0.4
    assert over[1] < 0.01


def test_debiased_ece_finds_a_real_error() -> None:
    """Scores five points too high over 20,000 rows show as about 0.05, and the level z as strongly negative."""
    p, y = _calibrated(np.random.default_rng(3), 20_000)
    shifted = np.clip(p + 0.05, 0.0, 1.0)
    assert calibration.ece_debiased(shifted, y) == pytest.approx(0.05, abs=0.008)
    assert calibration.l2_debiased(shifted, y) == pytest.approx(0.0025, abs=0.0008)
    assert calibration.level_z(shifted, y) < -8.0


def test_z_statistics_are_standard_normal_for_a_calibrated_scorer() -> None:
    """Over 1,000 samples of 500 rows both z have mean 0 and deviation 1, within four standard errors."""
    measured = _repeat(500, 1_000, calibration.spiegelhalter_z, calibration.level_z)
    assert (np.abs(measured.mean(axis=0)) < 4 / np.sqrt(1_000)).all()
    assert (np.abs(measured.std(axis=0) - 1.0) < 4 / np.sqrt(2_000)).all()


def test_a_step_calibrators_atoms_stay_whole() -> None:
    """Scores of three values give three bins, each with its own mean, whatever the number asked for."""
    p = np.repeat([0.2, 0.5, 0.7], [700, 200, 100])
    y = np.zeros(1_000)
    table = calibration.reliability(p, y, bins=10)
    assert table.rows.tolist() == [700, 200, 100]
    np.testing.assert_allclose(table.predicted, [0.2, 0.5, 0.7])


def test_one_class_and_constant_scores_have_plain_values() -> None:
    """All wins scored 0.5 are one bin with a gap of one half; no error is raised."""
    p, y = np.full(20, 0.5), np.ones(20)
    assert calibration.brier(p, y) == 0.25
    assert calibration.ece_raw(p, y) == 0.5
    assert calibration.reliability(p, y).rows.tolist() == [20]
    with pytest.raises(BadSample, match="20 rows leave the z statistic no variance"):
        calibration.spiegelhalter_z(p, y)
    with pytest.raises(BadSample, match="no variance"):
        calibration.level_z(np.ones(3), np.ones(3))


def test_a_single_row_has_no_debiased_square() -> None:
    """The variance of one row is unknown: l2 is refused, ECE is the plain gap."""
    with pytest.raises(BadSample, match="needs 2 rows or more, found 1"):
        calibration.l2_debiased([0.4], [1])
    assert calibration.ece_raw([0.4], [1]) == pytest.approx(0.6)


@pytest.mark.parametrize(
    "statistic",
    [
        calibration.brier,
        calibration.ece_raw,
        calibration.ece_debiased,
        calibration.l2_debiased,
        calibration.reliability,
        calibration.spiegelhalter_z,
        calibration.level_z,
    ],
)
def test_bad_samples_are_refused(statistic: Callable[..., object]) -> None:
    """Empty, NaN and unequal samples are refused by every statistic."""
    for p, y in (([], []), ([0.5, float("nan")], [0, 1]), ([0.5, 0.6], [1]), ([0.5, 0.6], [1, 7])):
        with pytest.raises(BadSample):
            statistic(p, y)


def test_no_bins_are_refused() -> None:
    """Zero bins are no binning."""
    with pytest.raises(BadRule, match="bins must be 1 or more, was 0"):
        calibration.ece_raw([0.5], [1], bins=0)


def _arrays(pairs: list[tuple[int, bool]]) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    return np.array([score / 40 for score, _ in pairs]), np.array([won for _, won in pairs])


def _calibrated(rng: np.random.Generator, rows: int) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Return scores spread like a meta-model's (mean 0.545, deviation 0.085) and wins drawn with exactly those odds."""
    p = rng.beta(18.1, 15.1, size=rows)
    return p, rng.random(rows) < p


def _repeat(rows: int, times: int, *statistics: Callable[..., float]) -> NDArray[np.float64]:
    rng = np.random.default_rng(11)
    drawn = [_calibrated(rng, rows) for _ in range(times)]
    return np.array([[statistic(p, y) for statistic in statistics] for p, y in drawn])

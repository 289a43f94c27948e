"""Lines and arming: only clean windows of the same shape tell what a window is worth, and none means not armed."""

import numpy as np
import pytest
from numpy.typing import NDArray

from evaluation.drift import Reference, psi
from evaluation.drift_lines import CleanHistory, DriftRule, drift_report, effective_rows
from evaluation.errors import BadRule, BadSample, ReferenceMismatch


def test_mean_psi_without_drift_follows_its_law() -> None:
    """Over 300 clean windows of 200 rows, mean PSI is (B-1)(1/n + 1/N) within 5 %, and far from 0."""
    rng = np.random.default_rng(4)
    fitted = Reference.fit(rng.normal(size=(20_000, 8)), [f"f{i}" for i in range(8)])
    clean = np.array([psi(fitted, rng.normal(size=(200, 8))) for _ in range(300)])
    law = 9 * (1 / 200 + 1 / 20_000)
    assert clean.mean() == pytest.approx(law, rel=0.05)
    assert effective_rows(fitted, clean) == pytest.approx(np.full(8, 198.0), rel=0.12)


def test_neighbouring_rows_are_worth_less_and_disarm_the_gate() -> None:
    """Windows of an AR(1) series with phi 0.95 are worth far fewer rows than they have: measured, and not armed."""
    rng = np.random.default_rng(6)
    series = _ar1(rng, 500 * 60, 0.95)[:, None]
    fitted = Reference.fit(rng.permutation(series), ["x"])
    windows = np.split(series, 60)
    report = drift_report(fitted, windows[0], DriftRule(), CleanHistory.measure(fitted, windows))
    assert report.features[0].effective_rows < 100
    assert not report.features[0].armed
    assert report.blocking == ()


def test_a_report_blocks_only_what_is_armed_and_over_its_line() -> None:
    """A shift of 0.8 deviations blocks, of 0.4 warns, of nothing is ok."""
    fitted, clean, rng = _three()
    report = drift_report(fitted, rng.normal(size=(500, 3)) + _SHIFT, DriftRule(), clean)
    assert [feature.state for feature in report.features] == ["ok", "warn", "block"]
    assert report.rows == 500
    assert report.blocking == ("moved",)
    assert 350 < report.features[0].effective_rows <= 500


def test_too_few_rows_are_not_armed_whatever_they_show() -> None:
    """100 rows are worth 100 at most, though the clean windows had 500."""
    fitted, clean, rng = _three()
    few = drift_report(fitted, rng.normal(size=(100, 3)) + _SHIFT, DriftRule(), clean)
    assert few.features[2].state == "block"
    assert all(60 < feature.effective_rows <= 100 for feature in few.features)
    assert few.blocking == ()


def test_without_clean_history_or_without_its_span_nothing_is_armed() -> None:
    """The numbers are told all the same."""
    fitted, clean, rng = _three()
    window = rng.normal(size=(500, 3)) + _SHIFT
    unknown = drift_report(fitted, window, DriftRule(), None)
    assert [(f.effective_rows, f.armed) for f in unknown.features] == [(0.0, False)] * 3
    short = drift_report(fitted, window, DriftRule(), clean, spans=False)
    assert short.features[2].effective_rows > 200
    assert not any(feature.armed for feature in short.features)
    assert [f.psi for f in short.features] == [f.psi for f in unknown.features]


def test_clean_history_lifts_a_line_and_never_lowers_it() -> None:
    """A feature that wanders in clean times gets its own line; a quiet one keeps the rule's."""
    rng = np.random.default_rng(8)
    fitted = Reference.fit(rng.normal(size=(20_000, 2)), ["wanders", "quiet"])
    windows = [rng.normal((rng.normal(0, 0.8), 0.0), 1.0, size=(500, 2)) for _ in range(40)]
    rule = DriftRule(min_effective_rows=1)
    history = CleanHistory.measure(fitted, windows)
    wanders, quiet = drift_report(fitted, windows[0], rule, history).features
    assert wanders.psi_line == max(psi(fitted, window)[0] for window in windows) > rule.psi_block
    assert wanders.ks_line == history.ks_high[0] > rule.ks_block
    assert (quiet.psi_line, quiet.ks_line) == (rule.psi_block, rule.ks_block)
    assert wanders.effective_rows < quiet.effective_rows <= 500
    assert (history.rows, history.windows) == (500, 40)


def test_a_constant_feature_is_worth_every_row() -> None:
    """It has no luck to be told from drift."""
    fitted = Reference.fit(np.ones((1_000, 1)), ["x"])
    clean = CleanHistory.measure(fitted, [np.ones((300, 1))] * 3)
    (feature,) = drift_report(fitted, np.ones((300, 1)), DriftRule(), clean).features
    assert (feature.effective_rows, feature.armed, feature.state) == (300.0, True, "ok")


def test_bad_rules_and_histories_are_refused() -> None:
    """Crossed lines, an empty history, and one of other features."""
    fitted = Reference.fit(np.zeros((5, 2)), ["a", "b"])
    with pytest.raises(BadRule, match=r"psi_warn <= psi_block, found 0\.5 and 0\.3"):
        DriftRule(psi_warn=0.5)
    with pytest.raises(BadSample, match="at least 1 window, found 0"):
        CleanHistory.measure(fitted, [])
    with pytest.raises(ReferenceMismatch, match=r"wanted shape \(w >= 1, 2\), found \(4, 3\)"):
        effective_rows(fitted, np.zeros((4, 3)))


_SHIFT = np.array([0.0, 0.4, 0.8])


def _three() -> tuple[Reference, CleanHistory, np.random.Generator]:
    """Three independent features, and the history of 40 clean windows of 500 rows."""
    rng = np.random.default_rng(7)
    fitted = Reference.fit(rng.normal(size=(20_000, 3)), ["still", "nudged", "moved"])
    return fitted, CleanHistory.measure(fitted, [rng.normal(size=(500, 3)) for _ in range(40)]), rng


def _ar1(rng: np.random.Generator, rows: int, phi: float) -> NDArray[np.float64]:
    noise = rng.normal(size=rows) * np.sqrt(1 - phi * phi)
    series = np.empty(rows)
    series[0] = rng.normal()
    for i in range(1, rows):
        series[i] = phi * series[i - 1] + noise[i]
    return series

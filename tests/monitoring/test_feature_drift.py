"""Drift of each feature by the runbook's second spelling too, and only of names that can be metrics."""

from prometheus_client import CollectorRegistry, generate_latest

from monitoring.feature_drift import MOST_NAMES
from monitoring.metrics import Metrics


def test_each_series_is_shown_by_both_spellings() -> None:
    """They never differ, since one is made of the other."""
    metrics = Metrics(CollectorRegistry())
    assert "psi_feature_" not in generate_latest(metrics.registry).decode().replace("psi_feature_NAME", "")
    metrics.psi_feature.labels("spread_bps").set(0.25)
    metrics.ks_feature.labels("spread_bps").set(0.125)
    metrics.psi_feature.labels("spread_bps").set(0.5)
    text = generate_latest(metrics.registry).decode()
    assert 'psi_feature{feature="spread_bps"} 0.5' in text
    assert "\npsi_feature_spread_bps 0.5\n" in text
    assert "# TYPE ks_feature_spread_bps gauge\nks_feature_spread_bps 0.125\n" in text


def test_names_that_are_none_and_names_beyond_the_bound_are_not_spelled_out() -> None:
    """The labelled series show them all the same."""
    metrics = Metrics(CollectorRegistry())
    metrics.ks_feature.labels("a b").set(1.0)
    for k in range(MOST_NAMES + 5):
        metrics.psi_feature.labels(f"f{k}").set(1.0)
    text = generate_latest(metrics.registry).decode()
    assert 'ks_feature{feature="a b"} 1.0' in text
    assert "ks_feature_a b" not in text
    assert text.count("\npsi_feature_f") == MOST_NAMES

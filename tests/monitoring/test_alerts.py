"""What every alert carries, and that its numbers are those of the thresholds."""

from dataclasses import fields, replace

import pytest

from monitoring.alert import Alert
from monitoring.alerts import ALERTS, watch
from monitoring.panels import PANELS
from monitoring.planted import CONDITIONS
from monitoring.processes import SERVICES
from monitoring.runbook import OF_METRIC, SECTIONS
from monitoring.thresholds import Spans, Thresholds
from tests.style_bar import ROOT

_CATALOGUE = {
    "WinRateDrop": ("critical", "precision-halt"), "CanaryWinrateDrop": ("warning", "rollback-guard-trigger"),
    "OnnxParityFailure": ("critical", "parity-fail"), "DriftDetected": ("critical", "drift-breach"),
    "CalibrationOutOfSpec": ("warning", "precision-halt"), "ThroughputSpike": ("warning", "throughput-spike"),
    "ExecutionDegradation": ("critical", "backpressure--queue-build-up"),
    "CanaryFractionDeviation": ("warning", "rollback-guard-trigger"), "ServiceDown": ("critical", "fail-safe-alert"),
}  # fmt: skip
"""The alerts that operators knew before there was this platform."""
_UNWATCHED = {
    "fill_rate_floor", "markout_floor_bps", "precision_floor", "stale_market_seconds", "volatility_halt_bps",
    "spread_bps", "near_liquidation_bps",
}  # fmt: skip
"""Limits of gates that panels draw and no alert watches: the gate itself acts, and that is told."""
_each = pytest.mark.parametrize("alert", ALERTS, ids=lambda alert: alert.name)


@_each
def test_an_alert_leads_to_a_section_and_to_a_panel(alert: Alert) -> None:
    """Both are there; so is a page about it."""
    assert alert.runbook in SECTIONS
    assert alert.panel in {each.id for each in PANELS}
    assert alert.service in {"", *SERVICES}
    assert f"\n## {alert.name}\n" in (ROOT / "docs" / "alerts.md").read_text(encoding="utf-8")


def test_the_catalogue_is_kept() -> None:
    """Names, severities and sections."""
    known = {each.name: (each.severity, each.runbook) for each in ALERTS}
    assert {name: known[name] for name in _CATALOGUE} == _CATALOGUE
    assert len(known) == len(ALERTS) == 19


def test_metrics_lead_to_the_sections_that_their_alerts_lead_to() -> None:
    """`tidegate runbook` and a page agree, where both know the metric."""
    sections = {metric: section for metric, section in OF_METRIC.items() if metric.endswith("_total")}
    for alert in ALERTS:
        for metric, section in sections.items():
            if f"increase({metric}[" in alert.expression:
                assert section == alert.runbook, alert.name


def test_every_condition_belongs_to_an_alert_and_the_other_way_round() -> None:
    """Nothing that can page was never seen."""
    assert set(CONDITIONS) == {each.name for each in ALERTS}


@pytest.mark.parametrize("name", [each.name for each in fields(Thresholds) if each.name not in _UNWATCHED])
def test_every_threshold_moves_an_alert(name: str) -> None:
    """One that does not would be decoration."""
    moved = replace(Thresholds(), **{name: getattr(Thresholds(), name) * 2})
    assert watch(moved) != watch()


@pytest.mark.parametrize("name", sorted(_UNWATCHED))
def test_limits_that_only_panels_draw_move_none(name: str) -> None:
    """So the list above stays true."""
    assert watch(replace(Thresholds(), **{name: getattr(Thresholds(), name) * 2})) == watch()


@pytest.mark.parametrize("name", [each.name for each in fields(Spans)])
def test_every_time_moves_an_alert(name: str) -> None:
    """Each window, and each wait."""
    assert watch(spans=replace(Spans(), **{name: getattr(Spans(), name) * 2})) != watch()


def test_shortened_times_are_in_proportion_down_to_the_least() -> None:
    """What a rehearsal goes by."""
    short = Spans().shortened(100.0, 3.0)
    assert (short.canary_for, short.stale_book_for) == (18.0, 3.0)

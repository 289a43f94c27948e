"""Panels without a Prometheus: every one of them finds its metrics on a page of ours."""

import pytest
from prometheus_client import CollectorRegistry

from monitoring.metrics import Metrics
from monitoring.panels import PANELS
from monitoring.scrape import ScrapeError
from tidegate.metrics_now import board_of_now, metrics_of


def test_every_panel_knows_its_metrics() -> None:
    """By the names in its questions."""
    assert [panel.id for panel in PANELS if not metrics_of(panel)] == []
    by_id = {panel.id: metrics_of(panel) for panel in PANELS}
    assert by_id["score-distribution"] == ["model_score"]
    assert by_id["calibration"] == ["ece_online", "brier_online", "brier_baseline_active"]


def test_values_of_several_processes_are_put_together() -> None:
    """What one measures is not hidden by the 0 that it is born with in another."""
    measured, idle = Metrics(CollectorRegistry()), Metrics(CollectorRegistry())
    for each in (measured, idle):
        each.touch(["BTCUSDT"])
    measured.trades_per_hour.set(12.0)
    measured.avg_markout_100ms.labels("paper").set(-1.5)
    measured.model_score.labels("active").observe(0.4)
    pages = [f"http://127.0.0.1:{each.serve(0)}/metrics" for each in (measured, idle)]
    shown = {
        each.panel.id: {one.name: one.last for one in each.series} for each in board_of_now(PANELS, pages, 9.0).shown
    }
    assert shown["throughput"] == {"trades_per_hour": 12.0}
    assert shown["markout"] == {"avg_markout_100ms (route paper)": -1.5}
    assert shown["score-distribution"] == {"model_score_count (slot active)": 1.0}


def test_a_page_that_does_not_answer_is_told() -> None:
    """By its address."""
    with pytest.raises(ScrapeError, match=r"http://127\.0\.0\.1:1/metrics"):
        board_of_now(PANELS, ["http://127.0.0.1:1/metrics"], 9.0)

"""Metrics are registered once, on the registry they are given."""

import subprocess
import sys
import urllib.request
from collections import Counter as Counted
from typing import get_args

import pytest
from prometheus_client import REGISTRY, CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from bus.messages import ControlKind, ReportKind, Route, Severity
from config.release_sections import GateName
from live.watch import REASONS
from monitoring.metrics import (
    BUCKETS,
    CONTROL_EVENTS,
    DECISIONS,
    DROP_MODES,
    FAIL_SAFE_REASONS,
    GATES,
    ORDER_STATES,
    OUTCOMES,
    RELEASE_GATES,
    ROLLBACK_REASONS,
    ROUTES,
    SEVERITIES,
    TRIALS,
    Metrics,
    halt_label,
    process_metrics,
)
from tests.style_bar import ROOT


def test_a_refused_schema_is_counted_by_table_and_version() -> None:
    """One series for each table and version found."""
    metrics = Metrics(CollectorRegistry())
    metrics.archive_schema_refused_total.labels("book", "0").inc()
    metrics.archive_schema_refused_total.labels("book", "0").inc()
    metrics.archive_schema_refused_total.labels("trades", "none").inc()

    assert metrics.registry.get_sample_value("archive_schema_refused_total", {"table": "book", "found": "0"}) == 2.0
    assert (
        metrics.registry.get_sample_value("archive_schema_refused_total", {"table": "trades", "found": "none"}) == 1.0
    )


def test_two_registries_share_nothing() -> None:
    """Counting on one registry leaves another at rest."""
    counted, idle = Metrics(CollectorRegistry()), Metrics(CollectorRegistry())
    counted.archive_schema_refused_total.labels("book", "0").inc()

    assert idle.registry.get_sample_value("archive_schema_refused_total", {"table": "book", "found": "0"}) is None


def test_the_process_has_one_set_of_metrics() -> None:
    """Asking twice registers once; a second registration would raise."""
    assert process_metrics() is process_metrics()
    assert process_metrics().registry is REGISTRY


def test_a_scrape_shows_name_help_and_series() -> None:
    """What an alert rule is written against: the exposed text, with its type and both labels."""
    metrics = Metrics(CollectorRegistry())
    metrics.archive_schema_refused_total.labels("features", "2").inc()
    lines = generate_latest(metrics.registry).decode().splitlines()
    assert "# TYPE archive_schema_refused_total counter" in lines
    assert 'archive_schema_refused_total{found="2",table="features"} 1.0' in lines
    assert [line for line in lines if line.startswith("# HELP archive_schema_refused_total Partitions refused")]


def test_a_count_never_falls() -> None:
    """A counter that could fall would read as a restart."""
    refused = Metrics(CollectorRegistry()).archive_schema_refused_total.labels("book", "0")
    with pytest.raises(ValueError, match="non-negative"):
        refused.inc(-1)


@pytest.mark.parametrize("labels", [(), ("book",), ("book", "0", "extra")])
def test_a_series_needs_all_its_labels(labels: tuple[str, ...]) -> None:
    """A refusal without its table or version could not be acted on."""
    metrics = Metrics(CollectorRegistry())
    with pytest.raises(ValueError, match="label"):
        metrics.archive_schema_refused_total.labels(*labels).inc()


def test_one_registry_takes_one_set_of_metrics() -> None:
    """A second set would count on series that nobody scrapes, so it is refused when it is made."""
    registry = CollectorRegistry()
    Metrics(registry)
    with pytest.raises(ValueError, match="Duplicated timeseries"):
        Metrics(registry)


def test_importing_registers_nothing() -> None:
    """A process that counts nothing exposes nothing of ours."""
    look = (
        "import monitoring.metrics as m; name = 'archive_schema_refused_total'; seen = lambda: "
        "any(name.startswith(metric.name) for metric in m.REGISTRY.collect() if metric.name.startswith('archive')); "
        "before = seen(); m.process_metrics(); print(before, seen())"
    )
    ran = subprocess.run([sys.executable, "-c", look], cwd=ROOT, capture_output=True, text=True, check=True)
    assert ran.stdout == "False True\n"


RUNBOOK = {
    "precision": (), "winrate_rolling": ("route",), "winrate_baseline_active": (), "ece_online": (), "brier_online": (),
    "avg_markout_100ms": ("route",), "avg_markout_500ms": ("route",), "avg_markout_1000ms": ("route",),
    "fill_rate_rolling": ("route",), "cancel_to_fill_ratio": ("route",), "trades_per_hour": (),
    "psi_feature": ("feature",), "ks_feature": ("feature",), "rollback_total": ("reason",),
    "exec_ladder_aggressiveness_total": ("bucket",), "warmup_drop_total": ("symbol",),
    "liquidity_by_side": ("symbol", "side"), "near_liq_guard": ("symbol",), "fail_safe_trigger_total": ("reason",),
    "mode_switch_total": ("from", "to"), "backpressure_total": ("mode",), "parquet_gap_detected_ms": ("symbol",),
    "exchange_reference_mismatch_total": ("symbol",), "sample_canary": (), "winrate_canary": (),
    "onnx_parity_fail_total": (), "rolling_precision": ("route",),
}  # fmt: skip
"""What the operator's runbook names, with the labels it names (and those that tell symbols and routes apart)."""


def _declared() -> dict[str, tuple[str, ...]]:
    """Every metric of ours by the name it is exposed under, with its labels."""
    metrics = Metrics(CollectorRegistry())
    found = {}
    for metric in vars(metrics).values():
        if isinstance(metric, Counter | Gauge | Histogram):
            suffix = "_total" if isinstance(metric, Counter) else ""
            found[metric._name + suffix] = metric._labelnames
    return found


@pytest.mark.parametrize("name", sorted(RUNBOOK))
def test_the_runbooks_metrics_are_there_under_its_names(name: str) -> None:
    """An operator who types the name finds the series, with the labels that are written there."""
    assert _declared()[name] == RUNBOOK[name]


def test_attributes_are_named_as_they_are_exposed() -> None:
    """So that code and panels can be searched for the same word."""
    metrics = Metrics(CollectorRegistry())
    for attribute, metric in vars(metrics).items():
        if isinstance(metric, Counter):
            assert metric._name + "_total" == attribute
        elif isinstance(metric, Gauge | Histogram):
            assert metric._name == attribute


def test_every_counter_whose_labels_are_known_is_born_at_0() -> None:
    """An alert on an increase would not see the first event of a series that is born at 1."""
    metrics = Metrics(CollectorRegistry())
    metrics.touch(["BTCUSDT", "ETHUSDT"])
    born = Counted()
    for family in metrics.registry.collect():
        for sample in family.samples if family.type == "counter" else ():
            assert sample.value == 0.0
            born[sample.name] += 1
    wanted = {
        "fail_safe_trigger_total": len(FAIL_SAFE_REASONS), "rollback_total": len(ROLLBACK_REASONS),
        "mode_switch_total": 2, "backpressure_total": len(DROP_MODES),
        "exec_ladder_aggressiveness_total": len(BUCKETS), "warmup_drop_total": 2,
        "gate_drop_total": 2 * len(GATES), "approvals_total": 2 * len(ROUTES),
        "exchange_reference_mismatch_total": 2, "onnx_parity_fail_total": 1, "fills_total": len(ROUTES),
        "orders_total": len(ROUTES) * len(ORDER_STATES), "outcomes_total": len(ROUTES) * len(OUTCOMES),
        "control_events_total": len(CONTROL_EVENTS) * len(SEVERITIES),
    }  # fmt: skip
    assert {name: born[name] for name in wanted} == wanted


def test_releases_are_born_at_0_by_trial_gate_and_feature() -> None:
    """Drift of each feature is a reason of its own."""
    metrics = Metrics(CollectorRegistry())
    metrics.touch([], ["spread_bps"])
    value = metrics.registry.get_sample_value
    assert value("rollback_total", {"reason": "psi_feature_spread_bps"}) == 0.0
    assert value("rollback_total", {"reason": "ks_feature_spread_bps"}) == 0.0
    for trial in TRIALS:
        assert value("release_sample", {"trial": trial}) == 0.0
        assert {value("release_decision", {"trial": trial, "decision": each}) for each in DECISIONS} == {0.0}
        assert {value("gate_breached", {"trial": trial, "gate": each}) for each in RELEASE_GATES} == {0.0}


def test_the_gates_are_those_of_the_configuration() -> None:
    """What release.observe names has its series, and what may withdraw a version has its label."""
    assert get_args(GateName) == RELEASE_GATES
    assert set(RELEASE_GATES) - {"shadow_quality", "shadow_money"} < set(ROLLBACK_REASONS)
    assert set(RELEASE_GATES) - {"shadow_quality", "shadow_money"} < set(FAIL_SAFE_REASONS)


@pytest.mark.parametrize(
    ("reason", "label"),
    [("psi_feature_spread_bps", "psi_feature"), ("ks_feature_x", "ks_feature"), ("psi_feature", "psi_feature"),
     ("precision_halt", "precision_halt"), ("hm", "other"), ("other", "other"), ("", "other")],
)  # fmt: skip
def test_a_halts_reason_is_a_label(reason: str, label: str) -> None:
    """A feature's name is none."""
    assert halt_label(reason) == label


def test_touching_again_loses_no_count() -> None:
    """Services of one process touch the same metrics."""
    metrics = Metrics(CollectorRegistry())
    metrics.touch(["BTCUSDT"])
    metrics.rollback_total.labels("operator").inc()
    metrics.touch(["BTCUSDT"])
    assert metrics.registry.get_sample_value("rollback_total", {"reason": "operator"}) == 1.0


def test_label_values_are_those_of_the_messages() -> None:
    """A reason or a route that is said on the bus has its series."""
    assert get_args(Route) == ROUTES
    assert get_args(ControlKind) == CONTROL_EVENTS
    assert get_args(Severity) == SEVERITIES
    assert set(ORDER_STATES) == set(get_args(ReportKind)) - {"dropped", "closed"}
    assert set(REASONS) < set(FAIL_SAFE_REASONS)


def test_the_page_is_served_without_a_creation_time_beside_each_counter() -> None:
    """On a port of the system's choice; `_created` series would double the page."""
    metrics = Metrics(CollectorRegistry())
    metrics.touch(["BTCUSDT"])
    with urllib.request.urlopen(f"http://127.0.0.1:{metrics.serve(0)}/metrics", timeout=10) as answer:
        page = answer.read().decode()
    assert 'mode_switch_total{from="real",to="paper"} 0.0' in page
    assert "_created" not in page
    assert page == metrics.render()


def test_milliseconds_stand_beside_seconds() -> None:
    """The runbook's unit, and Prometheus's."""
    names = _declared()
    assert names["parquet_gap_detected_ms"] == names["parquet_gap_detected_seconds"]

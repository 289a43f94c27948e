"""The rule file under Prometheus's own engine: its tests pass, and fail when a number is moved."""

import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from monitoring.alert import GROUPS, Watch
from monitoring.alerts import ALERTS, watch
from monitoring.panels import PANELS, path_of
from monitoring.rules import Links, rule_file
from monitoring.runbook import BOARD, section_number
from monitoring.thresholds import Spans, Thresholds
from tests.style_bar import ROOT

_DEPLOY = ROOT / "deploy" / "prometheus"
_LINKS = Links("docs/runbook.md", "http://127.0.0.1:3001", {each.id: path_of(each.id) for each in PANELS})
_MOVED: Mapping[str, tuple[str, str]] = {
    "WinRateDrop": ("win_rate_floor", "win_rate_for"),
    "CalibrationOutOfSpec": ("ece_block", "calibration_for"),
    "DriftDetected": ("psi_block", "drift_window"),
    "OnnxParityFailure": ("", "parity_window"),
    "ThroughputSpike": ("throughput_ratio", "throughput_for"),
    "ExecutionDegradation": ("fill_rate_floor_alert", "execution_for"),
    "BackpressureHigh": ("queue_length", "backpressure_for"),
    "FailSafeTriggered": ("", "fail_safe_window"),
    "CanaryWinrateDrop": ("canary_delta_pp", "canary_for"),
    "CanaryFractionDeviation": ("canary_fraction_tolerance", "canary_fraction_for"),
    "RollbackHappened": ("", "rollback_window"),
    "RegistryDivergence": ("", "divergence_for"),
    "ModelSyncStale": ("registry_silent_seconds", "model_sync_for"),
    "StaleBook": ("stale_book_seconds", "stale_book_for"),
    "WarmupStuck": ("", "warmup_for"),
    "DataGap": ("gap_seconds", "gap_for"),
    "ExchangeReferenceMismatch": ("", "reference_window"),
    "ServiceDown": ("service_silent_seconds", "service_for"),
    "SensorSilent": ("sensor_silent_seconds", "sensor_for"),
}
"""The threshold, where there is one, and the time of each alert: what is moved to see that its tests notice."""
_ALSO = (
    ("WinRateDrop", "canary_alert_sample"), ("WinRateDrop", "canary_delta_pp"), ("DriftDetected", "ks_block"),
    ("CalibrationOutOfSpec", "brier_margin"), ("ExecutionDegradation", "ladder_rise_ratio"),
    ("CanaryWinrateDrop", "canary_alert_sample"), ("CanaryFractionDeviation", "canary_fraction_sample"),
)  # fmt: skip
needs_promtool = pytest.mark.skipif(
    shutil.which("promtool") is None, reason="needs promtool on PATH (apt-get install prometheus)"
)


@cache
def _written() -> Mapping[str, Any]:
    found: Mapping[str, Any] = yaml.safe_load((_DEPLOY / "tests" / "tidegate.yml").read_text(encoding="utf-8"))
    return found


def _is_about(test: Mapping[str, Any], name: str) -> bool:
    named = [each["alertname"] for each in test.get("alert_rule_test", ())]
    return name in named or any(f'"{name}"' in each["expr"] for each in test.get("promql_expr_test", ()))


def _passes(folder: Path, name: str, watched: Watch) -> bool:
    """Whether the committed tests of an alert pass on rules for it alone. Raises AssertionError when there is none."""
    kept = [each for each in _written()["tests"] if _is_about(each, name)]
    assert kept, name
    alone = replace(watched, alerts=tuple(each for each in watched.alerts if each.name == name))
    (folder / "rules.yml").write_text(rule_file(alone, _LINKS), encoding="utf-8")
    (folder / "tests.yml").write_text(
        yaml.safe_dump({**_written(), "rule_files": ["rules.yml"], "tests": kept}), encoding="utf-8"
    )
    done = subprocess.run(
        ["promtool", "test", "rules", "tests.yml"], cwd=folder, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0 or "FAILED" in done.stderr, done.stderr
    assert "error" not in done.stderr, done.stderr
    return done.returncode == 0


@needs_promtool
@pytest.mark.parametrize("name", [each.name for each in ALERTS])
def test_an_alert_fires_at_its_limit_in_its_time_and_resolves(name: str, tmp_path: Path) -> None:
    """By the committed tests; each number that is moved by half, either way, breaks one of them."""
    assert _passes(tmp_path, name, watch())
    threshold, span = _MOVED[name]
    for factor in (0.5, 1.5):
        if threshold:
            assert not _passes(tmp_path, name, watch(_times(threshold, factor))), (threshold, factor)
    longer = replace(Spans(), **{span: 1.5 * getattr(Spans(), span)})
    assert not _passes(tmp_path, name, watch(spans=longer)), span


@needs_promtool
@pytest.mark.parametrize(("name", "threshold"), _ALSO)
def test_a_second_number_of_an_alert_is_held_too(name: str, threshold: str, tmp_path: Path) -> None:
    """Where it compares with more than one."""
    assert not _passes(tmp_path, name, watch(_times(threshold, 1.5)))


def _times(threshold: str, factor: float) -> Thresholds:
    value = getattr(Thresholds(), threshold) * factor
    return replace(Thresholds(), **{threshold: type(getattr(Thresholds(), threshold))(value)})


@needs_promtool
def test_promtool_and_amtool_take_what_is_committed() -> None:
    """Syntax, and whatever else they check."""
    subprocess.run(["promtool", "check", "config", _DEPLOY / "prometheus.yml"], capture_output=True, check=True)
    if shutil.which("amtool"):
        routes = ROOT / "deploy" / "alertmanager" / "alertmanager.yml"
        subprocess.run(["amtool", "check-config", routes], capture_output=True, check=True)


def test_the_stack_of_containers_passes_alerts_on_as_a_plain_one_does_but_for_the_address(tmp_path: Path) -> None:
    """Loopback in a container is the container: a secret names the place. Debian's amtool is older than that key."""
    inside = (ROOT / "deploy" / "compose" / "alertmanager.yml").read_text(encoding="utf-8")
    plain = yaml.safe_load((ROOT / "deploy" / "alertmanager" / "alertmanager.yml").read_text(encoding="utf-8"))
    compose = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))["services"]["alertmanager"]
    assert "./deploy/compose/alertmanager.yml:/etc/alertmanager/alertmanager.yml:ro" in compose["volumes"]
    assert yaml.safe_load(inside)["receivers"][0]["webhook_configs"][0]["url_file"] == "/run/secrets/alert_webhook"
    assert compose["secrets"] == ["alert_webhook"]
    named = inside.replace("url_file: /run/secrets/alert_webhook", "url: http://127.0.0.1:9095/alerts")
    assert yaml.safe_load(named) == plain
    if shutil.which("amtool"):
        (tmp_path / "alertmanager.yml").write_text(named, encoding="utf-8")
        subprocess.run(["amtool", "check-config", tmp_path / "alertmanager.yml"], capture_output=True, check=True)


def test_every_rule_carries_what_a_person_who_is_paged_needs() -> None:
    """Severity, subject, words, and two links."""
    groups = yaml.safe_load(rule_file(watch(), _LINKS))["groups"]
    assert [each["name"] for each in groups] == [f"tidegate.{name}" for name in GROUPS]
    rules = {each["alert"]: each for group in groups for each in group["rules"] if "alert" in each}
    assert set(rules) == {each.name for each in ALERTS}
    for rule in rules.values():
        assert rule["labels"]["severity"] in ("critical", "warning")
        assert rule["labels"]["subject"]
        assert set(rule["annotations"]) == {"summary", "description", "runbook_url", "dashboard_url"}
        address, _, anchor = rule["annotations"]["runbook_url"].partition("#")
        assert address == f"http://127.0.0.1:3001/d/{BOARD}/{BOARD}?viewPanel={section_number(anchor)}"
        assert "viewPanel=" in rule["annotations"]["dashboard_url"]


def test_a_recording_stands_before_the_alert_that_reads_it() -> None:
    """Within its group, or the alert would read the value of the evaluation before."""
    groups = yaml.safe_load(rule_file(watch(), _LINKS, evaluation_seconds=0.5))["groups"]
    execution = next(each for each in groups if each["name"] == "tidegate.execution")
    assert "record" in execution["rules"][0]
    assert execution["interval"] == "500ms"

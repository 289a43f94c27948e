"""The files of deploy/ are those of the defaults, and an operator's follow his numbers."""

from pathlib import Path

import yaml

from config.settings import Settings, load
from live.wiring import SERVICES
from monitoring.processes import SERVICES as WATCHED
from monitoring.thresholds import Spans, Thresholds
from tidegate.monitoring_files import DEPLOY, check, files_of, spans_of, thresholds_of, write


def test_the_committed_files_are_those_of_the_defaults() -> None:
    """Run `python -m tidegate monitoring write` when this fails."""
    said: list[str] = []
    assert check(Settings(), say=said.append) == 0, said


def test_the_defaults_are_the_thresholds() -> None:
    """A number stands once: the configuration takes its own from there."""
    assert thresholds_of(Settings()) == Thresholds()
    assert spans_of(Settings()) == Spans()
    assert SERVICES == WATCHED


def test_an_operators_numbers_reach_rules_targets_and_routes(tmp_path: Path) -> None:
    """And what is on the disk is found out of date before they are written."""
    settings = load(environ={
        "GATES_STALE_BOOK_MS": "7000", "RELEASE_DRIFT_MINUTES": "5", "SERVING_METRICS_PORT": "9300",
        "ALERTING_WEBHOOK_URL": "http://pager:1/x", "ALERTING_DASHBOARDS_URL": "https://grafana.example",
    })  # fmt: skip
    said: list[str] = []
    assert check(settings, tmp_path, said.append) == 1
    assert len(said) >= len(dict(files_of(settings)))
    assert write(settings, tmp_path, said.append) == 0
    assert check(settings, tmp_path, said.append) == 0
    rules = (tmp_path / "prometheus" / "rules" / "tidegate.yml").read_text(encoding="utf-8")
    assert "book_age_seconds > 7\n" in rules
    assert "[5m:]" in rules
    assert "https://grafana.example/d/" in rules
    targets = yaml.safe_load((tmp_path / "prometheus" / "targets" / "services.yml").read_text(encoding="utf-8"))
    assert targets[1] == {"targets": ["127.0.0.1:9301"], "labels": {"job": "signal_engine"}}
    assert "url: http://pager:1/x" in (tmp_path / "alertmanager" / "alertmanager.yml").read_text(encoding="utf-8")


def test_the_files_of_deploy_are_where_prometheus_looks_for_them() -> None:
    """Rules and targets beside its configuration."""
    assert {name for name, _ in files_of(Settings()) if not (DEPLOY / name).is_file()} == set()

"""Alerts on a real Prometheus: over real services nothing is missing and nothing fires; over troubles that are planted
Alertmanager passes on what a person must know, once, and says when it is over."""

import json
import re
import shutil
import subprocess
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from config.settings import Settings
from monitoring.alert import Alert
from monitoring.alerts import ALERTS, LADDER, watch
from monitoring.planted import CONDITIONS, Stage
from monitoring.reference import declared
from monitoring.rules import rule_file
from monitoring.scraping import alertmanager_file
from monitoring.thresholds import Spans, Thresholds
from tests.bus.servers import needs_redis
from tests.journeys.played import mirror, services
from tests.journeys.test_registry_down import free_port
from tests.journeys.waiting import until
from tidegate.alert_rehearsal import LEAST_SECONDS, SHORTER, run
from tidegate.monitoring_files import DEPLOY, links_of
from tidegate.prometheus import PROGRAM, Prometheus, watching

pytestmark = pytest.mark.skipif(
    shutil.which(PROGRAM) is None, reason="needs a prometheus on PATH (apt-get install prometheus)"
)
needs_alertmanager = pytest.mark.skipif(
    shutil.which("prometheus-alertmanager") is None,
    reason="needs an alertmanager on PATH (apt-get install prometheus-alertmanager)",
)
_SECONDS = 60.0
_SYNC_APART = {"ServiceDown"}
"""model_sync has a process of its own, which needs a registry: it is the one that is missing."""


def _selectors(alert: Alert) -> Iterator[str]:
    """Yield every metric with its labels as the alert's expression asks for it."""
    names = {each.name for each in declared()} | {LADDER, "up"}
    for name, labels in re.findall(r"([a-z_:]+)(\{[^}]*\})?", alert.expression):
        if name in names and "model_sync" not in labels.removeprefix("{service=~"):
            yield name + labels


@needs_redis
def test_every_rule_finds_its_series_before_anything_has_happened(tmp_path: Path) -> None:
    """The committed rules over the services on a fresh simulated market: all is there, nothing fires."""
    rules = (DEPLOY / "prometheus" / "rules" / "tidegate.yml").read_text(encoding="utf-8")
    mirror(tmp_path).put("active", 1, 0.2)
    with services(tmp_path, FEED_SPEED="1", FEED_START="now", FEED_MINUTES="0") as stack:
        (port,) = {beat.metrics_port for beat in stack.heartbeats().values()}
        with watching({"services": [f"127.0.0.1:{port}"]}, tmp_path / "prometheus", 0.5, rules) as prometheus:
            wanted = {each for alert in ALERTS for each in _selectors(alert)}
            assert len(wanted) > len(ALERTS)
            until(lambda: not _missing(prometheus, wanted) or None, _SECONDS, "a series for every rule")
            active = {each.name for each in prometheus.alerts()}
    assert active <= _SYNC_APART


def _missing(prometheus: Prometheus, selectors: set[str]) -> set[str]:
    return {each for each in selectors if not prometheus.now(each)}


class Pager:
    """A webhook that keeps what it is sent."""

    def __init__(self) -> None:
        self.messages: list[Mapping[str, Any]] = []
        kept = self.messages

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                kept.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
                self.send_response(200)
                self.end_headers()

            def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002 - the name it has there
                return

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/alerts"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def told(self, status: str) -> set[str]:
        """Names of the alerts that were told with this status."""
        return {
            each["labels"]["alertname"] for said in self.messages for each in said["alerts"] if each["status"] == status
        }

    def close(self) -> None:
        """Take nothing any more."""
        self._server.shutdown()
        self._server.server_close()


@contextmanager
def pager() -> Iterator[Pager]:
    """A pager for the block."""
    made = Pager()
    try:
        yield made
    finally:
        made.close()


@contextmanager
def alertmanager(folder: Path, webhook: str) -> Iterator[str]:
    """The committed routes with shorter waits, on a free port; yields HOST:PORT."""
    folder.mkdir()
    (folder / "alertmanager.yml").write_text(alertmanager_file(webhook, ("2s", "1s", "1h")), encoding="utf-8")
    address = f"127.0.0.1:{free_port()}"
    command = [
        "prometheus-alertmanager", f"--config.file={folder / 'alertmanager.yml'}", f"--storage.path={folder / 'data'}",
        f"--web.listen-address={address}", "--cluster.listen-address=",
    ]  # fmt: skip
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT)
    try:
        yield address
    finally:
        process.terminate()
        process.wait()


def _firing(prometheus: Prometheus) -> set[str]:
    return {each.name for each in prometheus.alerts() if each.state == "firing"}


def _plant(stage: Stage, names: Sequence[str], times: int) -> None:
    for name in names:
        if not (CONDITIONS[name].is_event and times):
            CONDITIONS[name].plant(stage, Thresholds(), times)


@needs_alertmanager
def test_a_person_is_told_of_the_cause_once_and_of_its_end(tmp_path: Path) -> None:
    """From a counter to the webhook: ServiceDown hides what that service says, what is critical hides the warning."""
    stage, symbols = Stage(), ("ETHUSDT", "BTCUSDT")
    rules = rule_file(watch(spans=Spans().shortened(SHORTER, LEAST_SECONDS)), links_of(Settings()))
    targets = {job: [at] for job, at in stage.serve().items()}
    hidden = ("WarmupStuck", "ModelSyncStale", "CanaryFractionDeviation")
    planted = ("FailSafeTriggered", "StaleBook", "RegistryDivergence", *hidden)
    loud = {"FailSafeTriggered", "StaleBook", "RegistryDivergence", "ServiceDown"}
    with (
        pager() as paged,
        alertmanager(tmp_path / "alertmanager", paged.url) as address,
        watching(targets, tmp_path / "prometheus", 0.5, rules, address) as prometheus,
    ):
        until(lambda: prometheus.now("service_ready == 1") or None, _SECONDS, "the first look")
        until(lambda: not prometheus.alerts() or None, _SECONDS, "a quiet stage")
        paged.messages.clear()
        rounds, fired = iter(range(10_000)), set[str]()

        def all_fire() -> bool | None:
            _plant(stage, planted, next(rounds))
            stage.risk.heartbeat_age_seconds.labels("ai_scorer").set(60)
            stage.collector.book_age_seconds.labels(symbols[0]).set(60)
            fired.update(_firing(prometheus))
            return (fired >= {*planted, "ServiceDown"} and paged.told("firing") >= loud) or None

        until(all_fire, _SECONDS, "every planted alert, and the loud ones at the webhook", 0.25)
        for name in hidden:  # before what hides them
            CONDITIONS[name].clear(stage)
        until(lambda: not (_firing(prometheus) & set(hidden)) or None, _SECONDS, "the end of what is hidden")
        for name in planted:
            CONDITIONS[name].clear(stage)
        stage.risk.heartbeat_age_seconds.labels("ai_scorer").set(0.5)
        stage.collector.book_age_seconds.labels(symbols[0]).set(0.5)
        until(lambda: paged.told("resolved") >= loud or None, _SECONDS, "the end of each at the webhook", 0.25)
    assert paged.told("firing") == loud
    stale = [said for said in paged.messages if said["groupLabels"]["alertname"] == "StaleBook"]
    assert {each["labels"]["symbol"] for each in stale[0]["alerts"]} == set(symbols)
    for each in (alert for said in paged.messages for alert in said["alerts"]):
        assert set(each["annotations"]) == {"summary", "description", "runbook_url", "dashboard_url"}


def test_the_rehearsal_shows_alerts_firing_and_resolving(capsys: pytest.CaptureFixture[str]) -> None:
    """A row for each that was asked for; `python -m tidegate monitoring alerts` shows all of them."""
    said: list[str] = []
    assert run(Settings(), ["OnnxParityFailure", "StaleBook", "ServiceDown"], say=said.append) == 0, said
    assert said[-1] == "3 of 3 alerts fired and resolved"
    assert run(Settings(), ["NoSuchAlert"], say=said.append) == 2

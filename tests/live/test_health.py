"""How a service is, by its own page: well, not ready, standing still, not there."""

import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry

from config.settings import load
from live.health import OLDEST_SECONDS, SERVICES, main, trouble, url_of
from live.wiring import SERVICES as WIRED
from monitoring.metrics import Metrics
from monitoring.scrape import Scrape, ScrapeError
from tests.live.parts import ROOT

NOW = 1_800_000_000.0


def page(ready: float = 1.0, beat: float = NOW - 1, service: str = "risk") -> Scrape:
    """What a service's real metrics object shows."""
    metrics = Metrics(CollectorRegistry())
    metrics.service_ready.labels(service).set(ready)
    metrics.heartbeat_timestamp_seconds.labels(service).set(beat)
    return Scrape(metrics.render())


def test_the_services_are_those_that_are_wired() -> None:
    """In the same order: their ports are counted by it."""
    assert SERVICES == WIRED


def test_a_service_that_works_is_well() -> None:
    """Nothing to say."""
    assert trouble("risk", page(), NOW) == ""


def test_one_that_is_not_ready_is_told_of_unless_living_will_do() -> None:
    """A scorer without a model lives."""
    assert "not ready" in trouble("risk", page(ready=0), NOW)
    assert trouble("risk", page(ready=0), NOW, alive=True) == ""


@given(st.floats(0, 10_000))
def test_a_heartbeat_counts_for_half_a_minute(age: float) -> None:
    """Whatever the service says of itself: a loop that stands still goes on saying it."""
    found = trouble("risk", page(beat=NOW - age), NOW, alive=True)
    assert bool(found) == (NOW - (NOW - age) > OLDEST_SECONDS)


def test_another_service_on_the_port_is_not_taken_for_it() -> None:
    """Nor a page without heartbeats."""
    assert "no heartbeat" in trouble("executor", page(), NOW)


def test_each_service_is_asked_at_its_own_port_on_loopback() -> None:
    """Also where it listens on every address; a free port cannot be known."""
    file = Path("config/app.yml")
    settings = load(file, {"SERVING_HOST": "0.0.0.0", "SERVING_METRICS_PORT": "9200"})  # noqa: S104 - never bound
    assert url_of("executor", settings) == "http://127.0.0.1:9203/metrics"
    with pytest.raises(ScrapeError, match="metrics_port is 0"):
        url_of("risk", load(file, {"SERVING_METRICS_PORT": "0"}))


def test_a_service_that_is_not_there_is_one_line_and_exit_status_one(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """As the engine, and a person, sees it."""
    monkeypatch.setenv("SERVING_METRICS_PORT", "1")
    assert main(["risk"]) == 1
    said = capsys.readouterr().out
    assert said.startswith("risk: http://127.0.0.1:5/metrics: no answer")
    assert said.count("\n") == 1


def test_it_starts_without_the_heavy_packages() -> None:
    """An engine asks every few seconds."""
    code = (
        "import live.health, sys; print([n for n in ('numba', 'redis', 'pyarrow', 'onnxruntime') if n in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"

import socket

import pytest
from prometheus_client import CollectorRegistry, Histogram, generate_latest

from monitoring.metrics import Metrics
from monitoring.scrape import Scrape, ScrapeError


def page() -> Metrics:
    """Metrics of a process in which a few things happened."""
    metrics = Metrics(CollectorRegistry())
    metrics.touch(["BTCUSDT"])
    metrics.approvals_total.labels("BTCUSDT", "paper").inc(3)
    metrics.approvals_total.labels("ETHUSDT", "canary").inc(4)
    metrics.halted.labels("precision_halt").set(1)
    return metrics


def test_values_sums_and_groups_are_read_back() -> None:
    """By name and by any of the labels."""
    scrape = Scrape(page().render())
    assert scrape.total("approvals_total") == 7
    assert scrape.total("approvals_total", symbol="ETHUSDT") == 4
    assert scrape.value("approvals_total", symbol="BTCUSDT", route="paper") == 3
    assert scrape.by("approvals_total", "route") == {"canary": 4, "paper": 3, "full": 0}
    assert scrape.value("halted", reason="precision_halt") == 1
    assert scrape.value("halted", reason="nothing") is None
    assert scrape.total("no_such_metric") == 0


def test_an_ambiguous_value_is_refused() -> None:
    """Two series are not one number."""
    with pytest.raises(ScrapeError, match="wanted one sample, found 4"):
        Scrape(page().render()).value("approvals_total")


def test_quantiles_are_those_prometheus_would_give() -> None:
    """Straight within the bucket; the last bound for what lies above it; None for nothing."""
    registry = CollectorRegistry()
    histogram = Histogram("answer_seconds", "Of something.", buckets=(1.0, 2.0, 4.0), registry=registry)
    assert Scrape(generate_latest(registry).decode()).quantile("answer_seconds", 0.5) is None
    for value in (0.5, 1.5, 1.6, 3.0):
        histogram.observe(value)
    scrape = Scrape(generate_latest(registry).decode())
    assert scrape.quantile("answer_seconds", 0.5) == pytest.approx(1.5)
    assert scrape.quantile("answer_seconds", 0.25) == pytest.approx(1.0)
    histogram.observe(99.0)
    assert Scrape(generate_latest(registry).decode()).quantile("answer_seconds", 1.0) == 4.0


def test_a_served_page_is_fetched() -> None:
    """From a port of the system's choice."""
    port = page().serve(0)
    assert Scrape.of(f"http://127.0.0.1:{port}/metrics").total("approvals_total") == 7


def test_silence_is_named() -> None:
    """The address is in the line."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with pytest.raises(ScrapeError, match=rf"http://127.0.0.1:{port}/metrics: no answer"):
        Scrape.of(f"http://127.0.0.1:{port}/metrics")


def test_another_page_is_refused() -> None:
    """HTML is no metrics page."""
    with pytest.raises(ScrapeError, match="wanted the text of a /metrics page"):
        Scrape("<html>{</html>")

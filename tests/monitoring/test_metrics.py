"""Metrics are registered once, on the registry they are given."""

import subprocess
import sys

import pytest
from prometheus_client import REGISTRY, CollectorRegistry, generate_latest

from monitoring.metrics import Metrics, process_metrics
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

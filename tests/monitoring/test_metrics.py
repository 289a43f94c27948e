"""Metrics are registered once, on the registry they are given."""

from prometheus_client import REGISTRY, CollectorRegistry

from monitoring.metrics import Metrics, process_metrics


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

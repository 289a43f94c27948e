"""Every metric of the platform, declared once; the only importer of prometheus_client.

Whoever counts something is handed a `Metrics`, so that tests never share state. Entry points without one of their
own use `process_metrics()`, which registers on the process-wide registry the first time it is asked.
"""

from functools import cache

from prometheus_client import REGISTRY, CollectorRegistry, Counter


class Metrics:
    """The metrics of one process, registered on one registry."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.registry = registry
        self.archive_schema_refused_total = Counter(
            "archive_schema_refused_total",
            "Partitions refused because their schema version is not the reader's.",
            ["table", "found"],
            registry=registry,
        )


@cache
def process_metrics() -> Metrics:
    """Return the metrics on the process-wide registry, registering them at the first call."""
    return Metrics(REGISTRY)

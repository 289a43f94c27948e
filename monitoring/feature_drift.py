"""The runbook's second spelling of drift: psi_feature_NAME beside psi_feature{feature="NAME"}.

Made from the labelled gauges when somebody reads /metrics, so the two never differ. The names are those of the active
model's features, and at most MOST_NAMES of each gauge are spelled out.
"""

import re
from collections.abc import Iterator

from prometheus_client import CollectorRegistry, Gauge, Metric
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

MOST_NAMES = 512
_NAME = re.compile(r"[A-Za-z0-9_]+")


class SpelledOut(Collector):
    """Shows each series of gauges with the one label `feature` as a metric of its own too."""

    def __init__(self, registry: CollectorRegistry, *gauges: Gauge) -> None:
        self._gauges = gauges
        registry.register(self)

    def describe(self) -> list[Metric]:
        """Nothing is known before there is a model."""
        return []

    def collect(self) -> Iterator[Metric]:
        """One family for each feature of each gauge."""
        for gauge in self._gauges:
            for family in gauge.collect():
                for sample in family.samples[:MOST_NAMES]:
                    feature = sample.labels.get("feature", "")
                    if _NAME.fullmatch(feature):
                        yield GaugeMetricFamily(
                            f"{family.name}_{feature}", f"{family.name} of this feature.", sample.value
                        )

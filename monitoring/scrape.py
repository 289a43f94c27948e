"""Reading what a /metrics page shows, for commands and tests that look at a running service from outside."""

import math
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from prometheus_client.parser import text_string_to_metric_families


class ScrapeError(Exception):
    """A page that does not answer, or is no metrics page."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One line of a page."""

    name: str
    labels: Mapping[str, str]
    value: float


class Scrape:
    """The samples of one page at one moment. NaN is a figure of nothing yet: such a sample is as none."""

    def __init__(self, text: str) -> None:
        """Read a page's text; raises ScrapeError when it is none."""
        try:
            families = list(text_string_to_metric_families(text))
        except (ValueError, KeyError, IndexError) as error:
            raise ScrapeError(f"wanted the text of a /metrics page, found {text[:80]!r} ({error})") from error
        self._samples: dict[str, list[Sample]] = {}
        for family in families:
            for found in family.samples:
                if not math.isnan(found.value):
                    sample = Sample(found.name, found.labels, float(found.value))
                    self._samples.setdefault(found.name, []).append(sample)

    @classmethod
    def of(cls, url: str, timeout_seconds: float = 2.0) -> "Scrape":
        """Fetch a page; raises ScrapeError when it does not answer in time."""
        try:
            with urllib.request.urlopen(url, timeout=timeout_seconds) as reply:  # noqa: S310 - our own services
                return cls(reply.read().decode())
        except (urllib.error.URLError, OSError) as error:
            raise ScrapeError(f"{url}: no answer ({error}); is the service running?") from error

    def matching(self, name: str, **labels: str) -> Iterator[Sample]:
        """Yield the samples of a name that carry these labels."""
        for sample in self._samples.get(name, ()):
            if all(sample.labels.get(key) == value for key, value in labels.items()):
                yield sample

    def total(self, name: str, **labels: str) -> float:
        """The sum over the samples of a name that carry these labels; 0 when there is none."""
        return math.fsum(sample.value for sample in self.matching(name, **labels))

    def value(self, name: str, **labels: str) -> float | None:
        """The one sample's value, or None; raises ScrapeError when several match."""
        found = list(self.matching(name, **labels))
        if len(found) > 1:
            raise ScrapeError(f"{name} {labels}: wanted one sample, found {len(found)}; name more labels")
        return found[0].value if found else None

    def by(self, name: str, label: str, **labels: str) -> dict[str, float]:
        """Sums of a name for each value of a label."""
        sums: dict[str, float] = {}
        for sample in self.matching(name, **labels):
            key = sample.labels.get(label, "")
            sums[key] = sums.get(key, 0.0) + sample.value
        return sums

    def quantile(self, histogram: str, share: float) -> float | None:
        """The quantile of a histogram, straight within its bucket as histogram_quantile of Prometheus; None when empty.

        What lies above the last bound is given as that bound.
        """
        buckets = sorted((float(bound), count) for bound, count in self.by(f"{histogram}_bucket", "le").items())
        if not buckets or buckets[-1][1] == 0:
            return None
        wanted = share * buckets[-1][1]
        low, below = 0.0, 0.0
        for bound, count in buckets:
            if count >= wanted:
                if math.isinf(bound):
                    return low
                return low + (bound - low) * (wanted - below) / (count - below) if count > below else bound
            low, below = bound, count
        return low

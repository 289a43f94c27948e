"""The panels where there is no Prometheus: each shows the metrics it is about, as services show them now.

Rates and quantiles need a past, so a counter is shown as its total and a histogram as its count.
"""

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import cache

from monitoring.panel import Panel
from monitoring.reference import declared
from monitoring.scrape import Sample, Scrape
from tidegate.board import Board, Series, Shown

_WORD = re.compile(r"[a-z][a-z0-9_]+")
_MOST_SERIES = 24
_SECONDS_DRAWN = 60.0


def board_of_now(panels: Sequence[Panel], pages: Sequence[str], now: float) -> Board:
    """Ask every page once; `now` in seconds. Raises ScrapeError when one does not answer."""
    scrapes = [Scrape.of(page) for page in pages]
    # A histogram's buckets have no past either: its count is a line like any other.
    shown = [Shown(replace(panel, kind="lines"), _values(panel, scrapes, now)) for panel in panels]
    return Board(now - _SECONDS_DRAWN, now, f"{', '.join(pages)}; values of this moment alone", shown)


def metrics_of(panel: Panel) -> list[str]:
    """The metrics that a panel's questions name, in order."""
    words = [word for query in panel.queries for word in _WORD.findall(query.expression)]
    named = (word.removesuffix("_bucket") for word in words)
    return list(dict.fromkeys(name for name in named if name in _known()))


def _values(panel: Panel, scrapes: Iterable[Scrape], now: float) -> list[Series]:
    found: dict[str, float] = {}
    for name in metrics_of(panel):
        shown = f"{name}_count" if _known()[name] == "histogram" else name
        for scrape in scrapes:
            for sample in scrape.matching(shown):
                _put(found, sample)
    moved = {name: value for name, value in found.items() if value} or found
    largest = sorted(moved.items(), key=lambda each: -abs(each[1]))[:_MOST_SERIES]
    # Drawn from a minute before to now: a point alone is not seen.
    return [Series(name, ((now - _SECONDS_DRAWN, value), (now, value))) for name, value in sorted(largest)]


def _put(found: dict[str, float], sample: Sample) -> None:
    """Every process shows every metric: what is born at 0 in one is measured in another."""
    if math.isnan(sample.value):
        return
    name = _written(sample.name, sample.labels)
    before = found.get(name, 0.0)
    found[name] = sample.value if abs(sample.value) >= abs(before) else before


def _written(name: str, labels: Mapping[str, str]) -> str:
    inside = ", ".join(f"{label} {value}" for label, value in labels.items())
    return f"{name} ({inside})" if inside else name


@cache
def _known() -> Mapping[str, str]:
    return {each.name: each.type for each in declared()}

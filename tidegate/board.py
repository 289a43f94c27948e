"""Panels with what a Prometheus answered to them: what a snapshot draws."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from monitoring.panel import Annotation, Limit, Panel, Query
from tidegate.prometheus import Answer, Firing, Prometheus

Standing = Literal["quiet", "was beyond", "beyond"]
_POINTS = 240
_SCRAPES_IN_A_RATE = 4


@dataclass(frozen=True, slots=True)
class Series:
    """One line: (time in seconds, value) in order, NaN where there was none to give; `is_limit` for a moving limit."""

    name: str
    points: Sequence[tuple[float, float]]
    is_limit: bool = False

    @property
    def last(self) -> float:
        """The newest value; NaN for none."""
        return next((value for _, value in reversed(self.points) if not math.isnan(value)), math.nan)


@dataclass(frozen=True, slots=True)
class Shown:
    """One panel and its series."""

    panel: Panel
    series: Sequence[Series]

    @property
    def crossed(self) -> Sequence[Limit]:
        """Limits that the newest value of a series is beyond."""
        return [
            limit
            for limit in self.panel.limits
            if any(limit.is_about(each.name) and limit.is_beyond(each.last) for each in self._measured)
        ]

    @property
    def standing(self) -> Standing:
        """Whether a series is beyond a limit, or was within the time shown."""
        if self.crossed:
            return "beyond"
        was = any(
            limit.is_about(each.name) and any(limit.is_beyond(value) for _, value in each.points)
            for limit in self.panel.limits
            for each in self._measured
        )
        return "was beyond" if was else "quiet"

    @property
    def _measured(self) -> Sequence[Series]:
        return [each for each in self.series if not each.is_limit]


@dataclass(frozen=True, slots=True)
class Mark:
    """A moment that every panel shows, in seconds."""

    at: float
    text: str
    color: str


@dataclass(frozen=True, slots=True)
class Board:
    """Everything between two moments, in seconds of wall time."""

    start: float
    end: float
    source: str
    shown: Sequence[Shown]
    marks: Sequence[Mark] = ()
    firing: Sequence[Firing] = ()


def taken(
    prometheus: Prometheus, panels: Sequence[Panel], annotations: Sequence[Annotation], start: float, end: float
) -> Board:
    """Ask every panel's questions over a stretch of time. Raises PrometheusError."""
    scrape = prometheus.scrape_seconds()
    step = max(scrape, (end - start) / _POINTS)
    rate = f"{max(1, math.ceil(max(_SCRAPES_IN_A_RATE * scrape, step + scrape)))}s"
    shown = [
        Shown(panel, [
            series
            for query in panel.queries
            for series in _series(query, prometheus.range(query.asked(rate), start, end, step))
        ])
        for panel in panels
    ]  # fmt: skip
    marks = [
        mark for each in annotations for mark in _marks(each, prometheus.range(each.expression, start, end, step), step)
    ]
    return Board(start, end, prometheus.url, shown, sorted(marks, key=lambda mark: mark.at), prometheus.alerts())


def _series(query: Query, answers: Sequence[Answer]) -> list[Series]:
    found = [Series(query.named(each.labels), each.points, query.is_limit) for each in answers]
    return sorted(found, key=lambda each: each.name)


def _marks(annotation: Annotation, answers: Sequence[Answer], step: float) -> list[Mark]:
    """The first moment of each stretch in which an answer holds."""
    named = Query("", annotation.text)
    return [
        Mark(at, named.named(answer.labels), annotation.color)
        for answer in answers
        for number, (at, _) in enumerate(answer.points)
        if number == 0 or at - answer.points[number - 1][0] > 1.5 * step
    ]

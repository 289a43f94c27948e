"""One panel as an SVG drawing: lines, steps or a heatmap, its limits dashed, moments marked.

Coordinates are those of the drawing's own box of WIDTH x HEIGHT; the page scales it.
"""

import math
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from html import escape
from itertools import pairwise
from typing import Final

from monitoring.panel import Limit, Unit
from tidegate.board import Mark, Series, Shown

WIDTH, HEIGHT = 480, 190
_LEFT, _RIGHT, _TOP, _BOTTOM = 52, 10, 12, 22
_PLOT_WIDTH, _PLOT_HEIGHT = WIDTH - _LEFT - _RIGHT, HEIGHT - _TOP - _BOTTOM
COLORS: Final = ("#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#a6761d", "#7570b3", "#666666")
"""Told apart by people who see few colours; red is kept for limits."""
_RED: Final = "#c62828"
_MARKS: Final = {"red": _RED, "purple": "#6a1b9a"}
_FARTHEST_LIMIT: Final = 12.0
"""A limit so many times beyond the data is only named, or the data would be a flat line."""
_TIME_TICKS: Final = 4
_VALUE_TICKS: Final = 4
_NICE: Final = (1.0, 2.0, 2.5, 5.0, 10.0)


def drawing(shown: Shown, start: float, end: float, marks: Sequence[Mark] = ()) -> str:
    """The panel between two moments, in seconds, as one <svg>."""
    area = _Area(shown, start, end)
    body = area.heatmap() if shown.panel.kind == "heatmap" else area.lines()
    parts = [*area.grid(), *body, *area.marks(marks)]
    title = escape(f"{shown.panel.title}: {', '.join(each.name for each in shown.series) or 'no data'}", quote=True)
    return f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{title}">{"".join(parts)}</svg>'


def color_of(number: int) -> str:
    """The colour of a panel's series by its place."""
    return COLORS[number % len(COLORS)]


def spelled(value: float, unit: Unit) -> str:
    """A value as people read it in its unit."""
    if math.isnan(value):
        return "-"
    if math.isinf(value):
        return "∞" if value > 0 else "-∞"
    if unit == "share":
        return f"{100 * value:.3g} %"
    if unit == "seconds":
        return _seconds(value)
    text = _plain(value)
    return {"bps": f"{text} bps", "per_second": f"{text}/s", "per_hour": f"{text}/h"}.get(unit, text)


def ticks(low: float, high: float, most: int = _VALUE_TICKS) -> list[float]:
    """Round numbers between two values, both ends covered."""
    raw = (high - low) / most
    size = 10.0 ** math.floor(math.log10(raw))
    step = next(nice * size for nice in _NICE if nice * size >= raw * (1 - 1e-9))
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [number * step for number in range(first, last + 1)]


class _Area:
    """The plot of one panel: where times and values come to lie."""

    def __init__(self, shown: Shown, start: float, end: float) -> None:
        self._shown = shown
        self._start, self._end = start, max(end, start + 1.0)
        self._limits, self._far = _near(shown)
        self._steps = [0.0, 0.25, 0.5, 0.75, 1.0] if shown.panel.kind == "heatmap" else self._scale()

    def grid(self) -> Iterator[str]:
        """Lines and words behind the data."""
        for value in self._steps:
            y = self._y(value)
            yield f'<line class="g" x1="{_LEFT}" x2="{WIDTH - _RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>'
            text = escape(spelled(value, self._shown.panel.unit))
            yield f'<text class="t" x="{_LEFT - 5}" y="{y + 3.5:.1f}" text-anchor="end">{text}</text>'
        for number in range(_TIME_TICKS + 1):
            at = self._start + (self._end - self._start) * number / _TIME_TICKS
            anchor = {0: "start", _TIME_TICKS: "end"}.get(number, "middle")
            text = f"{datetime.fromtimestamp(at, UTC):%H:%M:%S}"
            yield f'<text class="t" x="{self._x(at):.1f}" y="{HEIGHT - 6}" text-anchor="{anchor}">{text}</text>'
        if not any(_finite(each) for each in self._shown.series):
            yield f'<text class="n" x="{_LEFT + _PLOT_WIDTH / 2}" y="{_TOP + _PLOT_HEIGHT / 2}">no data yet</text>'

    def lines(self) -> Iterator[str]:
        """Limits first, so that the data lies over them."""
        for limit in self._limits:
            yield from self._limit(limit)
        for number, limit in enumerate(self._far):
            side = "above" if limit.value > self._steps[-1] else "below"
            words = f"{_named(limit)} at {spelled(limit.value, self._shown.panel.unit)}, far {side}"
            yield f'<text class="f" x="{WIDTH - _RIGHT}" y="{_TOP + 9 + 11 * number}">{escape(words)}</text>'
        number = 0
        for series in self._shown.series:
            color = _RED if series.is_limit else color_of(number)
            number += not series.is_limit
            dash = ' stroke-dasharray="6 4"' if series.is_limit else ""
            name = f"<title>{escape(series.name)}</title>"
            for path in self._paths(series):
                yield f'<path d="{path}" fill="none" stroke="{color}" stroke-width="1.6"{dash}>{name}</path>'

    def heatmap(self) -> Iterator[str]:
        """Cells of a histogram with cumulative buckets: the darker, the more."""
        rows = sorted((float(each.name), each) for each in self._shown.series if each.name)
        columns: dict[float, list[tuple[float, float, float]]] = {}
        below: dict[float, float] = {}
        floor = 0.0
        for bound, series in rows:
            for at, total in series.points:
                inside = max(0.0, total - below.get(at, 0.0))
                below[at] = total
                columns.setdefault(at, []).append((floor, min(bound, 1.0), inside))
            floor = min(bound, 1.0)
        most = max((inside for cells in columns.values() for *_, inside in cells), default=0.0)
        step = (self._end - self._start) / max(1, len(columns))
        for at, cells in columns.items():
            left = max(self._x(at - step), _LEFT)
            for low, high, inside in cells:
                if inside > 0.0 and high > low:
                    top, depth = self._y(high), self._y(low) - self._y(high)
                    yield (
                        f'<rect x="{left:.1f}" y="{top:.1f}" width="{self._x(at) - left + 0.5:.1f}" '
                        f'height="{depth:.1f}" fill="#0072b2" fill-opacity="{0.08 + 0.92 * inside / most:.2f}"/>'
                    )

    def marks(self, marks: Sequence[Mark]) -> Iterator[str]:
        """Moments, from top to bottom of the plot."""
        for mark in marks:
            if self._start <= mark.at <= self._end:
                x = self._x(mark.at)
                yield (
                    f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{_TOP}" y2="{_TOP + _PLOT_HEIGHT}" '
                    f'stroke="{_MARKS.get(mark.color, _RED)}" stroke-opacity="0.55" stroke-dasharray="2 2">'
                    f"<title>{escape(mark.text)}</title></line>"
                )

    def _limit(self, limit: Limit) -> Iterator[str]:
        y, bottom = self._y(limit.value), _TOP + _PLOT_HEIGHT
        top, height = (_TOP, y - _TOP) if limit.trouble == "above" else (y, bottom - y)
        yield (
            f'<rect x="{_LEFT}" y="{top:.1f}" width="{_PLOT_WIDTH}" height="{max(height, 0.0):.1f}" '
            f'fill="{_RED}" fill-opacity="0.06"/>'
            f'<line x1="{_LEFT}" x2="{WIDTH - _RIGHT}" y1="{y:.1f}" y2="{y:.1f}" stroke="{_RED}" '
            'stroke-dasharray="6 4"/>'
        )
        words = (
            f"{_named(limit)} {'>' if limit.trouble == 'above' else '<'} {spelled(limit.value, self._shown.panel.unit)}"
        )
        lifted = y - 4 if y > _TOP + 14 else y + 11
        yield f'<text class="f" x="{WIDTH - _RIGHT - 3}" y="{lifted:.1f}">{escape(words)}</text>'

    def _scale(self) -> list[float]:
        values = [value for each in self._shown.series for value in _finite(each)]
        values += [limit.value for limit in self._limits]
        low, high = min([0.0, *values]), max(values, default=1.0)
        if self._shown.panel.unit == "state":
            high = max(high, 1.0)
        if high <= low:
            high = low + 1.0
        return ticks(low, high + 0.04 * (high - low))

    def _paths(self, series: Series) -> Iterator[str]:
        """A path for each stretch without a hole; a hole is a value that is none, or a time that was skipped."""
        width = _usual_step(series)
        pen: list[str] = []
        before = (math.nan, math.nan)
        for at, value in series.points:
            if not math.isfinite(value) or at - before[0] > 2.5 * width:
                if pen:
                    yield "".join(pen)
                pen = []
            if math.isfinite(value):
                x, y = self._x(at), self._y(value)
                step = f"H{x:.1f}" if pen and self._shown.panel.kind == "steps" else ""
                pen.append(f"{step}{'L' if pen else 'M'}{x:.1f} {y:.1f}")
                before = (at, value)
        if pen:
            # A single point would not be seen.
            yield "".join(pen) + ("h3" if len(pen) == 1 else "")

    def _x(self, at: float) -> float:
        return _LEFT + _PLOT_WIDTH * (at - self._start) / (self._end - self._start)

    def _y(self, value: float) -> float:
        low, high = self._steps[0], self._steps[-1]
        return _TOP + _PLOT_HEIGHT * (1.0 - (value - low) / (high - low))


def _near(shown: Shown) -> tuple[list[Limit], list[Limit]]:
    """Limits that are drawn, and those too far from the data to be."""
    values = [abs(value) for each in shown.series for value in _finite(each)]
    reach = max(values, default=0.0) * _FARTHEST_LIMIT
    near = [limit for limit in shown.panel.limits if not values or not reach or abs(limit.value) <= reach]
    return near, [limit for limit in shown.panel.limits if limit not in near]


def _finite(series: Series) -> list[float]:
    return [value for _, value in series.points if math.isfinite(value)]


def _usual_step(series: Series) -> float:
    times = [at for at, _ in series.points]
    return min((later - sooner for sooner, later in pairwise(times)), default=1.0)


def _named(limit: Limit) -> str:
    return f"{limit.of}: {limit.text}" if limit.of else limit.text


def _seconds(value: float) -> str:
    size = abs(value)
    if size == 0.0:
        return "0 s"
    if size < 1e-3:
        return f"{value * 1e6:.3g} µs"
    if size < 1.0:
        return f"{value * 1e3:.3g} ms"
    return f"{value:.3g} s" if size < 120.0 else f"{value / 60:.3g} min"


def _plain(value: float) -> str:
    if abs(value) >= 1_000:
        return f"{value:,.0f}"
    return f"{value:.3g}"

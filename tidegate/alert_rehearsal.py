"""Every alert seen firing and resolving on a real Prometheus: planted conditions, the committed rules, shorter times.

The rules are made from the same declarations as those of deploy/; only the times are shortened, all by one factor.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from config.settings import Settings
from monitoring.alert import Alert, duration
from monitoring.alerts import watch
from monitoring.planted import CONDITIONS, Stage
from monitoring.rules import rule_file
from monitoring.thresholds import Thresholds
from tidegate.monitoring_files import links_of, spans_of, thresholds_of
from tidegate.prometheus import Prometheus, PrometheusError, watching

SHORTER: Final = 300.0
LEAST_SECONDS: Final = 3.0
SCRAPE_SECONDS: Final = 0.5
_QUIET_SECONDS: Final = 3.0
_PATIENCE_SECONDS: Final = 60.0
_PAUSE_SECONDS: Final = 0.25
Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Seen:
    """What was seen of an alert: seconds from its condition to firing, and from its end to resolved; None: never."""

    alert: Alert
    fired: float | None
    resolved: float | None

    @property
    def is_whole(self) -> bool:
        """Whether it fired and resolved."""
        return self.fired is not None and self.resolved is not None


@dataclass(slots=True)
class _Course:
    fired: float | None = None
    resolved: float | None = None


def run(settings: Settings, names: Sequence[str], *, as_markdown: bool = False, say: Say = print) -> int:
    """Rehearse alerts (all without names) and print the table; returns 0, 1 when one was not seen, 2 for no name."""
    if strange := sorted(set(names) - set(CONDITIONS)):
        say(f"no alert {', '.join(strange)}; there are: {', '.join(CONDITIONS)}")
        return 2
    try:
        with TemporaryDirectory(prefix="tidegate-alerts-") as folder:
            seen = rehearse(settings, names or list(CONDITIONS), Path(folder))
    except PrometheusError as error:
        say(f"alerts were not seen: {error}")
        return 1
    shown = _markdown(seen) if as_markdown else _plain(seen)
    for line in shown:
        say(line)
    return 0 if all(each.is_whole for each in seen) else 1


def rehearse(settings: Settings, names: Sequence[str], folder: Path) -> list[Seen]:
    """Plant the conditions of these alerts together, end each when its alert fires, and watch it resolve.

    Raises PrometheusError when there is none, or when something fires before anything was planted.
    """
    limits, stage = thresholds_of(settings), Stage()
    watched = watch(limits, spans_of(settings).shortened(SHORTER, LEAST_SECONDS))
    rules = rule_file(watched, links_of(settings))
    with watching({job: [at] for job, at in stage.serve().items()}, folder, SCRAPE_SECONDS, rules) as prometheus:
        _stay_quiet(prometheus)
        courses = _watched(prometheus, stage, limits, names)
    return [Seen(watched.named(name), courses[name].fired, courses[name].resolved) for name in names]


def _stay_quiet(prometheus: Prometheus) -> None:
    """Watch a stage without trouble for a while. Raises PrometheusError when an alert is wrong about it.

    A Prometheus that has begun looks at no target for five seconds: until then every service is missing.
    """
    until = time.monotonic() + _PATIENCE_SECONDS
    while time.monotonic() < until and not (prometheus.now("service_ready == 1") and not _firing(prometheus)):
        time.sleep(_PAUSE_SECONDS)
    until = time.monotonic() + _QUIET_SECONDS
    while time.monotonic() < until:
        if early := _firing(prometheus):
            raise PrometheusError(f"{', '.join(sorted(early))}: fired before anything was planted")
        time.sleep(_PAUSE_SECONDS)


def _watched(prometheus: Prometheus, stage: Stage, limits: Thresholds, names: Sequence[str]) -> dict[str, _Course]:
    """What became of each alert whose condition is planted until it fires, and then ended; those in time."""
    courses, began, times = {name: _Course() for name in names}, time.monotonic(), 0
    while not all(each.resolved for each in courses.values()) and time.monotonic() - began < _PATIENCE_SECONDS:
        for name in names:
            condition = CONDITIONS[name]
            if courses[name].fired is None and not (condition.is_event and times):
                condition.plant(stage, limits, times)
        times += 1
        time.sleep(_PAUSE_SECONDS)
        firing, now = _firing(prometheus), time.monotonic() - began
        for name, course in courses.items():
            if course.fired is None and name in firing:
                CONDITIONS[name].clear(stage)
                course.fired = now
            elif course.fired is not None and course.resolved is None and name not in firing:
                course.resolved = now - course.fired
    return courses


def _firing(prometheus: Prometheus) -> set[str]:
    return {each.name for each in prometheus.alerts() if each.state == "firing"}


def _cells(each: Seen) -> tuple[str, str, str, str, str]:
    waits = duration(each.alert.for_seconds) if each.alert.for_seconds else "at once"
    fired, resolved = (f"{value:.1f} s" if value is not None else "never" for value in (each.fired, each.resolved))
    return each.alert.name, CONDITIONS[each.alert.name].text, waits, fired, resolved


_TITLES: Final = ("alert", "planted", "waits", "fired after", "resolved after")


def _plain(seen: Sequence[Seen]) -> list[str]:
    rows = [_TITLES, *(_cells(each) for each in seen)]
    widths = [max(len(row[place]) for row in rows) for place in range(len(_TITLES))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    return [*lines, f"{sum(each.is_whole for each in seen)} of {len(seen)} alerts fired and resolved"]


def _markdown(seen: Sequence[Seen]) -> list[str]:
    head = f"| {' | '.join(_TITLES)} |", "|---|---|---|---:|---:|"
    return [*head, *(f"| {' | '.join(_cells(each))} |" for each in seen)]

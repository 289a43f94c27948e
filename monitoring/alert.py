"""What an alert is: a condition on metrics, for how long it must hold, and where a person who is paged reads on.

Alerts are declared without knowing who evaluates them: `monitoring.rules` makes them Prometheus's.
"""

from dataclasses import dataclass
from typing import Final, Literal

Severity = Literal["critical", "warning"]
GROUPS: Final = ("model", "execution", "release", "market", "platform")
"""The rule groups, in the order of the file; each is evaluated by itself."""
Group = Literal["model", "execution", "release", "market", "platform"]


@dataclass(frozen=True, slots=True)
class Alert:
    """One alert. `name` is in CamelCase; `expression` is PromQL that yields a series for each thing in trouble.

    `service` is whose metrics it watches: while that one is down, only ServiceDown is told. Empty where the series
    say it, or where several services may be the cause. `subject` is what it is about: a critical alert keeps the
    warnings about the same subject (and symbol) quiet. `runbook` is the anchor of a section of docs/runbook.md,
    `panel` the id of the panel that shows the cause.
    """

    name: str
    group: Group
    severity: Severity
    subject: str
    service: str
    expression: str
    for_seconds: float
    summary: str
    description: str
    runbook: str
    panel: str


@dataclass(frozen=True, slots=True)
class Recording:
    """A series that Prometheus computes at each evaluation under a name of its own, for alerts of the same group."""

    name: str
    group: Group
    expression: str


@dataclass(frozen=True, slots=True)
class Watch:
    """Everything that is watched."""

    recordings: tuple[Recording, ...]
    alerts: tuple[Alert, ...]

    def named(self, name: str) -> Alert:
        """The alert of this name. Raises KeyError."""
        return {each.name: each for each in self.alerts}[name]


def duration(seconds: float) -> str:
    """A time as Prometheus writes it: 90 is 90s, 600 is 10m, 1.5 is 1500ms."""
    milliseconds = round(seconds * 1_000)
    for unit, size in (("h", 3_600_000), ("m", 60_000), ("s", 1_000)):
        if milliseconds and milliseconds % size == 0:
            return f"{milliseconds // size}{unit}"
    return f"{milliseconds}ms"


def number(value: float) -> str:
    """A number in PromQL: 3.0 is 3, 0.30 is 0.3."""
    return f"{value:.10g}"

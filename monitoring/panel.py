"""What a panel is: a question to Prometheus, its answer's unit and limits, and where the runbook goes on from there.

Panels are declared without knowing who draws them: `monitoring.dashboards` makes them Grafana's, `tidegate snapshot`
draws the same ones into an offline page.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

Question = Literal["good", "execution", "guards", "system"]
QUESTIONS: Final[dict[Question, str]] = {
    "good": "Is the model good?",
    "execution": "Is execution healthy?",
    "guards": "Are the guards quiet?",
    "system": "Is the platform well?",
}
"""The rows of the dashboard, in order."""
Unit = Literal["share", "score", "bps", "seconds", "per_second", "per_hour", "count", "quote", "state"]
Kind = Literal["lines", "steps", "heatmap"]
"""steps: values that jump and stay."""
Trouble = Literal["above", "below"]

GRID_WIDTH: Final = 24
_RATE_INTERVAL: Final = "$__rate_interval"
_LABEL = re.compile(r"{{\s*(\w+)\s*}}")


@dataclass(frozen=True, slots=True)
class Query:
    """One PromQL expression and the name of its series: {{label}} stands for a label that each answer carries.

    `$__rate_interval` is the shortest window that holds several scrapes; `$route` and `$symbol` are what the reader
    chose, as regular expressions. `is_limit` marks a limit that moves; it is drawn as one.
    """

    expression: str
    legend: str
    is_limit: bool = False

    @property
    def labels(self) -> Sequence[str]:
        """The labels that the legend names."""
        return _LABEL.findall(self.legend)

    def asked(self, rate_interval: str) -> str:
        """The expression over all routes and symbols, its rates over an interval such as 15s."""
        filled = self.expression.replace(_RATE_INTERVAL, rate_interval)
        return filled.replace("$route", ".*").replace("$symbol", ".*")

    def named(self, labels: Mapping[str, str]) -> str:
        """The legend of a series with these labels."""
        return _LABEL.sub(lambda found: labels.get(found[1], ""), self.legend).strip()


@dataclass(frozen=True, slots=True)
class Limit:
    """A line in a panel, in the panel's unit: on its `trouble` side something acts or alerts. `text` says what.

    `of` is the name of the only series that it is about, or the end of that name; empty: all of them.
    """

    value: float
    trouble: Trouble
    text: str
    of: str = ""

    def is_about(self, name: str) -> bool:
        """Whether a series of this name is held against it."""
        return name.endswith(self.of)

    def is_beyond(self, value: float) -> bool:
        """Whether a value is on the side of trouble; NaN is on neither."""
        return value > self.value if self.trouble == "above" else value < self.value


@dataclass(frozen=True, slots=True)
class Panel:
    """One panel. `id` is its anchor, in small letters and hyphens; `runbook` the anchor of a runbook section.

    `width` counts in columns of a grid of 24.
    """

    id: str
    title: str
    question: Question
    description: str
    unit: Unit
    queries: tuple[Query, ...]
    runbook: str
    limits: tuple[Limit, ...] = ()
    kind: Kind = "lines"
    width: int = 8


@dataclass(frozen=True, slots=True)
class Annotation:
    """Moments marked in every panel: where the expression, looked at every minute, is over 0."""

    name: str
    expression: str
    text: str
    color: str

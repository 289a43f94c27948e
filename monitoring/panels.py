"""Every panel of the dashboard, in its order: what alerts link to, Grafana shows and `tidegate snapshot` draws."""

from typing import Final

from monitoring import execution_panels, guard_panels, model_panels, system_panels
from monitoring.panel import QUESTIONS, Annotation, Panel, Question
from monitoring.thresholds import Thresholds

DASHBOARD: Final = "tidegate"
"""Grafana's uid of the dashboard."""


def panels_of(limits: Thresholds) -> tuple[Panel, ...]:
    """Every panel with these numbers as its lines."""
    return (
        *model_panels.panels(limits), *execution_panels.panels(limits), *guard_panels.panels(limits),
        *system_panels.panels(limits),
    )  # fmt: skip


PANELS: Final = panels_of(Thresholds())
"""Those of the defaults."""

ANNOTATIONS: Final = (
    Annotation("Rollbacks", "sum by (reason) (increase(rollback_total[1m])) > 0", "rollback: {{reason}}", "red"),
    Annotation(
        "Mode switches", "sum by (from, to) (increase(mode_switch_total[1m])) > 0", "{{from}} to {{to}}", "purple"
    ),
)
"""What is marked in every panel."""


def number_of(panel_id: str) -> int:
    """Grafana's number of a panel, from 1 on; the rows are numbered behind the panels. Raises KeyError."""
    for number, panel in enumerate(PANELS, 1):
        if panel.id == panel_id:
            return number
    raise KeyError(f"no panel {panel_id!r}; there are {', '.join(panel.id for panel in PANELS)}")


def row_number_of(question: Question) -> int:
    """Grafana's number of the row of a question."""
    return len(PANELS) + 1 + list(QUESTIONS).index(question)


def path_of(panel_id: str) -> str:
    """Where Grafana shows a panel alone, behind its own address. Raises KeyError."""
    return f"/d/{DASHBOARD}/{DASHBOARD}?viewPanel={number_of(panel_id)}"

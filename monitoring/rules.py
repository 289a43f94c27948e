"""The alerts as a rule file of Prometheus, in the syntax of 2.42."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import yaml

from monitoring.alert import GROUPS, Alert, Watch, duration
from monitoring.runbook import section_address

_HEAD: Final = """\
# Written by `python -m tidegate monitoring write` from monitoring/alerts.py and monitoring/thresholds.py.
# What each alert means, and what to do: docs/alerts.md
"""


@dataclass(frozen=True, slots=True)
class Links:
    """Where a person who is paged reads on: `runbook` is the page that anchors are added to (Grafana's copy of it where
    this is no address), `dashboards` the beginning of Grafana's addresses, `panels` the rest of them by panel id."""

    runbook: str
    dashboards: str
    panels: dict[str, str]

    def of(self, alert: Alert) -> dict[str, str]:
        """The two links of an alert."""
        return {
            "runbook_url": section_address(self.runbook, alert.runbook, self.dashboards.rstrip("/")),
            "dashboard_url": f"{self.dashboards.rstrip('/')}{self.panels[alert.panel]}",
        }


def rule_file(watch: Watch, links: Links, evaluation_seconds: float | None = None) -> str:
    """The text of the rule file: a group for each of GROUPS, recordings before the alerts that read them.

    Without `evaluation_seconds` groups are evaluated as often as Prometheus is told to by its own configuration.
    """
    groups = [
        {
            "name": f"tidegate.{group}",
            **({"interval": duration(evaluation_seconds)} if evaluation_seconds else {}),
            "rules": [*_recorded(watch, group), *_alerting(watch, group, links)],
        }
        for group in GROUPS
    ]
    return _HEAD + yaml.safe_dump({"groups": groups}, sort_keys=False, width=10_000, allow_unicode=True)


def _recorded(watch: Watch, group: str) -> Iterator[dict[str, Any]]:
    for each in watch.recordings:
        if each.group == group:
            yield {"record": each.name, "expr": each.expression}


def _alerting(watch: Watch, group: str, links: Links) -> Iterator[dict[str, Any]]:
    for each in watch.alerts:
        if each.group == group:
            yield {
                "alert": each.name,
                "expr": each.expression,
                **({"for": duration(each.for_seconds)} if each.for_seconds else {}),
                "labels": {
                    "severity": each.severity,
                    "subject": each.subject,
                    **({"service": each.service} if each.service else {}),
                },
                "annotations": {"summary": each.summary, "description": each.description, **links.of(each)},
            }

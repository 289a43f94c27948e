"""Dagster's sensors and schedules: switched on, and looking. A sensor that is off or hangs alerts nobody by itself."""

import json
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from tidegate.doctor.finding import Finding, joined
from tidegate.situation import SENSOR_PREFIX, Snapshot
from tidegate.wording import age

_QUERY: Final = """{ repositoriesOrError { ... on RepositoryConnection { nodes {
  sensors { name sensorState { status } } schedules { name scheduleState { status } } } } } }"""
_MAY_BE_OFF = ("daily_ingest", "gap_sensor", "drift_sensor")
"""Those that `schedule.automatic` switches."""
_SECONDS = 5.0


def states(port: int) -> Mapping[str, str] | None:
    """Every sensor and schedule of the Dagster on a loopback port with its state; None where none answers."""
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/graphql", json.dumps({"query": _QUERY}).encode(), {"Content-Type": "application/json"}
    )
    try:
        with urllib.request.urlopen(request, timeout=_SECONDS) as reply:  # noqa: S310 - loopback
            return read_states(json.load(reply))
    except (urllib.error.URLError, OSError, ValueError):
        return None


def read_states(answer: Any) -> Mapping[str, str] | None:
    """Read Dagster's answer; None for one of another shape."""
    try:
        nodes = answer["data"]["repositoriesOrError"]["nodes"]
        return {
            each["name"]: each[f"{kind}State"]["status"]
            for node in nodes
            for kind in ("sensor", "schedule")
            for each in node[f"{kind}s"]
        }
    except (KeyError, TypeError):
        return None


def findings(found: Mapping[str, str] | None, snapshot: Snapshot | None, *, automatic: bool) -> Sequence[Finding]:
    """Say which sensors are off, and which have not looked for too long.

    `found` is None where no Dagster answers, `automatic` the knob schedule.automatic.
    """
    rows = snapshot.sensors if snapshot else ()

    def troubles() -> Iterator[Finding]:
        for name, state in (found or {}).items():
            if state != "RUNNING" and (automatic or name not in _MAY_BE_OFF):
                yield Finding(
                    "sensors", "warn", f"{name} is {state.lower()}", "Dagster's page, Automation: switch it on"
                )
        for row in rows:
            if row.verdict == "silent":
                name = row.name.removeprefix(SENSOR_PREFIX)
                says = f"{name} has not looked for {age(row.age_seconds)}"
                yield Finding("sensors", "warn", says, "make up (Dagster's daemon runs them)")

    off = [name for name, state in (found or {}).items() if state != "RUNNING"]
    said = f"{len(found) - len(off)} on, {len(off)} off by schedule.automatic" if found else "Dagster does not run here"
    if not found and rows:
        said = f"{len(rows)} look"
    return joined("sensors", said, troubles())

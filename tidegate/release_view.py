"""What `tidegate status` says of releases: where the registry stands, which trials run, and who looks after them."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from tidegate.situation import SENSOR_PREFIX, RegistryRow, ServiceRow, Snapshot
from tidegate.wording import age

_DECISIONS = {"promote": "green", "hold": "", "roll_back": "bold red"}


def release_view(snapshot: Snapshot) -> RenderableType | None:
    """The part of the page; None before anything was moved, tried or looked at."""
    registry, trials = snapshot.registry, _mapping(snapshot.status_of("risk").get("trials"))
    has_moved = registry is not None and (registry.epoch or registry.trouble)
    if not has_moved and not trials and not snapshot.sensors:
        return None
    table = Table(
        title="release", title_justify="left", title_style="bold", box=None, show_header=False, pad_edge=False
    )
    if registry is not None:
        for name, value in _registry(registry, snapshot.at_ns):
            table.add_row(Text(f"  {name}", style="dim"), value)
    for name, trial in trials.items():
        table.add_row(Text(f"  {name} trial", style="dim"), _trial(_mapping(trial), snapshot.at_ns))
    for row in snapshot.sensors:
        table.add_row(Text(f"  {row.name.removeprefix(SENSOR_PREFIX)}", style="dim"), _sensor(row))
    return Group(table, Text())


def _registry(row: RegistryRow, at_ns: int) -> list[tuple[str, RenderableType]]:
    if row.trouble:
        return [("registry", Text(row.trouble, style="bold red"))]
    if not row.epoch:
        return [("registry", Text("no move was recorded yet", style="dim"))]
    slots = [("active", row.active), ("previous", row.previous), ("shadow", row.shadow), ("canary", row.canary)]
    held = ", ".join(f"{name} v{version}" for name, version in slots if version is not None) or "no version stands"
    lines: list[tuple[str, RenderableType]] = [("registry", f"epoch {row.epoch}, head {row.head[:12]}: {held}")]
    if row.rollout:
        share = f" {row.fraction:.0%}" if row.rollout == "canary" else ""
        told = Text(f"{row.rollout}{share}", style="yellow" if row.rollout == "disabled" else "")
        if row.cooldown_until is not None:
            told.append(f", no promotion for {age(_seconds_to(row.cooldown_until, at_ns))}", style="yellow")
        told.append(f": {row.reason}" if row.reason else "", style="dim")
        lines.append(("rollout", told))
    if row.pending:
        lines.append(("yet to be told", Text(", ".join(row.pending), style="yellow")))
    return lines


def _trial(trial: Mapping[str, Any], at_ns: int) -> Text:
    decision = str(trial.get("decision", "hold"))
    text = Text(f"version {trial.get('version', '?')}: ")
    text.append(decision.replace("_", " "), style=_DECISIONS.get(decision, ""))
    if breaches := trial.get("breaches"):
        text.append(f" ({', '.join(str(each) for each in breaches)})", style="red")
    text.append(f" after {int(trial.get('rows', 0) or 0):,} rows")
    if since_ns := int(trial.get("since_ns", 0) or 0):
        text.append(f", for {age(max(0.0, (at_ns - since_ns) / 1e9))}", style="dim")
    return text


def _sensor(row: ServiceRow) -> Text:
    if row.verdict == "silent":
        return Text(f"silent for {age(row.age_seconds)}: it looks after nothing", style="yellow")
    told = str(row.beat.status.get("text", "")) if row.beat else ""
    text = Text(f"{age(row.age_seconds)} ago", style="" if row.verdict == "ready" else "yellow")
    text.append(f": {told}" if told else "", style="dim")
    return text


def _seconds_to(moment: datetime, at_ns: int) -> float:
    return max(0.0, moment.timestamp() - at_ns / 1e9)


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}

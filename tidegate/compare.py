"""tidegate compare A B: two versions side by side. The cards come from the mirror, so MLflow may be away."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
from rich import box
from rich.console import Console, Group, RenderableType
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from bus.messages import Verdict
from config.settings import Settings
from registry.card import ModelCard
from registry.errors import RegistryError
from registry.journal import read_head
from registry.states import Head
from tidegate.releasing import refuse
from tidegate.versions import Meant, Versions

_SMALL = 1e-3


@dataclass(frozen=True, slots=True)
class Row:
    """One fact of both; `is_measured` marks numbers of which the difference says something."""

    name: str
    first: Any
    second: Any
    is_measured: bool = False

    @property
    def difference(self) -> float | None:
        """The second less the first, where both are measured."""
        if not self.is_measured or self.first is None or self.second is None:
            return None
        return float(self.second) - float(self.first)


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two versions, fact by fact, and what risk last said of a trial of one against the other."""

    first: Meant
    second: Meant
    rows: Sequence[Row]
    verdicts: Sequence[Verdict]
    silence: str = ""


def run(settings: Settings, first: str, second: str, *, as_json: bool, bus_url: str = "") -> int:
    """Show it; 0, or 1 when one of them is not known or its card is not to be had."""
    from pipelines.registrar import open_store

    root = Path(settings.registry.mirror)
    versions = Versions(root, lambda: open_store(settings))
    try:
        ours = versions.meant(first), versions.meant(second)
        cards = versions.card(ours[0]), versions.card(ours[1])
        rows = list(held_against(read_head(root), ours, cards))
    except RegistryError as error:
        return refuse(str(error))
    verdicts, silence = _said(settings, {each.number for each in ours}, bus_url)
    found = Comparison(*ours, rows, verdicts, silence)
    if as_json:
        print(json.dumps(plain(found), indent=2))
    else:
        Console(highlight=False).print(view(found))
    return 0


def held_against(head: Head, ours: tuple[Meant, Meant], cards: tuple[ModelCard, ModelCard]) -> Iterator[Row]:
    """Hold two versions against each other: where they stand, what they learned from, what was measured."""
    one, other = cards

    def state(version: Meant) -> str:
        slots = [slot for slot in ("active", "previous", "shadow") if getattr(head.slots, slot) == version.number]
        told = head.states.get(version.number, "not entered yet")
        return f"{told}, in slot {' and '.join(slots)}" if slots else told

    yield Row("state", state(ours[0]), state(ours[1]))
    for name, of in (
        ("created", lambda card: card.created_at),
        ("symbols", lambda card: ", ".join(card.training.symbols)),
        ("trained on", lambda card: f"{card.training.first_day} to {card.training.last_day}"),
        ("rows", lambda card: card.training.rows),
        ("data", lambda card: card.training.data_hash[:16]),
        ("code", lambda card: card.training.code_version[:16]),
        ("seed", lambda card: card.training.seed),
        ("features", lambda card: f"{len(card.feature_names)}, schema {card.schema_hash[:12]}"),
        ("calibration", lambda card: f"{card.calibration.kind} on {card.calibration.rows:,} rows"),
        ("parity", lambda card: f"{card.parity.margin_mismatches} mismatches in {card.parity.rows:,} rows"),
    ):
        yield Row(name, of(one), of(other))
    yield Row("tau_entry", one.thresholds.tau_entry, other.thresholds.tau_entry, is_measured=True)
    yield Row("winrate", one.baseline.winrate, other.baseline.winrate, is_measured=True)
    yield Row("brier", one.baseline.brier, other.baseline.brier, is_measured=True)
    yield Row(
        "trades per hour, p95", one.baseline.trades_per_hour_p95, other.baseline.trades_per_hour_p95, is_measured=True
    )
    for name in sorted(one.metrics.keys() | other.metrics.keys()):
        yield Row(name, one.metrics.get(name), other.metrics.get(name), is_measured=True)


def plain(found: Comparison) -> Mapping[str, Any]:
    """The comparison as plain values."""
    return {
        "versions": [msgspec.to_builtins(each) for each in (found.first, found.second)],
        "facts": [
            {"name": row.name, "first": row.first, "second": row.second, "difference": row.difference}
            for row in found.rows
        ],
        "verdicts": [
            {name: msgspec.to_builtins(getattr(each, name)) for name in each.__struct_fields__}
            for each in found.verdicts
        ],
        "silence": found.silence,
    }


def view(found: Comparison) -> RenderableType:
    """The page: what is equal is dim, a measured difference stands beside."""
    table = Table("", str(found.first), str(found.second), "difference", box=box.SIMPLE_HEAD, pad_edge=False)
    for row in found.rows:
        style = "dim" if row.first == row.second else ""
        difference = row.difference
        moved = "" if not difference else f"{difference:+.4g}"
        table.add_row(row.name, _shown(row.first), _shown(row.second), moved, style=style)
    lines: list[RenderableType] = [table]
    for verdict in found.verdicts:
        numbers = ", ".join(f"{name} {value:.4g}" for name, value in sorted(verdict.numbers.items())[:12])
        head = f"{verdict.trial} trial of version {verdict.version} against {verdict.against or 'none'}: "
        lines.append(Text(f"{head}{verdict.decision.replace('_', ' ')}; {numbers}"))
        lines += [Text(f"  {breach.text}", style="red") for breach in verdict.breaches]
    if not found.verdicts:
        lines.append(Text(f"live says nothing of them{': ' + found.silence if found.silence else ''}", style="dim"))
    return Group(*lines)


def _shown(value: object) -> str:
    if value is None:
        return "not measured"
    if isinstance(value, float):
        if value.is_integer() and abs(value) > 1:  # a count: MLflow keeps floats only
            return f"{value:,.0f}"
        return f"{value:.3g}" if 0 < abs(value) < _SMALL else f"{value:,.4f}"
    return f"{value:,}" if isinstance(value, int) else escape(str(value))


def _said(settings: Settings, numbers: set[int], bus_url: str) -> tuple[Sequence[Verdict], str]:
    """What risk last said of trials of these versions; and why there is nothing to hear, if so."""
    from bus.errors import BusError
    from pipelines.registrar import latest_verdicts, open_streams

    try:
        with open_streams(settings, bus_url) as bus:
            said = latest_verdicts(bus)
    except BusError as error:
        return [], str(error)
    return [verdict for verdict in said.values() if verdict.version in numbers], ""

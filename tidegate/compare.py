"""tidegate compare A B: two versions side by side. The cards come from the mirror, so MLflow may be away."""

import json
from collections.abc import Mapping, Sequence
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
from registry.errors import RegistryError
from registry.journal import read_head
from tidegate.comparison import Comparison, held_against, shown
from tidegate.releasing import refuse
from tidegate.versions import Versions


def run(
    settings: Settings, first: str, second: str, *, as_json: bool, bus_url: str = "", html: Path | None = None
) -> int:
    """Show it, or write it into a file; 0, or 1 when one of them is not known or its card is not to be had."""
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
    scores, taus = (cards[0].baseline.scores, cards[1].baseline.scores), (cards[0].thresholds, cards[1].thresholds)
    found = Comparison(*ours, rows, verdicts, scores, (taus[0].tau_entry, taus[1].tau_entry), silence)
    if html is not None:
        return _written(found, html)
    if as_json:
        print(json.dumps(plain(found), indent=2))
    else:
        Console(highlight=False).print(view(found))
    return 0


def _written(found: Comparison, path: Path) -> int:
    from tidegate.compare_page import html

    try:
        path.write_text(html(found), encoding="utf-8")
    except OSError as error:
        return refuse(f"{path}: {error.strerror}; name a file that can be written")
    print(f"written to {path}")
    return 0


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
        table.add_row(row.name, escape(shown(row.first)), escape(shown(row.second)), moved, style=style)
    lines: list[RenderableType] = [table]
    for verdict in found.verdicts:
        numbers = ", ".join(f"{name} {value:.4g}" for name, value in sorted(verdict.numbers.items())[:12])
        head = f"{verdict.trial} trial of version {verdict.version} against {verdict.against or 'none'}: "
        lines.append(Text(f"{head}{verdict.decision.replace('_', ' ')}; {numbers}"))
        lines += [Text(f"  {breach.text}", style="red") for breach in verdict.breaches]
    if not found.verdicts:
        lines.append(Text(f"live says nothing of them{': ' + found.silence if found.silence else ''}", style="dim"))
    return Group(*lines)


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

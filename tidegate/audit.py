"""tidegate audit: the journal of moves, read by people. Nothing here changes anything."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from config.settings import Settings
from registry import audit
from registry.errors import RegistryError
from registry.journal import Intent
from tidegate.releasing import refuse


def show_verified(settings: Settings, *, as_json: bool) -> int:
    """Check the chain, its evidence and its anchors; 0 when all is as it was written, else 1.

    MLflow's copy of the head is an anchor too; while MLflow is away the mirror's alone is held against the chain.
    """
    root = Path(settings.registry.mirror)
    tags, silence = _tags(settings)
    found = audit.verify(root, tags)
    if as_json:
        facts = msgspec.to_builtins(found) | {"holds": found.holds, "mlflow": silence or "compared"}
        print(json.dumps(facts, indent=2))
        return 0 if found.holds else 1
    if not found.holds:
        return refuse(found.text)
    print(f"{found.lines} lines, {found.moves} moves: every line follows the one before, all evidence is as it was")
    print(f"head {found.head_hash[:16] or 'none: nothing was moved yet'}")
    print(f"MLflow was not compared: {silence}" if silence else "MLflow names a line of this journal")
    return 0


def show_log(settings: Settings, last: int, *, as_json: bool) -> int:
    """Show the newest moves, the newest last; 0, or 1 when the journal cannot be read."""
    root = Path(settings.registry.mirror)
    try:
        moves = audit.log(root, last)[::-1]
    except RegistryError as error:
        return refuse(str(error))
    if as_json:
        print(json.dumps([_plain(root, move) for move in moves], indent=2))
        return 0
    if not moves:
        print(f"no move was recorded yet in {root}: python -m tidegate promote ID --to shadow makes one")
        return 0
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for name in ("epoch", "at", "move", "by"):
        table.add_column(name, no_wrap=True)
    table.add_column("why", overflow="fold")
    for move in moves:
        version = f" v{move.version}" if move.version else ""
        forced = " (forced)" if move.force else ""
        why = f"{move.source or 'new'} → {move.target}; {move.reason}: {move.text}".rstrip(": ")
        told = why + (f"; evidence {move.evidence[:12]}" if move.evidence else "")
        table.add_row(
            str(move.epoch), f"{move.at:%m-%d %H:%M:%S}", move.transition + version + forced, move.by, escape(told)
        )  # fmt: skip
    Console(highlight=False).print(table)
    return 0


def show_why_changed(settings: Settings, first: str, second: str, *, as_json: bool) -> int:
    """Name the partitions that tell two training sets apart; 0, or 1 when one cannot be had."""
    from archive.errors import ArchiveError
    from archive.store import Lake
    from pipelines.errors import PipelineError
    from pipelines.lineage import versions_of, why_changed

    try:
        found = why_changed(Lake(settings.paths.lake), versions_of(settings), first, second)
    except (RegistryError, ArchiveError, PipelineError) as error:
        return refuse(str(error))
    if as_json:
        changes = [{"partition": each.partition, "what": each.what, "tables": each.tables} for each in found.changes]
        roots = {"before": found.before.data_hash, "after": found.after.data_hash}
        print(json.dumps({"roots": roots, "changes": changes}, indent=2))
        return 0
    print(found)
    for change in found.changes:
        print(change)
    return 0


def _tags(settings: Settings) -> tuple[Mapping[str, str], str]:
    """MLflow's tags of the registered model, and why they are not to be had."""
    from pipelines.registrar import open_store

    uri = settings.registry.tracking_uri
    path = Path(uri.removeprefix("sqlite:///"))
    if uri.startswith("sqlite:///") and not path.exists():
        return {}, f"{path} is not there"
    try:
        return open_store(settings).model_tags(), ""
    except RegistryError as error:
        return {}, str(error)


def _plain(root: Path, move: Intent) -> dict[str, Any]:
    """A move as plain values, with its evidence where that can be read."""
    plain: dict[str, Any] = msgspec.to_builtins(move)
    try:
        plain["evidence_found"] = audit.evidence(root, move.evidence) if move.evidence else None
    except RegistryError as error:
        plain["evidence_found"] = {"error": str(error)}
    return plain

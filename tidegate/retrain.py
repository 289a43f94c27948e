"""Whether a version can be made again, bit for bit: trained anew in three ways, held against what the registry has."""

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from archive.errors import ArchiveError
from pipelines.errors import PipelineError
from registry.errors import RegistryError
from tidegate.bars import Bars
from tidegate.environment import prepare

if TYPE_CHECKING:
    from pipelines.retraining import Verification

_MOST_CHANGES = 10


def run(which: str, seed: int | None, *, as_json: bool) -> int:
    """Verify a version by number, alias or id; 0 when every training gave it, 1 when one did not or none was possible.

    Raises SettingsError when the configuration is wrong.
    """
    from pipelines.lineage import find
    from pipelines.retraining import verify
    from pipelines.workspace import Workspace

    console = Console(highlight=False, stderr=as_json)
    bars = Bars(console)
    today = datetime.now(UTC).date()  # noqa: TID251 - an entry point owns the clock
    workspace = Workspace(prepare(None), today, bars)
    try:
        version = find(workspace.store, which)
        with bars.titled(f"training version {version.number} again"):
            found = verify(workspace, version, seed)
    except (RegistryError, PipelineError, ArchiveError) as error:
        Console(stderr=True, highlight=False).print(f"error: {escape(str(error))}", soft_wrap=True)
        return 1
    print(json.dumps(told(found), indent=2)) if as_json else show(found)
    return 0 if found.is_equal else 1


def show(found: "Verification") -> None:
    """Print a verification: a line for each training, then what else is another than it was."""
    console = Console(highlight=False)
    table = Table("training", "model sha256", "ONNX sha256", "against the version")
    recipe = found.recipe
    table.add_row(f"version {found.version}", recipe.model_sha256[:16], recipe.graph_sha256[:16], "")
    for attempt in found.attempts:
        verdict = f"[red]{escape(attempt.difference)}[/]" if attempt.difference else "[green]equal[/]"
        table.add_row(attempt.name, attempt.model_sha256[:16], attempt.graph_sha256[:16], verdict)
    console.print(table)
    for change in found.data.changes[:_MOST_CHANGES]:
        console.print(f"changed since: {change}", soft_wrap=True)
    if (left := len(found.data.changes) - _MOST_CHANGES) > 0:
        console.print(f"{left} more partitions changed since")
    if recipe.code_version != found.code_now:
        console.print(f"made by code {recipe.code_version}, trained again by {found.code_now}", soft_wrap=True)
    console.print("model_sha256 equal" if found.is_equal else "model_sha256 differs")


def told(found: "Verification") -> dict[str, object]:
    """A verification as JSON-able facts."""
    return {
        "version": found.version,
        "equal": found.is_equal,
        "model_sha256": found.recipe.model_sha256,
        "graph_sha256": found.recipe.graph_sha256,
        "attempts": [
            {
                "name": attempt.name, "model_sha256": attempt.model_sha256, "graph_sha256": attempt.graph_sha256,
                "difference": attempt.difference,
            }
            for attempt in found.attempts
        ],
        "changed_partitions": [str(change) for change in found.data.changes],
        "code_version": {"made_by": found.recipe.code_version, "now": found.code_now},
    }  # fmt: skip

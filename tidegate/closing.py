"""The last screen of the demo: what came out, what it took, and where to look at it."""

from typing import TYPE_CHECKING

from rich.console import Group, RenderableType
from rich.table import Table

if TYPE_CHECKING:
    from tidegate.demo import Story

_SHOWN = (
    ("test_direction_auc", "direction AUC (touched rows, test days)"),
    ("test_win_auc", "win AUC (all candidates, test days)"),
    ("test_ece", "debiased ECE (test days)"),
    ("test_precision", "precision at tau_entry (test days)"),
    ("test_taken", "candidates taken at tau_entry (test days)"),
    ("parity_rows", "rows in the parity proof"),
    ("parity_margin_mismatches", "margins that differ from LightGBM"),
)


def closing_table(story: "Story", seconds: float) -> RenderableType:
    """The table of results and the lines that say how to open the pages."""
    version, metrics = story.outputs["version"], story.outputs["metrics"]
    table = Table(title="what came out", title_justify="left", show_header=False, pad_edge=False)
    table.add_row("model version", f"{version.name} version {version.number}, alias candidate")
    table.add_row("bundle sha256", version.sha256[:16])
    table.add_row("partitions repaired", ", ".join(str(each.key) for each in story.repaired) or "none needed it")
    table.add_row("partitions left out", ", ".join(str(each.key) for each in sorted(story.left_out)) or "none")
    for name, words in _SHOWN:
        if name in metrics:
            table.add_row(words, f"{metrics[name]:.6g}")
    share = 1 - story.body_seconds / story.run_seconds
    table.add_row("wall time", f"{seconds:.0f} s, {story.runs} Dagster runs")
    table.add_row("Dagster's own share of the runs", f"{share:.0%} of {story.run_seconds:.0f} s")
    return Group(table, "", *_where(story))


def _where(story: "Story") -> list[str]:
    source = story.settings.source.path
    return [
        f"[bold]make up{f' SOURCE={source}' if source else ''}[/] opens both pages on this machine:",
        "  Dagster http://127.0.0.1:3000  lineage, checks, partitions; open model_card for the pictures",
        "  MLflow  http://127.0.0.1:5000  models > signal_scorer; the run holds card/, bundle/ and every metric",
    ]

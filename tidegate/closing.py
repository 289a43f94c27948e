"""The last screen of the demo: what came out, what it took, and where to look at it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.table import Table

_SHOWN = (
    ("test_direction_auc", "direction AUC, touched rows"),
    ("test_win_auc", "win AUC, all candidates"),
    ("test_ece", "debiased ECE"),
    ("test_precision", "precision at tau_entry"),
    ("test_taken", "candidates taken at tau_entry"),
    ("parity_rows", "rows of the parity proof"),
    ("parity_margin_mismatches", "margins that differ from LightGBM"),
)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a demo left behind; partitions are given by their keys."""

    version: str
    bundle_sha256: str
    metrics: Mapping[str, float]
    repaired: Sequence[str]
    left_out: Sequence[str]
    runs: int
    run_seconds: float
    body_seconds: float
    wall_seconds: float
    source: Path | None

    @property
    def overhead_share(self) -> float:
        """The share of the runs' time that was not spent in our asset functions."""
        return 1.0 - self.body_seconds / self.run_seconds


def results(outcome: Outcome) -> Table:
    """The table of results."""
    table = Table(title="what came out (metrics: test days)", title_justify="left", show_header=False, pad_edge=False)
    table.add_row("model version", f"{outcome.version}, alias candidate")
    table.add_row("bundle sha256", outcome.bundle_sha256[:16])
    table.add_row("partitions repaired", "\n".join(outcome.repaired) or "none")
    table.add_row("partitions left out", "\n".join(outcome.left_out) or "none")
    for name, words in _SHOWN:
        if name in outcome.metrics:
            table.add_row(words, _number(outcome.metrics[name]))
    table.add_row("wall time", f"{outcome.wall_seconds:.0f} s, {outcome.runs} Dagster runs")
    table.add_row("Dagster's own share", f"{outcome.overhead_share:.0%} of {outcome.run_seconds:.0f} s of runs")
    return table


def _number(value: float) -> str:
    return f"{value:,.0f}" if value == round(value) else f"{value:.4f}"


def where_to_look(source: Path | None) -> list[str]:
    """The lines that say how to open the pages, and what to look at there."""
    return [
        "",
        f"[bold]make up{f' SOURCE={source}' if source else ''}[/] opens both pages on this machine:",
        "  Dagster http://127.0.0.1:3000  lineage, checks, partitions; the pictures are in model_card",
        "  MLflow  http://127.0.0.1:5000  Models > signal_scorer; each run holds card/, bundle/ and its metrics",
    ]

"""The last screen of the demo: what came out, what it took, and where to look at it."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.table import Table

from monitoring.metrics import ROUTES
from monitoring.scrape import Scrape
from tidegate.paper_run import PaperRun
from tidegate.story import Story

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
    state: str
    bundle_sha256: str
    metrics: Mapping[str, float]
    repaired: Sequence[str]
    left_out: Sequence[str]
    runs: int
    run_seconds: float
    body_seconds: float
    wall_seconds: float
    source: Path | None
    paper: PaperRun
    story: Story | None = None

    @property
    def overhead_share(self) -> float:
        """The share of the runs' time that was not spent in our asset functions."""
        return 1.0 - self.body_seconds / self.run_seconds


def results(outcome: Outcome) -> Table:
    """The table of results."""
    table = Table(title="what came out (metrics: test days)", title_justify="left", show_header=False, pad_edge=False)
    table.add_row("model version", f"{outcome.version}, {outcome.state}")
    table.add_row("bundle sha256", outcome.bundle_sha256[:16])
    table.add_row("partitions repaired", "\n".join(outcome.repaired) or "none")
    table.add_row("partitions left out", "\n".join(outcome.left_out) or "none")
    for name, words in _SHOWN:
        if name in outcome.metrics:
            table.add_row(words, _number(outcome.metrics[name]))
    table.add_row("wall time", f"{outcome.wall_seconds:.0f} s, {outcome.runs} Dagster runs")
    table.add_row("Dagster's own share", f"{outcome.overhead_share:.0%} of {outcome.run_seconds:.0f} s of runs")
    return table


def on_paper(run: PaperRun) -> Table:
    """The table of what the live services showed on /metrics at the end of the replay."""
    shown = run.scrape
    table = Table(
        title=f"on paper (from /metrics: {run.market})", title_justify="left", show_header=False, pad_edge=False
    )
    for words, value in _paper_rows(shown):
        table.add_row(words, value)
    table.add_row("what a trade can bring", run.costs)
    table.add_row("rows scored live that the lake gives otherwise", run.skew)
    speed = run.market_seconds / run.wall_seconds
    table.add_row("market handled in", f"{run.wall_seconds:.0f} s with start and stop, {speed:.0f} times real time")
    table.add_row("journal", str(run.folder / "live" / "executor" / "executor.journal"))
    return table


def releases(story: Story) -> Table:
    """The table of the moves that the journal holds: when, what, who, why."""
    table = Table(
        title="releases (from the registry's journal; nobody moved anything by hand)",
        title_justify="left",
        pad_edge=False,
    )
    for name in ("after", "version", "became", "moved by", "because"):
        table.add_column(name, justify="right" if name == "after" else "left")
    for step in story.steps:
        table.add_row(f"{step.seconds:.0f} s", f"v{step.version}", step.where, step.by, step.why)
    if story.behind_live_seconds is not None:
        behind = f"{story.behind_live_seconds:.1f} s"
        table.caption = f"live fenced the bad canary; the sensor moved it {behind} later"
    return table


def _paper_rows(shown: Scrape) -> Iterator[tuple[str, str]]:
    yield "market events", f"{shown.total('market_events_total'):,.0f}"
    outcomes = shown.total("outcomes_total")
    yield "candidates", f"{shown.total('candidates_total'):,.0f}, {outcomes:,.0f} of them resolved"
    yield "approvals", f"{shown.total('approvals_total'):,.0f}"
    dropped = {gate: n for gate, n in shown.by("gate_drop_total", "gate").items() if n}
    told = ", ".join(f"{gate} {n:,.0f}" for gate, n in sorted(dropped.items(), key=lambda each: -each[1])[:4])
    yield "dropped by gates", f"{sum(dropped.values()):,.0f}" + (f" ({told})" if told else "")
    yield "orders sent", f"{shown.total('exec_ladder_aggressiveness_total'):,.0f}"
    yield "fills", f"{shown.total('fills_total'):,.0f}"
    for route in ROUTES:
        if shown.total("fills_total", route=route):
            yield from _route_rows(shown, route)
    yield "precision", _share(shown.value("precision"))
    for name in ("tick_to_approval_seconds", "score_seconds"):
        low, high = shown.quantile(name, 0.5), shown.quantile(name, 0.99)
        if low is not None and high is not None:
            yield (
                f"{name.removesuffix('_seconds').replace('_', ' ')}, p50 / p99",
                f"{low * 1e3:.2f} / {high * 1e3:.2f} ms",
            )
    band = shown.by("paper_fill_rate", "queue_model")
    if band:
        yield "fill rate over queue models", f"{min(band.values()):.2f} to {max(band.values()):.2f}"
    yield "messages set aside", f"{shown.total('messages_refused_total'):,.0f}"


def _route_rows(shown: Scrape, route: str) -> Iterator[tuple[str, str]]:
    yield f"win rate after fees, route {route}", _share(shown.value("winrate_rolling", route=route))
    markouts = (shown.value(f"avg_markout_{ms}ms", route=route) for ms in (100, 500, 1000))
    yield "  markout at 0.1, 0.5, 1 s", ", ".join("-" if m is None else f"{m:+.2f}" for m in markouts) + " bps"
    yield "  fill rate of entries", _share(shown.value("fill_rate_rolling", route=route))
    yield "  profit after fees", f"{shown.value('pnl_quote', route=route) or 0.0:+,.2f} quote units"


def _share(value: float | None) -> str:
    return "-" if value is None or math.isnan(value) else f"{value:.3f}"


def _number(value: float) -> str:
    return f"{value:,.0f}" if value == round(value) else f"{value:.4f}"


def where_to_look(source: Path | None) -> list[str]:
    """The lines that say how to open the pages, and what to look at there."""
    return [
        "",
        f"[bold]make up{f' SOURCE={source}' if source else ''}[/] opens both pages and keeps live trading on paper:",
        "  Dagster http://127.0.0.1:3000  lineage, checks, partitions; the pictures are in model_card",
        "  MLflow  http://127.0.0.1:5000  Models > signal_scorer; each run holds card/, bundle/ and its metrics",
        "  live    python -m tidegate status --watch, in another terminal (.venv/bin/python has what it needs)",
    ]

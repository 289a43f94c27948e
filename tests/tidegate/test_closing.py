import io
import math
from dataclasses import replace
from pathlib import Path

from prometheus_client import CollectorRegistry
from rich.console import Console

from monitoring.metrics import Metrics
from monitoring.scrape import Scrape
from tidegate.closing import Outcome, on_paper, releases, results, where_to_look
from tidegate.paper_run import PaperRun
from tidegate.story import Step, Story


def paper_run(*, traded: bool = True) -> PaperRun:
    """A run over a page that real metrics render, with trades or without."""
    metrics = Metrics(CollectorRegistry())
    metrics.touch(["BTCUSDT"])
    metrics.market_events_total.labels("BTCUSDT", "book").inc(14_392)
    metrics.candidates_total.labels("BTCUSDT").inc(1_559)
    metrics.precision.set(math.nan)
    if traded:
        metrics.outcomes_total.labels("paper", "target").inc(1_438)
        metrics.approvals_total.labels("BTCUSDT", "paper").inc(397)
        for gate, count in (("exposure", 51), ("flip_cooldown", 40), ("warmup", 9), ("ttl", 2), ("spread", 1)):
            metrics.gate_drop_total.labels("BTCUSDT", gate).inc(count)
        metrics.exec_ladder_aggressiveness_total.labels("low").inc(90)
        metrics.fills_total.labels("paper").inc(48)
        metrics.precision.set(0.4321)
        metrics.winrate_rolling.labels("paper").set(0.55)
        metrics.avg_markout_100ms.labels("paper").set(0.12)
        metrics.avg_markout_500ms.labels("paper").set(-0.05)
        metrics.avg_markout_1000ms.labels("paper").set(0.0)
        metrics.fill_rate_rolling.labels("paper").set(0.6)
        metrics.pnl_quote.labels("paper").set(-1_234.5)
        for model, rate in (("risk_averse", 0.41), ("optimistic", 0.66)):
            metrics.paper_fill_rate.labels(model).set(rate)
        for seconds in (0.0015, 0.0015):
            metrics.tick_to_approval_seconds.observe(seconds)
        metrics.messages_refused_total.labels("sig:candidates", "version").inc(3)
    return PaperRun(
        Scrape(metrics.render()), "60 simulated minutes of 2026-01-08", 3_600.0, 30.0, Path("/var/demo"),
        skew="0 of 6,960", costs="target 4.8 bps, fees 7.0 bps a round trip",
    )  # fmt: skip


OUTCOME = Outcome(
    version="signal_scorer version 3",
    state="candidate",
    bundle_sha256="ab" * 32,
    metrics={"test_direction_auc": 0.77123, "parity_rows": 286_042.0, "parity_margin_mismatches": 0.0},
    repaired=["2026-01-06|BTCUSDT"],
    left_out=[],
    runs=6,
    run_seconds=80.0,
    body_seconds=60.0,
    wall_seconds=95.4,
    source=None,
    paper=paper_run(),
)


def shown(outcome: Outcome) -> str:
    """The screen as text."""
    screen = io.StringIO()
    console = Console(file=screen, width=120, color_system=None)
    console.print(results(outcome))
    console.print(on_paper(outcome.paper))
    for line in where_to_look(outcome.source):
        console.print(line)
    return screen.getvalue()


def test_the_screen_says_what_came_out() -> None:
    """Version, hash, figures, what was repaired and what was left out, and the share that was not our work."""
    text = shown(OUTCOME)
    for part in ("signal_scorer version 3", "abababababababab", "0.7712", "286,042", "2026-01-06|BTCUSDT", "95 s"):
        assert part in text
    assert "none" in text
    assert "25% of 80 s of runs" in text
    assert OUTCOME.overhead_share == 0.25


def test_a_figure_that_was_not_measured_has_no_line() -> None:
    """A model that takes nothing has no precision."""
    assert "precision at tau_entry" not in shown(OUTCOME)


def test_the_screen_says_what_the_services_showed() -> None:
    """Counts, gates by how often they closed, quality of the route that traded, latencies, the band, the journal."""
    text = shown(OUTCOME)
    cells = {
        left.strip(): right.strip() for left, _, right in (line.strip("│").partition("│") for line in text.splitlines())
    }
    for words, value in (
        ("market events", "14,392"),
        ("candidates", "1,559, 1,438 of them resolved"),
        ("approvals", "397"),
        ("dropped by gates", "103 (exposure 51, flip_cooldown 40, warmup 9, ttl 2)"),
        ("orders sent", "90"),
        ("fills", "48"),
        ("win rate after fees, route paper", "0.550"),
        ("fill rate over queue models", "0.41 to 0.66"),
        ("tick to approval, p50 / p99", "1.50 / 1.99 ms"),
        ("messages set aside", "3"),
        ("market handled in", "30 s with start and stop, 120 times real time"),
        ("journal", "/var/demo/live/executor/executor.journal"),
    ):
        assert cells[words] == value
    for part in ("+0.12, -0.05, +0.00 bps", "-1,234.50 quote units", "0.432", "60 simulated minutes of 2026-01-08"):
        assert part in text


def test_a_run_without_a_trade_shows_no_figures_of_trades() -> None:
    """Zeros where something was counted, a dash where nothing could be, no route, no band."""
    text = shown(replace(OUTCOME, paper=paper_run(traded=False)))
    assert "1,559, 0 of them resolved" in text
    for part in ("win rate", "markout", "queue models", "nan", "tick to approval"):
        assert part not in text


def test_the_screen_ends_with_how_to_open_the_pages() -> None:
    """With the same source as the demo had."""
    assert "make up opens" in shown(OUTCOME)
    assert "make up SOURCE=/recordings opens" in shown(replace(OUTCOME, source=Path("/recordings")))
    assert "http://127.0.0.1:3000" in shown(OUTCOME)
    assert "http://127.0.0.1:5000" in shown(OUTCOME)


def test_the_screen_says_who_moved_what_and_why() -> None:
    """Each move of the journal with its time, and how fast live acted before it."""
    steps = [
        Step(12.4, 2, "canary", "sensor:verdict", "2,104 candidates, not worse"),
        Step(99.6, 3, "rolled_back", "sensor:verdict", "win rate 0.21 against 0.44"),
    ]
    screen = io.StringIO()
    Console(file=screen, width=160, color_system=None).print(releases(Story(steps, behind_live_seconds=3.2)))
    for part in ("12 s", "100 s", "v3", "rolled_back", "win rate 0.21 against 0.44", "3.2 s later"):
        assert part in screen.getvalue()

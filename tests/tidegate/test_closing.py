import io
from dataclasses import replace
from pathlib import Path

from rich.console import Console

from tidegate.closing import Outcome, results, where_to_look

OUTCOME = Outcome(
    version="signal_scorer version 3",
    bundle_sha256="ab" * 32,
    metrics={"test_direction_auc": 0.77123, "parity_rows": 286_042.0, "parity_margin_mismatches": 0.0},
    repaired=["2026-01-06|BTCUSDT"],
    left_out=[],
    runs=6,
    run_seconds=80.0,
    body_seconds=60.0,
    wall_seconds=95.4,
    source=None,
)


def shown(outcome: Outcome) -> str:
    """The screen as text."""
    screen = io.StringIO()
    console = Console(file=screen, width=120, color_system=None)
    console.print(results(outcome))
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
    assert "precision" not in shown(OUTCOME)


def test_the_screen_ends_with_how_to_open_the_pages() -> None:
    """With the same source as the demo had."""
    assert "make up opens" in shown(OUTCOME)
    assert "make up SOURCE=/recordings opens" in shown(replace(OUTCOME, source=Path("/recordings")))
    assert "http://127.0.0.1:3000" in shown(OUTCOME)
    assert "http://127.0.0.1:5000" in shown(OUTCOME)

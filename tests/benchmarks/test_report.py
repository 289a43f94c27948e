"""How rows are judged, and the list of benchmarks."""

from pathlib import Path

import pytest

from benchmarks import report, rows

FOLDER = Path(report.__file__).parent


@pytest.mark.parametrize(
    ("ratio", "least", "most", "holds"),
    [
        (50.0, 50, None, True),
        (49.9, 50, None, False),
        (1.2, None, 1.2, True),
        (1.3, None, 1.2, False),
        (9.0, None, None, None),
    ],
)
def test_a_ratio_on_its_goal_holds(ratio: float, least: float | None, most: float | None, holds: bool | None) -> None:
    """Bounds are inclusive; a row without a goal has no verdict."""
    assert rows.row("x", 1.0, "ms", ratio=ratio, least=least, most=most)["holds"] is holds


def test_a_fact_equals_what_is_wanted_or_stays_below() -> None:
    """A wanted value must be met exactly; a bound is exclusive."""
    assert rows.fact("x", 0, "", wanted=0)["holds"] is True
    assert rows.fact("x", 1, "", wanted=0)["holds"] is False
    assert rows.fact("x", 50, "ms", below=50)["holds"] is False
    assert rows.fact("x", 49, "ms", below=50)["holds"] is True


def test_every_module_that_can_run_is_listed() -> None:
    """A benchmark left out of the list would silently not run with the others."""
    able = {path.stem for path in FOLDER.glob("*.py") if "\ndef run() -> list" in path.read_text()}
    assert able == set(report.NAMES)

from pathlib import Path

import pytest

from tidegate.runbook import NoSection, Section, anchor_of, metric_of, page, section

_PAGE = """# Runbook

Words before.

## First / Section

Reason `operator`. Drill: `python -m tidegate drill it`.

1. Look at `halted{reason="operator"}` and `winrate_rolling{route}`:

   ```
   python -m tidegate status
   python scripts/control.py resume
   ```

2. Then at `risk.window`, and `operator` again.

## Second

Nothing to type.
"""


@pytest.fixture
def written(tmp_path: Path) -> Path:
    """A small page."""
    path = tmp_path / "runbook.md"
    path.write_text(_PAGE)
    return path


def test_a_section_knows_its_commands_and_its_names(written: Path) -> None:
    """Lines of code blocks first, then commands within sentences; names once each, commands not among them."""
    found = page(written)["first--section"]
    assert found.title == "First / Section"
    assert found.commands == (
        "python -m tidegate status", "python scripts/control.py resume", "python -m tidegate drill it"
    )  # fmt: skip
    assert found.names == ("operator", 'halted{reason="operator"}', "winrate_rolling{route}", "risk.window")
    assert [step[:12] for step in found.steps] == ["Reason `oper", "1. Look at `", "2. Then at `"]
    assert list(page(written)) == ["first--section", "second"]


@pytest.mark.parametrize("name", ["first--section", "First / Section", "first", "FIRST"])
def test_a_section_is_found_by_anchor_title_or_beginning(written: Path, name: str) -> None:
    """Whatever a person types."""
    assert section(name, written).anchor == "first--section"


@pytest.mark.parametrize("name", ["third", "", "/"])
def test_a_section_that_is_not_there_names_those_that_are(written: Path, name: str) -> None:
    """Rather than showing another one."""
    with pytest.raises(NoSection, match=r"precision-halt"):
        section(name, written)


@pytest.mark.parametrize(
    ("name", "read"),
    [
        ("precision", ("precision", {})),
        ("winrate_rolling{route}", ("winrate_rolling", {"route": ""})),
        ("liquidity_by_side{symbol,side}", ("liquidity_by_side", {"symbol": "", "side": ""})),
        ('rollback_total{reason="psi_feature_*"}', ("rollback_total", {"reason": ""})),
        ('gate_drop_total{symbol,gate="warmup"}', ("gate_drop_total", {"symbol": "", "gate": "warmup"})),
        ("risk.window", None),
        ("XLEN sig:approved", None),
    ],
)
def test_metrics_are_read_with_their_labels(name: str, read: tuple[str, dict[str, str]] | None) -> None:
    """A label without a value stands for all of them."""
    assert metric_of(name) == read


def test_anchors_are_those_of_the_pages_that_show_it() -> None:
    """Signs go, blanks become dashes, and nothing is made one."""
    assert anchor_of("Zero Liquidity / Stale Book") == "zero-liquidity--stale-book"
    assert anchor_of("Warm-up Gate Active") == "warm-up-gate-active"


def test_a_section_without_code_has_neither() -> None:
    """Nothing is made up."""
    plain = Section("Second", "second", "Nothing to type.")
    assert (plain.commands, plain.names, plain.steps) == ((), (), ("Nothing to type.",))

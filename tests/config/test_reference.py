"""The page of all knobs is the schema's, not somebody's memory of it."""

from pathlib import Path

from config.reference import markdown
from config.settings import all_knobs

_PAGE = Path(__file__).resolve().parents[2] / "docs" / "configuration.md"


def test_the_committed_page_is_up_to_date() -> None:
    """Run `python -m config.reference > docs/configuration.md` when this fails."""
    assert _PAGE.read_text(encoding="utf-8") == markdown()


def test_every_knob_has_one_row() -> None:
    """Nothing is left out and nothing is told twice."""
    page = markdown()
    assert all(page.count(f"| `{each.key}` |") == 1 for each in all_knobs())

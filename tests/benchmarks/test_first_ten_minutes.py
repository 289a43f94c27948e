import re

from benchmarks.first_ten_minutes import CLONE, STEPS, UP, Step, Taken, lines
from tests.style_bar import ROOT

_PAGE = ROOT / "docs" / "first-ten-minutes.md"


def test_own_time_is_typing_reading_and_looking() -> None:
    """Forty characters, two hundred words and one page: ten seconds and two minutes."""
    assert Taken(Step("x" * 40, "", pages=1), 500.0, 200).own_seconds == 130.0


def test_the_table_has_a_row_for_each_command_and_their_sum() -> None:
    """Waits and own time are told apart."""
    *rows, total = list(lines([Taken(CLONE, 4.0, 0), Taken(UP, 60.4, 100)]))[2:]
    assert [row.split("|")[2].strip() for row in rows] == [f"`{CLONE.typed}`", f"`{UP.typed}`"]
    assert "**2 commands**" in total
    assert "**64**" in total


def test_the_page_shows_the_commands_that_are_measured() -> None:
    """Whoever follows the page types what was typed, in that order, within the time the page promises."""
    text = _PAGE.read_text(encoding="utf-8")
    assert re.findall(r"^\| \d+ \| `([^`]+)`", text, re.MULTILINE) == [CLONE.typed, *(each.typed for each in STEPS)]
    own = re.search(r"\*\*\d+ commands\*\* \| \| \*\*\d+\*\* \| \*\*(\d+)\*\*", text)
    assert own is not None
    assert int(own[1]) <= 600


def test_every_command_begins_with_what_a_checkout_has() -> None:
    """Nothing is typed that the steps before it did not make."""
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for step in STEPS:
        program, *rest = step.typed.split()
        assert program in ("make", ".venv/bin/python")
        assert program != "make" or re.search(rf"^{rest[0]}:", makefile, re.MULTILINE)

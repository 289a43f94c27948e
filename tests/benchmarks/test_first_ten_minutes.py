import re

import pytest

from benchmarks.first_ten_minutes import CLONE, STEPS, UP, Reader, Step, Taken, lines
from tests.style_bar import ROOT

_PAGE = ROOT / "docs" / "first-ten-minutes.md"


def test_own_time_is_typing_reading_and_looking() -> None:
    """Forty characters, a minute of reading and one page: ten seconds and two minutes."""
    assert Taken(Step("x" * 40, "", pages=1), 500.0, 200, 60.0).own_seconds == 130.0


def test_what_is_read_while_a_command_runs_is_no_time_of_ones_own() -> None:
    """Ten words are three seconds; a line that comes while another is read waits for it; frames are no words."""
    reader = Reader()
    reader.line("one two three four five six seven eight nine ten", 100.0)
    assert reader.left(150.0) == 0.0
    reader.line("│ one two three four five │ six seven eight nine ten │", 200.0)
    reader.line("─────┼────── one two three four five six seven eight nine ten", 201.0)
    assert reader.words == 30
    assert reader.left(202.0) == pytest.approx(4.0)


def test_the_table_has_a_row_for_each_command_and_their_sum() -> None:
    """Waits and own time are told apart."""
    *rows, total = list(lines([Taken(CLONE, 4.0, 0, 0.0), Taken(UP, 60.4, 100, 30.0)]))[2:]
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

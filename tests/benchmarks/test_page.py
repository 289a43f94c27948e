"""The performance page: sections are replaced one by one, and what a person wrote stays."""

import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from benchmarks import page
from benchmarks.rows import fact, row

AT = datetime(2026, 1, 8, 12, 30, tzinfo=UTC)
HELD = {"rows": [row("drift: scipy", 3.0, "ms", ratio=60.0, least=50)], "seconds": 2.0}
MISSED = {"rows": [row("drift: scipy", 3.25, "ms", ratio=40.0, least=50)], "seconds": 2.0}


def test_a_new_page_has_the_machine_and_each_section(tmp_path: Path) -> None:
    """A page that was not there begins with a title, the machine's facts and a table with value, ratio, goal."""
    path = tmp_path / "performance.md"
    page.write(path, {"drift": HELD}, AT)
    text = path.read_text()
    assert text.startswith("# Performance\n")
    assert f"Python {'.'.join(map(str, sys.version_info[:2]))}" in text
    assert "Measured 2026-01-08 12:30 UTC in 2 s" in text
    assert "| scipy | 3 ms | 60.00x | >= 50x | holds |" in text


def test_another_run_replaces_its_section_and_nothing_else(tmp_path: Path) -> None:
    """The words of a person, before, between and behind sections, survive."""
    path = tmp_path / "performance.md"
    scan = {"rows": [fact("gap scan: false", 0, "", wanted=0)], "seconds": 1}
    page.write(path, {"drift": HELD, "gap_scan": scan}, AT)
    between = path.read_text().replace("<!-- end drift -->", "<!-- end drift -->\n\nA busy day.")
    path.write_text(f"{between}\nThe end.\n")
    page.write(path, {"drift": MISSED}, AT)
    text = path.read_text()
    assert "| scipy | 3.25 ms | 40.00x | >= 50x | MISSED |" in text
    assert "60.00x" not in text
    assert "A busy day." in text
    assert text.endswith("The end.\n")
    assert "| false | 0 |  | 0 | holds |" in text


def test_a_benchmark_that_did_not_run_leaves_its_section(tmp_path: Path) -> None:
    """Skipped and failed benchmarks write nothing."""
    path = tmp_path / "performance.md"
    page.write(path, {"drift": HELD}, AT)
    page.write(path, {"drift": {"skipped": "evidently is not installed"}, "memory": {"failed": "exit code 1"}}, AT)
    assert "60.00x" in path.read_text()
    assert "memory" not in path.read_text()


def test_a_section_without_its_end_is_not_guessed(tmp_path: Path) -> None:
    """A page from which an end line was deleted is refused, and stays as it is."""
    path = tmp_path / "performance.md"
    page.write(path, {"drift": HELD}, AT)
    torn = path.read_text().replace("<!-- end drift -->", "")
    path.write_text(torn)
    with pytest.raises(ValueError, match="<!-- end drift -->"):
        page.write(path, {"drift": MISSED}, AT)
    assert path.read_text() == torn

from pathlib import Path

import pytest

from tidegate.drills.results import Result, keep, read

PASSED = Result("stale-book", "zero-liquidity--stale-book", "2026-01-07T12:00:00+00:00", 41.6, "")
FAILED = Result("fail-safe", "fail-safe-alert", "2026-01-07T12:01:00+00:00", 9.0, "waited in vain")


def test_the_last_result_of_each_drill_is_kept(tmp_path: Path) -> None:
    """Another one of the same drill takes its place."""
    assert read(tmp_path) == {}
    for each in (FAILED, PASSED, Result("fail-safe", "fail-safe-alert", "2026-01-08T12:00:00+00:00", 8.0, "")):
        keep(tmp_path, each)
    found = read(tmp_path)
    assert found["stale-book"] == PASSED
    assert found["fail-safe"].passed


def test_a_result_is_a_line() -> None:
    """What `drill list` shows."""
    assert PASSED.line() == "passed 2026-01-07 12:00, 42 s"
    assert FAILED.line() == "FAILED 2026-01-07 12:01, 9 s"


@pytest.mark.parametrize("content", ["", "{", "[]", '{"a": 1}', '{"a": {"drill": "a"}}'])
def test_results_that_cannot_be_read_are_none(tmp_path: Path, content: str) -> None:
    """They are written anew."""
    (tmp_path / "results.json").write_text(content)
    assert read(tmp_path) == {}
    keep(tmp_path, PASSED)
    assert read(tmp_path) == {"stale-book": PASSED}

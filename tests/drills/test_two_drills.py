"""Two drills as `python -m tidegate drill` runs them: side by side, on one small model trained for all.

Minutes are too long for a suite: .ci/run has all of them behind it.
"""

from pathlib import Path

import pytest

from tests.bus.servers import needs_redis
from tidegate.drills.results import read
from tidegate.drills.running import run


@pytest.mark.slow
@needs_redis
@pytest.mark.filterwarnings("ignore::dagster.BetaWarning")
def test_two_sections_of_the_runbook_hold(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each trouble is caused, everything promised is seen, and the runbook's commands bring it back."""
    monkeypatch.setenv("PATHS_VAR", str(tmp_path))
    told: list[str] = []
    names = ["rollback-guard", "fail-safe"]
    assert run(names, told.append) == 0, "\n".join(told)
    assert set(read(tmp_path / "drills")) == set(names)

"""`dagster definitions validate -w workspace.yaml`, as the runbook says it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.journeys.warnings_of_ours import warnings_of_ours
from tidegate.environment import ROOT


@pytest.mark.slow
def test_the_workspace_validates_without_a_warning_of_ours(tmp_path: Path) -> None:
    """Dagster loads every definition from a home that is empty, and has nothing to say about our code."""
    places = {"DAGSTER_HOME": str(tmp_path), "PATHS_VAR": str(tmp_path / "var"), "PATHS_LAKE": str(tmp_path / "lake")}
    command = [sys.executable, "-W", "default", "-m", "dagster", "definitions", "validate", "-w", "workspace.yaml"]
    done = subprocess.run(
        command, cwd=ROOT, env=os.environ | places, capture_output=True, text=True, timeout=300, check=False
    )
    output = done.stdout + done.stderr
    assert done.returncode == 0, output
    assert "Validation successful for code location tidegate" in output
    assert warnings_of_ours(output) == []


def test_a_warning_of_ours_is_told_from_one_of_a_library() -> None:
    """Lines of this checkout count, those of installed packages do not."""
    ours = f"{ROOT}/pipelines/definitions.py:12: BetaWarning: parameter is beta"
    theirs = f"{ROOT}/.venv/lib/python3.11/site-packages/dagster/x.py:3: SupersessionWarning: use dg"
    assert warnings_of_ours(f"{theirs}\n{ours}\nplain line") == [ours]

import os
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tidegate.__main__ import app

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize(("arguments", "words"), [([], ["demo", "up"]), (["up"], ["--source", "--dagster-port"])])
def test_help_lists_the_commands_and_their_options(arguments: list[str], words: list[str]) -> None:
    """It exits with 0."""
    told = CliRunner().invoke(app, [*arguments, "--help"], env={"COLUMNS": "120", "TERM": "dumb", "NO_COLOR": "1"})
    assert told.exit_code == 0
    assert all(word in told.output for word in words)


def test_an_unknown_command_is_a_usage_error() -> None:
    """Exit status 2."""
    assert CliRunner().invoke(app, ["trade"]).exit_code == 2


def test_a_demo_of_a_folder_that_is_not_there_ends_with_one_line_and_status_one(tmp_path: Path) -> None:
    """No traceback, and no heavy import on the way."""
    done = subprocess.run(
        [sys.executable, "-m", "tidegate", "demo", "--source", str(tmp_path / "absent")],
        cwd=ROOT,
        env=os.environ | {"PATHS_VAR": str(tmp_path / "var")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr.startswith("demo stopped:")
    assert "absent" in done.stderr
    assert "Traceback" not in done.stderr + done.stdout


def test_a_configuration_that_is_refused_ends_a_verb_with_what_is_wrong() -> None:
    """Exit status 1, on stderr, no traceback."""
    done = subprocess.run(
        [sys.executable, "-m", "tidegate", "status"],
        cwd=ROOT, env=os.environ | {"LABEL_HORIZON_SECONDS": "-1"}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (1, "")
    assert "LABEL_HORIZON_SECONDS" in done.stderr
    assert "Traceback" not in done.stderr

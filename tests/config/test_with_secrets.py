"""A program of others gets its secrets from files: in the environment, not on a command line."""

import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NoReturn

import pytest

from config.with_secrets import handed_over, main
from tests.live.parts import ROOT


def never(_file: str, _command: Sequence[str], _environ: Mapping[str, str]) -> NoReturn:
    """Stands in for exec where it must not come to that."""
    raise AssertionError("the command was started")


def absent(_file: str, _command: Sequence[str], _environ: Mapping[str, str]) -> NoReturn:
    """As exec, of a command that is not there."""
    raise FileNotFoundError(2, "No such file or directory")


def test_the_command_finds_the_value_and_no_longer_the_file(tmp_path: Path) -> None:
    """And everything else as it was."""
    file = tmp_path / "password"
    file.write_text("planted\n")
    found, problems = handed_over(["PGPASSWORD"], {"PGPASSWORD_FILE": str(file), "OTHER": "stays"})
    assert (found, problems) == ({"PGPASSWORD": "planted", "OTHER": "stays"}, [])


def test_a_real_command_takes_the_process_over(tmp_path: Path) -> None:
    """Its exit status is ours."""
    (tmp_path / "password").write_text("planted")
    done = subprocess.run(
        [sys.executable, "-m", "config.with_secrets", "PGPASSWORD", "--", "sh", "-c", 'echo "$PGPASSWORD"; exit 7'],
        cwd=ROOT, env={"PATH": "/bin:/usr/bin", "PGPASSWORD_FILE": str(tmp_path / "password")},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.stdout, done.returncode) == ("planted\n", 7)


def test_a_secret_that_is_missing_stops_it_with_a_line_each(capsys: pytest.CaptureFixture[str]) -> None:
    """Before the command is started."""
    assert main(["A", "B", "--", "true"], {"A_FILE": "/nosuch/file"}, never) == 1
    said = capsys.readouterr().err
    assert "A_FILE: /nosuch/file cannot be read" in said
    assert "B: is empty" in said


def test_a_command_that_is_not_there_is_told_of(capsys: pytest.CaptureFixture[str]) -> None:
    """In one line."""
    assert main(["A", "--", "nosuch"], {"A": "x"}, absent) == 1
    assert "nosuch cannot be started" in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [[], ["A"], ["--", "true"], ["A", "--"]])
def test_wrong_use_ends_with_two(arguments: list[str]) -> None:
    """Names, two dashes, a command."""
    assert main(arguments, {}, never) == 2

"""scripts/validate_config.py as an operator runs it."""

import os
import subprocess
import sys
from pathlib import Path

_ROOT = Path(__file__).resolve().parents[2]


def _run(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "scripts/validate_config.py", *arguments]
    environ = os.environ | {"PYTHONPATH": "."} | variables
    return subprocess.run(command, cwd=_ROOT, env=environ, capture_output=True, text=True, check=False)


def test_the_shipped_file_is_valid() -> None:
    """Exit 0 and one line."""
    done = _run()
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("config/app.yml: valid, ")


def test_show_tells_value_and_origin() -> None:
    """Each knob, its value in force, and who set it."""
    lines = _run("--show", LABEL_TP_PCT="0.001").stdout.splitlines()
    assert [line.split(maxsplit=2) for line in lines if line.startswith("label.tp_pct")] == [
        ["label.tp_pct", "0.001", "environment LABEL_TP_PCT"]
    ]


def test_a_refusal_is_one_line_a_problem_and_exit_1(tmp_path: Path) -> None:
    """The lines go to stderr, so that --show can be piped."""
    file = tmp_path / "app.yml"
    file.write_text("label: {tp_pct: 0, sl_pct: 0}\n", encoding="utf-8")
    done = _run(str(file))
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.splitlines() == [
        f"{file}: label.tp_pct must be > 0, was 0",
        f"{file}: label.sl_pct must be > 0, was 0",
    ]


def test_a_wrong_option_is_exit_2() -> None:
    """Usage errors are told apart from refusals."""
    assert _run("--shwo").returncode == 2

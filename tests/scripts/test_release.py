"""scripts/release.sh: validations first, unless they are skipped; then the verb. Its exit statuses."""

import subprocess
from pathlib import Path

import pytest

from tests.live.parts import ROOT

ECHO = """#!/bin/sh
echo "$@" >> "{log}"
case "$*" in *{refused}*) exit 1 ;; esac
"""


def released(folder: Path, *arguments: str, refused: str = "nothing") -> tuple[int, list[str], str]:
    """Run it with a python that only notes what it is asked; return status, notes, and what was said of errors."""
    log, python = folder / "asked.log", folder / "python"
    python.write_text(ECHO.format(log=log, refused=refused), encoding="utf-8")
    python.chmod(0o755)
    command = ["bash", str(ROOT / "scripts" / "release.sh"), *arguments]
    done = subprocess.run(
        command, env={"PYTHON": str(python), "PATH": "/usr/bin:/bin"}, capture_output=True, text=True, check=False
    )
    asked = log.read_text(encoding="utf-8").splitlines() if log.exists() else []
    return done.returncode, asked, done.stderr


def test_everything_is_validated_and_then_released(tmp_path: Path) -> None:
    """Configuration, symbols, gaps, the rehearsal of this very version; the verb last."""
    code, asked, _ = released(tmp_path, "--shadow-id", "m1", "--disable-rollout")
    assert code == 0
    scripts = [line.split()[0] for line in asked if line.startswith("scripts/")]
    assert scripts == [
        f"scripts/{name}.py" for name in ("validate_config", "validate_symbols", "scan_parquet_gaps", "canary_pipeline")
    ]
    assert "scripts/canary_pipeline.py --id m1" in asked
    assert asked[-1] == "-m tidegate release --shadow-id m1 --disable-rollout"


def test_validations_can_be_skipped(tmp_path: Path) -> None:
    """Only the verb is left."""
    assert released(tmp_path, "--skip-validations", "--shadow-id=m1")[:2] == (
        0,
        ["-m tidegate release --shadow-id m1"],
    )


@pytest.mark.parametrize("name", ["validate_config", "scan_parquet_gaps", "canary_pipeline"])
def test_a_validation_that_fails_releases_nothing(tmp_path: Path, name: str) -> None:
    """Exit 1, and which one it was."""
    code, asked, told = released(tmp_path, "--shadow-id", "m1", refused=name)
    assert code == 1
    assert name in asked[-1]
    assert f"refused: scripts/{name}.py failed" in told


def test_a_refused_move_is_exit_1(tmp_path: Path) -> None:
    """The verb's own status."""
    assert released(tmp_path, "--shadow-id", "m1", "--skip-validations", refused="tidegate")[0] == 1


@pytest.mark.parametrize("arguments", [[], ["--shadow-id"], ["--shadow-id", "m1", "--force"]])
def test_wrong_use_is_exit_2(tmp_path: Path, arguments: list[str]) -> None:
    """Nothing is run."""
    assert released(tmp_path, *arguments)[:2] == (2, [])


def test_help_shows_how(tmp_path: Path) -> None:
    """Exit 0."""
    done = subprocess.run(
        ["bash", str(ROOT / "scripts" / "release.sh"), "--help"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0
    assert "--shadow-id ID" in done.stdout

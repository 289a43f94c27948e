"""The page of all verbs is the command's own word."""

import os
import subprocess
import sys

from tests.style_bar import ROOT
from tidegate.command_reference import EXITS, markdown, verbs

_READS = {"doctor", "status", "why", "tail", "retrain", "compare", "runbook", "drill"}
"""Verbs, beside those of audit, that only read; drill list does."""


def test_the_committed_page_is_up_to_date() -> None:
    """Run `make docs` when this fails."""
    assert (ROOT / "docs" / "command-line.md").read_text(encoding="utf-8") == markdown()


def test_every_verb_says_what_its_exit_codes_mean() -> None:
    """And no exit code is explained of a verb that there is not."""
    assert set(EXITS) == {name for name, _ in verbs()}
    assert all(text for text in EXITS.values())


def test_every_verb_that_reads_prints_json() -> None:
    """One that forgets it is found here; every verb and every option says what it does."""
    for name, command in verbs():
        options = {option for param in command.params for option in param.opts}
        assert ("--json" in options) is (name in _READS or name.startswith("audit ")), name
        assert command.help, name
        assert [param.name for param in command.params if not getattr(param, "help", "") and param.name != "help"] == []


def test_completion_is_there_for_the_shells() -> None:
    """It calls the command back by its name."""
    program = str(ROOT / ".venv" / "bin" / "tidegate")
    asked = {"_TIDEGATE_COMPLETE": "complete_bash", "COMP_WORDS": "tidegate do", "COMP_CWORD": "1"}
    command = [program] if (ROOT / ".venv" / "bin" / "tidegate").exists() else [sys.executable, "-m", "tidegate"]
    done = subprocess.run(command, env={**os.environ, **asked}, capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.stdout.split() == ["doctor"], done.stderr

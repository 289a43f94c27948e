"""Telling warnings that our own lines cause from those of the libraries, in the output of a program."""

import re

from tidegate.environment import ROOT

_OURS = re.compile(rf"{re.escape(str(ROOT))}/(?!\.venv/)\S+\.py:\d+: \w*Warning|/pipelines/\S*.*Warning")


def warnings_of_ours(output: str) -> list[str]:
    """Return the lines that are warnings about a line of this project."""
    return [line for line in output.splitlines() if _OURS.search(line)]

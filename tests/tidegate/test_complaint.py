import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

from tests.style_bar import ROOT
from tidegate.complaint import complain


def test_troubles_go_to_stderr_as_they_are(capsys: pytest.CaptureFixture[str]) -> None:
    """With no markup taken for colour."""
    complain("[red] is no colour here", "demo stopped:")
    told = capsys.readouterr()
    assert (told.out, told.err) == ("", "demo stopped: [red] is no colour here\n")


@pytest.mark.parametrize(("no_color", "is_coloured"), [("1", False), ("", True)])
def test_no_color_takes_the_colours_away(no_color: str, is_coloured: bool, tmp_path: Path) -> None:
    """On a terminal, which has them otherwise."""
    ours, theirs = pty.openpty()
    environ = {**os.environ, "NO_COLOR": no_color, "TERM": "xterm-256color", "PATHS_VAR": str(tmp_path)}
    program = "from tidegate.complaint import complain; complain('no streams', 'status:')"
    subprocess.run([sys.executable, "-c", program], stderr=theirs, check=True, cwd=ROOT, env=environ)
    os.close(theirs)
    told = os.read(ours, 10_000)
    os.close(ours)
    assert b"no streams" in told
    assert (b"\x1b[31m" in told) is is_coloured

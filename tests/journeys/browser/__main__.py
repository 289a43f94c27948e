"""Make the pictures of the docs: the browser test, with docs/pictures as the folder of what it sees."""

import os
import subprocess
import sys

from tests.style_bar import ROOT

_COMMAND = [sys.executable, "-m", "pytest", "-n0", "tests/journeys/browser"]

if __name__ == "__main__":
    environ = {**os.environ, "TIDEGATE_PICTURES": str(ROOT / "docs" / "pictures")}
    sys.exit(subprocess.run(_COMMAND, cwd=ROOT, env=environ, check=False).returncode)

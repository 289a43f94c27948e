"""Where the recorded market data lies, for the tests that read it.

The recordings are not part of the project. Point TIDEGATE_RECORDED at a copy, or keep them in ../shared/data beside
the checkout; without them the tests that need them skip and say so.
"""

import os
from pathlib import Path

import pytest

_BESIDE = Path(__file__).resolve().parents[2] / "shared" / "data"


def path(*parts: str) -> Path:
    """Return the path of a recorded file or folder, or skip the calling test when it is not there."""
    root = Path(os.environ.get("TIDEGATE_RECORDED", _BESIDE))
    found = root.joinpath(*parts)
    if not found.exists():
        pytest.skip(f"recorded data {found} is not here; set TIDEGATE_RECORDED to the folder that holds it")
    return found

import math
from pathlib import Path

import pytest

from registry.errors import RegistryError
from registry.staging import check_metrics, stage


def test_bytes_text_files_and_folders_are_laid_out_by_their_keys(tmp_path: Path) -> None:
    """Below the folder, with the folders in between made."""
    page = tmp_path / "page" / "index.html"
    page.parent.mkdir()
    page.write_text("<html>")
    into = tmp_path / "into"
    stage({"card/a.png": b"\x89PNG", "card/a.md": "# A", "page": page.parent, "one.html": page}, into)
    assert (into / "card" / "a.png").read_bytes() == b"\x89PNG"
    assert (into / "card" / "a.md").read_text() == "# A"
    assert (into / "page" / "index.html").read_text() == (into / "one.html").read_text() == "<html>"


@pytest.mark.parametrize("key", ["../out", "/elsewhere/out", "", "a/../../out"])
def test_a_key_outside_the_run_is_refused(tmp_path: Path, key: str) -> None:
    """Whatever way it leads out."""
    with pytest.raises(RegistryError, match=r"does not name a place inside the run"):
        stage({key: b""}, tmp_path)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    """And named."""
    with pytest.raises(RegistryError, match=r"nowhere does not exist"):
        stage({"page": tmp_path / "nowhere"}, tmp_path / "into")


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_metric_that_is_not_finite_is_refused(value: float) -> None:
    """By its name."""
    with pytest.raises(RegistryError, match=r"metric brier is "):
        check_metrics({"auc": 0.7, "brier": value})

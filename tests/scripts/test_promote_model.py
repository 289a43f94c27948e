"""scripts/promote_model.py: the runbook's words, and its exit statuses."""

from pathlib import Path

import pytest

from scripts.promote_model import main


@pytest.mark.parametrize(
    "arguments",
    [[], ["--to", "active"], ["--id", "m1"], ["--to", "previous", "--id", "m1"],
     ["--to", "active", "--id", "m1", "--force"]],
)  # fmt: skip
def test_wrong_use_is_exit_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """A force without a reason is wrong use, too."""
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    assert "usage: " in capsys.readouterr().err


def test_what_cannot_be_is_one_line_and_exit_1(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """An id that nobody knows; a configuration that is wrong."""
    monkeypatch.setenv("PATHS_VAR", str(tmp_path / "var"))
    monkeypatch.setenv("REGISTRY_MIRROR", str(tmp_path / "mirror"))
    monkeypatch.setenv("REGISTRY_TRACKING_URI", f"sqlite:///{tmp_path}/mlflow.db")
    monkeypatch.setenv("REGISTRY_ARTIFACTS", str(tmp_path / "artifacts"))
    assert main(["--to", "shadow", "--id", "signal_scorer-none"]) == 1
    told = capsys.readouterr().err
    assert told.startswith("refused: ")
    assert "signal_scorer-none" in told
    monkeypatch.setenv("RELEASE_ALPHA", "2")
    assert main(["--to", "shadow", "--id", "m1"]) == 1
    assert "release.alpha" in capsys.readouterr().err

from pathlib import Path

import pytest

from scripts.canary_pipeline import main


def test_a_length_out_of_bounds_is_a_usage_error(capsys: pytest.CaptureFixture[str]) -> None:
    """Exit status 2."""
    with pytest.raises(SystemExit) as ended:
        main(["--minutes", "1"])
    assert ended.value.code == 2
    assert "--minutes must be from 5 to 1440, was 1" in capsys.readouterr().err


def test_a_registry_without_a_candidate_is_refused_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit status 1, and no traceback."""
    for name, value in {
        "PATHS_VAR": tmp_path / "var", "PATHS_LAKE": tmp_path / "lake", "REGISTRY_ARTIFACTS": tmp_path / "artifacts",
        "REGISTRY_TRACKING_URI": f"sqlite:///{tmp_path / 'mlflow.db'}",
    }.items():  # fmt: skip
        monkeypatch.setenv(name, str(value))
    assert main([]) == 1
    said = capsys.readouterr().err.strip().splitlines()
    assert said[-1].startswith("refused: 'candidate' is no version number, alias or model id")


def test_a_wrong_configuration_is_refused(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """It names the knob."""
    monkeypatch.setenv("RELEASE_REHEARSAL_MINUTES", "1")
    assert main([]) == 1
    assert "release.rehearsal_minutes" in capsys.readouterr().err

import os
from pathlib import Path

import pytest
import yaml

from archive.errors import SourceError
from config.errors import SettingsError
from tidegate.environment import ROOT, prepare

_TOUCHED = (
    "DO_NOT_TRACK",
    "MLFLOW_DISABLE_TELEMETRY",
    "MLFLOW_SERVER_ENABLE_JOB_EXECUTION",
    "GIT_PYTHON_REFRESH",
    "OMP_NUM_THREADS",
    "DAGSTER_HOME",
)


@pytest.fixture(autouse=True)
def var(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder for run-time state, named by the environment, which is put back afterwards."""
    for name in _TOUCHED:
        monkeypatch.setenv(name, "as it was")
    monkeypatch.setenv("PATHS_VAR", str(tmp_path / "var"))
    return tmp_path / "var"


def test_this_process_and_its_children_send_nothing_and_use_one_thread(var: Path) -> None:
    """And Dagster's home lies under var."""
    settings = prepare(None)
    assert settings.paths.var == var
    assert os.environ["DO_NOT_TRACK"] == "1"
    assert os.environ["MLFLOW_DISABLE_TELEMETRY"] == "true"
    assert os.environ["OMP_NUM_THREADS"] == "1"
    assert Path(os.environ["DAGSTER_HOME"]) == var / "dagster"
    assert yaml.safe_load((var / "dagster" / "dagster.yaml").read_text())["telemetry"] == {"enabled": False}


def test_a_dagster_yaml_that_a_person_edited_is_kept(var: Path) -> None:
    """It is written only when it is missing."""
    prepare(None)
    (var / "dagster" / "dagster.yaml").write_text("telemetry:\n  enabled: false\n")
    prepare(None)
    assert (var / "dagster" / "dagster.yaml").read_text() == "telemetry:\n  enabled: false\n"


def test_a_wrong_setting_or_folder_stops_before_anything_is_made(
    var: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The error names what is wrong."""
    with pytest.raises(SourceError, match="absent"):
        prepare(tmp_path / "absent")
    monkeypatch.setenv("LABEL_TP_PCT", "-1")
    with pytest.raises(SettingsError, match="LABEL_TP_PCT"):
        prepare(None)
    assert not var.exists()


def test_the_root_is_the_checkout() -> None:
    """Where workspace.yaml lies."""
    assert (ROOT / "workspace.yaml").is_file()

"""The environment every process of ours runs in: no telemetry, one thread a library, Dagster's home under var/."""

import os
from pathlib import Path

from config.settings import Settings, load
from tidegate.recordings import overrides

ROOT = Path(__file__).resolve().parents[1]
"""The checkout: workspace.yaml and the configuration lie below it."""

FIXED = {
    "DO_NOT_TRACK": "1",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
    "GIT_PYTHON_REFRESH": "quiet",
    "OMP_NUM_THREADS": "1",
    # Of runs that failed, Dagster's sensor takes five a tick: a bad night would be told of for hours.
    "DAGSTER_RUN_STATUS_SENSOR_PROCESS_LIMIT": "50",
    "DAGSTER_RUN_STATUS_SENSOR_FETCH_LIMIT": "100",
}

_DAGSTER_YAML = """\
# Written by tidegate when it is missing; edit it freely.
telemetry:
  enabled: false
nux:
  enabled: false
concurrency:
  runs:
    max_concurrent_runs: 2
sensors:
  use_threads: true
  num_workers: 8
"""


def prepare(source: Path | None) -> Settings:
    """Set up this process and its children, and return the settings they will all read.

    A folder of recordings becomes the same environment overrides a person could type, so that the Dagster processes
    started later see the same configuration.

    Raises:
        SettingsError: the configuration, or an override, is wrong.
        SourceError: the folder holds no recording that an importer knows.
    """
    os.environ.update(FIXED)
    if source is not None:
        os.environ.update(overrides(source))
    settings = load()
    os.environ["DAGSTER_HOME"] = str(dagster_home(Path(settings.paths.var)))
    return settings


def dagster_home(var: Path) -> Path:
    """Dagster's home below a folder of run-time state, made with a configuration of ours when it has none."""
    home = var / "dagster"
    home.mkdir(parents=True, exist_ok=True)
    config = home / "dagster.yaml"
    if not config.exists():
        config.write_text(_DAGSTER_YAML)
    return home.resolve()

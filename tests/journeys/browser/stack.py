"""The stack that the pages are looked at on: two small versions, then Dagster and MLflow on what they left behind.

Four simulated days of one symbol: two sound ones that were learned from, one with the planted hole and one that is
absent, neither of them ingested yet. The learning is done in this process, which spares the start of others.
"""

import socket
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from config.settings import Settings
from pipelines.definitions import GRID_ASSETS
from pipelines.launching import launcher
from pipelines.progress import Progress
from pipelines.registrar import open_registrar
from pipelines.workspace import Workspace
from registry.states import Actor
from registry.versions import Version
from tests.journeys.graphql import Run, Webserver
from tests.journeys.waiting import until
from tidegate.drills.knobs import MARKET, SYMBOL, TRAINING, paths
from tidegate.drills.training import environment, utc_now
from tidegate.environment import prepare
from tidegate.up import Page, answers, pages_of, start, stop

LEARNED = ("2026-01-05", "2026-01-06")
GAPPED, ABSENT = "2026-01-07", "2026-01-08"
TODAY = date(2026, 1, 9)
FEW_ROUNDS = "8"
"""Trees of the second version: fewer, so that a comparison shows a difference."""
_START_SECONDS = 240.0
_RUN_SECONDS = 240.0


@dataclass(frozen=True, slots=True)
class Stack:
    """The running pages, the workspace behind them, and what each server printed."""

    dagster: Webserver
    mlflow: str
    workspace: Workspace
    versions: Sequence[Version]
    logs: Path

    def ended(self, run_id: str) -> Run:
        """Wait for the end of a run."""
        return until(lambda: self.dagster.ended_run(run_id), _RUN_SECONDS, f"run {run_id}; output in {self.logs}")


def learned(folder: Path) -> Sequence[Version]:
    """Two versions as they then stand, one active and one its shadow; all that is written lies below a folder."""
    with environment(_overrides(folder, LEARNED[-1])):
        learn(prepare(None))
    with environment(_overrides(folder, LEARNED[-1]) | {"TRAINING_MAX_ROUNDS": FEW_ROUNDS}):
        return release(prepare(None))


@contextmanager
def served(folder: Path, versions: Sequence[Version]) -> Iterator[Stack]:
    """Dagster and MLflow on what was learned, for a block."""
    with environment(_overrides(folder, ABSENT)):
        settings = prepare(None)
        pages = pages_of(settings.registry.tracking_uri, str(settings.registry.artifacts), _free_port(), _free_port())
        processes = [start(page, folder / f"{page.name}.log") for page in pages]
        try:
            for page, process in zip(pages, processes, strict=True):
                _wait(page, process, folder)
            dagster, mlflow = (page.url for page in pages)
            yield Stack(Webserver(dagster), mlflow, Workspace(settings, TODAY), versions, folder)
        finally:
            stop(processes)


def learn(settings: Settings) -> None:
    """Ingest the sound days and learn a first version from them."""
    with launcher(settings, TODAY, Progress()) as runs:
        runs.must("ingest_job", list(GRID_ASSETS), runs.workspace.all_cells)
        runs.must("train_job")


def release(settings: Settings) -> Sequence[Version]:
    """Learn a second version, make the first one active and the second its shadow; both as they then stand."""
    with launcher(settings, TODAY, Progress()) as runs:
        runs.must("train_job")
        store = runs.workspace.store
        with open_registrar(settings, utc_now) as registrar:
            registrar.promote(1, "active", Actor("human", "browser"), "the first model")
            registrar.promote(2, "shadow", Actor("human", "browser"), "fewer trees, to be compared")
        return [store.version(number) for number in (1, 2)]


def _wait(page: Page, process: "subprocess.Popen[bytes]", folder: Path) -> None:
    def is_up() -> bool | None:
        log = folder / f"{page.name}.log"
        assert process.poll() is None, f"{page.name} ended with {process.returncode}: {log.read_text()[-2_000:]}"
        return True if answers(page) else None

    until(is_up, _START_SECONDS, f"{page.url}; output in {folder}")


def _overrides(folder: Path, last_day: str) -> dict[str, str]:
    return {
        **MARKET, **TRAINING, **paths(folder, folder / "lake"),
        "MARKET_LAST_DAY": last_day,
        "SIMULATOR_DEPTH_INTERVAL_MS": "5000",
        "SIMULATOR_GAP_SYMBOL": SYMBOL, "SIMULATOR_GAP_DAY": GAPPED, "SIMULATOR_GAP_MINUTES": "25",
        "SCHEDULE_AUTOMATIC": "false",
    }  # fmt: skip


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])

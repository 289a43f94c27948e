"""A person at Dagster's web page: materialize, meet a damaged partition, backfill what is missing, look at the graph.

A real webserver with its daemon runs on a free port, on three simulated days of one symbol: the first is sound, the
second has the planted gap, the third is not there yet.
"""

import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from unittest.mock import patch

import pytest

from archive.layout import BOOK
from config.settings import Settings
from pipelines.definitions import GRID_ASSETS, TRAINING_ASSETS
from pipelines.gap_gate import damaged, wanting
from pipelines.ingestion import BACKFILL_TAG
from pipelines.partitions import cell
from pipelines.workspace import Workspace
from tests.journeys.graphql import Run, Webserver
from tests.journeys.waiting import until
from tests.journeys.warnings_of_ours import warnings_of_ours
from tidegate.environment import prepare
from tidegate.up import Page, answers, pages_of, start, stop

SOUND, GAPPED, ABSENT = "2026-01-05|BTCUSDT", "2026-01-06|BTCUSDT", "2026-01-07|BTCUSDT"
GROUPS = ("ingest", "quality", "features", "labels", "training", "export", "monitor", "release")
_START_SECONDS = 240
_RUN_SECONDS = 240
_PICTURE_SECONDS = 120
_CHROMIUM = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-component-update",
    "--disable-background-networking", "--disable-sync", "--virtual-time-budget=20000", "--window-size=1600,1000",
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Stack:
    """The running webserver, its output, and the same workspace seen from here."""

    web: Webserver
    workspace: Workspace
    log: Path

    def ended(self, run_id: str) -> Run:
        """Wait for the end of a run."""
        return until(lambda: self.web.ended_run(run_id), _RUN_SECONDS, f"run {run_id}; output in {self.log}")


@pytest.mark.slow
def test_a_person_at_the_web_page(tmp_path: Path, subtests: pytest.Subtests) -> None:
    """A cell materializes, a damaged one stops its run, a backfill mends only what is wanting, the pages are drawn."""
    with _serving(tmp_path) as stack:
        runs = stack.web.launch("ingest_job", SOUND), stack.web.launch("ingest_job", GAPPED)
        _every_asset_is_made(stack.ended(runs[0]))
        _the_blocking_check_stops_the_run(stack.ended(runs[1]))
        _only_what_is_wanting_is_made_again(stack)
        _the_sensor_finds_nothing_left(stack)
        with subtests.test("the pages in a browser"):
            _the_pages_are_drawn(stack.web.url, tmp_path)
        assert warnings_of_ours(stack.log.read_text()) == []


def _every_asset_is_made(run: Run) -> None:
    assert run.succeeded, run.failures
    assert run.materialized == sorted((name, SOUND) for name in GRID_ASSETS)


def _the_blocking_check_stops_the_run(run: Run) -> None:
    """The day with the hole is stored and reported, and nothing behind the check is made of it."""
    assert not run.succeeded
    assert run.failed_checks["no_damage"] == "ERROR"
    assert run.materialized == [("gap_report", GAPPED), ("market_data", GAPPED)]


def _only_what_is_wanting_is_made_again(stack: Stack) -> None:
    wanted = {str(each.key) for each in wanting(stack.workspace)}
    assert wanted == {GAPPED, ABSENT}
    before = _book_of(stack, SOUND)
    backfill = stack.web.backfill(GRID_ASSETS, sorted(wanted), {BACKFILL_TAG: "true"})
    end = until(lambda: stack.web.ended_backfill(backfill), _RUN_SECONDS, f"backfill {backfill}")
    runs = [stack.ended(run_id) for run_id in stack.web.runs_of(backfill)]
    assert end == "COMPLETED_SUCCESS", [run.failures for run in runs]
    assert len(runs) == 2, "one run for all cells of what is read by day, one for the labels behind it"
    made = sorted(pair for run in runs for pair in run.materialized)
    # The labels of the sound day look over midnight into the mended one: Dagster knows by the partition mapping.
    assert made == sorted([("labels", SOUND), *((name, key) for name in GRID_ASSETS for key in wanted)])
    assert damaged(stack.workspace, stack.workspace.all_cells) == {}
    assert wanting(stack.workspace) == {}
    assert _book_of(stack, SOUND) == before, "a partition that was sound was written again"


def _the_sensor_finds_nothing_left(stack: Stack) -> None:
    """Switched on after the backfill, it skips with a reason."""
    stack.web.start_sensor("gap_sensor")
    tick = until(lambda: stack.web.finished_tick("gap_sensor"), _RUN_SECONDS, "a tick of gap_sensor")
    assert (tick["status"], tick["runIds"]) == ("SKIPPED", []), tick["error"]
    assert tick["skipReason"] == "no partition is missing or damaged"


def _the_pages_are_drawn(url: str, folder: Path) -> None:
    """The lineage, whose groups come folded, and the catalog of assets, in a browser without a window."""
    browser = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if browser is None:
        pytest.skip("no chromium on this machine: the pages were not looked at in a browser")
    for path, names in (("asset-groups", GROUPS), ("assets", (*GRID_ASSETS, *TRAINING_ASSETS))):
        picture = folder / f"{path}.png"
        command = [
            browser, *_CHROMIUM, f"--user-data-dir={folder / 'browser'}", f"--screenshot={picture}", "--dump-dom",
            f"{url}/{path}",
        ]  # fmt: skip
        done = subprocess.run(command, capture_output=True, text=True, timeout=_PICTURE_SECONDS, check=False)
        assert done.returncode == 0, done.stderr[-2_000:]
        assert picture.read_bytes().startswith(b"\x89PNG")
        assert picture.stat().st_size > 20_000, "an empty page compresses to less"
        missing = [name for name in names if f">{name}<" not in done.stdout]
        assert not missing, f"not on the page {path}: {missing}; look at {picture}"


def _book_of(stack: Stack, key: str) -> tuple[str, int]:
    """The content and the time of writing of a cell's book."""
    at = cell(key)
    path = stack.workspace.settings.paths.lake / Path(f"book/symbol={at.symbol}/date={at.day}/part.parquet")
    return stack.workspace.lake.info(BOOK, at.symbol, at.day).content_sha256, path.stat().st_mtime_ns


@contextmanager
def _serving(folder: Path) -> Iterator[Stack]:
    """Start the webserver and its daemon as `tidegate up` does, with everything they write below one folder."""
    with patch.dict(os.environ, _overrides(folder)):
        settings = prepare(None)
        page, _ = pages_of(settings.registry.tracking_uri, str(settings.registry.artifacts), _free_port(), 0)
        log = folder / "dagster.log"
        process = start(page, log)
        try:
            until(lambda: _is_up(page, process, log), _START_SECONDS, f"{page.url}; output in {log}")
            yield Stack(Webserver(page.url), _workspace(settings), log)
        finally:
            stop([process])


def _overrides(folder: Path) -> dict[str, str]:
    return {
        "PATHS_LAKE": str(folder / "lake"),
        "PATHS_VAR": str(folder / "var"),
        "REGISTRY_TRACKING_URI": f"sqlite:///{folder}/mlflow.db",
        "REGISTRY_ARTIFACTS": str(folder / "artifacts"),
        "REGISTRY_MIRROR": str(folder / "mirror"),
        "SOURCE_KIND": "simulator",
        "SIMULATOR_DEPTH_INTERVAL_MS": "10000",
        "SIMULATOR_GAP_SYMBOL": "BTCUSDT",
        "SIMULATOR_GAP_DAY": "2026-01-06",
        "MARKET_SYMBOLS": "BTCUSDT",
        "MARKET_FIRST_DAY": "2026-01-05",
        "MARKET_LAST_DAY": "2026-01-07",
        "SCHEDULE_AUTOMATIC": "false",
    }


def _workspace(settings: Settings) -> Workspace:
    return Workspace(settings, date(2026, 1, 8))


def _is_up(page: Page, process: subprocess.Popen[bytes], log: Path) -> bool | None:
    assert process.poll() is None, f"dagster dev ended with {process.returncode}: {log.read_text()[-2_000:]}"
    return True if answers(page) else None


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])

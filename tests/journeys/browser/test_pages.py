"""A person at the pages, from the first look to the last, on one small stack.

They look at the lineage and at the model's card, launch a day that turns out to have a hole, see the check that failed,
backfill that day, let the sensor ask for the one that is missing, and compare two versions in MLflow.
One test: whatever is looked at needs what came before it, and the stack costs more than all of it.
"""

import os
from pathlib import Path

import pytest
from playwright.sync_api import expect

from archive.layout import BOOK
from monitoring.panels import PANELS
from pipelines.definitions import GRID_ASSETS
from pipelines.gap_gate import damaged, wanting
from pipelines.ingestion import BACKFILL_TAG
from pipelines.partitions import cell
from tests.journeys.browser import dagster_pages, mlflow_pages
from tests.journeys.browser.chromium import Window, browser, opened
from tests.journeys.browser.stack import ABSENT, GAPPED, LEARNED, Stack, learned, served
from tests.journeys.waiting import until
from tests.journeys.warnings_of_ours import warnings_of_ours
from tests.tidegate.boards import board, series
from tidegate.board import Shown
from tidegate.drills.knobs import SYMBOL
from tidegate.snapshot import written

_GROUPS = ("ingest", "quality", "features", "labels", "training", "export", "monitor", "release", "live")
_JOB, _SENSOR = "ingest_job", "gap_sensor"
_HOLE, _NOT_THERE = f"{GAPPED}|{SYMBOL}", f"{ABSENT}|{SYMBOL}"
_WAIT_SECONDS = 240.0


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::dagster.BetaWarning")
def test_a_person_at_the_pages(tmp_path: Path, subtests: pytest.Subtests) -> None:
    """Everything is done by clicks, and what it did is asked of the server and of the lake."""
    pictures = Path(os.environ.get("TIDEGATE_PICTURES", tmp_path))
    browser()
    versions = learned(tmp_path / "stack")
    with served(tmp_path / "stack", versions) as stack, opened(pictures) as window:
        with subtests.test("lineage and card"):
            _lineage_with_pictures(window, stack)
        with subtests.test("a day with a hole"):
            _the_blocking_check_stops_the_run(window, stack)
        with subtests.test("backfill"):
            _a_hole_is_backfilled(window, stack)
        with subtests.test("sensor"):
            _the_sensor_asks_for_what_is_missing(window, stack)
        with subtests.test("versions"):
            _two_versions_compared(window, stack)
        with subtests.test("snapshot"):
            _snapshot_offline(window, tmp_path)
        assert window.foreign == [], "a page asked a host that is not this machine"
        assert warnings_of_ours((tmp_path / "stack" / "Dagster.log").read_text()) == []


def _lineage_with_pictures(window: Window, stack: Stack) -> None:
    url = stack.dagster.url
    dagster_pages.look_at_lineage(window, url, _GROUPS)
    window.keep("lineage")
    assert dagster_pages.open_picture(window, url, "model_card", "reliability") > 400
    window.keep("model-card")


def _the_blocking_check_stops_the_run(window: Window, stack: Stack) -> None:
    """The day with the hole is stored and reported, and nothing behind the check is made of it."""
    dagster_pages.materialize(window, stack.dagster.url, _JOB, GAPPED)
    dagster_pages.launch(window)
    (run_id,) = until(lambda: _runs_of(stack, _HOLE), _WAIT_SECONDS, f"a run of {_HOLE}")
    run = stack.ended(run_id)
    assert not run.succeeded
    assert run.failed_checks["no_damage"] == "ERROR"
    assert run.materialized == [("gap_report", _HOLE), ("market_data", _HOLE)]
    dagster_pages.look_at_failed_check(window, stack.dagster.url, "gap_report", "no_damage")
    window.keep("failed-check")


def _a_hole_is_backfilled(window: Window, stack: Stack) -> None:
    """The same day again, with the tag that asks its source anew."""
    dagster_pages.materialize(window, stack.dagster.url, _JOB, GAPPED, tag=(BACKFILL_TAG, "true"))
    window.keep("backfill")
    dagster_pages.launch(window)
    (run_id,) = until(lambda: _runs_of(stack, _HOLE, **{BACKFILL_TAG: "true"}), _WAIT_SECONDS, f"a backfill of {_HOLE}")
    run = stack.ended(run_id)
    assert run.succeeded, run.failures
    assert run.materialized == sorted((name, _HOLE) for name in GRID_ASSETS)
    assert {str(each.key) for each in damaged(stack.workspace, stack.workspace.all_cells)} == {_NOT_THERE}


def _the_sensor_asks_for_what_is_missing(window: Window, stack: Stack) -> None:
    """Switched on, it asks for the absent day and for no other; no sound day is written again."""
    sound = {day: _book_of(stack, day) for day in (*LEARNED, GAPPED)}
    assert {str(each.key) for each in wanting(stack.workspace)} == {_NOT_THERE}
    dagster_pages.switch_sensor_on(window, stack.dagster.url, _SENSOR)
    tick = until(lambda: stack.dagster.finished_tick(_SENSOR), _WAIT_SECONDS, f"a tick of {_SENSOR}")
    assert tick["status"] == "SUCCESS", tick["error"]
    (run_id,) = tick["runIds"]
    dagster_pages.look_at_tick(window, run_id)
    window.keep("sensor-tick")
    run = stack.ended(run_id)
    assert run.succeeded, run.failures
    assert run.materialized == sorted((name, _NOT_THERE) for name in GRID_ASSETS)
    assert wanting(stack.workspace) == {}
    assert {day: _book_of(stack, day) for day in sound} == sound, "a partition that was sound was written again"


def _two_versions_compared(window: Window, stack: Stack) -> None:
    mlflow_pages.close_assistant(window)
    mlflow_pages.look_at_model(window, stack.mlflow, stack.versions[0].name, ("active", "shadow"))
    window.keep("model-aliases")
    mlflow_pages.compare(window, stack.mlflow, stack.versions, "test_direction_auc")
    window.keep("versions-side-by-side")


def _snapshot_offline(window: Window, folder: Path) -> None:
    """Every panel has its heading and a chart with its limit; a click on a name leads to it."""
    shown = [Shown(panel, [series("", 0.1, 0.3, 0.2)]) for panel in PANELS]
    page = folder / "snapshot.html"
    written(board(*shown), page)
    window.page.goto(page.as_uri())
    for panel in PANELS:
        card = window.page.locator(f"article#{panel.id}")
        expect(card.get_by_role("heading", name=panel.title)).to_be_visible()
        expect(card.locator("svg").first).to_be_visible()


def _runs_of(stack: Stack, partition: str, **tags: str) -> list[str] | None:
    return stack.dagster.runs_with({"dagster/partition": partition, **tags}) or None


def _book_of(stack: Stack, day: str) -> tuple[str, int]:
    """The content and the time of writing of a day's book."""
    at = cell(f"{day}|{SYMBOL}")
    path = Path(stack.workspace.settings.paths.lake) / f"book/symbol={at.symbol}/date={at.day}/part.parquet"
    return stack.workspace.lake.info(BOOK, at.symbol, at.day).content_sha256, path.stat().st_mtime_ns

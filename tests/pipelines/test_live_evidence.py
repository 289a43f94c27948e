from collections.abc import Mapping
from pathlib import Path

import dagster as dg
import pytest

from config.sections import Schedule
from pipelines.definitions import build
from pipelines.live_evidence import hourly_schedule, live_outcomes, live_reports
from pipelines.live_rows import LiveTable
from tests.pipelines.days import Bench, bench
from tests.pipelines.live_tables import a_trade, judged, put, put_reports, report


@pytest.fixture
def workspace(tmp_path: Path) -> Bench:
    """A workspace whose lake holds nothing yet."""
    return bench(tmp_path)


def checks(result: dg.MaterializeResult) -> Mapping[str | None, bool]:
    """Which checks passed."""
    return {each.check_name: each.passed for each in result.check_results or ()}


def test_a_clean_record_passes_every_check_of_its_survey(workspace: Bench) -> None:
    """And is handed on with the hashes of its partitions."""
    put(workspace.lake, judged(100))
    put_reports(workspace.lake, *a_trade(4, order=1))
    judged_table = live_outcomes(dg.build_asset_context(), workspace)
    assert isinstance(judged_table.value, LiveTable)
    assert judged_table.value.rows == 100
    assert set(checks(judged_table).values()) == {True}
    told = live_reports(dg.build_asset_context(), workspace)
    assert set(checks(told).values()) == {True}
    assert (told.metadata or {})["round_trips"] == 1


def test_what_does_not_belong_together_fails_its_check(workspace: Bench) -> None:
    """A trade whose candidate was never scored, an order without an end."""
    put(workspace.lake, judged(10))
    trade = a_trade(500, order=1)
    put_reports(workspace.lake, *trade, report(400, "accepted", order=5), report(600, "dropped", order=6))
    assert checks(live_reports(dg.build_asset_context(), workspace)) == {
        "reports_readable": True, "reports_explained": False, "orders_ended": False
    }  # fmt: skip


def test_the_job_runs_on_a_lake_that_live_never_touched(workspace: Bench) -> None:
    """Every asset is made, every check passes, and says that there is nothing."""
    workspace.lake  # noqa: B018 - makes the root
    with dg.DagsterInstance.ephemeral() as instance:
        result = build(workspace).resolve_job_def("evidence_job").execute_in_process(instance=instance)
    assert result.success
    found = {each.check_name: each.passed for each in result.get_asset_check_evaluations()}
    assert len(found) == 12
    assert all(found.values())


def test_the_schedule_follows_the_switch_of_the_others() -> None:
    """One knob starts or stops what works by itself."""
    running, stopped = (hourly_schedule("evidence_job", Schedule(automatic=on)) for on in (True, False))
    assert running.default_status is dg.DefaultScheduleStatus.RUNNING
    assert stopped.default_status is dg.DefaultScheduleStatus.STOPPED

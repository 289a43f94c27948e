from pathlib import Path

import dagster as dg
import pytest

from pipelines.definitions import build
from pipelines.failure_sensor import failure_notice, failure_sensor
from tests.pipelines.days import bench
from tests.pipelines.test_notification import webhook


@pytest.mark.parametrize(("job", "told_of"), [("train_job", 1), ("release_alert_job", 0)])
def test_a_failed_run_is_told_unless_it_was_the_telling_that_failed(tmp_path: Path, job: str, told_of: int) -> None:
    """An alert that could not be told cannot be told a second time either."""
    with webhook() as (url, told), dg.DagsterInstance.ephemeral() as instance:
        workspace = bench(tmp_path, release={"notify": [url]})
        run = dg.DagsterRun(job_name=job, status=dg.DagsterRunStatus.FAILURE, tags={"tidegate/because": "drift"})
        event = dg.DagsterEvent(
            dg.DagsterEventType.RUN_FAILURE.value, job, message="step model failed: no rows"
        )  # fmt: skip
        context = dg.build_run_status_sensor_context(
            sensor_name="run_failure_sensor", dagster_event=event, dagster_instance=instance, dagster_run=run,
            resources={"workspace": workspace},
        ).for_run_failure()  # fmt: skip
        failure_sensor(workspace.settings)(context)
    assert [each["title"] for each in told] == ["train_job failed (drift)"] * told_of
    assert all("step model failed: no rows" in each["message"] for each in told)


def test_a_notice_is_short_whatever_the_error(tmp_path: Path) -> None:
    """Its page has the rest."""
    run = dg.DagsterRun(job_name="ingest_job", tags={"dagster/partition": "2026-01-05|BTCUSDT"})
    notice = failure_notice(run, "x" * 10_000)
    assert notice.title == "ingest_job failed (2026-01-05|BTCUSDT)"
    assert len(notice.text) < 1_000
    assert run.run_id in notice.text


def test_the_sensor_watches_every_job_and_starts_switched_on(tmp_path: Path) -> None:
    """Its name is the one that people look for."""
    (sensor,) = (each for each in build(bench(tmp_path)).sensors or () if each.name == "run_failure_sensor")
    assert isinstance(sensor, dg.SensorDefinition)
    assert sensor.default_status is dg.DefaultSensorStatus.RUNNING

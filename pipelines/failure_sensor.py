"""The sensor that tells people of runs that failed. Dagster itself shows them on its pages only."""

import dagster as dg

from config.settings import Settings
from pipelines.notification import Notice, notify
from pipelines.release_record import ALERT_JOB
from pipelines.sensor_beats import leave_heartbeat
from pipelines.workspace import Workspace

_LONGEST = 600


def failure_sensor(settings: Settings) -> dg.SensorDefinition:
    """Tell release.notify of every failed run of this code, but for those that could not tell it themselves."""

    def tell(context: dg.RunFailureSensorContext, workspace: dg.ResourceParam[Workspace]) -> None:
        run = context.dagster_run
        if run.job_name == ALERT_JOB.name:
            return
        notice = failure_notice(run, context.failure_event.message or "")
        untold = notify(workspace.settings.release.notify, notice, context.log.error)
        for why in untold:
            context.log.error("%s", why)
        leave_heartbeat("run_failure_sensor", "; ".join(untold) or notice.title, workspace, is_well=not untold)

    made: dg.SensorDefinition = dg.run_failure_sensor(
        name="run_failure_sensor",
        minimum_interval_seconds=settings.release.sensor_seconds - 1,  # as in release_sensors
        description="Tells release.notify of every run that failed.",
        default_status=dg.DefaultSensorStatus.RUNNING,
    )(tell)
    return made


def failure_notice(run: dg.DagsterRun, message: str) -> Notice:
    """What people are told of a failed run: its job, the cell it was about, and the first of what it said."""
    about = run.tags.get("dagster/partition") or run.tags.get("tidegate/move") or run.tags.get("tidegate/because")
    title = f"{run.job_name} failed" + (f" ({about})" if about else "")
    return Notice(title, f"run {run.run_id}: {message[:_LONGEST]}", "failure")

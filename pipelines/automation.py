"""What happens by the clock: the daily ingest of the day before."""

from collections.abc import Iterator
from datetime import date, datetime, timedelta

import dagster as dg

from config.sections import Market, Schedule
from pipelines.partitions import Cell


def daily_schedule(job: str, settings: Schedule, market: Market) -> dg.ScheduleDefinition:
    """Ingest the day before, every symbol, each day at the configured hour."""

    def ask(context: dg.ScheduleEvaluationContext) -> Iterator[dg.RunRequest]:
        yield from daily_requests(context.scheduled_execution_time, market.symbols, market.first_day)

    return dg.ScheduleDefinition(
        name="daily_ingest",
        job_name=job,
        cron_schedule=f"15 {settings.daily_hour} * * *",
        execution_timezone="UTC",
        execution_fn=ask,
        description="Ingests yesterday's partitions of every symbol; labels those of three days ago to their end.",
        default_status=dg.DefaultScheduleStatus.RUNNING if settings.automatic else dg.DefaultScheduleStatus.STOPPED,
    )


def daily_requests(at: datetime, symbols: tuple[str, ...], first_day: date) -> list[dg.RunRequest]:
    """Ingest the day before `at`, and label again the newest day whose next day is sure to be there by now.

    A day is first labelled before the next one exists, so its last horizon stays unresolved; two days later it need
    not be. Asking twice for one day starts nothing new.
    """
    yesterday = at.date() - timedelta(days=1)
    fresh = [str(Cell(yesterday, symbol).key) for symbol in symbols]
    requests = [dg.RunRequest(run_key=f"daily:{key}", partition_key=key) for key in fresh]
    if (complete := yesterday - timedelta(days=2)) >= first_day:
        labels = [dg.AssetKey("labels")]
        keys = [str(Cell(complete, symbol).key) for symbol in symbols]
        requests += [dg.RunRequest(run_key=f"labels:{k}", partition_key=k, asset_selection=labels) for k in keys]
    return requests

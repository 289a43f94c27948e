"""What happens without a person: the daily ingest, and the backfill of only what is missing or damaged.

The backfill sensor asks the gap scan, not Dagster's record of materializations: a partition that was materialized
with a hole in it is as wanting as one that never was.
"""

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from datetime import date, datetime, timedelta

import dagster as dg
import msgspec

from config.sections import Market, Schedule
from pipelines.gap_gate import wanting
from pipelines.ingestion import BACKFILL_TAG
from pipelines.partitions import RANGE_END, RANGE_START, Cell, cell
from pipelines.workspace import Workspace

MAX_ATTEMPTS = 3
"""Times a partition is asked for again while the scan finds the same damage; after that a person must look."""

_PARTITION = "dagster/partition"


class Attempts(msgspec.Struct, frozen=True):
    """How often a partition was asked for while in one and the same state."""

    state: str
    count: int


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


def backfill_sensor(job: str, settings: Schedule) -> dg.SensorDefinition:
    """Ask for the partitions that are missing, damaged or not yet turned into features and labels, and no others."""

    def look(context: dg.SensorEvaluationContext, workspace: dg.ResourceParam[Workspace]) -> dg.SensorResult:
        known = msgspec.json.decode(context.cursor or "{}", type=dict[str, Attempts])
        under_way = running(context.instance, workspace.all_cells)
        return plan_backfill(wanting(workspace), known, under_way, settings.backfill_max_partitions).result()

    return dg.SensorDefinition(
        name="backfill_missing",
        job_name=job,
        evaluation_fn=look,
        minimum_interval_seconds=settings.backfill_seconds,
        description="Backfills only the partitions that the gap scan finds missing or damaged.",
        default_status=dg.DefaultSensorStatus.RUNNING if settings.automatic else dg.DefaultSensorStatus.STOPPED,
    )


class BackfillPlan(msgspec.Struct, frozen=True):
    """What one look of the sensor decided; `exhausted` are the partitions that a person must look at."""

    asked: list[str]
    attempts: dict[str, Attempts]
    exhausted: list[str]
    waiting: int

    def result(self) -> dg.SensorResult:
        """The plan in Dagster's terms; the cursor carries the attempts, so a restart forgets none."""
        requests = [
            dg.RunRequest(
                run_key=f"backfill:{key}:{self.attempts[key].state}:{self.attempts[key].count}",
                partition_key=key,
                tags={BACKFILL_TAG: "true"},
            )
            for key in self.asked
        ]
        return dg.SensorResult(
            run_requests=requests,
            skip_reason=None if requests else dg.SkipReason(self._why_nothing()),
            cursor=msgspec.json.encode(self.attempts).decode(),
        )

    def _why_nothing(self) -> str:
        if self.exhausted:
            return (
                f"{len(self.exhausted)} partitions are still damaged after {MAX_ATTEMPTS} backfills, the first is "
                f"{self.exhausted[0]}; mend the source and materialize them by hand"
            )
        return f"{self.waiting} backfills are under way" if self.waiting else "no partition is missing or damaged"


def plan_backfill(
    wanted: Mapping[Cell, str], known: Mapping[str, Attempts], under_way: set[str], most: int
) -> BackfillPlan:
    """Choose which partitions to ask for now.

    Args:
        wanted: what is wrong with each wanting cell, in words; the same words mean the same state.
        known: the attempts so far; those of cells that are no longer wanting are forgotten.
        under_way: partition keys whose ingest runs now.
        most: most partitions asked for in one look.
    """
    asked: list[str] = []
    attempts: dict[str, Attempts] = {}
    exhausted: list[str] = []
    for each, why in sorted(wanted.items()):
        key, state = str(each.key), hashlib.sha256(why.encode()).hexdigest()[:12]
        before = known.get(key)
        count = before.count if before and before.state == state else 0
        if key not in under_way and count >= MAX_ATTEMPTS:
            exhausted.append(key)
        elif key not in under_way and len(asked) < most:
            asked.append(key)
            count += 1
        attempts[key] = Attempts(state, count)
    return BackfillPlan(asked, attempts, exhausted, len(under_way & set(attempts)))


def running(instance: dg.DagsterInstance, cells: Iterable[Cell]) -> set[str]:
    """Keys of the cells that an unfinished run is working on, alone or among a range of days and symbols."""
    unfinished = [
        dg.DagsterRunStatus.QUEUED, dg.DagsterRunStatus.NOT_STARTED, dg.DagsterRunStatus.STARTING,
        dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.CANCELING,
    ]  # fmt: skip
    runs = instance.get_runs(dg.RunsFilter(statuses=unfinished))
    corners = [found for run in runs if (found := _corners(run.tags))]
    return {
        str(each.key)
        for each in cells
        for first, last in corners
        if first.day <= each.day <= last.day and first.symbol <= each.symbol <= last.symbol
    }


def _corners(tags: Mapping[str, str]) -> tuple[Cell, Cell] | None:
    """The first and last cell of a run; none when it has no partition."""
    first, last = (tags.get(name, tags.get(_PARTITION)) for name in (RANGE_START, RANGE_END))
    return (cell(first), cell(last)) if first and last else None

"""The sensors that start work on the data: backfills of what is missing or damaged, and trainings.

The gap sensor asks the gap scan, not Dagster's record of materializations: a partition that was materialized with a
hole in it is as wanting as one that never was. Once nothing is wanting any more, it trains on what was filled. The
drift sensor trains when the features no longer lie as those of the active version did.
"""

import hashlib
from collections.abc import Iterable, Mapping
from datetime import date
from typing import TYPE_CHECKING

import dagster as dg
import msgspec

from archive.layout import LABELS
from bus.errors import BusError
from bus.messages import Verdict
from config.sections import Schedule
from config.settings import Settings
from pipelines.gap_gate import wanting
from pipelines.gap_notices import gap_notices
from pipelines.ingestion import BACKFILL_TAG
from pipelines.notification import notify
from pipelines.partitions import RANGE_END, RANGE_START, Cell, cell
from pipelines.registrar import hear, open_streams
from pipelines.sensor_beats import leave_heartbeat
from pipelines.workspace import Workspace

if TYPE_CHECKING:  # Dagster has no public name for it
    from dagster._core.definitions.unresolved_asset_job_definition import UnresolvedAssetJobDefinition as AssetJob

MAX_ATTEMPTS = 3
"""Times a partition is asked for again while the scan finds the same damage; after that a person must look."""
DRIFT_REASONS = ("psi_feature", "ks_feature")
BECAUSE_TAG = "tidegate/because"

_PARTITION = "dagster/partition"
_UNFINISHED = [
    dg.DagsterRunStatus.QUEUED, dg.DagsterRunStatus.NOT_STARTED, dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.CANCELING,
]  # fmt: skip


class Attempts(msgspec.Struct, frozen=True):
    """How often a partition was asked for while in one and the same state."""

    state: str
    count: int


class GapCursor(msgspec.Struct, frozen=True):
    """What the gap sensor knows: the attempts at cells that are wanting, the cells that were filled since the last
    training it asked for, and how many trainings that were."""

    attempts: dict[str, Attempts] = {}
    filled: tuple[str, ...] = ()
    trainings: int = 0


def gap_sensor(ingest: "AssetJob", train: "AssetJob", settings: Settings) -> dg.SensorDefinition:
    """Ask for the partitions that are missing, damaged or not yet turned into features and labels, and no others."""
    schedule = settings.schedule

    def look(context: dg.SensorEvaluationContext, workspace: dg.ResourceParam[Workspace]) -> dg.SensorResult:
        before = msgspec.json.decode(context.cursor or "{}", type=GapCursor)
        under_way = running(context.instance, workspace.all_cells)
        wanted = wanting(workspace)
        plan = plan_backfill(wanted, before.attempts, under_way, schedule.backfill_max_partitions)
        result = plan_training(plan, before, train.name).result(ingest.name)
        text = str(result.skip_reason.skip_message) if result.skip_reason else f"{len(result.run_requests or ())} runs"
        told = {key: each.count for key, each in before.attempts.items()}
        notices = gap_notices(told, wanted, plan.exhausted, MAX_ATTEMPTS)
        untold = [
            why for each in notices for why in notify(workspace.settings.release.notify, each, context.log.warning)
        ]
        for why in untold:
            context.log.error("%s", why)
        every = schedule.backfill_seconds
        leave_heartbeat("gap_sensor", text, workspace, is_well=not plan.exhausted, every_seconds=every)
        return result

    return dg.SensorDefinition(
        name="gap_sensor",
        jobs=[ingest, train],
        evaluation_fn=look,
        minimum_interval_seconds=schedule.backfill_seconds,
        description="Backfills only the partitions that the gap scan finds missing or damaged, then trains on them.",
        default_status=_status(schedule),
    )


def drift_sensor(train: "AssetJob", settings: Settings) -> dg.SensorDefinition:
    """Ask for a training while features of the active version are over their lines, once for each new day of labels."""

    def look(context: dg.SensorEvaluationContext, workspace: dg.ResourceParam[Workspace]) -> dg.SensorResult:
        cursor = context.cursor or ""
        try:
            with open_streams(workspace.settings) as bus:
                heard = hear(bus).get("active")
        except BusError as error:
            return dg.SensorResult(skip_reason=dg.SkipReason(f"the streams tell nothing: {error}"), cursor=cursor)
        trains = bool(context.instance.get_runs(dg.RunsFilter(job_name=train.name, statuses=_UNFINISHED), limit=1))
        days = [day for _, day in workspace.lake.partitions(LABELS)]
        request, text = plan_drift(heard.verdict if heard else None, max(days, default=None), trains, train.name)
        leave_heartbeat("drift_sensor", text, workspace, every_seconds=settings.schedule.backfill_seconds)
        return dg.SensorResult(
            run_requests=[request] if request else [],
            skip_reason=None if request else dg.SkipReason(text),
            cursor=heard.entry_id if heard else cursor,
        )

    return dg.SensorDefinition(
        name="drift_sensor",
        jobs=[train],
        evaluation_fn=look,
        minimum_interval_seconds=settings.schedule.backfill_seconds,
        description="Trains again when the features no longer lie as those that the active version learned from.",
        default_status=_status(settings.schedule),
    )


def plan_drift(
    active: Verdict | None, newest_day: date | None, trains: bool, job: str
) -> tuple[dg.RunRequest | None, str]:
    """Decide whether drift asks for a training now, and say why or why not.

    One run for the newest day of labels: drift that goes on starts nothing until there is more to learn from.
    """
    if active is None:
        return None, "risk has given no verdict on the active version yet"
    drifted = [each for each in (*active.breaches, *active.observed) if each.reason.startswith(DRIFT_REASONS)]
    if not drifted:
        return None, f"no feature of version {active.version} is over its line"
    text = f"version {active.version}: {'; '.join(each.text for each in drifted)}"
    if newest_day is None:
        return None, f"{text}; the lake holds no labels to train on"
    if trains:
        return None, f"{text}; a training is under way"
    return (
        dg.RunRequest(
            run_key=f"drift:{newest_day}", job_name=job,
            tags={BECAUSE_TAG: f"drift of {', '.join(each.reason for each in drifted)}"[:200]},
        ),
        text,
    )  # fmt: skip


class BackfillPlan(msgspec.Struct, frozen=True):
    """What one look at the gaps decided; `exhausted` are the partitions that a person must look at."""

    asked: list[str]
    attempts: dict[str, Attempts]
    exhausted: list[str]
    waiting: int


class GapPlan(msgspec.Struct, frozen=True):
    """A plan of backfills with what follows them; `training` is the run to ask for, once all gaps are closed."""

    backfill: BackfillPlan
    cursor: GapCursor
    training: dg.RunRequest | None

    def result(self, ingest: str) -> dg.SensorResult:
        """The plan in Dagster's terms; the cursor carries what is known, so a restart forgets none of it."""
        attempts = self.backfill.attempts
        requests = [
            dg.RunRequest(
                run_key=f"backfill:{key}:{attempts[key].state}:{attempts[key].count}",
                partition_key=key,
                tags={BACKFILL_TAG: "true"},
                job_name=ingest,
            )
            for key in self.backfill.asked
        ]
        requests += [self.training] if self.training else []
        return dg.SensorResult(
            run_requests=requests,
            skip_reason=None if requests else dg.SkipReason(self._why_nothing()),
            cursor=msgspec.json.encode(self.cursor).decode(),
        )

    def _why_nothing(self) -> str:
        plan = self.backfill
        if plan.exhausted:
            return (
                f"{len(plan.exhausted)} partitions are still damaged after {MAX_ATTEMPTS} backfills, the first is "
                f"{plan.exhausted[0]}; mend the source and materialize them by hand"
            )
        return f"{plan.waiting} backfills are under way" if plan.waiting else "no partition is missing or damaged"


def plan_training(plan: BackfillPlan, before: GapCursor, train: str) -> GapPlan:
    """Ask for a training once every cell that was backfilled since the last one is mended, and none is wanting.

    Damage that stays keeps the training back, since it would read the damaged cells.
    """
    filled = tuple(sorted({*before.filled, *(set(before.attempts) - set(plan.attempts))}))
    if plan.attempts or not filled:
        return GapPlan(plan, GapCursor(plan.attempts, filled, before.trainings), None)
    number = before.trainings + 1
    content = hashlib.sha256(" ".join(filled).encode()).hexdigest()[:12]
    request = dg.RunRequest(
        run_key=f"gaps:{number}:{content}", job_name=train, tags={BECAUSE_TAG: f"{len(filled)} partitions were filled"}
    )
    return GapPlan(plan, GapCursor({}, (), number), request)


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
            count = MAX_ATTEMPTS + 1  # given up: people are told once, of the step behind the last attempt
        elif key not in under_way and len(asked) < most:
            asked.append(key)
            count += 1
        attempts[key] = Attempts(state, count)
    return BackfillPlan(asked, attempts, exhausted, len(under_way & set(attempts)))


def running(instance: dg.DagsterInstance, cells: Iterable[Cell]) -> set[str]:
    """Keys of the cells that an unfinished run is working on, alone or among a range of days and symbols."""
    runs = instance.get_runs(dg.RunsFilter(statuses=_UNFINISHED))
    corners = [found for run in runs if (found := _corners(run.tags))]
    return {
        str(each.key)
        for each in cells
        for first, last in corners
        if first.day <= each.day <= last.day and first.symbol <= each.symbol <= last.symbol
    }


def _status(schedule: Schedule) -> dg.DefaultSensorStatus:
    return dg.DefaultSensorStatus.RUNNING if schedule.automatic else dg.DefaultSensorStatus.STOPPED


def _corners(tags: Mapping[str, str]) -> tuple[Cell, Cell] | None:
    """The first and last cell of a run; none when it has no partition."""
    first, last = (tags.get(name, tags.get(_PARTITION)) for name in (RANGE_START, RANGE_END))
    return (cell(first), cell(last)) if first and last else None

"""The sensors that move versions: each look makes the moves that are due, and asks for a run that records each.

A cursor is the epoch of the last move that was recorded, never a time. So a record that could not be asked for is asked
for with the next look, and one that was is not asked for again: its run key is the move's own.
"""

from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any

import dagster as dg
import msgspec

from config.settings import Settings
from monitoring.runbook import link_of
from pipelines.registrar import open_registrar
from pipelines.release_record import ALERT_JOB, EPOCH_TAG, MOVE_JOB
from pipelines.release_rounds import Alert, Looked, Round, promotion_round, registry_round, rollback_round
from pipelines.sensor_beats import leave_heartbeat
from pipelines.workspace import Workspace
from registry.errors import JournalBroken, ManifestError, RegistryError
from registry.journal import HeadReader, Intent

MOST_RECORDS = 5
"""Records asked for in one look, oldest first; a sensor that has never looked begins so many moves back."""
Now = Callable[[], datetime]


class Cursor(msgspec.Struct, frozen=True):
    """Where a sensor stands: the newest epoch whose record it has asked for, and the alert that its last look saw."""

    epoch: int = -1
    seen: str = ""


def release_sensors(settings: Settings) -> list[dg.SensorDefinition]:
    """The sensors that promote, roll back, and keep the registry in step."""
    made = {
        "promotion_sensor": (promotion_round, "Takes candidates in and promotes what passed."),
        "rollback_sensor": (rollback_round, "Withdraws what risk found bad, within seconds."),
        "registry_sensor": (
            registry_round, "Finishes broken-off moves, catches MLflow up, finds what was moved past tidegate."
        ),
    }  # fmt: skip
    return [_sensor(name, look, text, settings) for name, (look, text) in made.items()]


def _sensor(name: str, look: Round, description: str, settings: Settings) -> dg.SensorDefinition:
    def evaluate(context: dg.SensorEvaluationContext, workspace: dg.ResourceParam[Workspace]) -> dg.SensorResult:
        before = msgspec.json.decode(context.cursor, type=Cursor) if context.cursor else Cursor()
        looked, moves = _look(name, look, workspace.settings, workspace.now)
        requests, after = plan_records(name, moves, before, looked.alert)
        every = settings.release.sensor_seconds
        leave_heartbeat(name, looked.text, workspace, is_well=looked.is_well, every_seconds=every)
        context.log.info("%s", looked.text)
        return dg.SensorResult(
            run_requests=requests,
            skip_reason=None if requests else dg.SkipReason(looked.text),
            cursor=msgspec.json.encode(after).decode(),
        )

    return dg.SensorDefinition(
        name=name,
        jobs=[MOVE_JOB, ALERT_JOB],
        evaluation_fn=evaluate,
        # Dagster's round takes five seconds, and a tick begins a little behind its round: to ask for the whole interval
        # would let every other round pass (measured: ten seconds between two ticks).
        minimum_interval_seconds=settings.release.sensor_seconds - 1,
        description=f"{description} Every move leaves a run of {MOVE_JOB.name}.",
        # The switch of a sensor in Dagster's page is not kept for ever: release.auto_* say what it may do.
        default_status=dg.DefaultSensorStatus.RUNNING,
    )


def _look(name: str, look: Round, settings: Settings, now: Now) -> tuple[Looked, list[Intent]]:
    """One look and the committed moves behind it; what is broken or away is the look's text."""
    reader = HeadReader(settings.registry.mirror)
    try:
        with open_registrar(settings, now) as registrar:
            looked = look(registrar, settings, now)
    except JournalBroken as broken:
        alert = Alert(f"journal-{broken.line}", "the registry's journal was changed", str(broken), "external_move")
        return Looked(f"nothing is moved: {broken}", is_well=False, alert=alert), []
    except RegistryError as error:
        looked = Looked(f"not done: {error}", is_well=False)
    try:
        return looked, [intent for intent in reader.folded().moves.values() if recorded_by(intent) == name]
    except (JournalBroken, ManifestError) as error:
        return Looked(f"{looked.text}; the journal cannot be read: {error}", is_well=False, alert=looked.alert), []


def recorded_by(intent: Intent) -> str:
    """The sensor that records a move: who made it, registry_sensor for what people did.

    A pipeline's moves are recorded by the pipeline's own run.
    """
    kind, _, name = intent.by.partition(":")
    if kind == "pipeline":
        return ""
    return name if kind == "sensor" and name in ("promotion_sensor", "rollback_sensor") else "registry_sensor"


def plan_records(
    sensor: str, moves: Iterable[Intent], before: Cursor, alert: Alert | None
) -> tuple[list[dg.RunRequest], Cursor]:
    """The runs to ask for: a record of each move behind the cursor, and an alert that this look and the last one saw.

    A cursor beyond the newest move belongs to another journal: the records begin anew then.
    """
    known = sorted(moves, key=lambda intent: intent.epoch)
    newest = known[-1].epoch if known else 0
    behind = before.epoch
    if behind < 0 or behind > newest > 0:
        behind = known[-MOST_RECORDS - 1].epoch if len(known) > MOST_RECORDS else 0
    due = [intent for intent in known if intent.epoch > behind][:MOST_RECORDS]
    requests = [_record(intent) for intent in due]
    if alert and alert.key == before.seen:
        requests.append(_alarm(sensor, alert))
    return requests, Cursor(due[-1].epoch if due else behind, alert.key if alert else "")


def _record(intent: Intent) -> dg.RunRequest:
    config: dict[str, Any] = {"ops": {"release_move": {"config": {"tx": intent.tx}}}}
    tags = {
        "tidegate/move": intent.transition,
        "tidegate/version": str(intent.version or "-"),
        "tidegate/by": intent.by,
        "tidegate/reason": intent.reason[:200],
        EPOCH_TAG: str(intent.epoch),
    }
    return dg.RunRequest(
        run_key=f"move:{intent.epoch}:{intent.tx}", run_config=config, tags=tags, job_name=MOVE_JOB.name
    )


def _alarm(sensor: str, alert: Alert) -> dg.RunRequest:
    told = {"title": alert.title, "text": alert.text, "runbook": link_of(alert.reason)}
    config: dict[str, Any] = {"ops": {"release_alert": {"config": told}}}
    tags = {"tidegate/alert": alert.title}
    return dg.RunRequest(run_key=f"alert:{sensor}:{alert.key}", run_config=config, tags=tags, job_name=ALERT_JOB.name)

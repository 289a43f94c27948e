"""One look of each release sensor, without Dagster: what was heard, which move was made, what a person should know.

The move is made here, in the look itself, since a run takes a quarter of a minute to start; the run that follows is its
record. Whatever is away is said within seconds, and tried again with the next look.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any, assert_never

import msgspec

from bus.errors import BusError
from bus.heartbeats import Heartbeat, read
from bus.messages import Trial
from bus.streams import VERDICTS
from config.settings import Settings
from pipelines.registrar import Heard, hear, nanoseconds, open_streams
from pipelines.release_policy import Due, Standstill, due_promotion, due_withdrawal, silence
from registry.errors import EpochConflict, MoveRefused, RegistryError
from registry.states import Actor, Head, Subject

if TYPE_CHECKING:  # brings onnxruntime, which loading the sensors does not need
    from registry.promotion import Moved, Registrar, ScorerView

SCORER = "ai_scorer"
_MOST_WITHDRAWALS = 3


@dataclass(frozen=True, slots=True)
class Alert:
    """Something a person must know, told once for each `key`, when two looks in a row have seen it.

    `reason` finds the section of the runbook.
    """

    key: str
    title: str
    text: str
    reason: str


@dataclass(frozen=True, slots=True)
class Looked:
    """What came of a look; `text` is what its tick shows. Not well: something it needs is away or refused."""

    text: str
    is_well: bool = True
    alert: Alert | None = None


Round = Callable[["Registrar", Settings, Callable[[], datetime]], Looked]


@dataclass(frozen=True, slots=True)
class Evidence:
    """What the bus tells of the live side. `problem` says why it tells nothing; everything is empty then."""

    said: Mapping[Trial, Heard]
    beats: Mapping[str, Heartbeat]
    problem: str = ""

    @property
    def newest(self) -> str:
        """The id of the newest verdict: what was heard before a silence."""
        return max((heard.entry_id for heard in self.said.values()), default="nothing")


def gather(settings: Settings) -> Evidence:
    """Ask the bus what risk said and who is alive; waits for a server a second or two at most."""
    try:
        with open_streams(settings) as bus:
            return Evidence(hear(bus), read(bus))
    except BusError as error:
        return Evidence({}, {}, f"the streams tell nothing: {error}")


def rollback_round(registrar: "Registrar", settings: Settings, now: Callable[[], datetime]) -> Looked:
    """Make every withdrawal that is due."""
    evidence = gather(settings)
    made: list[str] = []
    refused: dict[str, Looked] = {}
    for _ in range(_MOST_WITHDRAWALS):
        due = due_withdrawal(registrar.head(), evidence.said, settings.release, now(), refused)
        if isinstance(due, Standstill):
            break
        looked = _ask(registrar, due, Actor("sensor", "rollback_sensor"))
        if looked.is_well:
            made.append(looked.text)
        else:
            refused[due.tx] = looked
    if refused:
        worst = next(iter(refused.values()))
        return replace(worst, text="; ".join([*made, *(each.text for each in refused.values())]))
    if made:
        return Looked("; ".join(made))
    return Looked(evidence.problem or due.text, is_well=not evidence.problem)


def promotion_round(registrar: "Registrar", settings: Settings, now: Callable[[], datetime]) -> Looked:
    """Make the promotion that is due, unless the live side is silent: stale evidence is no health."""
    head, evidence = registrar.head(), gather(settings)
    missing = evidence.problem or silence(head, evidence.said, evidence.beats, settings.release, now())
    if missing:
        return Looked(
            f"no promotion without evidence: {missing}", is_well=False, alert=_silent(head, evidence, missing)
        )
    due = due_promotion(head, evidence.said, settings.release, settings.rollout.canary_fraction, now())
    if isinstance(due, Standstill):
        return Looked(due.text)
    return _ask(registrar, due, Actor("sensor", "promotion_sensor"))


def registry_round(registrar: "Registrar", settings: Settings, now: Callable[[], datetime]) -> Looked:
    """Finish what a crash left, catch up with what was away, and find what was moved past tidegate."""
    recovered = registrar.recover()
    if registrar.head().epoch == 0:
        return Looked("no version was ever moved: train a model")  # MLflow's database may not be there yet
    found = registrar.reconcile(scorers(gather(settings).beats, nanoseconds(now())))
    told = [f"finished {_sentence(recovered)}"] if recovered else []
    told += [f"caught up: {', '.join(found.settled)}"] if found.settled else []
    told += [_sentence(found.moved)] if found.moved else []
    told += list(found.divergences)
    text = "; ".join(told) or f"journal, mirror, MLflow and scorers agree at epoch {found.head.epoch}"
    alert = None
    if found.divergences:
        key = f"divergence-{found.head.epoch}"
        alert = Alert(key, "the registry diverges", "; ".join(found.divergences), "external_move")
    return Looked(text, is_well=not found.divergences, alert=alert)


def scorers(beats: Mapping[str, Heartbeat], now_ns: int) -> dict[str, "ScorerView"]:
    """What each scorer says it scores with, by its heartbeat; one that says nothing of its models is left out."""
    from registry.promotion import ScorerView

    views = {}
    for name, beat in beats.items():
        models, rollout = beat.status.get("models"), beat.status.get("rollout")
        if name == SCORER and beat.state == "running" and isinstance(models, dict) and isinstance(rollout, dict):
            views[name] = ScorerView(
                _version(models.get("active")), _version(models.get("shadow")), int(rollout.get("epoch", 0)),
                (now_ns - beat.at_ns) / 1e9,
            )  # fmt: skip
    return views


def perform(registrar: "Registrar", due: Due, by: Actor) -> "Moved":
    """Ask the registrar for a move; what it raises is Registrar's."""
    evidence, epoch = evidence_of(due.heard), due.expect_epoch
    match due.verb:
        case "shadow" | "canary" | "active":
            return registrar.promote(
                due.version, due.verb, by, due.text, evidence or None, expect_epoch=epoch, tx=due.tx
            )
        case "ramp":
            assert due.fraction is not None  # noqa: S101 - due_promotion gives every ramp its share
            return registrar.ramp(due.fraction, by, due.text, evidence, expect_epoch=epoch, tx=due.tx)
        case "rollback":
            subject: Subject = "active" if due.heard and due.heard.verdict.trial == "active" else "canary"
            return registrar.rollback(
                by, due.reason, due.text, evidence, subject=subject, version=due.version, expect_epoch=epoch, tx=due.tx
            )  # fmt: skip
        case "inconclusive":
            return registrar.inconclusive(by, due.text, evidence, expect_epoch=epoch, tx=due.tx)
        case "reject":
            return registrar.reject(due.version, by, due.text, evidence, expect_epoch=epoch, tx=due.tx)
        case "archive":
            return registrar.archive(due.version, by, due.text, expect_epoch=epoch, tx=due.tx)
        case unknown:
            assert_never(unknown)


def evidence_of(heard: Heard | None) -> dict[str, Any]:
    """A verdict as the evidence file keeps it, with the entry of the stream it was read from."""
    if heard is None:
        return {}
    verdict = {name: getattr(heard.verdict, name) for name in heard.verdict.__struct_fields__}
    for name in ("breaches", "observed"):
        verdict[name] = [{field: getattr(each, field) for field in each.__struct_fields__} for each in verdict[name]]
    return {**dict(msgspec.to_builtins(verdict)), "stream": VERDICTS, "entry": heard.entry_id}


def _ask(registrar: "Registrar", due: Due, by: Actor) -> Looked:
    """Make a move; a refusal of the registrar, or something that is away, is said and not raised."""
    try:
        return Looked(_sentence(perform(registrar, due, by)))
    except EpochConflict as conflict:
        return Looked(f"somebody else moved first: {conflict}")
    except MoveRefused as refused:
        text = f"{due.verb} of version {due.version} is refused ({refused.code}): {refused}"
        is_down = due.verb in ("rollback", "reject", "inconclusive")
        title = f"version {due.version} cannot be withdrawn"
        alert = Alert(f"refused-{due.tx}-{refused.code}", title, text, due.reason) if is_down else None
        return Looked(text, is_well=not is_down, alert=alert)
    except RegistryError as error:
        return Looked(f"{due.verb} of version {due.version} was not made: {error}", is_well=False)


def _silent(head: Head, evidence: Evidence, missing: str) -> Alert | None:
    """One alert for each silence, and none while nothing is in the slots: then nobody is missed."""
    if head.slots.active is None and head.slots.shadow is None:
        return None
    return Alert(f"silent-{evidence.newest}", "the live side gives no evidence", missing, "stale_evidence")


def _sentence(moved: "Moved") -> str:
    late = [effect for effect, state in moved.effects.items() if state == "pending"]
    text = f"epoch {moved.epoch}: {moved.transition} ({moved.tx})"
    return f"{text}, {' and '.join(late)} to follow" if late else text


def _version(model: object) -> int | None:
    return int(model["version"]) if isinstance(model, dict) and model.get("version") else None

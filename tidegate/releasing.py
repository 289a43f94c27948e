"""Moves that an operator makes: promote, roll back, take the rollout away or give it back. What will stand is shown
first, then asked for, then made by the registrar; its refusals are one line and exit status 1.

scripts/promote_model.py and scripts/release.sh are thin doors to the same functions.
"""

import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, assert_never

import msgspec
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from bus.messages import Trial
from config.settings import Settings
from registry.errors import EpochConflict, RegistryError
from registry.promotion import Moved, Registrar
from registry.rollout import RolloutState
from registry.states import Actor, Head, Plan, Refusal, Request, Subject
from tidegate.versions import Meant, Versions

Verb = Literal["candidate", "shadow", "canary", "active", "rollback", "enable", "disable"]
Ask = Callable[[str], str]
"""Shows a question and returns the line typed, empty where nobody is there to type."""

_TRIALS: dict[Verb, Trial] = {"canary": "shadow", "active": "canary"}
"""The trial that a promotion rests on."""
OPERATOR = "operator"
"""The label of rollback_total under which a person's withdrawals are counted."""
_SET_ASIDE = ("archived", "rolled_back", "quarantined")
_NAMES_NONE = ("rollback", "enable", "disable")
"""Verbs of what runs, whatever version it is."""


@dataclass(frozen=True, slots=True)
class Order:
    """What an operator asks for. `which` is a version's number, id or slot; `subject` says what is rolled back."""

    verb: Verb
    by: str
    reason: str
    which: str = ""
    force: bool = False
    subject: Subject | None = None

    @property
    def actor(self) -> Actor:
        """Who it is in the journal."""
        return Actor("human", self.by)


def run(settings: Settings, order: Order, *, is_sure: bool, ask: Ask | None = None, bus_url: str = "") -> int:
    """Show what an order would change, ask unless `is_sure`, and make the move; 0 when it was made, 1 when refused."""
    from pipelines.registrar import open_registrar, open_store

    console = Console(highlight=False)
    versions = Versions(Path(settings.registry.mirror), lambda: open_store(settings))
    try:
        with open_registrar(settings, _now, bus_url) as registrar:
            head = registrar.head()
            meant = None if order.verb in _NAMES_NONE else versions.meant(order.which)
            seen = entered(head, order, meant)
            asked = request_of(order, meant, seen)
            plan = registrar.weigh(replace(asked, evidence=asked.evidence or _evidence(settings, order, bus_url)), seen)
            if isinstance(plan, Refusal):
                return refuse(plan.text)
            console.print(diff(head, plan, _label(versions), seen.epoch + 1, _now()))
            if not is_sure and not _agreed(console, settings, order, meant, ask or typed):
                return refuse("nothing was moved: not confirmed (--yes confirms)")
            moved = perform(registrar, order, meant, head, _evidence(settings, order, bus_url))
    except RegistryError as error:
        return refuse(str(error))
    for line in told(moved):
        console.print(line, soft_wrap=True)
    return 0


def release(settings: Settings, which: str, by: str, reason: str, *, disable_rollout: bool, bus_url: str = "") -> int:
    """Bring a version into the shadow slot and, where the evidence is there already, make it the canary.

    Where it is not, the version stays in shadow, and the sensor, or a person, takes it on from there. With
    `disable_rollout` there is no canary: the rollout is taken away. Returns 0, or 1 when a move was refused.
    """
    from pipelines.registrar import open_registrar, open_store

    versions = Versions(Path(settings.registry.mirror), lambda: open_store(settings))
    try:
        number = versions.meant(which).number
        with open_registrar(settings, _now, bus_url) as registrar:
            head = registrar.head()
    except RegistryError as error:
        return refuse(str(error))
    stands = number in (head.slots.active, head.slots.shadow)
    print(f"version {number} is {head.states.get(number, 'not entered yet')}")
    steps: list[Verb] = [] if stands else ["shadow"]
    if disable_rollout:
        steps += [] if head.rollout is not None and head.rollout.mode == "disabled" else ["disable"]
    elif number not in (head.slots.active, head.canary):
        steps += ["canary"]
    for verb in steps:
        code = run(settings, Order(verb, by, reason, "" if verb == "disable" else which), is_sure=True, bus_url=bus_url)
        if code and verb == "canary":
            print(f"it stays in shadow; {_onward(settings)}")
        elif code:
            return code
    return 0


def request_of(order: Order, meant: Meant | None, head: Head) -> Request:
    """The order as the guards know it. A version that was active before becomes active again by a rollback."""
    number = meant.number if meant else None
    common: dict[str, Any] = {"by": order.actor, "reason": OPERATOR, "text": order.reason, "force": order.force}
    match order.verb:
        case "rollback":
            return Request("rollback", number, **common, subject=order.subject)
        case "active" if number in head.active_history and head.states.get(number) in _SET_ASIDE:
            return Request("rollback", None, **common, subject="active", target=number)
        case "candidate":
            is_known = number in head.states
            return Request("reinstate" if is_known else "candidate", number, **common, evidence=_said(order))
        case "shadow" | "canary" | "active" | "enable" | "disable":
            return Request(order.verb, number, **common)
    assert_never(order.verb)


def entered(head: Head, order: Order, meant: Meant | None) -> Head:
    """The head as a version finds it that the registry knows and no move has entered yet: it is entered first."""
    if meant is None or meant.number in head.states or order.verb not in ("shadow", "active"):
        return head
    return msgspec.structs.replace(head, epoch=head.epoch + 1, states=head.states | {meant.number: "candidate"})


def perform(
    registrar: Registrar, order: Order, meant: Meant | None, head: Head, evidence: dict[str, Any] | None
) -> Moved:
    """Have the move made from where the operator saw the registry; raises what Registrar's moves raise."""
    by, why, epoch = order.actor, order.reason, head.epoch
    match order.verb:
        case "rollback":
            return registrar.rollback(by, OPERATOR, why, evidence, subject=order.subject, expect_epoch=epoch)
        case "enable":
            return registrar.enable_rollout(by, why, evidence, force=order.force, expect_epoch=epoch)
        case "disable":
            return registrar.disable_rollout(by, why, expect_epoch=epoch)
    assert meant is not None, "the command line asks for a version"  # noqa: S101
    number = meant.number
    if order.verb == "candidate":
        if number in head.states:
            return registrar.reinstate(number, by, why, _said(order), expect_epoch=epoch)
        return registrar.enter(number, by, why)
    if number not in head.states and order.verb in ("shadow", "active"):
        found = registrar.enter(number, by, f"entered on the way to {order.verb}: {why}").epoch
        if found != epoch + 1:
            raise EpochConflict(f"the registry went on from epoch {epoch} to {found}: somebody moved first; look again")
        epoch = found
    return registrar.promote(number, order.verb, by, why, evidence, force=order.force, expect_epoch=epoch)


def diff(head: Head, plan: Plan, label: Callable[[int | None], str], epoch: int, now: datetime) -> Table:
    """What stands, and what will in an epoch: slots, states and the rollout, one line for each that changes."""
    table = Table("", f"epoch {head.epoch}", f"epoch {epoch}", title_justify="left")
    for name, before, after in _changes(head, plan, label, now):
        table.add_row(name, escape(before), f"[bold]{escape(after)}[/]")
    return table


def told(moved: Moved) -> Iterator[str]:
    """What came of a move, in lines."""
    again = " (it was made before)" if moved.was_known else ""
    yield f"[green]epoch {moved.epoch}[/]: {moved.transition}{again}, tx {moved.tx}"
    if moved.effects.get("mlflow") == "pending":
        yield "MLflow does not answer: live trades by the new state already, aliases and tags follow when it is back"
    if moved.effects.get("announce") == "pending":
        yield "the streams do not answer: the event follows when they are back"
    yield "why, and by whom: python -m tidegate audit log"


def refuse(text: str) -> int:
    """Say on one line why not; the exit status of a refusal."""
    print(f"refused: {' '.join(text.split())}", file=sys.stderr)
    return 1


def typed(question: str) -> str:
    """A line from the terminal."""
    try:
        return input(question).strip()
    except EOFError:
        return ""


def _changes(
    head: Head, plan: Plan, label: Callable[[int | None], str], now: datetime
) -> Iterator[tuple[str, str, str]]:
    after = plan.after
    for slot in ("active", "previous", "shadow"):
        was, will = getattr(head.slots, slot), getattr(after.slots, slot)
        if was != will:
            yield slot, label(was), label(will)
    if head.canary != after.canary:
        yield "canary", label(head.canary), label(after.canary)
    if head.rollout != after.rollout:
        yield "rollout", _rollout(head.rollout, now), _rollout(after.rollout, now)
    for version, state in sorted(plan.states.items()):
        yield f"version {version}", head.states.get(version, "not entered yet"), state


def _rollout(state: RolloutState | None, now: datetime) -> str:
    if state is None:
        return "as configured"
    share = f" {state.canary_fraction:.0%}" if state.mode == "canary" else ""
    ends = state.cooldown_until
    until = f", no promotion until {ends:%H:%M:%S} UTC" if ends and now < ends else ""
    return f"{state.mode}{share}{until}"


def _label(versions: Versions) -> Callable[[int | None], str]:
    def label(number: int | None) -> str:
        if number is None:
            return "none"
        try:
            return str(versions.meant(str(number)))
        except RegistryError:
            return f"version {number}"

    return label


def _onward(settings: Settings) -> str:
    """How a version in shadow comes to be the canary."""
    if settings.release.auto_canary:
        return "promotion_sensor takes it on when the evidence is there"
    return "a person takes it on when the evidence is there (release.auto_canary is off)"


def _agreed(console: Console, settings: Settings, order: Order, meant: Meant | None, ask: Ask) -> bool:
    """Ask: y on paper; where real orders are sent, the model's id, or the verb where no version is named."""
    if settings.exchange.mode != "real":
        return ask("go on? [y/N] ").lower() in ("y", "yes")
    console.print("[bold red]exchange.mode is real: what moves here decides on real orders[/]")
    word = meant.model_id if meant else order.verb
    return ask(f"type {word} to go on: ") == word


def _evidence(settings: Settings, order: Order, bus_url: str) -> dict[str, Any] | None:
    """What risk last said of the trial that a promotion rests on; None where nothing is to be had, or wanted."""
    from bus.errors import BusError
    from pipelines.registrar import hear, open_streams
    from pipelines.release_rounds import evidence_of

    trial = _TRIALS.get(order.verb)
    if trial is None:
        return None
    try:
        with open_streams(settings, bus_url) as bus:
            return evidence_of(hear(bus).get(trial)) or None
    except BusError:
        return None  # the guards say what is wanted


def _said(order: Order) -> dict[str, Any]:
    """What stands for evidence when a person overrides a withdrawal: the same words do not do it twice."""
    return {"said": order.reason, "by": order.by}


def _now() -> datetime:
    return datetime.now(UTC)  # noqa: TID251 - an entry point owns the clock

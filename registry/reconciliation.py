"""Journal, mirror, MLflow and scorers held against each other: what is late is caught up with, what was moved past
tidegate is put back or taken over, and what differs is said."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from registry import rollout
from registry.effects import EPOCH_TAG, HEAD_TAG, is_ours
from registry.errors import ManifestError, MoveRefused
from registry.journal import Folded
from registry.manifest import Mirror
from registry.moves import Mover
from registry.slots import SLOTS
from registry.states import ALIASES, Actor, Effect, Head, Moved, Request, Slots

REASON = "external_move"
_BY = Actor("sensor", "registry")


@dataclass(frozen=True, slots=True)
class ScorerView:
    """What a scorer says it scores with: the version in a slot, and the epoch of the rollout it goes by."""

    active: int | None
    shadow: int | None
    rollout_epoch: int
    age_seconds: float


@dataclass(frozen=True, slots=True)
class Reconciliation:
    """What a look found. `divergences` are sentences, of what was mended on the spot too; none: all agree.

    `settled` names the effects that were caught up with, `moved` the adoption or reverting of an external move.
    """

    head: Head
    divergences: tuple[str, ...] = ()
    settled: tuple[Effect, ...] = ()
    moved: Moved | None = None


@dataclass(frozen=True, slots=True)
class _Seen:
    """What MLflow said, and the epoch the journal was at before it was asked."""

    epoch: int
    aliases: Mapping[str, int]
    tags: Mapping[str, str]
    problem: str = ""


def reconcile(mover: Mover, scorers: Mapping[str, ScorerView]) -> Reconciliation:
    """Take one look. MLflow is asked before the registry is held, so one that is away keeps nobody waiting."""
    seen = _see(mover)
    with mover.held() as folded:
        head = folded.head
        if head.epoch == 0:
            return Reconciliation(head)
        was_late = any(each.effect == "mlflow" for each in head.pending)
        settled = mover.settle(folded, with_mlflow=not seen.problem)
        found = [*_mirror(mover, folded)]
        is_current = not seen.problem and seen.epoch == head.epoch and not was_late
        if is_current:
            found += _tags(mover, folded, seen)
        elif seen.problem and was_late:
            found.append(f"MLflow has yet to hear of epoch {head.epoch}: {seen.problem}")
        is_external = is_current and seen.tags.get(EPOCH_TAG) == str(head.epoch)
    moved = None
    if is_external and (text := _moved_past(head, seen.aliases)):
        found.append(text)
        moved = _answer(mover, head, seen.aliases, text)
    head = mover.head
    return Reconciliation(head, (*found, *_scorers(head, scorers, mover.rules.evidence_seconds)), settled, moved)


def _see(mover: Mover) -> _Seen:
    epoch = mover.head.epoch
    try:
        return _Seen(epoch, mover.store.aliases(), mover.store.model_tags())
    except Exception as error:  # what MLflow and its database raise has no end
        return _Seen(epoch, {}, {}, str(error) or type(error).__name__)


def _moved_past(head: Head, aliases: Mapping[str, int]) -> str:
    """Say which alias names what no move gave it; nothing when all are as they should be."""
    differing = [
        f"alias {alias} names {_version(aliases.get(alias))}, the journal has {_version(head.aliases.get(alias))}"
        for alias in ALIASES
        if aliases.get(alias) != head.aliases.get(alias)
        and (alias in head.aliases or is_ours(head, alias, aliases[alias]))
    ]
    return f"moved past tidegate: {'; '.join(differing)}" if differing else ""


def _answer(mover: Mover, head: Head, aliases: Mapping[str, int], text: str) -> Moved | None:
    """Take the aliases over, or put them back, as release.external_moves says."""
    slots = Slots(active=aliases.get("active"), previous=aliases.get("previous"), shadow=aliases.get("shadow"))
    try:
        if mover.rules.external_moves == "adopt" and slots != head.slots:
            try:
                adopt = Request("adopt", slots.active, _BY, REASON, text, adopted=slots)
                return mover.move(adopt, expect_epoch=head.epoch)
            except MoveRefused as refused:
                text = f"{text}; not adopted: {refused.text}"
        return mover.move(Request("revert", aliases.get("active"), _BY, REASON, text), expect_epoch=head.epoch)
    except MoveRefused:
        return None  # somebody else moved meanwhile; the next look sees what came of it


def _mirror(mover: Mover, folded: Folded) -> list[str]:
    """Say how the mirror differs from the journal, and mend it."""
    head, mirror = folded.head, Mirror(mover.root)
    found = []
    try:
        manifest = mirror.manifest()
        if (manifest.epoch, manifest.head) != (head.epoch, head.hash):
            found.append(f"the mirror's manifest is at epoch {manifest.epoch}, the journal at {head.epoch}")
        if rollout.read(mover.root) != head.rollout:
            found.append(f"the mirror's {rollout.ROLLOUT_FILE} is not that of epoch {head.epoch}")
    except ManifestError as error:
        found.append(str(error))
    for slot in SLOTS:
        wanted, standing = getattr(head.slots, slot), _standing(mirror, slot)
        if standing != (wanted or 0) and (wanted is not None or head.slots.active is not None):
            found.append(f"the mirror's {slot} slot holds version {standing}, the journal has {_version(wanted)}")
    if found:
        try:
            mover.mend(folded)
        except MoveRefused as refused:
            found.append(refused.text)
    return found


def _standing(mirror: Mirror, slot: Literal["active", "shadow", "previous"]) -> int:
    """The version that a link of the mirror points at; 0 without one, -1 when it points nowhere."""
    try:
        folder = mirror.slot(slot)
    except ManifestError:
        return -1
    number = "0" if folder is None else folder.name.partition("-")[0].removeprefix("v")
    return int(number) if number.isdigit() else -1


def _tags(mover: Mover, folded: Folded, seen: _Seen) -> list[str]:
    """Say how MLflow's tags differ from the journal; a registry that was put back to an older day is told again."""
    head, line, epoch = folded.head, seen.tags.get(HEAD_TAG, ""), seen.tags.get(EPOCH_TAG, "none")
    if line and line not in folded.hashes:
        text = (
            f"MLflow names the line of the journal with hash {line[:16]}, which it does not hold: the journal was"
            " rewritten or cut, or MLflow is of another mirror; run `tidegate audit verify`"
        )
        return [text]
    if epoch == str(head.epoch):
        return []
    try:
        mover.tell(head, folded, set(head.states))
    except Exception as error:  # what MLflow and its database raise has no end
        return [f"MLflow is at epoch {epoch}, the journal at {head.epoch}, and cannot be told: {error}"]
    return [f"MLflow was at epoch {epoch}, the journal is at {head.epoch}: it was told again"]


def _scorers(head: Head, scorers: Mapping[str, ScorerView], patience: float) -> list[str]:
    """Say which scorer goes by something else; one that was not heard of lately says nothing."""
    found = []
    epoch = head.rollout.epoch if head.rollout else 0
    for name, view in scorers.items():
        if view.age_seconds > patience:
            continue
        for slot, scored in (("active", view.active), ("shadow", view.shadow)):
            wanted = getattr(head.slots, slot)
            if scored != wanted:
                found.append(f"{name} scores with {_version(scored)} as {slot}, the journal has {_version(wanted)}")
        if view.rollout_epoch != epoch:
            found.append(f"{name} goes by the rollout of epoch {view.rollout_epoch}, the journal has {epoch}")
    return found


def _version(number: int | None) -> str:
    return f"version {number}" if number else "none"

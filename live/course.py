"""What the mirror is to hold, and who says so.

Once a move of the registry was recorded, its head says it: read from the journal where that lies on this host, from the
tags of MLflow's registered model elsewhere. Aliases are for people to look at from then on: one that was moved by hand
is not followed, nor tags that are older than what was followed. Before the first move the aliases say it.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import msgspec

from registry.effects import EPOCH_TAG, ROLLOUT_TAG, SLOTS_TAG
from registry.errors import JournalBroken
from registry.files import locked
from registry.journal import HeadReader
from registry.moves import LOCK_FOLDER
from registry.rollout import RolloutState
from registry.slots import SLOTS, Slot
from registry.states import Slots

Source = Literal["journal", "tags", "aliases"]


@dataclass(frozen=True, slots=True)
class Course:
    """The version that each slot is to hold (none: empty), at an epoch of the registry (0: no move was recorded).

    `doubt` says why nothing is followed now: the mirror then stays as it is. `rollout` is what a registry on another
    host says of the canary's share.
    """

    source: Source
    epoch: int
    versions: Mapping[Slot, int] = field(default_factory=dict)
    rollout: RolloutState | None = None
    doubt: str = ""

    @property
    def said(self) -> str:
        """Who says it, and when: the beginning of a sentence that a version ends."""
        return "the alias names" if self.source == "aliases" else f"epoch {self.epoch} of the registry has"


def of_journal(reader: HeadReader) -> Course | None:
    """Say what to follow where the journal of a mirror lies on this host; None where it does not, or holds no move.

    While a move is under way, or was left half done by a crash, the mirror may show either side of it: nothing is
    followed until the registrar has settled it. Raises ManifestError when the journal cannot be read.
    """
    try:
        head = reader.look()
    except JournalBroken as broken:
        return Course("journal", 0, doubt=f"{broken}; what is mirrored stays")
    if head.unfinished:
        return Course("journal", head.epoch, doubt=f"move {head.unfinished} is not finished yet")
    return Course("journal", head.epoch, _filled(head.slots)) if head.epoch else None


def of_tags(tags: Mapping[str, str], aliases: Mapping[Slot, int], known_epoch: int) -> Course:
    """Say what to follow where there is no journal; `known_epoch` is the newest that was followed here."""
    if EPOCH_TAG not in tags:
        if known_epoch == 0:
            return Course("aliases", 0, aliases)
        return Course(
            "tags",
            known_epoch,
            doubt=f"epoch {known_epoch} of the registry was followed, and MLflow has no {EPOCH_TAG} any more:"
            " was its database put back? the next promotion or rollback mends it",
        )
    try:
        epoch = int(tags[EPOCH_TAG])
        slots = msgspec.json.decode(tags.get(SLOTS_TAG, ""), type=Slots)
        told = tags.get(ROLLOUT_TAG)
        rollout = msgspec.json.decode(told, type=RolloutState) if told else None
    except (ValueError, msgspec.DecodeError, RecursionError) as error:
        return Course(
            "tags", known_epoch,
            doubt=f"MLflow's tags {EPOCH_TAG}, {SLOTS_TAG}, {ROLLOUT_TAG} cannot be read ({error}): were they edited by"
            " hand? the next promotion or rollback writes them anew",
        )  # fmt: skip
    if epoch < known_epoch:
        return Course(
            "tags", known_epoch,
            doubt=f"MLflow is at epoch {epoch} of the registry, epoch {known_epoch} was followed: it has yet to hear of"
            " the newest move",
        )  # fmt: skip
    return Course("tags", epoch, _filled(slots), rollout)


def lags(course: Course, aliases: Mapping[Slot, int], tags: Mapping[str, str]) -> tuple[str, ...]:
    """Say where MLflow's aliases and tags differ from the head: moved by hand, or not told of it yet."""
    if course.source == "aliases":
        return ()
    pairs = [(slot, course.versions.get(slot), aliases.get(slot)) for slot in SLOTS]
    found = [
        f"{slot}: {course.said} {_version(wanted)}, its alias in MLflow names {_version(alias)}"
        for slot, wanted, alias in pairs
        if wanted != alias
    ]
    if tags.get(EPOCH_TAG) != str(course.epoch):
        found.append(f"MLflow is at epoch {tags.get(EPOCH_TAG, 'none')}, the journal at {course.epoch}")
    return tuple(found)


@contextmanager
def unmoved(root: Path, reader: HeadReader, course: Course) -> Iterator[bool]:
    """Hold the registry still while a slot is turned; False when a move is under way, or was made since.

    Only a journal on this host has a registrar beside it that turns the same slots.
    """
    if course.source != "journal":
        yield True
        return
    with locked(root / LOCK_FOLDER):
        yield of_journal(reader) == course


def _filled(slots: Slots) -> dict[Slot, int]:
    return {slot: version for slot in SLOTS if (version := getattr(slots, slot)) is not None}


def _version(number: int | None) -> str:
    return "no version" if number is None else f"version {number}"

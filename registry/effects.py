"""What a move does outside the journal and the mirror: aliases and tags in MLflow, events on the bus."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Protocol

import msgspec

from registry.journal import Intent
from registry.states import ALIASES, Announcement, Head
from registry.versions import Version

EPOCH_TAG, HEAD_TAG, SLOTS_TAG = "tidegate.epoch", "tidegate.head", "tidegate.slots"
ROLLOUT_TAG = "tidegate.rollout"
"""Of the registered model: what a host without the journal goes by."""

Announce = Callable[[Announcement], None]
"""Tells the bus; may raise whatever it likes."""


class Store(Protocol):
    """What is asked of MLflow; `registry.store.ModelStore` is one. Every call may raise RegistryError."""

    def version(self, number: int) -> Version:
        """A version; raises UnknownVersion."""
        ...

    def aliases(self) -> dict[str, int]:
        """The version that each alias names."""
        ...

    def set_alias(self, alias: str, number: int) -> None:
        """Let an alias name a version."""
        ...

    def delete_alias(self, alias: str) -> None:
        """Take an alias away; one that is not there is fine."""
        ...

    def set_version_tags(self, number: int, tags: Mapping[str, str]) -> None:
        """Write tags of a version."""
        ...

    def model_tags(self) -> dict[str, str]:
        """The tags of the registered model."""
        ...

    def set_model_tags(self, tags: Mapping[str, str]) -> None:
        """Write tags of the registered model."""
        ...

    def download(self, version: Version, folder: Path) -> Path:
        """Fetch a version's bundle, verified against its tags."""
        ...


def tell_mlflow(store: Store, head: Head, by_version: Mapping[int, Intent | None]) -> None:
    """Bring aliases and tags in step with a head; whatever MLflow said before, it says this afterwards.

    `by_version` holds the versions to tag, each with the last move of its state, None when there was none. The epoch
    is written last: who reads it finds the rest in place. Raises RegistryError.
    """
    named = store.aliases()
    for alias in ALIASES:
        version = head.aliases.get(alias)
        if version is None:
            if alias in named and is_ours(head, alias, named[alias]):
                store.delete_alias(alias)
        elif named.get(alias) != version:
            store.set_alias(alias, version)
    for version, intent in by_version.items():
        store.set_version_tags(version, _version_tags(head, version, intent))
    rollout = "" if head.rollout is None else msgspec.json.encode(head.rollout).decode()
    slots = msgspec.json.encode(head.slots).decode()
    store.set_model_tags({SLOTS_TAG: slots, ROLLOUT_TAG: rollout, HEAD_TAG: head.hash})
    store.set_model_tags({EPOCH_TAG: str(head.epoch)})


def is_ours(head: Head, alias: str, named: int | None) -> bool:
    """Whether an alias that no slot backs is to be gone: before the first activation somebody else may have set it."""
    return head.slots.active is not None or alias == "candidate" or (alias != "active" and named in head.states)


def announcements(intent: Intent) -> tuple[Announcement, ...]:
    """What the bus is told of a move; the ids are the same whenever it is told."""
    return tuple(
        Announcement(
            event=event.event,
            severity=event.severity,
            source=event.source,
            target=event.target,
            reason=intent.reason,
            by=intent.by,
            at=intent.at,
            text=intent.text,
            tx=intent.tx if number == 0 else f"{intent.tx}:{event.event}",
        )
        for number, event in enumerate(intent.events)
    )


def _version_tags(head: Head, version: int, intent: Intent | None) -> dict[str, str]:
    state = head.states.get(version, "candidate")  # as it was registered
    if intent is None:
        return {"state": state}
    return {
        "state": state,
        "tidegate.epoch": str(intent.epoch),
        "tidegate.reason": f"{intent.transition}: {intent.text or intent.reason}",
        "tidegate.by": intent.by,
        "tidegate.evidence": intent.evidence,
    }

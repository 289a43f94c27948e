"""Whether registry, mirror and scorer speak of the same versions: the journal, MLflow's aliases, the links, live."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from registry import audit
from registry.bundle import verify_bundle
from registry.errors import RegistryError
from registry.journal import read_head
from registry.manifest import Mirror
from registry.slots import SLOTS
from registry.states import Head
from registry.versions import Version
from tidegate.doctor.finding import Finding, joined

_SYNC = "python -m live model_sync"
_VERIFY = "python -m tidegate audit verify"


class Store(Protocol):
    """What is asked of MLflow; every call may raise RegistryError."""

    def by_alias(self, alias: str) -> Version | None:
        """The version an alias names."""
        ...

    def model_tags(self) -> Mapping[str, str]:
        """The tags of the registered model."""
        ...


OpenStore = Callable[[], Store]


def findings(root: Path, open_store: OpenStore | None, scorer: Mapping[str, Any]) -> Iterator[Finding]:
    """Hold all of them against the journal's head.

    `open_store` is None where there is no MLflow to ask, `scorer` what ai_scorer says of itself, empty where it is
    not running.
    """
    tags, aliases, silence = _told(open_store)
    verified = audit.verify(root, tags)
    if not verified.holds:
        yield Finding("journal", "fail", verified.text, _VERIFY)
        return
    head = read_head(root)
    if not head.epoch:
        yield Finding("registry", "warn", f"no version was entered yet in {root}", "make demo")
        return
    yield Finding("journal", "ok", f"{verified.moves} moves, epoch {head.epoch}")
    yield from _mirror(root, head)
    if silence:
        yield Finding("registry", "warn", f"MLflow was not compared: {silence}", "python -m tidegate up")
    elif aliases is not None:
        yield from _aliases(head, aliases)
    if scorer:
        yield from _scorer(head, scorer)


def _told(open_store: OpenStore | None) -> tuple[Mapping[str, str], Mapping[str, int | None] | None, str]:
    """MLflow's tags and aliases, and why they are not to be had."""
    if open_store is None:
        return {}, None, ""
    try:
        store = open_store()
        found = {alias: store.by_alias(alias) for alias in SLOTS}
        numbers: dict[str, int | None] = {alias: each.number if each else None for alias, each in found.items()}
        return store.model_tags(), numbers, ""
    except RegistryError as error:
        return {}, None, str(error)


def _mirror(root: Path, head: Head) -> Sequence[Finding]:
    def troubles() -> Iterator[Finding]:
        mirror = Mirror(root)
        for slot in SLOTS:
            wanted = getattr(head.slots, slot)
            try:
                folder = mirror.slot(slot)
                number = verify_bundle(folder).version if folder else None
            except RegistryError as error:
                yield Finding("mirror", "fail", str(error), _SYNC)
                continue
            if number != wanted:
                yield Finding(
                    "mirror", "fail", f"slot {slot} holds {_of(number)}, the journal says {_of(wanted)}", _SYNC
                )

    held = ", ".join(f"{slot} {_of(getattr(head.slots, slot))}" for slot in SLOTS)
    return joined("mirror", held, troubles())


def _aliases(head: Head, aliases: Mapping[str, int | None]) -> Sequence[Finding]:
    def troubles() -> Iterator[Finding]:
        for alias, number in aliases.items():
            wanted = head.aliases.get(alias)
            if number != wanted:
                says = f"alias {alias} is at {_of(number)}, the journal says {_of(wanted)}"
                yield Finding("registry", "warn", says, "make up, and let the release sensors put it right")

    return joined("registry", "MLflow's aliases are those of the journal", troubles())


def _scorer(head: Head, scorer: Mapping[str, Any]) -> Sequence[Finding]:
    models = scorer.get("models") or {}

    def troubles() -> Iterator[Finding]:
        for slot in ("active", "shadow"):
            wanted, found = getattr(head.slots, slot), (models.get(slot) or {}).get("version")
            if slot == "shadow" and found is None:
                continue  # shadow scoring may be off
            if found != wanted:
                says = f"scores {slot} with {_of(found)}, the journal says {_of(wanted)}"
                yield Finding("scorer", "warn", says, "python -m tidegate tail control:events -n 20")

    return joined("scorer", "scores with the versions of the journal", troubles())


def _of(number: int | None) -> str:
    return "no version" if number is None else f"v{number}"

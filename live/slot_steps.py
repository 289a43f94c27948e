"""What is to be done to a slot of the mirror, by what it holds and what it is to hold: pure but for looking at it."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from registry.bundle import verify_bundle
from registry.errors import ManifestError, RegistryError
from registry.manifest import ManifestEntry, Mirror
from registry.slots import Slot

Step = Literal["keep", "fill", "empty"]


@dataclass(frozen=True, slots=True)
class Standing:
    """What a slot of the mirror holds; without one, nothing is known of it: never filled, or lost."""

    version: int
    is_sound: bool


EMPTIED = Standing(0, is_sound=True)
"""Somebody took the version out, which is a decision like a turn is."""


def step_of(slot: Slot, named: int | None, followed: int | None, standing: Standing | None) -> Step:
    """Say what is to be done to a slot whose alias names a version, or none, and named `followed` when last followed.

    The active slot is never emptied: no model is worse than the last one.
    """
    if named is None:
        was_followed = followed is not None and standing is not None and standing.version == followed
        return "empty" if was_followed and slot != "active" else "keep"
    if standing is None:
        return "fill"
    if standing.version == named:
        return "keep" if standing.is_sound else "fill"
    return "keep" if named == followed else "fill"


def step_to(slot: Slot, wanted: int | None, standing: Standing | None) -> Step:
    """Say what is to be done to a slot that is to hold a version, or none, by the registry's head."""
    if wanted is None:
        return "keep" if standing in (None, EMPTIED) or slot == "active" else "empty"
    return "keep" if standing == Standing(wanted, is_sound=True) else "fill"


def standing_of(root: Path, slot: Slot) -> Standing | None:
    """Look at a slot of the mirror at `root`. Raises ManifestError when its manifest cannot be read."""
    mirror = Mirror(root)
    manifest = mirror.manifest()
    try:
        folder = mirror.slot(slot)
    except ManifestError:
        return None  # it points nowhere
    if folder is None:
        moves = {_stood(entry, slot) for entry in manifest.entries}
        return EMPTIED if "left" in moves and "entered" not in moves else None
    version = folder.name.partition("-")[0].removeprefix("v")
    if not version.isdigit():
        return None
    entry = manifest.find(int(version))
    return Standing(int(version), is_sound(folder, entry.sha256 if entry else None))


def is_sound(folder: Path, sha256: str | None) -> bool:
    """Whether a folder holds a whole bundle, of this sha256 where one is given."""
    try:
        verify_bundle(folder, sha256)
    except RegistryError:
        return False
    return True


def _stood(entry: ManifestEntry, slot: Slot) -> str:
    """The last that the manifest says of a version and a slot: entered, left, or nothing."""
    moves = [event.what for event in entry.history if event.slot == slot and event.what in ("entered", "left")]
    return moves[-1] if moves else ""

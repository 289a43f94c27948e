"""Bringing the mirror in step with the registry's aliases: what is to be done to a slot, and doing it.

An alias that moved is followed. One that stands where it stood when it was last followed is not followed again, so a
rollback that turned the mirror first is not undone by a registry that has yet to hear of it. Nothing is taken from a
slot because the registry is silent, or lost what it had.
"""

import tempfile
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal, Protocol

import msgspec

from live.errors import ModelRefused
from live.model_slots import Engine, check_made_for, reason_of
from registry.bundle import Scorer, verify_bundle
from registry.errors import FileError, ManifestError, RegistryError
from registry.files import write_file
from registry.manifest import BUNDLES_FOLDER, SLOTS, Cause, ManifestEntry, Mirror, Slot
from registry.versions import Version

STATE_FILE = "followed.json"
RETRY_NS = 30_000_000_000
"""A version that may not be mirrored is fetched again after so long: somebody may have mended it."""
BY = "model_sync"

Step = Literal["keep", "fill", "empty"]
Followed = dict[Slot, int]
"""The version each alias named when it was last followed."""


class Store(Protocol):
    """What is asked of the registry."""

    def versions(self) -> list[Version]:
        """Every version, each with its aliases. Raises RegistryError."""
        ...

    def download(self, version: Version, folder: Path) -> Path:
        """Fetch a version's bundle into a folder that is not there yet. Raises RegistryError."""
        ...


@dataclass(frozen=True, slots=True)
class Standing:
    """What a slot of the mirror holds; without one, nothing is known of it: never filled, or lost."""

    version: int
    is_sound: bool


EMPTIED = Standing(0, is_sound=True)
"""Somebody took the version out, which is a decision like a turn is."""


@dataclass(frozen=True, slots=True)
class Turned:
    """A slot was filled with a version, or emptied (None)."""

    slot: Slot
    version: int | None


@dataclass(frozen=True, slots=True)
class Unfit:
    """A version may not be mirrored; `reason` is one of SWAP_REFUSALS."""

    slot: Slot
    version: int
    reason: str
    text: str


@dataclass(frozen=True, slots=True)
class Round:
    """What one look at the registry led to; `versions` counts those it has."""

    versions: int
    turned: tuple[Turned, ...] = ()
    unfit: tuple[Unfit, ...] = ()


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


@dataclass(slots=True)
class Mirroring:
    """The mirror at `root` and what was followed so far, which is kept under `var`. For one thread."""

    root: Path
    var: Path
    engine: Engine
    _followed: Followed | None = field(default=None, init=False)
    _unfit_ns: dict[tuple[Slot, int], int] = field(default_factory=dict, init=False)

    def round(self, store: Store, wall_ns: int) -> Round:
        """Look at the registry once and follow it. Raises RegistryError when it, or our own disk, does not answer."""
        versions = store.versions()
        if not versions:
            return Round(0)
        followed = self._read()
        turned: list[Turned] = []
        unfit: list[Unfit] = []
        for slot in SLOTS:
            named = next((each for each in versions if slot in each.aliases), None)
            number = named.number if named else None
            step = step_of(slot, number, followed.get(slot), self._standing(slot))
            if step == "fill" and wall_ns < self._unfit_ns.get((slot, number or 0), 0) + RETRY_NS:
                continue
            try:
                if step == "fill" and named is not None:
                    self._fill(store, slot, named, wall_ns)
                elif step == "empty":
                    Mirror(self.root).empty(slot, _cause(f"alias {slot} was taken away", wall_ns))
            except ModelRefused as refused:
                unfit.append(Unfit(slot, number or 0, refused.reason, str(refused)))
                self._unfit_ns[slot, number or 0] = wall_ns
                continue
            if step != "keep":
                turned.append(Turned(slot, number))
            self._note(followed, slot, number, is_followed=step != "keep")
        return Round(len(versions), tuple(turned), tuple(unfit))

    def _fill(self, store: Store, slot: Slot, version: Version, wall_ns: int) -> None:
        """Put a proven copy into a slot; raises ModelRefused, and RegistryError when it cannot be had."""
        kept = self.root / BUNDLES_FOLDER / f"v{version.number}-{version.sha256[:12]}"
        if _is_sound(kept, version.sha256):
            self._prove_and_fill(slot, kept, version, wall_ns)
            return
        self.var.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix="bundle-", dir=self.var) as beside:
            folder = Path(beside) / "bundle"
            try:
                store.download(version, folder)
            except RegistryError as error:
                if (reason := reason_of(error)) == "unreadable":
                    raise
                raise ModelRefused(reason, str(error)) from error
            self._prove_and_fill(slot, folder, version, wall_ns)

    def _prove_and_fill(self, slot: Slot, folder: Path, version: Version, wall_ns: int) -> None:
        where = f"version {version.number} ({version.model_id})"
        try:
            card = Scorer(folder, version.sha256).card
            if slot != "previous":  # nobody scores by it, and it may well be of an older schema
                check_made_for(card, self.engine, where)
            cause = _cause(f"alias {slot} names version {version.number}", wall_ns)
            Mirror(self.root).fill(slot, folder, cause, version.sha256)
        except FileError:
            raise
        except RegistryError as error:
            raise ModelRefused(reason_of(error), f"{where}: {error}") from error

    def _standing(self, slot: Slot) -> Standing | None:
        mirror = Mirror(self.root)
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
        return Standing(int(version), _is_sound(folder, entry.sha256 if entry else None))

    def _note(self, followed: Followed, slot: Slot, named: int | None, *, is_followed: bool) -> None:
        """Remember where an alias was followed to; where the slot stood there by itself, too."""
        if named is None:
            if not is_followed:
                return
            followed.pop(slot, None)
        elif followed.get(slot) == named:
            return
        else:
            followed[slot] = named
        write_file(self.var / STATE_FILE, msgspec.json.encode(followed))

    def _read(self) -> Followed:
        if self._followed is None:
            try:
                self._followed = msgspec.json.decode((self.var / STATE_FILE).read_bytes(), type=Followed)
            except (OSError, msgspec.DecodeError):
                self._followed = {}  # nothing was followed yet, as far as anybody knows
        return self._followed


def _stood(entry: ManifestEntry, slot: Slot) -> str:
    """The last that the manifest says of a version and a slot: entered, left, or nothing."""
    moves = [event.what for event in entry.history if event.slot == slot and event.what in ("entered", "left")]
    return moves[-1] if moves else ""


def _is_sound(folder: Path, sha256: str | None) -> bool:
    try:
        verify_bundle(folder, sha256)
    except RegistryError:
        return False
    return True


def _cause(reason: str, wall_ns: int) -> Cause:
    at = datetime.fromtimestamp(wall_ns // 1_000_000_000, UTC).isoformat().replace("+00:00", "Z")
    return Cause(at=at, by=BY, reason=reason)

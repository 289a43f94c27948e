"""Bringing the mirror in step with the registry: what is to be followed, and doing it.

Where a move was ever recorded the registry's head is followed (`live.course`), so an alias moved by hand is not, and a
registry that has yet to hear of a rollback does not undo it. Before that an alias that moved is followed, and one that
stands where it stood is left alone. Nothing is taken from a slot because the registry is silent, or lost what it had.
"""

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

import msgspec
from msgspec import Struct

from live.course import Course, lags, of_journal, of_tags, unmoved
from live.errors import ModelRefused
from live.model_slots import Engine, check_made_for, reason_of
from live.slot_steps import is_sound, standing_of, step_of, step_to
from registry import rollout
from registry.bundle import Scorer
from registry.errors import FileError, ManifestError, RegistryError
from registry.files import write_file
from registry.journal import HeadReader
from registry.manifest import BUNDLES_FOLDER, Cause, Mirror
from registry.slots import SLOTS, Slot
from registry.versions import Version

STATE_FILE = "followed.json"
RETRY_NS = 30_000_000_000
"""A version that may not be mirrored is fetched again after so long: somebody may have mended it."""
BY = "model_sync"


class Followed(Struct, frozen=True, forbid_unknown_fields=True):
    """The epoch of the registry that was followed last, and the version each alias named when it was."""

    epoch: int = 0
    aliases: dict[Slot, int] = {}


class Store(Protocol):
    """What is asked of the registry."""

    def versions(self) -> list[Version]:
        """Every version, each with its aliases. Raises RegistryError."""
        ...

    def model_tags(self) -> Mapping[str, str]:
        """The tags of the registered model. Raises RegistryError."""
        ...

    def download(self, version: Version, folder: Path) -> Path:
        """Fetch a version's bundle into a folder that is not there yet. Raises RegistryError."""
        ...


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
    """What one look at the registry led to; `versions` counts those it has.

    `epoch` is the one of the registry that is followed, `named` what each slot is to hold by it, `differences` says
    where journal, mirror and registry do not name the same.
    """

    versions: int
    turned: tuple[Turned, ...] = ()
    unfit: tuple[Unfit, ...] = ()
    epoch: int = 0
    named: Mapping[Slot, int] = field(default_factory=dict)
    differences: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Seen:
    """What the registry answered; `store` is None where it did not."""

    store: Store | None
    versions: Sequence[Version]
    wall_ns: int

    def version(self, number: int) -> Version | None:
        return next((each for each in self.versions if each.number == number), None)


@dataclass(slots=True)
class Mirroring:
    """The mirror at `root` and what was followed so far, which is kept under `var`. For one thread."""

    root: Path
    var: Path
    engine: Engine
    _reader: HeadReader = field(init=False)
    _followed: Followed | None = field(default=None, init=False)
    _unfit_ns: dict[tuple[Slot, int], int] = field(default_factory=dict, init=False)

    def __post_init__(self) -> None:
        self._reader = HeadReader(self.root)

    def round(self, store: Store, wall_ns: int) -> Round:
        """Look at the registry once and follow it. Raises RegistryError when it, or our own disk, does not answer."""
        versions = store.versions()
        return self._look(_Seen(store, versions, wall_ns), store.model_tags() if versions else {})

    def alone(self, wall_ns: int) -> Round:
        """Follow the journal on this host by the copies that are kept here, while the registry does not answer.

        Raises RegistryError when our own disk does not.
        """
        return self._look(_Seen(None, [], wall_ns), {})

    def _look(self, seen: _Seen, tags: Mapping[str, str]) -> Round:
        known = max(self._read().epoch, self._epoch_here())
        aliases = {slot: each.number for slot in SLOTS for each in seen.versions if slot in each.aliases}
        course = of_journal(self._reader)
        if course is None:
            if not seen.versions:
                return Round(0, epoch=known)
            course = of_tags(tags, aliases, known)
        count = len(seen.versions)
        if course.doubt:
            return Round(count, epoch=max(course.epoch, known), differences=(course.doubt,))
        if course.rollout is not None:
            self._share(course)
        turned, unfit = self._follow(course, seen)
        told = lags(course, aliases, tags) if seen.versions else ()
        return Round(count, turned, unfit, course.epoch, course.versions, (*self._differences(course), *told))

    def _follow(self, course: Course, seen: _Seen) -> tuple[tuple[Turned, ...], tuple[Unfit, ...]]:
        turned: list[Turned] = []
        unfit: list[Unfit] = []
        for slot in SLOTS:
            number, standing = course.versions.get(slot), standing_of(self.root, slot)
            if course.source == "aliases":
                step = step_of(slot, number, self._read().aliases.get(slot), standing)
            else:
                step = step_to(slot, number, standing)
            if step == "fill" and seen.wall_ns < self._unfit_ns.get((slot, number or 0), 0) + RETRY_NS:
                continue
            try:
                is_done = step == "keep" or self._turn(course, seen, slot)
            except ModelRefused as refused:
                unfit.append(Unfit(slot, number or 0, refused.reason, str(refused)))
                self._unfit_ns[slot, number or 0] = seen.wall_ns
                continue
            if is_done and step != "keep":
                turned.append(Turned(slot, number))
            if is_done:
                self._note(course, slot, is_followed=step != "keep")
        return tuple(turned), tuple(unfit)

    def _turn(self, course: Course, seen: _Seen, slot: Slot) -> bool:
        """Fill or empty a slot; False when that has to wait. Raises ModelRefused and RegistryError."""
        number = course.versions.get(slot)
        if number is None:
            with unmoved(self.root, self._reader, course) as holds:
                if holds:
                    Mirror(self.root).empty(slot, _cause(course, slot, seen.wall_ns))
            return holds
        with self._copy(number, seen) as found:
            if found is None:
                return False
            folder, sha256 = found
            self._prove(slot, folder, number, sha256)
            with unmoved(self.root, self._reader, course) as holds:
                if holds:
                    self._fill(slot, folder, sha256, _cause(course, slot, seen.wall_ns))
            return holds

    @contextmanager
    def _copy(self, number: int, seen: _Seen) -> Iterator[tuple[Path, str] | None]:
        """A copy of a version and its sha256: the one that is kept here, else fetched; None where it cannot be had.

        Raises ModelRefused, and RegistryError when the registry does not answer.
        """
        version = seen.version(number)
        entry = Mirror(self.root).manifest().find(number)
        sha256 = version.sha256 if version else entry.sha256 if entry else ""
        kept = self.root / BUNDLES_FOLDER / f"v{number}-{sha256[:12]}"
        if sha256 and is_sound(kept, sha256):
            yield kept, sha256
            return
        if version is None or seen.store is None:
            yield None
            return
        self.var.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix="bundle-", dir=self.var) as beside:
            folder = Path(beside) / "bundle"
            try:
                seen.store.download(version, folder)
            except RegistryError as error:
                if (reason := reason_of(error)) == "unreadable":
                    raise
                raise ModelRefused(reason, str(error)) from error
            yield folder, sha256

    def _prove(self, slot: Slot, folder: Path, number: int, sha256: str) -> None:
        try:
            card = Scorer(folder, sha256).card
            if self.engine.trust is not None:
                self.engine.trust.check(folder, card)
        except FileError:
            raise
        except RegistryError as error:
            raise ModelRefused(reason_of(error), f"version {number}: {error}") from error
        if slot != "previous":  # nobody scores by it, and it may well be of an older schema
            check_made_for(card, self.engine, f"version {number} ({card.id})")

    def _fill(self, slot: Slot, folder: Path, sha256: str, cause: Cause) -> None:
        try:
            Mirror(self.root).fill(slot, folder, cause, sha256)
        except FileError:
            raise
        except RegistryError as error:
            raise ModelRefused(reason_of(error), f"{folder}: {error}") from error

    def _differences(self, course: Course) -> Iterator[str]:
        """Where the mirror does not hold what it is to hold."""
        for slot in SLOTS:
            wanted, standing = course.versions.get(slot), standing_of(self.root, slot)
            holds = standing.version if standing else 0
            if wanted is not None and holds != wanted:
                yield f"{slot}: {course.said} version {wanted}, the mirror holds {holds or 'none'}"
            elif wanted is None and holds and course.source != "aliases":
                yield f"{slot}: {course.said} no version, the mirror holds {holds}"

    def _share(self, course: Course) -> None:
        """Write down the canary's share, where the registrar writes to another host."""
        assert course.rollout is not None  # noqa: S101 - asked by the caller
        try:
            here = rollout.read(self.root)
        except ManifestError:
            here = None
        if here is None or course.rollout.epoch > here.epoch:
            rollout.write(self.root, course.rollout)

    def _epoch_here(self) -> int:
        """The epoch that the files of the mirror are of, whoever wrote them; 0 before the first move."""
        try:
            state = rollout.read(self.root)
        except ManifestError:
            state = None  # it disables the rollout, and whoever writes it anew knows a newer one
        return max(Mirror(self.root).manifest().epoch, state.epoch if state else 0)

    def _note(self, course: Course, slot: Slot, *, is_followed: bool) -> None:
        """Remember where an alias was followed to, also where the slot stood there by itself; and the epoch."""
        followed, named = self._read(), course.versions.get(slot)
        aliases = dict(followed.aliases)
        if named is not None:
            aliases[slot] = named
        elif is_followed:
            aliases.pop(slot, None)
        now = Followed(max(course.epoch, followed.epoch), aliases)
        if now != followed:
            self._followed = now
            write_file(self.var / STATE_FILE, msgspec.json.encode(now))

    def _read(self) -> Followed:
        if self._followed is None:
            try:
                self._followed = msgspec.json.decode((self.var / STATE_FILE).read_bytes(), type=Followed)
            except (OSError, msgspec.DecodeError, UnicodeDecodeError, RecursionError):
                self._followed = Followed()  # nothing was followed yet, as far as anybody knows
        return self._followed


def _cause(course: Course, slot: Slot, wall_ns: int) -> Cause:
    at = datetime.fromtimestamp(wall_ns // 1_000_000_000, UTC).isoformat().replace("+00:00", "Z")
    number = course.versions.get(slot)
    if course.source != "aliases":
        reason = f"epoch {course.epoch} of the registry has {f'version {number}' if number else 'no version'} in {slot}"
    else:
        reason = f"alias {slot} names version {number}" if number else f"alias {slot} was taken away"
    return Cause(at=at, by=BY, reason=reason)

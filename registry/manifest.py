"""The mirror: the bundles live trades with, on its own disk, so that it needs no registry to go on.

    ROOT/bundles/v7-0a1b2c3d4e5f/   verified copies, never changed
    ROOT/active, shadow, previous   links to one of them each: a slot is turned in one step
    ROOT/manifest.json              every version seen, newest first, each with what happened to it

A slot is filled before the manifest says so; a crash between leaves the line to be written by the next call. A move of
the registrar goes the other way: its bundles are kept, the manifest decides, and the links follow.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import msgspec
from msgspec import Struct

from registry import files
from registry.bundle import copy_bundle, verify_bundle
from registry.card import ModelCard
from registry.errors import BundleError, ManifestError
from registry.slots import SLOTS, Slot

MANIFEST_FILE, BUNDLES_FOLDER = "manifest.json", "bundles"


class Event(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One thing that happened to a version."""

    at: str  # ISO 8601, UTC
    what: str  # "entered" and "left" a slot, or another word of the caller's
    slot: Slot | None = None
    by: str
    reason: str


class ManifestEntry(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A version, and its history from the first event to the last."""

    version: int
    id: str
    sha256: str
    schema_hash: str
    created_at: str
    history: tuple[Event, ...]


class Manifest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Every version the mirror has seen, newest first.

    `epoch` is that of the last move of the registrar that was decided here, `head` the hash of its line in the journal.
    """

    format: Literal[1] = 1
    entries: tuple[ManifestEntry, ...] = ()
    epoch: int = 0
    head: str = ""

    def find(self, version: int) -> ManifestEntry | None:
        """Return the entry of a version, or None."""
        return next((entry for entry in self.entries if entry.version == version), None)


@dataclass(frozen=True, slots=True)
class Kept:
    """A verified bundle in the mirror."""

    folder: Path
    card: ModelCard


@dataclass(frozen=True, slots=True)
class Cause:
    """Who wants a change of the mirror, when and why."""

    at: str  # ISO 8601, UTC
    by: str
    reason: str


class Mirror:
    """The mirror below one folder. Writers take its lock; readers need none."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def manifest(self) -> Manifest:
        """Return the manifest, empty before the first version; raise ManifestError when it cannot be read."""
        path = self._root / MANIFEST_FILE
        try:
            return msgspec.json.decode(path.read_bytes(), type=Manifest)
        except FileNotFoundError:
            return Manifest()
        except (OSError, msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise ManifestError(f"{path}: {error}; move it aside and mirror the versions again") from error

    def slot(self, slot: Slot) -> Path | None:
        """Return the bundle folder a slot points at, or None when it is empty; raise ManifestError when it dangles."""
        link = self._link(slot)
        if not link.is_symlink():
            return None
        folder = link.resolve()
        if not folder.is_dir():
            raise ManifestError(f"{link}: points at {folder}, which is not there; fill the slot again")
        return folder

    def record(self, card: ModelCard, event: Event) -> Manifest:
        """Append an event to the history of a registered version, which is entered when it is new; one atomic write.

        Raises ManifestError when the card has no version or another sha256 than the version is known by.
        """
        with files.locked(self._root):
            return self._append([(_entry(self.manifest(), card), event)])

    def fill(self, slot: Slot, folder: Path, cause: Cause, sha256: str, schema_hash: str | None = None) -> ModelCard:
        """Put a verified copy of the bundle in `folder` into a slot, and return its card.

        The version that stood there leaves it. Filling a slot with what it holds changes nothing, or mends it when the
        copy was damaged. Raises what `verify_bundle` raises for the wanted sha256 and schema_hash, and ManifestError
        as record does; the slot then keeps what it held.
        """
        link = self._link(slot)
        card = verify_bundle(folder, sha256, schema_hash)
        with files.locked(self._root):
            manifest = self.manifest()
            entry = _entry(manifest, card)
            files.point(link, self._keep(folder, entry, sha256, schema_hash))
            changes = _left(manifest, slot, cause, but=entry.version)
            if not _stands(entry, slot):
                changes.append((entry, _event("entered", slot, cause)))
            self._append(changes)
        return card

    def empty(self, slot: Slot, cause: Cause) -> None:
        """Take the version out of a slot; an empty slot stays as it is."""
        link = self._link(slot)
        with files.locked(self._root):
            files.remove(link)
            self._append(_left(self.manifest(), slot, cause))

    def kept(self, version: int, sha256: str) -> Kept | None:
        """Return the verified copy of a version's bundle, None when there is none or it is damaged."""
        folder = self._root / BUNDLES_FOLDER / f"v{version}-{sha256[:12]}"
        try:
            return Kept(folder, verify_bundle(folder, sha256))
        except BundleError:
            return None

    def keep(self, folder: Path, sha256: str) -> Kept:
        """Put a verified copy of the bundle in `folder` beside the others, into no slot; raises as fill does."""
        card = verify_bundle(folder, sha256)
        with files.locked(self._root):
            return Kept(self._keep(folder, _entry(self.manifest(), card), sha256), card)

    def decide(self, epoch: int, head: str, slots: Mapping[Slot, Kept | None], cause: Cause) -> None:
        """Write which bundles the slots shall hold, and by which move: behind this one atomic write nothing is undone.

        Slots that are not named stay as they are. `point` then turns the links. Raises ManifestError and FileError.
        """
        with files.locked(self._root):
            manifest = self.manifest()
            changes: list[tuple[ManifestEntry, Event]] = []
            for slot, kept in slots.items():
                entry = _entry(manifest, kept.card) if kept else None
                changes += _left(manifest, slot, cause, but=entry.version if entry else None)
                if entry is not None and not _stands(entry, slot):
                    changes.append((entry, _event("entered", slot, cause)))
            self._append(changes, epoch, head)

    def point(self, slot: Slot, kept: Kept | None) -> None:
        """Turn the link of a slot to a bundle that was kept, or take it away; what stands already is left alone."""
        link = self._link(slot)
        with files.locked(self._root):
            if kept is None:
                files.remove(link)
            elif not link.is_symlink() or link.resolve() != kept.folder.resolve():
                files.point(link, kept.folder)

    def _keep(self, folder: Path, entry: ManifestEntry, sha256: str, schema_hash: str | None = None) -> Path:
        target = self._root / BUNDLES_FOLDER / f"v{entry.version}-{entry.sha256[:12]}"
        if not _is_sound(target, sha256):
            files.remove(target)
            copy_bundle(folder, target, sha256, schema_hash)
        return target

    def _link(self, slot: Slot) -> Path:
        if slot not in SLOTS:
            raise ManifestError(f"slot {slot!r} is none of {', '.join(SLOTS)}")
        return self._root / slot

    def _append(
        self, changes: list[tuple[ManifestEntry, Event]], epoch: int | None = None, head: str | None = None
    ) -> Manifest:
        manifest = self.manifest()
        if not changes and epoch in (None, manifest.epoch):
            return manifest
        entries = {entry.version: entry for entry in manifest.entries}
        for entry, event in changes:
            known = entries.get(entry.version, entry)
            entries[entry.version] = msgspec.structs.replace(known, history=(*known.history, event))
        manifest = Manifest(
            entries=tuple(entries[version] for version in sorted(entries, reverse=True)),
            epoch=manifest.epoch if epoch is None else epoch,
            head=manifest.head if head is None else head,
        )
        content = msgspec.json.format(msgspec.json.encode(manifest), indent=2) + b"\n"
        files.write_file(self._root / MANIFEST_FILE, content)
        return manifest


def _entry(manifest: Manifest, card: ModelCard) -> ManifestEntry:
    """Return what the manifest knows of the card's version, or a new entry without history."""
    if card.version is None:
        raise ManifestError(f"{card.id}: it has no version; register it first, since the mirror holds versions only")
    known = manifest.find(card.version)
    if known is None:
        return ManifestEntry(
            version=card.version,
            id=card.id,
            sha256=card.sha256,
            schema_hash=card.schema_hash,
            created_at=card.created_at,
            history=(),
        )
    if known.sha256 != card.sha256:
        raise ManifestError(
            f"{card.id}: version {card.version} has sha256 {card.sha256}, the manifest knows it by {known.sha256};"
            " a version never changes, so find out which one is false"
        )
    return known


def _left(manifest: Manifest, slot: Slot, cause: Cause, but: int | None = None) -> list[tuple[ManifestEntry, Event]]:
    """Return the leaving of every version, `but` one apart, that stands in a slot by the manifest: one at most."""
    return [
        (entry, _event("left", slot, cause))
        for entry in manifest.entries
        if entry.version != but and _stands(entry, slot)
    ]


def _stands(entry: ManifestEntry, slot: Slot) -> bool:
    moves = [event.what for event in entry.history if event.slot == slot and event.what in ("entered", "left")]
    return bool(moves) and moves[-1] == "entered"


def _event(what: str, slot: Slot, cause: Cause) -> Event:
    return Event(what=what, slot=slot, at=cause.at, by=cause.by, reason=cause.reason)


def _is_sound(folder: Path, sha256: str) -> bool:
    try:
        verify_bundle(folder, sha256)
    except BundleError:
        return False
    return True

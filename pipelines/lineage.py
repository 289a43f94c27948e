"""What a training set is made of, as one hash over every partition, and which partitions tell two of them apart.

Dagster stops recording the versions of upstream partitions at a hundred of them; a month of four symbols is more. So
the root over all of them is ours, and it changes whenever a single byte of a single partition does. A version's leaves
lie in its MLflow run, and beside that in a small file, since importing MLflow takes longer than the whole answer may.
"""

import hashlib
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import msgspec

from archive.layout import FEATURES, LABELS
from archive.partition import Partition
from archive.store import Lake
from config.settings import Settings
from pipelines.errors import BadLineage
from registry.errors import ManifestError, UnknownVersion
from registry.files import write_file

if TYPE_CHECKING:
    from registry.store import ModelStore
    from registry.versions import Version

LEAVES_FILE = "card/training_set.json"
"""Where a version's run keeps its leaves."""
LAKE = "lake"
"""Stands for what the lake holds now, where a version could be named."""

What = Literal["changed", "added", "removed"]


class Recorded(msgspec.Struct, frozen=True):
    """What a version learned from: the content hash of each partition by its key, and the root over them."""

    name: str
    data_hash: str
    leaves: dict[str, str]


@dataclass(frozen=True, slots=True)
class Change:
    """One partition that tells two training sets apart; `tables` names what differs in it."""

    partition: str
    what: What
    tables: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.partition} {self.what} ({', '.join(self.tables)})"


@dataclass(frozen=True, slots=True)
class Difference:
    """Two training sets held against each other, partition by partition, in the order of their keys."""

    before: Recorded
    after: Recorded
    changes: tuple[Change, ...]

    def __str__(self) -> str:
        total = len(self.before.leaves.keys() | self.after.leaves.keys())
        head = f"{self.before.name} -> {self.after.name}"
        if not self.changes:
            return f"{head}: equal, {total} partitions with root {self.before.data_hash[:16]}"
        roots = f"root {self.before.data_hash[:16]} -> {self.after.data_hash[:16]}"
        return f"{head}: {len(self.changes)} of {total} partitions differ, {roots}"


def merkle_root(leaves: Mapping[str, str]) -> str:
    """Return the root over named content hashes, hex; the order in which they are given does not matter.

    Leaves and inner nodes are hashed with different prefixes (RFC 6962, section 2.1), so that no inner node can pass
    for a leaf. An odd node is carried up unchanged. No leaves at all give the hash of nothing.
    """
    level = [_hash(b"\x00" + f"{name}={leaves[name]}".encode()) for name in sorted(leaves)]
    if not level:
        return hashlib.sha256(b"").hexdigest()
    while len(level) > 1:
        paired = [_hash(b"\x01" + left + right) for left, right in zip(level[::2], level[1::2], strict=False)]
        level = paired + level[len(level) & ~1 :]
    return level[0].hex()


def leaf(features: Partition, labels: Partition) -> str:
    """Return what stands for one partition: the content hashes of its features and of its labels."""
    return f"{features.content_sha256}.{labels.content_sha256}"


def compare(before: Recorded, after: Recorded) -> Difference:
    """Name every partition in which two training sets differ, and no other."""
    changes = [
        Change(key, *_told(before.leaves.get(key), after.leaves.get(key)))
        for key in sorted(before.leaves.keys() | after.leaves.keys())
        if before.leaves.get(key) != after.leaves.get(key)
    ]
    return Difference(before, after, tuple(changes))


def of_lake(lake: Lake) -> Recorded:
    """Return the leaves of every partition that has features and labels now; reads their footers alone."""
    both = set(lake.partitions(FEATURES)) & set(lake.partitions(LABELS))
    facts = {at: (lake.info(FEATURES, *at), lake.info(LABELS, *at)) for at in sorted(both)}
    leaves = {f"{day}|{symbol}": leaf(*found) for (symbol, day), found in facts.items() if found[0].rows}
    return Recorded(LAKE, merkle_root(leaves), leaves)


@dataclass(frozen=True, slots=True)
class Versions:
    """The leaves of versions: kept below `folder`, fetched from the registry where they are not.

    `open_store` is called only then. The mirror knows which version an alias names.
    """

    folder: Path
    mirror: Path
    open_store: Callable[[], "ModelStore"]

    def keep(self, version: int, leaves: Mapping[str, str]) -> None:
        """Keep the leaves of a version just registered. A number that was used before is another version now."""
        recorded = Recorded(f"version {version}", merkle_root(leaves), dict(leaves))
        self.folder.mkdir(parents=True, exist_ok=True)
        write_file(self._path(version), msgspec.json.encode(recorded))

    def of(self, which: str) -> Recorded:
        """Return the leaves of a version by number, alias or model id.

        Raises:
            UnknownVersion: the registry has no such version.
            RegistryError: the registry cannot be reached, or the run has no leaves.
            BadLineage: the leaves in the run are not those the version was registered with.
        """
        number = self._number(which)
        if number is not None and (kept := self._kept(number)) is not None:
            return kept
        store = self.open_store()
        version = find(store, which if number is None else str(number))
        with tempfile.TemporaryDirectory(prefix="tidegate-leaves-") as into:
            found = store.run_artifact(version.run_id, LEAVES_FILE, Path(into)).read_bytes()
        leaves = msgspec.json.decode(found, type=dict[str, str])
        if merkle_root(leaves) != version.data_hash:
            raise BadLineage(
                f"version {version.number}: {LEAVES_FILE} of run {version.run_id} has root {merkle_root(leaves)[:16]}, "
                f"the version was registered with {version.data_hash[:16]}; the artifact was changed, restore it"
            )
        self.keep(version.number, leaves)
        return Recorded(f"version {version.number}", version.data_hash, leaves)

    def _path(self, version: int) -> Path:
        return self.folder / f"v{version}.json"

    def _kept(self, version: int) -> Recorded | None:
        """The kept leaves, None when there are none or the root does not fit them."""
        try:
            found = msgspec.json.decode(self._path(version).read_bytes(), type=Recorded)
        except (OSError, msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return None
        return found if merkle_root(found.leaves) == found.data_hash else None

    def _number(self, which: str) -> int | None:
        if which.removeprefix("v").isdecimal():
            return int(which.removeprefix("v"))
        # The mirror's slots bring the runtime of the bundles with them.
        from registry.manifest import Mirror
        from registry.slots import SLOTS

        if which not in SLOTS:
            return None
        try:
            folder = Mirror(self.mirror).slot(which)
        except ManifestError:
            return None
        number = folder.name.partition("-")[0].removeprefix("v") if folder else ""
        return int(number) if number.isdecimal() else None


def versions_of(settings: Settings) -> Versions:
    """Return the versions of a configuration's registry; MLflow is imported when leaves are not kept here."""

    def open_store() -> "ModelStore":
        from pipelines.registrar import open_store as store_of

        return store_of(settings)

    return Versions(settings.paths.var / "lineage", settings.registry.mirror, open_store)


def why_changed(lake: Lake, versions: Versions, first: str, second: str) -> Difference:
    """Hold what two versions learned from against each other; either may be `lake`, for what it holds now.

    Raises what `Versions.of` raises, and ArchiveError when the lake cannot be read.
    """
    before, after = (of_lake(lake) if which == LAKE else versions.of(which) for which in (first, second))
    return compare(before, after)


def find(store: "ModelStore", which: str) -> "Version":
    """Return the version that a number, an alias or a model id names.

    Raises UnknownVersion when there is none, RegistryError when the registry cannot be reached.
    """
    if which.removeprefix("v").isdecimal():
        return store.version(int(which.removeprefix("v")))
    named = store.by_alias(which)
    if named is not None:
        return named
    try:
        return store.by_model_id(which)
    except UnknownVersion as error:
        raise UnknownVersion(f"{which!r} is no version number, alias or model id: {error}") from None


def _told(before: str | None, after: str | None) -> tuple[What, tuple[str, ...]]:
    if before is None:
        return "added", (FEATURES, LABELS)
    if after is None:
        return "removed", (FEATURES, LABELS)
    parts = zip((FEATURES, LABELS), before.split("."), after.split("."), strict=False)
    return "changed", tuple(table for table, was, now in parts if was != now)


def _hash(content: bytes) -> bytes:
    return hashlib.sha256(content).digest()

"""A registry in memory that may be away, and the world around a Registrar: bundles, a clock, a bus that may be away."""

import atexit
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

from registry.bundle import CARD_FILE, stamp_bundle
from registry.card import decode
from registry.errors import CorruptBundle, StoreUnavailable, UnknownVersion
from registry.promotion import Registrar
from registry.states import Actor, Announcement, ReleaseRules
from registry.versions import Version
from tests.registry.graphs import Forest, forest_graph, written

START = datetime(2026, 1, 7, 12, tzinfo=UTC)
SCHEMA = "5c" * 32
HUMAN, SENSOR, PIPELINE = Actor("human", "anna"), Actor("sensor", "verdict"), Actor("pipeline", "train_job")
RULES = ReleaseRules(auto_shadow=True, auto_canary=True, auto_promote=True)


@cache
def _bundle(number: int) -> Path:
    """The bundle of a version, made once a process."""
    folder = Path(mkdtemp(prefix="tidegate-bundles-")) / f"v{number}"
    atexit.register(shutil.rmtree, folder.parent)
    written(folder, forest_graph(Forest.grown(trees=2, seed=number)), schema_hash=SCHEMA)
    stamp_bundle(folder, number, run_id=f"run{number}")
    return folder


@dataclass
class MemoryStore:
    """What MLflow would hold. `is_down` makes every call fail; `calls` are the writes that were asked for."""

    bundles: Path
    known: dict[int, Version] = field(default_factory=dict)
    named: dict[str, int] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    is_down: bool = False
    writes_left: int | None = None

    def register(self, number: int, **changes: Any) -> Version:
        """Make a version with a bundle of its own."""
        folder = self.bundles / f"v{number}"
        shutil.copytree(_bundle(number), folder)
        sha256 = decode((folder / CARD_FILE).read_bytes(), CARD_FILE).sha256
        told: dict[str, Any] = {
            "name": "signal_scorer", "number": number, "model_id": f"signal_scorer-{sha256[:12]}", "sha256": sha256,
            "schema_hash": SCHEMA, "data_hash": "da" * 32, "state": "candidate", "run_id": f"run{number}",
            "source": str(folder), "created_ns": number, "aliases": (),
            "tags": {"parity": "0 margin mismatches, 0 flips in 210000 rows", "gate.calibration": "passed"},
        }  # fmt: skip
        self.known[number] = Version(**told | changes)
        return self.known[number]

    def version(self, number: int) -> Version:
        """As MLflow."""
        self._answer()
        if number not in self.known:
            raise UnknownVersion(f"signal_scorer has no version {number}")
        return self.known[number]

    def aliases(self) -> dict[str, int]:
        """As MLflow."""
        self._answer()
        return dict(self.named)

    def set_alias(self, alias: str, number: int) -> None:
        """As MLflow."""
        self._write()
        self.named[alias] = number

    def delete_alias(self, alias: str) -> None:
        """As MLflow."""
        self._write()
        self.named.pop(alias, None)

    def set_version_tags(self, number: int, tags: Mapping[str, str]) -> None:
        """As MLflow."""
        self._write()
        version = self.version(number)
        self.known[number] = replace(version, tags={**version.tags, **tags}, state=tags.get("state", version.state))

    def model_tags(self) -> dict[str, str]:
        """As MLflow."""
        self._answer()
        return dict(self.tags)

    def set_model_tags(self, tags: Mapping[str, str]) -> None:
        """As MLflow."""
        self._write()
        self.tags |= tags

    def download(self, version: Version, folder: Path) -> Path:
        """As MLflow."""
        self._answer()
        if not (self.bundles / f"v{version.number}").is_dir():
            raise CorruptBundle(f"{version.source}: gone")
        shutil.copytree(self.bundles / f"v{version.number}", folder)
        return folder

    def _answer(self) -> None:
        if self.is_down:
            raise StoreUnavailable("MLflow is away")

    def _write(self) -> None:
        self._answer()
        if self.writes_left is not None:
            self.writes_left -= 1
            self.is_down = self.writes_left <= 0


@dataclass
class World:
    """A mirror, an MLflow, a bus and a clock, with registrars to be opened over them."""

    root: Path
    store: MemoryStore
    rules: ReleaseRules = RULES
    now: datetime = START
    told: list[Announcement] = field(default_factory=list)
    is_bus_down: bool = False

    @staticmethod
    def at(folder: Path, versions: int = 4) -> "World":
        """A world in a folder, with so many registered versions."""
        store = MemoryStore(folder / "bundles")
        for number in range(1, versions + 1):
            store.register(number)
        return World(folder / "mirror", store)

    def registrar(self, steps: Callable[[str], None] = lambda _: None, **rules: Any) -> Registrar:
        """A registrar, as another process would open it."""
        return Registrar(
            self.store, self.root, replace(self.rules, **rules), now=lambda: self.now, announce=self._announce,
            steps=steps, schema_hash=SCHEMA,
        )  # fmt: skip

    def passes(self, **time: float) -> None:
        """Let time pass."""
        self.now += timedelta(**time)

    def verdict(self, trial: str, version: int, decision: str = "promote", **changes: Any) -> dict[str, Any]:
        """What risk says of a trial now."""
        at_ns = int(self.now.timestamp() * 1e9)
        return {"trial": trial, "version": version, "decision": decision, "at_ns": at_ns} | changes

    def activate(self, version: int = 1) -> None:
        """Make the first active version."""
        registrar = self.registrar()
        registrar.enter(version, PIPELINE, "trained")
        registrar.promote(version, "active", HUMAN, "the first one")

    def shadow(self, version: int) -> None:
        """Bring a registered version into the shadow slot."""
        registrar = self.registrar()
        registrar.enter(version, PIPELINE, "trained")
        registrar.promote(version, "shadow", SENSOR, "gates are green")

    def canary(self, version: int) -> None:
        """Bring a registered version as far as canary."""
        self.shadow(version)
        self.registrar().promote(version, "canary", SENSOR, "as good", self.verdict("shadow", version))

    def promote(self, version: int) -> None:
        """Bring a registered version all the way."""
        self.canary(version)
        for fraction in self.rules.ramp[1:]:
            self.passes(hours=7)
            self.registrar().ramp(fraction, SENSOR, "holds", self.verdict("canary", version, "hold"))
        self.passes(hours=25)
        self.registrar().promote(version, "active", SENSOR, "passed", self.verdict("canary", version))

    def holds(self) -> int | None:
        """The version that the mirror's active link points at."""
        return self.slot("active")

    def slot(self, slot: str) -> int | None:
        """The version that a link of the mirror points at."""
        link = self.root / slot
        return int(link.resolve().name.partition("-")[0][1:]) if link.is_symlink() else None

    def _announce(self, told: Announcement) -> None:
        if self.is_bus_down:
            raise ConnectionError("the bus is away")
        self.told.append(told)

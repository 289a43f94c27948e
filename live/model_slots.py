"""The models that score: loaded from the mirror beside the running ones, proven, and put in their place in one step.

A slot of the mirror is a link. When it is turned, the bundle behind it is loaded by a worker: sha256, schema, rule and
label, golden rows, one run. Only then `take` puts it in; until then, and for ever when it is refused, the one before
scores. The registry is not asked: mirror and checksum are enough.
"""

import queue
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal, get_args

import numpy as np

from bus.messages import Severity
from live.errors import ModelRefused
from live.worker import Run
from market.barriers import BarrierRule
from market.candidates import CandidateRule
from market.events import BadRule
from market.feature_spec import FEATURE_NAMES
from registry.bundle import Scorer
from registry.card import ModelCard
from registry.errors import BadCard, BadGraph, BadSignature, CorruptBundle, GoldenMismatch, RegistryError, WrongBundle
from registry.manifest import MANIFEST_FILE, ManifestEntry, Mirror
from registry.signing import Trust

Watched = Literal["active", "shadow"]
WATCHED: tuple[Watched, ...] = get_args(Watched)
_FOLDER = re.compile(r"v([1-9][0-9]*)-([0-9a-f]{12})")


@dataclass(frozen=True, slots=True)
class Engine:
    """What a model must have been made for: the schema of the rows, the rule that finds them, the label they get.

    `trust` holds the keys of those whose bundles are loaded; without it anybody's are.
    """

    schema_hash: str
    rule: CandidateRule
    label: BarrierRule
    trust: Trust | None = None


@dataclass(frozen=True, slots=True, eq=False)
class LoadedModel:
    """A model that has answered its golden rows, with what a decision needs of its card."""

    scorer: Scorer
    version: int
    label: BarrierRule

    @property
    def id(self) -> str:
        """The model's id."""
        return self.scorer.card.id

    @property
    def tau(self) -> float:
        """The probability from which on it approves."""
        return self.scorer.card.thresholds.tau_entry


@dataclass(frozen=True, slots=True, eq=False)
class Swapped:
    """A slot holds another model than before; None where it is empty."""

    slot: Watched
    before: LoadedModel | None
    now: LoadedModel | None


@dataclass(frozen=True, slots=True)
class Refusal:
    """A bundle was refused; what the slot held before stays. `reason` is one of SWAP_REFUSALS."""

    slot: Watched
    bundle: str
    reason: str
    text: str


Change = Swapped | Refusal
Load = Callable[[Path, Watched, Engine], LoadedModel]
"""Loads and proves what a slot of a mirror holds; raises ModelRefused."""
_Stamp = tuple[str, int, int]


@dataclass(slots=True)
class _Place:
    """One slot: the model and the link it came by, the link that was last asked for, and the manifest at which that was
    refused."""

    model: LoadedModel | None = None
    model_stamp: _Stamp | None = None
    stamp: _Stamp | None = None
    refused_at: object = None


class ModelSlots:
    """The active and the shadow model of one mirror. `run` has the loading done, `wake` is called when it is.

    `load_one` is `load` unless a simulation brings a lighter one.
    """

    def __init__(
        self, root: Path, engine: Engine, run: Run, wake: Callable[[], None], load_one: Load | None = None
    ) -> None:
        self._root, self._engine, self._run, self._wake = root, engine, run, wake
        self._load_one = load_one or load
        self._places: dict[Watched, _Place] = {slot: _Place() for slot in WATCHED}
        self._loaded: queue.SimpleQueue[tuple[_Stamp, LoadedModel | Refusal, Watched]] = queue.SimpleQueue()

    def model(self, slot: Watched) -> LoadedModel | None:
        """The model that scores in a slot now."""
        return self._places[slot].model

    def is_current(self, slot: Watched) -> bool:
        """Whether the model of a slot is the one its link names; not while that is loaded, or when it was refused."""
        place = self._places[slot]
        return place.model is not None and place.model_stamp == place.stamp

    def look(self, run: Run | None = None) -> None:
        """Have every slot loaded whose link was turned since the last look; two looks at links, when none was."""
        for slot, place in self._places.items():
            stamp = self._link(slot)
            is_mended = place.refused_at is not None and place.refused_at != self._manifest()
            if stamp == place.stamp and not is_mended:
                continue
            place.stamp, place.refused_at = stamp, None
            if stamp is not None:
                (run or self._run)(partial(self._load, slot, stamp))

    def take(self) -> list[Change]:
        """Put in what was loaded, take out what was taken from the mirror; to be called between two messages."""
        changes: list[Change] = []
        while not self._loaded.empty():
            stamp, found, slot = self._loaded.get_nowait()
            place = self._places[slot]
            if stamp != place.stamp:
                continue  # the link was turned again meanwhile
            if isinstance(found, Refusal):
                place.refused_at = self._manifest()
                changes.append(found)
            else:
                changes.append(Swapped(slot, place.model, found))
                place.model, place.model_stamp = found, stamp
        for slot, place in self._places.items():
            if place.stamp is None and place.model is not None:
                changes.append(Swapped(slot, place.model, None))
                place.model = None
        return changes

    def throw_out(self, slot: Watched) -> LoadedModel | None:
        """Take out and return a model that fails while it scores; a turned link brings another one."""
        model, self._places[slot].model = self._places[slot].model, None
        return model

    def _load(self, slot: Watched, stamp: _Stamp) -> None:
        """Runs on the worker."""
        found: LoadedModel | Refusal
        try:
            found = self._load_one(self._root, slot, self._engine)
        except ModelRefused as refused:
            found = Refusal(slot, Path(stamp[0]).name, refused.reason, str(refused))
        except Exception as error:  # a bundle that brings down the loader is refused like any other
            found = Refusal(slot, Path(stamp[0]).name, "unreadable", f"{self._root / slot}: {error!r}")
        self._loaded.put((stamp, found, slot))
        self._wake()

    def _link(self, slot: Watched) -> _Stamp | None:
        """What tells one turn of a link from another; None where there is none."""
        link = self._root / slot
        try:
            found = link.lstat()
            return str(link.readlink()), found.st_mtime_ns, found.st_ino
        except OSError:
            return None

    def _manifest(self) -> object:
        try:
            found = (self._root / MANIFEST_FILE).stat()
        except OSError as error:
            return error.errno
        return found.st_mtime_ns, found.st_ino


def load(root: Path, slot: Watched, engine: Engine) -> LoadedModel:
    """Load and prove the bundle in a slot of a mirror; raises ModelRefused."""
    try:
        folder = Mirror(root).slot(slot)
        if folder is None:
            raise ModelRefused("unreadable", f"{root / slot}: no link to a bundle; fill the slot again")
        version, entry = _known(root, folder)
        scorer = Scorer(folder, entry.sha256 if entry else None)
        _check_identity(folder, scorer.card, version, entry)
        if engine.trust is not None:
            engine.trust.check(folder, scorer.card)
        label = check_made_for(scorer.card, engine, str(folder))
        scorer.answer(np.zeros(len(scorer.card.feature_names), np.float32))
    except RegistryError as error:
        raise ModelRefused(reason_of(error), str(error)) from error
    return LoadedModel(scorer, version, label)


def check_made_for(card: ModelCard, engine: Engine, where: str) -> BarrierRule:
    """Return the label of a card made for this engine; raises ModelRefused naming what differs."""
    if card.schema_hash != engine.schema_hash or card.feature_names != FEATURE_NAMES:
        raise ModelRefused(
            "schema",
            f"{where}: trained on feature schema {card.schema_hash}, this release computes {engine.schema_hash};"
            " train again or run the release it was trained with",
        )
    try:
        rule = CandidateRule(**card.candidate_rule)  # type: ignore[arg-type]  # checked by the rule itself
        facts = card.label
        label = BarrierRule(facts.tp_pct, facts.sl_pct, facts.horizon_s, facts.net_of_fees)
    except (BadRule, TypeError) as error:
        raise ModelRefused("schema", f"{where}: its candidate rule or label cannot be: {error}") from error
    for name, wanted, found in (("candidate.*", engine.rule, rule), ("label.*", engine.label, label)):
        if found != wanted:
            raise ModelRefused(
                "schema",
                f"{where}: made for {found}, {name} says {wanted}; train again, or configure what it was made for",
            )
    return label


def reason_of(error: RegistryError) -> str:
    """Which of SWAP_REFUSALS an error of the registry is."""
    if isinstance(error, GoldenMismatch):
        return "parity"
    if isinstance(error, BadSignature):
        return "signature"
    if isinstance(error, CorruptBundle | BadCard | BadGraph | WrongBundle):
        return "corrupt"
    return "unreadable"


def severity_of(slot: str) -> Severity:
    """How grave a bundle is that may not score: only the active slot's puts what trades in doubt."""
    return "CRIT" if slot == "active" else "WARN"


def _known(root: Path, folder: Path) -> tuple[int, ManifestEntry | None]:
    """The version a folder is named for, and what the manifest says of it (nothing yet, right after a fill)."""
    named = _FOLDER.fullmatch(folder.name)
    if named is None:
        raise CorruptBundle(f"{folder}: wanted a folder named v<version>-<sha256>; fill the slot again")
    version = int(named[1])
    return version, Mirror(root).manifest().find(version)


def _check_identity(folder: Path, card: ModelCard, version: int, entry: ManifestEntry | None) -> None:
    """The sha256 does not cover who a bundle is; folder and manifest do."""
    is_named = card.version == version and folder.name == f"v{version}-{card.sha256[:12]}"
    is_listed = entry is None or (entry.id, entry.created_at) == (card.id, card.created_at)
    if not is_named or not is_listed:
        raise CorruptBundle(
            f"{folder}: its card says {card.id}, version {card.version}, created {card.created_at}; folder and"
            f" manifest say {entry.id if entry else 'nothing'}, version {version}; fetch the bundle again"
        )

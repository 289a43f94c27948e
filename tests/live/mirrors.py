"""Small real models of this release's schema, in a mirror, and candidates for them to judge."""

import hashlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from bus.messages import Candidate
from config.settings import Settings
from market.feature_spec import CONTEXT_NAMES, FEATURE_NAMES, N_FEATURES, schema_hash
from registry.bundle import CARD_FILE, GOLDEN_FILE, MODEL_FILE, stamp_bundle
from registry.card import Label, ModelCard, Thresholds, canonical, decode, encode
from registry.manifest import Cause, Mirror
from registry.slots import Slot
from tests.live.parts import START_NS, settings
from tests.registry.graphs import Forest, card, forest_graph, written

CAUSE = Cause(at="2026-01-07T12:00:00Z", by="tests", reason="a test")


def model_card(tau: float = 0.5, given: Settings | None = None, **changes: Any) -> ModelCard:
    """A card made for an engine of these settings."""
    made_for = given or settings()
    label = made_for.label
    facts: dict[str, Any] = {
        "feature_names": FEATURE_NAMES,
        "schema_hash": schema_hash(),
        "candidate_rule": made_for.candidate.model_dump(),
        "label": Label(
            tp_pct=label.tp_pct, sl_pct=label.sl_pct, horizon_s=label.horizon_seconds, net_of_fees=label.net_of_fees
        ),
        "thresholds": Thresholds(tau_entry=tau, tau_hold=tau / 2),
    }
    return card(**facts | changes)


def registered(folder: Path, version: int, tau: float = 0.5, **changes: Any) -> str:
    """Write a bundle of a version, whose trees grow from its number, and return its sha256."""
    model = forest_graph(Forest.grown(trees=5, width=N_FEATURES, seed=version), N_FEATURES)
    sha256 = written(folder, model, **_fields(model_card(tau, **changes)))
    stamp_bundle(folder, version, run_id=f"run{version}")
    return sha256


@dataclass
class Models:
    """A store of bundles by version, and the mirror they are put into."""

    folder: Path
    root: Path
    sha256: dict[int, str] = field(default_factory=dict)

    @property
    def mirror(self) -> Mirror:
        """The mirror."""
        return Mirror(self.root)

    def put(self, slot: Slot, version: int, tau: float = 0.5, **changes: Any) -> Path:
        """Fill a slot with a version, made when it is not there, and return the folder that scores."""
        source = self.folder / f"v{version}"
        if version not in self.sha256:
            self.sha256[version] = registered(source, version, tau, **changes)
        self.mirror.fill(slot, source, CAUSE, self.sha256[version])
        folder = self.mirror.slot(slot)
        assert folder is not None
        return folder

    def put_otherwise(self, slot: Slot, version: int) -> Path:
        """Fill a slot with a bundle whose hashes are right and whose graph is not the one its golden rows are of."""
        forest = Forest.grown(trees=5, width=N_FEATURES, seed=version)
        other = Forest(forest.features, forest.thresholds, forest.leaves + 1e-9)
        folder = self.folder / f"v{version}-otherwise"
        written(folder, forest_graph(forest, N_FEATURES), **{**_fields(model_card()), "version": version})
        self.sha256[version] = _exchange_graph(folder, forest_graph(other, N_FEATURES))
        self.mirror.fill(slot, folder, CAUSE, self.sha256[version])
        found = self.mirror.slot(slot)
        assert found is not None
        return found

    def id(self, version: int) -> str:
        """The id of a version's model."""
        return f"signal_scorer-{self.sha256[version][:12]}"


def row(seed: int = 0) -> NDArray[np.float32]:
    """A seeded row float32[N_COLUMNS]."""
    return np.random.default_rng(seed).normal(size=N_FEATURES + len(CONTEXT_NAMES)).astype(np.float32)


def candidate(number: int = 0, **changes: Any) -> Candidate:
    """A candidate a second behind the one before, of the default rule and this release's schema."""
    t_ns = START_NS + number * 1_000_000_000
    made = Candidate(
        id=f"BTCUSDT-{t_ns}",
        symbol="BTCUSDT",
        t_ns=t_ns,
        local_ns=t_ns,
        side=1 if number % 2 == 0 else -1,
        rule_id=settings().candidate.rule().id,
        schema_hash=schema_hash(),
        book_sequence=number,
        bid_ticks=1_000_000,
        bid_lots=500,
        ask_ticks=1_000_001,
        ask_lots=400,
        row=row(number).tobytes(),
        session_ns=START_NS,
    )
    return msgspec.structs.replace(made, **changes)


def _fields(described: ModelCard) -> dict[str, Any]:
    return {name: getattr(described, name) for name in described.__struct_fields__}


def _exchange_graph(folder: Path, graph: bytes) -> str:
    """Put another graph into a bundle and make its card vouch for it; returns the sha256 it has now."""
    (folder / MODEL_FILE).write_bytes(graph)
    described = decode((folder / CARD_FILE).read_bytes(), CARD_FILE)
    parts = (graph, (folder / GOLDEN_FILE).read_bytes(), canonical(described))
    sha256 = hashlib.sha256("\n".join(hashlib.sha256(part).hexdigest() for part in parts).encode()).hexdigest()
    (folder / CARD_FILE).write_bytes(encode(msgspec.structs.replace(described, sha256=sha256)))
    return sha256

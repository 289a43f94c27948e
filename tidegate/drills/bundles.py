"""Models for drills, made of one that was really trained: another one as good, one that is wrong, one that is broken.

All are real bundles with golden rows of their own; only the broken one does not answer them.
"""

import hashlib
from pathlib import Path

import msgspec
import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from registry.bundle import CARD_FILE, GOLDEN_FILE, MODEL_FILE, GraphScorer, verify_bundle, write_bundle
from registry.card import ModelCard, canonical, encode
from registry.files import write_file


def with_threshold(source: Path, target: Path, factor: float) -> str:
    """Write the same model with another entry threshold; returns the sha256."""
    card = verify_bundle(source)
    tau = card.thresholds.tau_entry * factor
    changed = msgspec.structs.replace(card.thresholds, tau_entry=tau, tau_hold=min(tau, card.thresholds.tau_hold))
    return _written(
        source, target, (source / MODEL_FILE).read_bytes(), msgspec.structs.replace(card, thresholds=changed)
    )


def turned_round(source: Path, target: Path) -> str:
    """Write a model that says the opposite: its card still promises what the sound one measured. Returns the sha256."""
    model = onnx.load_from_string((source / MODEL_FILE).read_bytes())
    graph = model.graph
    for node in graph.node:
        node.output[:] = [f"sound_{name}" if name in ("margin", "probability") else name for name in node.output]
        node.input[:] = [f"sound_{name}" if name in ("margin", "probability") else name for name in node.input]
    graph.initializer.append(numpy_helper.from_array(np.ones(1, np.float32), "turned_one"))
    graph.node.extend(
        [
            helper.make_node("Neg", ["sound_margin"], ["margin"]),
            helper.make_node("Sub", ["turned_one", "sound_probability"], ["probability"]),
        ]
    )
    return _written(source, target, bytes(model.SerializeToString(deterministic=True)), verify_bundle(source))


def break_parity(folder: Path) -> str:
    """Exchange a bundle's graph for one whose margins are off, and make its hashes vouch for it; returns the sha256.

    What a wrong export looks like: every checksum holds, and the golden rows are not answered.
    """
    model = onnx.load_from_string((folder / MODEL_FILE).read_bytes())
    for node in model.graph.node:
        node.output[:] = ["whole_margin" if name == "margin" else name for name in node.output]
        node.input[:] = ["whole_margin" if name == "margin" else name for name in node.input]
    model.graph.initializer.append(numpy_helper.from_array(np.full(1, 1e-9), "error"))
    model.graph.node.append(helper.make_node("Add", ["whole_margin", "error"], ["margin"]))
    graph = bytes(model.SerializeToString(deterministic=True))
    card = verify_bundle(folder)
    sha256 = _sha256(graph, (folder / GOLDEN_FILE).read_bytes(), card)
    write_file(folder / MODEL_FILE, graph)
    named = msgspec.structs.replace(card, sha256=sha256, id=f"{card.name}-{sha256[:12]}")
    write_file(folder / CARD_FILE, encode(named))
    return sha256


def golden_rows(folder: Path) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """The golden rows of a bundle float32[n, F], oriented to buying, and their scores float32[n]."""
    with np.load(folder / GOLDEN_FILE, allow_pickle=False) as stored:
        return stored["rows"], stored["scores"]


def _written(source: Path, target: Path, graph: bytes, card: ModelCard) -> str:
    rows, _ = golden_rows(source)
    answers = GraphScorer(graph, rows.shape[1], str(target)).score_many(rows)
    new = msgspec.structs.replace(card, id="", sha256="", version=None, run_id=None)
    return write_bundle(
        target, graph, new, golden_rows=rows, golden_scores=answers.probability, golden_margins=answers.margin
    )


def _sha256(graph: bytes, golden: bytes, card: ModelCard) -> str:
    parts = (graph, golden, canonical(card))
    return hashlib.sha256("\n".join(hashlib.sha256(part).hexdigest() for part in parts).encode()).hexdigest()

"""Small graphs, cards and bundles for the tests of this folder, with a plain reading of the trees to compare with."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from evaluation.drift import Reference
from registry.bundle import GraphScorer, write_bundle
from registry.card import Baseline, Calibration, DriftBaseline, Label, ModelCard, Parity, ScoreBaseline, Thresholds
from registry.card import Training as TrainingFacts

WIDTH = 5
NAMES = tuple(f"feature_{i}" for i in range(WIDTH))
CREATED_AT = "2026-01-08T00:00:00Z"

_DEPTH = 3
_SPLITS, _LEAVES = 2**_DEPTH - 1, 2**_DEPTH


@dataclass(frozen=True)
class Forest:
    """Complete binary trees: split i of a tree has children 2i+1 and 2i+2, the last level's children are leaves."""

    features: NDArray[np.int64]  # [trees, splits]
    thresholds: NDArray[np.float64]  # [trees, splits]
    leaves: NDArray[np.float64]  # [trees, leaves]

    @staticmethod
    def grown(trees: int = 20, width: int = WIDTH, seed: int = 3) -> "Forest":
        """Return random trees."""
        rng = np.random.default_rng(seed)
        shape = (trees, _SPLITS)
        return Forest(rng.integers(0, width, shape), rng.normal(size=shape), rng.normal(0, 0.3, (trees, _LEAVES)))

    def margins(self, rows: NDArray[np.float32]) -> NDArray[np.float64]:
        """Return the sum of leaves of each row, tree by tree in double, as the graph is meant to."""
        wide = rows.astype(np.float64)
        every = np.arange(len(rows))
        total = np.zeros(len(rows))
        for features, thresholds, leaves in zip(self.features, self.thresholds, self.leaves, strict=True):
            node = np.zeros(len(rows), np.int64)
            for _ in range(_DEPTH):
                goes_right = ~(wide[every, features[node]] <= thresholds[node])
                node = 2 * node + 1 + goes_right
            total += leaves[node - _SPLITS]
        return total


def forest_graph(forest: Forest | None = None, width: int = WIDTH) -> bytes:
    """Return the forest behind a sigmoid, in double, as a graph that keeps the bundle's contract."""
    forest = forest or Forest.grown(width=width)
    return serialized(
        [
            helper.make_node("Cast", ["features"], ["wide"], to=TensorProto.DOUBLE),
            _trees(forest),
            helper.make_node("Sigmoid", ["margin"], ["odds"]),
            helper.make_node("Cast", ["odds"], ["probability"], to=TensorProto.FLOAT),
        ],
        width,
    )


def serialized(nodes: list[onnx.NodeProto], width: int = WIDTH, **changes: Any) -> bytes:
    """Return a model of the given nodes with the bundle's inputs and outputs, or others where named in changes."""
    inputs = changes.get("inputs") or [helper.make_tensor_value_info("features", TensorProto.FLOAT, ["N", width])]
    outputs = changes.get("outputs") or [
        helper.make_tensor_value_info("margin", TensorProto.DOUBLE, ["N", 1]),
        helper.make_tensor_value_info("probability", TensorProto.FLOAT, ["N", 1]),
    ]
    graph = helper.make_graph(nodes, "test", inputs, outputs, initializer=changes.get("initializer"))
    opsets = [helper.make_opsetid("", 21), helper.make_opsetid("ai.onnx.ml", 5)]
    return bytes(helper.make_model(graph, opset_imports=opsets, ir_version=10).SerializeToString(deterministic=True))


def rows(count: int = 256, width: int = WIDTH, seed: int = 8) -> NDArray[np.float32]:
    """Return seeded float32 rows."""
    return np.random.default_rng(seed).normal(size=(count, width)).astype(np.float32)


def card(**changes: Any) -> ModelCard:
    """Return a card that is true of no model, with the named fields changed."""
    names = changes.get("feature_names", NAMES)
    reference = Reference.fit(rows(500, len(names)), names).thinned(50)
    base = ModelCard(
        name="signal_scorer",
        schema_hash="5c" * 32,
        feature_names=names,
        candidate_rule={"interval_ms": 1000, "pressure_feature": "queue_imbalance_5"},
        label=Label(tp_pct=0.00048, sl_pct=0.00048, horizon_s=60.0, net_of_fees=False),
        thresholds=Thresholds(tau_entry=0.6, tau_hold=0.5),
        calibration=Calibration(kind="platt", rows=1_000),
        metrics={"auc": 0.76, "brier": 0.2},
        training=TrainingFacts(
            symbols=("BTC-USD",),
            first_day="2026-01-06",
            last_day="2026-01-06",
            rows=10_000,
            data_hash="da" * 32,
            code_version="c0de",
            seed=7,
        ),
        parity=Parity(rows=200_000, margin_mismatches=0, flips=0, max_abs_diff=0.0),
        baseline=Baseline(
            drift=msgspec.convert(reference.to_dict(), DriftBaseline),
            scores=ScoreBaseline(edges=(0.5,), shares=(0.4, 0.6)),
            brier=0.2,
            winrate=0.55,
            trades_per_hour_p95=120.0,
        ),
        limitations=("Fees, fills and profit are not shown.",),
        created_at=CREATED_AT,
    )
    return msgspec.structs.replace(base, **changes)


def written(folder: Path, model: bytes | None = None, **changes: Any) -> str:
    """Write a bundle whose golden answers are the graph's own, and return its sha256."""
    model = model or forest_graph()
    described = card(**changes)
    golden = rows(256, len(described.feature_names))
    answers = GraphScorer(model, golden.shape[1]).score_many(golden)
    return write_bundle(
        folder,
        model,
        described,
        golden_rows=golden,
        golden_scores=answers.probability,
        golden_margins=answers.margin,
    )


def _trees(forest: Forest) -> onnx.NodeProto:
    trees = len(forest.features)
    child = np.arange(_SPLITS) * 2 + 1
    leafs = (child >= _SPLITS).astype(np.int64)

    def targets(side: int) -> list[int]:
        local = np.where(leafs == 1, child + side - _SPLITS, child + side)
        step = np.where(leafs == 1, _LEAVES, _SPLITS)
        return (local + np.arange(trees)[:, None] * step).ravel().tolist()

    return helper.make_node(
        "TreeEnsemble",
        ["wide"],
        ["margin"],
        domain="ai.onnx.ml",
        n_targets=1,
        tree_roots=(np.arange(trees) * _SPLITS).tolist(),
        nodes_featureids=forest.features.ravel().tolist(),
        nodes_splits=numpy_helper.from_array(forest.thresholds.ravel(), "splits"),
        nodes_modes=numpy_helper.from_array(np.zeros(trees * _SPLITS, np.uint8), "modes"),
        nodes_truenodeids=targets(0),
        nodes_trueleafs=np.tile(leafs, trees).tolist(),
        nodes_falsenodeids=targets(1),
        nodes_falseleafs=np.tile(leafs, trees).tolist(),
        leaf_targetids=[0] * forest.leaves.size,
        leaf_weights=numpy_helper.from_array(forest.leaves.ravel(), "weights"),
    )

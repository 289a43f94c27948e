"""The way from a trained model to a proven graph: time of the export, time of the proof, and what the proof finds.

The model has 200 trees of 31 leaves over 24 features. The proof asks its training rows, 200,000 random rows, three
rows beside every threshold, rows around zero, and some one at a time. The plain onnxmltools conversion is asked the
threshold rows too, to show that they tell. Batches are scored beside LightGBM's own predict, both on one thread. Run
with `python -m benchmarks.parity`.
"""

import time
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnxruntime as ort
from lightgbm import Booster
from numpy.typing import NDArray
from onnxmltools import convert_lightgbm
from onnxmltools.convert.common.data_types import FloatTensorType

from benchmarks.rows import fact, row, show
from benchmarks.timing import measure
from evaluation.parity import threshold_rows
from pipelines import trees
from pipelines.estimator import Fitted, TrainingRule, fit
from pipelines.onnx_export import export
from pipelines.parity import Proof, prove
from registry.bundle import GraphScorer

FEATURES = 24
TRAINING_ROWS = 60_000
TAU = 0.6
BATCHES = (16, 256, 20_000)
RULE = TrainingRule(learning_rate=0.03, num_leaves=31, min_data_in_leaf=20, max_rounds=200, early_stopping_rounds=200)


def run() -> list[dict[str, Any]]:
    """Return the rows {name, value, unit, ratio, goal, holds}; ratios are the peer's CPU time over ours."""
    rows, fitted = _trained()
    ways = {"ours": lambda: export(fitted.model_text, fitted.calibrator), "plain": lambda: _plain(fitted.booster)}
    seconds = measure(ways, rounds=5)
    graph = export(fitted.model_text, fitted.calibrator)
    scorer = GraphScorer(graph, FEATURES)
    proof, spent = _proven(fitted, scorer, rows)
    return [
        row("parity: export of 200 trees x 31 leaves", seconds["ours"] * 1e3, "ms CPU"),
        row("parity: plain onnxmltools", seconds["plain"] * 1e3, "ms CPU", ratio=seconds["plain"] / seconds["ours"]),
        row("parity: size of the graph", len(graph) / 1024, "KiB"),
        fact("parity: exporting twice gives the same bytes", float(graph == ways["ours"]()), "", wanted=1),
        row("parity: the whole proof", spent, "s CPU"),
        row("parity: rows proven a second", proof.total.rows / spent / 1e3, "k rows/s"),
        fact("parity: margins that differ in a bit", proof.total.margin_mismatches, "rows", wanted=0),
        fact("parity: probabilities that differ as float32", proof.total.prob_mismatches, "rows", wanted=0),
        fact("parity: decisions that flip", proof.total.flips, "rows", wanted=0),
        fact("parity: plain conversion, threshold rows off by over 1e-4", _plain_misses(fitted, rows), "rows"),
        *_batches(fitted, scorer, rows),
    ]


@dataclass(frozen=True, slots=True)
class _Pass:
    """Score rows in batches of one size, with either engine."""

    rows: NDArray[np.float32]
    size: int

    def with_scorer(self, scorer: GraphScorer) -> None:
        for start in range(0, len(self.rows), self.size):
            scorer.score_many(self.rows[start : start + self.size])

    def with_booster(self, booster: Booster) -> None:
        for start in range(0, len(self.rows), self.size):
            booster.predict(self.rows[start : start + self.size], raw_score=True, num_threads=1)


def _trained() -> tuple[NDArray[np.float32], Fitted]:
    """Half of the features smooth, half on a lattice, as ticks and lots are."""
    rng = np.random.default_rng(1)
    rows = rng.normal(size=(TRAINING_ROWS, FEATURES)).astype(np.float32)
    rows[:, ::2] = np.float32(0.1) * np.round(rows[:, ::2] * 7)
    y = rng.random(TRAINING_ROWS) < 1 / (1 + np.exp(-(rows[:, 0] - rows[:, 1] * rows[:, 2])))
    t_ns = np.arange(TRAINING_ROWS, dtype=np.int64) * 1_000_000_000
    return rows, fit(rows, y, t_ns, horizon_ns=60_000_000_000, rule=RULE, seed=1)


def _proven(fitted: Fitted, scorer: GraphScorer, rows: NDArray[np.float32]) -> tuple[Proof, float]:
    begin = time.process_time()
    proof = prove(fitted, scorer, rows, tau=TAU, seed=1)
    return proof, time.process_time() - begin


def _plain(booster: Booster) -> bytes:
    kinds = [("features", FloatTensorType([None, FEATURES]))]
    return bytes(convert_lightgbm(booster, initial_types=kinds, target_opset=15, zipmap=False).SerializeToString())


def _plain_misses(fitted: Fitted, rows: NDArray[np.float32]) -> int:
    ensemble = trees.read(fitted.model_text)
    asked = threshold_rows(ensemble.features, ensemble.thresholds, rows)
    session = ort.InferenceSession(_plain(fitted.booster), providers=["CPUExecutionProvider"])
    found = session.run(["probabilities"], {"features": asked})[0][:, 1]
    wanted = 1.0 / (1.0 + np.exp(-fitted.margins(asked)))
    return int((np.abs(found - wanted) > 1e-4).sum())


def _batches(fitted: Fitted, scorer: GraphScorer, rows: NDArray[np.float32]) -> list[dict[str, Any]]:
    results = []
    for size in BATCHES:
        batch = _Pass(rows[:20_000] if size > 100 else rows[:2_000], size)
        seconds = measure(
            {"ours": lambda: batch.with_scorer(scorer), "booster": lambda: batch.with_booster(fitted.booster)},  # noqa: B023
            rounds=5,
        )
        name = f"parity: one row of a batch of {size:,}, LightGBM's time over ours"
        each = seconds["ours"] / len(batch.rows) * 1e6
        results.append(row(name, each, "us CPU", ratio=seconds["booster"] / seconds["ours"], least=1.5))
    return results


if __name__ == "__main__":
    show(run())

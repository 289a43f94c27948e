"""Synthetic candidates that can be learned from, and a scorer of any ONNX graph, for the tests of this folder."""

from dataclasses import dataclass

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from pipelines.estimator import Fitted, TrainingRule, fit

SECOND_NS = 1_000_000_000
HORIZON_NS = 60 * SECOND_NS

# Spelled out, so that other defaults of the rule change no test here.
SMALL = TrainingRule(
    learning_rate=0.1,
    num_leaves=15,
    min_data_in_leaf=20,
    feature_fraction=0.7,
    bagging_fraction=0.7,
    bagging_freq=1,
    lambda_l2=5.0,
    max_rounds=60,
    early_stopping_rounds=20,
    validation_share=0.15,
    calibration_share=0.15,
    calibration="isotonic",
    calibration_steps=12,
    min_piece_rows=200,
)


@dataclass(frozen=True)
class Sample:
    """Rows in time order, one a second."""

    rows: NDArray[np.float32]
    y: NDArray[np.bool_]
    t_ns: NDArray[np.int64]


def sample(n: int = 6_000, features: int = 20, seed: int = 1) -> Sample:
    """Return candidates whose outcome depends on three features, two of them on a lattice as ticks and lots are."""
    rng = np.random.default_rng(seed)
    rows = rng.normal(size=(n, features)).astype(np.float32)
    rows[:, 1::3] = np.round(rows[:, 1::3] * 4) / 4
    rows[:, 2::3] = np.float32(0.1) * np.round(rows[:, 2::3] * 7)
    logit = 1.2 * rows[:, 0] - rows[:, 1] * rows[:, 2] + 0.3
    y = rng.random(n) < 1.0 / (1.0 + np.exp(-logit))
    return Sample(rows, y, np.arange(n, dtype=np.int64) * SECOND_NS)


def trained(data: Sample | None = None, rule: TrainingRule = SMALL, seed: int = 7) -> Fitted:
    """Fit the sample, by default the standard one."""
    data = data or sample()
    return fit(data.rows, data.y, data.t_ns, horizon_ns=HORIZON_NS, rule=rule, seed=seed)


@dataclass(frozen=True)
class Answers:
    """What a graph said: margin float64[n], probability float32[n]."""

    margin: NDArray[np.float64]
    probability: NDArray[np.float32]


class GraphScorer:
    """Runs a graph with outputs margin and probability on one thread, without a bundle around it."""

    def __init__(self, onnx_bytes: bytes) -> None:
        options = ort.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        self.session = ort.InferenceSession(onnx_bytes, options, providers=["CPUExecutionProvider"])

    def score_many(self, rows: NDArray[np.float32]) -> Answers:
        margin, probability = self.session.run(["margin", "probability"], {"features": rows})
        return Answers(margin[:, 0], probability[:, 0])

    def score(self, row: NDArray[np.float32]) -> float:
        return float(self.score_many(row[None, :]).probability[0])

    def margin(self, row: NDArray[np.float32]) -> float:
        return float(self.score_many(row[None, :]).margin[0])

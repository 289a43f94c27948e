"""One row through the live scorer against onnxruntime's session.run and LightGBM's own predict, a new row each time.

The model has 200 trees of 31 leaves over 24 features, exported exactly. A repeated row would halve every time, since
the processor learns its branches, so rows rotate. The scorer also checks width, dtype and NaN, which the others do
not. Run with `python -m benchmarks.scoring`.
"""

from collections.abc import Callable
from typing import Any

import lightgbm as lgb
import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from benchmarks.rows import fact, row, show
from benchmarks.timing import measure
from pipelines.calibrators import Platt
from pipelines.onnx_export import export
from registry.bundle import GraphScorer

FEATURES = 24
TREES, LEAVES = 200, 31
TRAINING_ROWS = 50_000
ASKED_ROWS = 2_000


def run() -> list[dict[str, Any]]:
    """Return the rows {name, value, unit, ratio, goal, holds}; ratio is our CPU time over the peer's."""
    rng = np.random.default_rng(1)
    booster = _booster(rng)
    model = export(booster.model_to_string(), Platt(slope=1.1, offset=-0.05))
    asked = rng.normal(size=(ASKED_ROWS, FEATURES)).astype(np.float32)
    scorer = GraphScorer(model, FEATURES)
    seconds = measure(
        {
            "scorer": _each(asked, scorer.score),
            "session": _each(asked, _session_run(model)),
            "booster": _each(asked[:200], lambda one: booster.predict(one[None], raw_score=True, num_threads=1)),
            "batch": lambda: scorer.score_many(asked),
        },
        rounds=9,
    )
    micros = {name: value / (200 if name == "booster" else ASKED_ROWS) * 1e6 for name, value in seconds.items()}
    single = np.array([scorer.margin(one) for one in asked])
    wanted = booster.predict(asked, raw_score=True, num_threads=1)
    batch = scorer.score_many(asked).margin
    ours = micros["scorer"]
    return [
        row("scoring: one row, scorer", ours, "us CPU"),
        row("scoring: one row, session.run", micros["session"], "us CPU", ratio=ours / micros["session"], most=0.8),
        row(
            "scoring: one row, Booster.predict", micros["booster"], "us CPU", ratio=ours / micros["booster"], most=0.35
        ),
        row("scoring: one row of a batch of 2,000", micros["batch"], "us CPU"),
        fact("scoring: margins of LightGBM that differ, batch", _differing(wanted, batch), "rows", wanted=0),
        fact("scoring: margins of LightGBM that differ, one at a time", _differing(wanted, single), "rows", wanted=0),
    ]


def _booster(rng: np.random.Generator) -> lgb.Booster:
    rows = rng.normal(size=(TRAINING_ROWS, FEATURES)).astype(np.float32)
    logit = rows[:, 0] - rows[:, 1] * rows[:, 2] + np.sin(2 * rows[:, 3])
    wins = rng.random(TRAINING_ROWS) < 1 / (1 + np.exp(-logit))
    settings = {"objective": "binary", "num_leaves": LEAVES, "seed": 1, "num_threads": 1, "verbosity": -1}
    return lgb.train(settings, lgb.Dataset(rows, wins), num_boost_round=TREES)


def _session_run(model: bytes) -> Callable[[NDArray[np.float32]], float]:
    options = ort.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    return lambda one: float(session.run(["probability"], {"features": one[None]})[0][0, 0])


def _each(rows: NDArray[np.float32], score: Callable[[NDArray[np.float32]], object]) -> Callable[[], None]:
    def ask() -> None:
        for one in rows:
            score(one)

    return ask


def _differing(wanted: NDArray[np.float64], found: NDArray[np.float64]) -> int:
    return int((wanted.view(np.int64) != found.view(np.int64)).sum())


if __name__ == "__main__":
    show(run())

"""Training time: our parameters against LightGBM's quantised gradients, and against XGBoost where it is installed.

300,000 rows of 24 float32 features, 200 trees of 31 leaves, one thread. Run with `python -m benchmarks.training`.
"""

import importlib
import importlib.util
from collections.abc import Callable
from typing import Any

import lightgbm as lgb
import numpy as np
from numpy.typing import NDArray

from benchmarks.rows import fact, row, show
from benchmarks.timing import measure
from evaluation.discrimination import log_loss

ROWS, HELD_OUT, FEATURES, TREES, LEAVES = 300_000, 60_000, 24, 200, 31
_SHARED = {
    "objective": "binary", "num_leaves": LEAVES, "learning_rate": 0.05, "min_data_in_leaf": 100, "num_threads": 1,
    "deterministic": True, "force_row_wise": True, "seed": 7, "verbosity": -1,
}  # fmt: skip
_QUANTISED = _SHARED | {"use_quantized_grad": True, "num_grad_quant_bins": 4, "quant_train_renew_leaf": True}

Scorer = Callable[[NDArray[np.float32]], NDArray[np.float64]]


def run() -> list[dict[str, Any]]:
    """Return the rows {name, value, unit, ratio, goal, holds}; a ratio is CPU time against LightGBM's default."""
    rows, won = _made(ROWS, 1)
    test, test_won = _made(HELD_OUT, 2)
    trainers: dict[str, Callable[[], Scorer]] = {
        "default": lambda: _lightgbm(_SHARED, rows, won),
        "quantised gradients": lambda: _lightgbm(_QUANTISED, rows, won),
    }
    if importlib.util.find_spec("xgboost"):
        trainers["xgboost hist, lossguide"] = lambda: _xgboost(rows, won)
    seconds = measure(trainers, rounds=2)
    losses = {name: log_loss(train()(test), test_won) for name, train in trainers.items()}
    default = seconds["default"]
    results = [fact("LightGBM with our parameters", default, "s CPU")]
    for name in list(trainers)[1:]:
        goal = 0.75 if name.startswith("quantised") else None
        results.append(row(f"{name}, its time over the default's", seconds[name], "s CPU",
                           ratio=seconds[name] / default, most=goal))  # fmt: skip
        results.append(fact(f"{name}, log loss over the default's", losses[name] - losses["default"], "nats"))
    return results


def _made(rows: int, seed: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return features and outcomes whose odds hang on a few of the features and on a product of two."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(rows, FEATURES)).astype(np.float32)
    margin = 0.8 * x[:, 0] - 0.5 * x[:, 1] + 0.6 * x[:, 2] * x[:, 3] + 0.3 * np.abs(x[:, 4]) - 1.0
    return x, (rng.random(rows) < 1.0 / (1.0 + np.exp(-margin))).astype(np.float32)


def _lightgbm(parameters: dict[str, Any], rows: NDArray[np.float32], won: NDArray[np.float32]) -> Scorer:
    booster = lgb.train(parameters, lgb.Dataset(rows, won), TREES)
    return lambda test: np.asarray(booster.predict(test, num_threads=1))


def _xgboost(rows: NDArray[np.float32], won: NDArray[np.float32]) -> Scorer:
    xgboost = importlib.import_module("xgboost")
    parameters = {
        "objective": "binary:logistic", "tree_method": "hist", "grow_policy": "lossguide", "max_leaves": LEAVES,
        "max_depth": 0, "eta": 0.05, "nthread": 1, "seed": 7,
    }  # fmt: skip
    booster = xgboost.train(parameters, xgboost.DMatrix(rows, won), TREES)
    return lambda test: np.asarray(booster.predict(xgboost.DMatrix(test)), np.float64)


if __name__ == "__main__":
    show(run())

"""Fit one calibrated model: a split in time with purged seams, LightGBM with early stopping, a calibrator behind it.

Time runs train | validation | calibration. A label looks `horizon_ns` ahead, so rows whose label reaches into the next
piece are left out: nothing that stops the trees or bends the curve was seen while growing them. The same rows, rule
and seed give the same model text, whatever order the rows come in and however many threads grow the trees.
"""

import hashlib
from dataclasses import dataclass
from typing import Any, Literal

import lightgbm as lgb
import numpy as np
from numpy.typing import NDArray

from pipelines.calibrators import Calibrator, fit_calibrator
from pipelines.errors import BadRows, NotEnoughData

# Lines of the model text that say how it was computed, not what was learned.
_NOT_LEARNED = ("[num_threads:",)


@dataclass(frozen=True, slots=True)
class TrainingRule:
    """Everything beside the data and the seed that decides what is learned.

    The defaults suit 20,000 rows and more; a smaller set needs a smaller `min_data_in_leaf`. Shares are of the rows in
    time order. `calibration_steps` caps the knots of the isotonic curve, `min_piece_rows` is the least that each of
    the three pieces may hold. Raises ValueError naming the field, the bound and the value found.
    """

    learning_rate: float = 0.03
    num_leaves: int = 15
    min_data_in_leaf: int = 2_000
    feature_fraction: float = 0.3
    bagging_fraction: float = 0.4
    bagging_freq: int = 1
    lambda_l2: float = 50.0
    max_rounds: int = 300
    early_stopping_rounds: int = 60
    num_threads: int = 1
    validation_share: float = 0.15
    calibration_share: float = 0.15
    calibration: Literal["isotonic", "platt"] = "isotonic"
    calibration_steps: int = 30
    min_piece_rows: int = 200

    def __post_init__(self) -> None:
        held_out = self.validation_share + self.calibration_share
        if not (self.validation_share > 0 and self.calibration_share > 0 and held_out <= 0.8):
            raise ValueError(
                "validation_share and calibration_share must be above 0 and together at most 0.8, "
                f"were {self.validation_share} and {self.calibration_share}"
            )
        for name, least in (("max_rounds", 1), ("num_threads", 1), ("min_piece_rows", 1), ("calibration_steps", 2)):
            if (found := getattr(self, name)) < least:
                raise ValueError(f"{name} must be {least} or more, was {found}")


@dataclass(frozen=True, slots=True)
class Pieces:
    """Where the rows in time order were cut: half-open row ranges, and how many rows the two seams swallowed."""

    train: slice
    validation: slice
    calibration: slice
    purged: int


@dataclass(frozen=True, slots=True)
class Fitted:
    """A trained booster with its calibrator. `model_text` is canonical: equal texts are equal models."""

    booster: lgb.Booster
    calibrator: Calibrator
    model_text: str
    rounds: int
    train_rows: int
    validation_rows: int
    calibration_rows: int
    purged_rows: int
    validation_log_loss: float
    gain: NDArray[np.float64]

    @property
    def model_sha256(self) -> str:
        """Return the sha256 of the canonical model text."""
        return hashlib.sha256(self.model_text.encode()).hexdigest()

    def margins(self, rows: NDArray[np.float32]) -> NDArray[np.float64]:
        """Return LightGBM's raw margins float64[n] of rows float32[n, F]: the reference every export is held to."""
        return raw_margins(self.booster, rows)

    def probabilities(self, rows: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the calibrated probabilities float32[n] of rows float32[n, F]."""
        return self.calibrator.apply(self.margins(rows)).astype(np.float32)


def fit(
    rows: NDArray[np.float32],
    y: NDArray[np.bool_],
    t_ns: NDArray[np.int64],
    *,
    horizon_ns: int,
    rule: TrainingRule,
    seed: int,
) -> Fitted:
    """Fit on oriented rows float32[n, F], labels bool[n] (True: the barrier paid) decided within horizon_ns of t_ns[n].

    Raises BadRows for wrong shapes, types or values that are not finite; NotEnoughData when a piece is too small,
    holds one label only, or no split reduces the loss.
    """
    _check(rows, y, t_ns, horizon_ns)
    order = time_order(rows, y, t_ns)
    rows, y, t_ns = rows[order], y[order], t_ns[order]
    pieces = split(t_ns, horizon_ns, rule)
    for name in ("train", "validation", "calibration"):
        piece = y[getattr(pieces, name)]
        check_piece(name, (piece.size, int(piece.sum())), rule.min_piece_rows, y.size, pieces.purged)
    grown = _grow(rows, y, pieces, rule, seed)
    held_out = rows[pieces.calibration], y[pieces.calibration]
    return finished(grown, held_out, (y[pieces.train].size, y[pieces.validation].size, pieces.purged), rule)


def finished(
    grown: tuple[str, float, int],
    held_out: tuple[NDArray[np.float32], NDArray[np.bool_]],
    sizes: tuple[int, int, int],
    rule: TrainingRule,
) -> Fitted:
    """Put a calibrator behind grown trees (model text, validation log loss, rounds), however they were grown.

    `held_out` are the rows and labels of the calibration piece; `sizes` count the rows of the pieces for fitting and
    for stopping, and those purged. Raises NotEnoughData when no split reduced the loss.
    """
    text, loss, rounds = grown
    train_rows, validation_rows, purged_rows = sizes
    booster = lgb.Booster(model_str=text)
    gain = booster.feature_importance("gain")
    if not gain.any():
        raise NotEnoughData(
            f"training: no split of {train_rows} rows x {booster.num_feature()} features reduces the loss with "
            f"min_data_in_leaf={rule.min_data_in_leaf}; lower it, or give features that say something"
        )
    calibrator = fit_calibrator(
        raw_margins(booster, held_out[0]), held_out[1], rule.calibration, rule.calibration_steps
    )
    return Fitted(
        booster, calibrator, canonical(text), rounds, train_rows, validation_rows, held_out[1].size, purged_rows, loss,
        gain,
    )  # fmt: skip


def time_order(rows: NDArray[np.float32], y: NDArray[np.bool_], t_ns: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the order int64[n] by time; rows of one moment (two symbols, two sides) go by their values, then label.

    Rows that tie in everything are interchangeable, so the sorted set does not depend on the order it came in.
    """
    order = np.argsort(t_ns, kind="stable")
    ordered = t_ns[order]
    tied = np.r_[False, ordered[1:] == ordered[:-1]]
    if not tied.any():
        return order
    members = np.flatnonzero(tied | np.r_[tied[1:], False])
    keys = order[members]
    columns = [rows[keys, column] for column in range(rows.shape[1] - 1, -1, -1)]
    order[members] = keys[np.lexsort([y[keys], *columns, t_ns[keys]])]
    return order


def split(t_ns: NDArray[np.int64], horizon_ns: int, rule: TrainingRule) -> Pieces:
    """Cut times int64[n] in rising order into train, validation and calibration, rows of one moment never parted.

    A piece ends `horizon_ns` before the next begins (López de Prado, Advances in Financial Machine Learning, 7.4.1:
    purging), so no label of it is decided inside the next. Raises NotEnoughData without a row.
    """
    if not t_ns.size:
        raise NotEnoughData("training: no row is decided before the test days; add days, or materialize labels first")
    shares = (1.0 - rule.validation_share - rule.calibration_share, 1.0 - rule.calibration_share)
    first, second = (int(np.searchsorted(t_ns, t_ns[int(share * t_ns.size)], side="left")) for share in shares)
    train_end = int(np.searchsorted(t_ns, t_ns[first] - horizon_ns, side="left"))
    validation_end = max(first, int(np.searchsorted(t_ns, t_ns[second] - horizon_ns, side="left")))
    purged = first - train_end + second - validation_end
    return Pieces(slice(0, train_end), slice(first, validation_end), slice(second, t_ns.size), purged)


def canonical(model_text: str) -> str:
    """Return the model text without the lines that say how it was computed: equal texts are equal models."""
    return "\n".join(line for line in model_text.splitlines() if not line.startswith(_NOT_LEARNED)) + "\n"


def raw_margins(booster: lgb.Booster, rows: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return the booster's raw margins float64[n] of rows float32[n, F], on one thread."""
    return np.asarray(booster.predict(rows, raw_score=True, num_threads=1), dtype=np.float64)


def _check(rows: NDArray[np.float32], y: NDArray[np.bool_], t_ns: NDArray[np.int64], horizon_ns: int) -> None:
    if rows.dtype != np.float32 or rows.ndim != 2 or y.dtype != np.bool_ or t_ns.dtype != np.int64:
        raise BadRows(
            "training: wanted rows float32[n, F], y bool[n], t_ns int64[n], "
            f"found rows {rows.dtype}{list(rows.shape)}, y {y.dtype}{list(y.shape)}, "
            f"t_ns {t_ns.dtype}{list(t_ns.shape)}"
        )
    if not y.shape == t_ns.shape == (rows.shape[0],):
        raise BadRows(f"training: {rows.shape[0]} rows with {y.shape[0]} labels and {t_ns.shape[0]} times")
    if horizon_ns < 0:
        raise BadRows(f"training: horizon_ns must be 0 or more, was {horizon_ns}")
    if rows.size == 0:
        raise NotEnoughData(f"training: {rows.shape[0]} rows x {rows.shape[1]} features; materialize labels first")
    finite = np.isfinite(rows)
    if not finite.all():
        bad = np.flatnonzero(~finite.all(axis=1))
        raise BadRows(
            f"training: {bad.size} of {rows.shape[0]} rows are not finite, the first is row {bad[0]} "
            f"feature {int(np.argmin(finite[bad[0]]))}; drop rows the kernel marked invalid"
        )
    wins = int(y.sum())
    if wins in (0, y.size):
        raise NotEnoughData(
            f"training: {wins} of {y.size} labels are wins, both classes are needed; "
            "widen the days or bring the barriers closer (label.tp_pct, label.sl_pct)"
        )


def check_piece(name: str, held: tuple[int, int], least: int, total: int, purged: int) -> None:
    """Raise NotEnoughData unless a piece of (rows, wins) holds `least` rows of both classes."""
    rows, wins = held
    if rows < least or wins in (0, rows):
        raise NotEnoughData(
            f"training: the {name} piece holds {rows} rows with {wins} wins, wanted {least} rows of both classes "
            f"({total} rows in all, {purged} purged at the seams); add days or symbols"
        )


def _grow(
    rows: NDArray[np.float32], y: NDArray[np.bool_], pieces: Pieces, rule: TrainingRule, seed: int
) -> tuple[str, float, int]:
    train = lgb.Dataset(rows[pieces.train], y[pieces.train].astype(np.float32), free_raw_data=True)
    validation = lgb.Dataset(
        rows[pieces.validation], y[pieces.validation].astype(np.float32), reference=train, free_raw_data=True
    )
    booster = lgb.train(
        parameters(rule, seed),
        train,
        num_boost_round=rule.max_rounds,
        valid_sets=[validation],
        valid_names=["validation"],
        callbacks=[lgb.early_stopping(rule.early_stopping_rounds, verbose=False)],
    )
    text = booster.model_to_string(num_iteration=booster.best_iteration)
    return text, float(booster.best_score["validation"]["binary_logloss"]), booster.best_iteration


def parameters(rule: TrainingRule, seed: int) -> dict[str, Any]:
    """What LightGBM is told, wherever it runs."""
    return {
        "objective": "binary",
        "metric": "binary_logloss",
        "learning_rate": rule.learning_rate,
        "num_leaves": rule.num_leaves,
        "min_data_in_leaf": rule.min_data_in_leaf,
        "feature_fraction": rule.feature_fraction,
        "bagging_fraction": rule.bagging_fraction,
        "bagging_freq": rule.bagging_freq,
        "lambda_l2": rule.lambda_l2,
        "num_threads": rule.num_threads,
        "seed": seed,
        "deterministic": True,
        "force_row_wise": True,
        "verbosity": -1,
    }

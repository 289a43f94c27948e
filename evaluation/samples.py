"""What a sample must be before it is measured: checked here once, trusted by every statistic of the package."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from evaluation.errors import BadRule, BadSample


def scores(values: ArrayLike, name: str = "scores") -> NDArray[np.float64]:
    """Return probabilities as float64[n], n >= 1; raise BadSample for an empty, non-finite or out-of-range sample."""
    array = _vector(values, name)
    bad = np.flatnonzero(~((array >= 0.0) & (array <= 1.0)))
    if bad.size:
        raise BadSample(
            f"{name}: {bad.size} of {array.size} values are not probabilities, first {array[bad[0]]} at row {bad[0]};"
            " wanted finite numbers from 0 to 1"
        )
    return array


def labels(values: ArrayLike, wanted_rows: int, name: str = "labels") -> NDArray[np.float64]:
    """Return labels as float64[wanted_rows] of 0.0 and 1.0; raise BadSample for another value or another length."""
    array = _vector(values, name)
    if array.size != wanted_rows:
        raise BadSample(f"{name}: wanted one label for each of the {wanted_rows} scores, found {array.size}")
    bad = np.flatnonzero((array != 0.0) & (array != 1.0))
    if bad.size:
        raise BadSample(
            f"{name}: {bad.size} of {array.size} values are neither 0 nor 1, first {array[bad[0]]} at row {bad[0]}"
        )
    return array


def scored(p: ArrayLike, y: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return (scores, labels) of one sample, both checked and of the same length."""
    probabilities = scores(p)
    return probabilities, labels(y, probabilities.size)


def feature_rows(rows: ArrayLike, names: Sequence[str]) -> NDArray[np.float32]:
    """Return rows as float32[n, len(names)], n >= 1, all finite; raise BadSample naming the first offending feature."""
    array: NDArray[Any] = np.asarray(rows)
    if array.ndim != 2 or array.shape[0] == 0 or array.shape[1] != len(names):
        raise BadSample(f"rows: wanted shape (n >= 1, {len(names)} features), found {array.shape}")
    if array.dtype.kind not in "fiub":
        raise BadSample(f"rows: wanted real numbers, found dtype {array.dtype}")
    with np.errstate(over="ignore"):  # what float32 cannot hold becomes infinite and is refused just below
        narrow = array.astype(np.float32, copy=False)
    finite = np.isfinite(narrow)
    if not finite.all():
        bad_rows, bad_features = np.nonzero(~finite)
        raise BadSample(
            f"rows: {bad_rows.size} values are not finite, first {array[bad_rows[0], bad_features[0]]} in feature"
            f" {names[bad_features[0]]} at row {bad_rows[0]}; drop invalid rows before measuring drift"
        )
    return narrow


def bin_count(bins: int, least: int) -> int:
    """Return bins; raise BadRule when there are fewer than least."""
    if bins < least:
        raise BadRule(f"bins must be {least} or more, was {bins}")
    return bins


def _vector(values: ArrayLike, name: str) -> NDArray[np.float64]:
    try:
        array = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise BadSample(f"{name}: wanted numbers, found {type(values).__name__}: {error}") from error
    if array.ndim != 1 or array.size == 0:
        raise BadSample(f"{name}: wanted shape (n >= 1,), found {array.shape}")
    return array

"""Does the exported model answer exactly as the trained one, and on which rows should that be asked?

A conversion which rounds thresholds to float32 agrees on nearly every random row and fails on rows beside a
threshold. So the gate compares bits, and asks on rows laid on and beside every threshold.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from evaluation import samples
from evaluation.errors import BadRule, BadSample

# LightGBM reads |x| <= 1e-35 as zero, ONNX does not. The feature kernel never emits such a value; nor may test rows.
TINY = np.float32(1e-35)

_STRETCH = 0.1  # random rows reach this far beyond a feature's range, as a share of it


@dataclass(frozen=True, slots=True)
class ParityReport:
    """The comparison of two scorers on the same rows."""

    rows: int
    margin_mismatches: int  # float64 margins whose bits differ
    prob_mismatches: int  # probabilities that differ after rounding to float32
    flips: int  # rows which one scorer takes at tau and the other does not
    max_margin_diff: float  # log-odds
    max_abs_diff: float  # probability
    tau: float
    first_bad_row: int | None  # the first row that counts as a mismatch or a flip
    first_bad: str  # both answers for that row in full precision; empty when there is none

    @property
    def passed(self) -> bool:
        """Whether the two scorers answer alike on every row."""
        return self.first_bad_row is None


def compare(
    margin_reference: ArrayLike,
    margin_found: ArrayLike,
    prob_reference: ArrayLike,
    prob_found: ArrayLike,
    tau: float,
) -> ParityReport:
    """Compare the margins float64[n] bit for bit, and the probabilities [n] after rounding to float32.

    A flip is a row on one side of tau by one float32 probability and on the other side by the other; signals are
    decided on the float32, so that is where it counts. Raises BadSample for empty samples, unequal lengths, values
    that are not finite or margins that are not float64, and BadRule for a tau outside [0, 1].
    """
    if not 0.0 <= tau <= 1.0:
        raise BadRule(f"tau must lie between 0 and 1, was {tau}")
    reference, found = _margins(margin_reference, "reference margins"), _margins(margin_found, "found margins")
    p_reference = samples.scores(prob_reference, "reference probabilities").astype(np.float32)
    p_found = samples.scores(prob_found, "found probabilities").astype(np.float32)
    lengths = {reference.size, found.size, p_reference.size, p_found.size}
    if len(lengths) > 1:
        raise BadSample(f"parity: wanted four samples of one length, found lengths {sorted(lengths)}")
    margin_differs = reference.view(np.int64) != found.view(np.int64)
    prob_differs = p_reference != p_found
    flips = (p_reference.astype(np.float64) >= tau) != (p_found.astype(np.float64) >= tau)
    bad = np.flatnonzero(margin_differs | prob_differs)  # a flip is always a differing probability
    first = int(bad[0]) if bad.size else None
    return ParityReport(
        rows=reference.size,
        margin_mismatches=int(margin_differs.sum()),
        prob_mismatches=int(prob_differs.sum()),
        flips=int(flips.sum()),
        max_margin_diff=float(np.abs(reference - found).max()),
        max_abs_diff=float(np.abs(p_reference.astype(np.float64) - p_found.astype(np.float64)).max()),
        tau=tau,
        first_bad_row=first,
        first_bad="" if first is None else _describe(first, reference, found, p_reference, p_found),
    )


def threshold_rows(features: ArrayLike, thresholds: ArrayLike, base: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return float32[3 m, F]: for each of m splits a base row with the split's feature just below, on and just above.

    features int[m] are columns of base float32[n >= 1, F], thresholds float64[m]. "On" is the float32 nearest to the
    threshold, the others its neighbours; split i uses base row i modulo n. |x| <= 1e-35 becomes 0, as in the kernel.
    """
    _check_base(base)
    columns = np.asarray(features, dtype=np.int64)
    limits = np.asarray(thresholds, dtype=np.float64)
    if columns.ndim != 1 or columns.shape != limits.shape:
        raise BadSample(f"splits: wanted features and thresholds of one length, found {columns.shape}, {limits.shape}")
    if columns.size and (columns.min() < 0 or columns.max() >= base.shape[1]):
        raise BadSample(f"splits: features {columns.min()} to {columns.max()} are not columns of {base.shape[1]}")
    if not (np.abs(limits) < np.finfo(np.float32).max).all():  # also false for NaN
        raise BadSample("splits: a threshold is not finite as float32")
    on = limits.astype(np.float32)
    beside = np.stack([np.nextafter(on, np.float32(-np.inf)), on, np.nextafter(on, np.float32(np.inf))], axis=1)
    rows = np.repeat(base[np.arange(columns.size) % base.shape[0]], 3, axis=0)
    rows[np.arange(rows.shape[0]), np.repeat(columns, 3)] = beside.ravel()
    return _flushed(rows)


def random_rows(base: NDArray[np.float32], n: int, seed: int) -> NDArray[np.float32]:
    """Return float32[n, F] of independent cells: half are values of that column of base, half uniform over its range.

    The first half keeps ticks and lots on their lattice, where real rows lie; the second leaves it, a tenth of the
    range beyond either end. Columns are independent, so rows reach leaves that no real row does. Seeded.
    """
    _check_base(base)
    if n < 1:
        raise BadRule(f"n must be 1 or more, was {n}")
    rng = np.random.default_rng(seed)
    shape = (n, base.shape[1])
    drawn = np.take_along_axis(base, rng.integers(0, base.shape[0], size=shape), axis=0)
    low, high = base.min(axis=0).astype(np.float64), base.max(axis=0).astype(np.float64)
    reach = _STRETCH * (high - low)
    uniform = rng.uniform(low - reach, high + reach, size=shape)
    largest = float(np.finfo(np.float32).max)
    return _flushed(np.where(rng.random(shape) < 0.5, drawn, np.clip(uniform, -largest, largest).astype(np.float32)))


def _margins(values: ArrayLike, name: str) -> NDArray[np.float64]:
    array = np.asarray(values)
    if array.dtype != np.float64 or array.ndim != 1 or array.size == 0:
        raise BadSample(f"{name}: wanted float64 of shape (n >= 1,), found {array.dtype} of shape {array.shape}")
    bad = np.flatnonzero(~np.isfinite(array))
    if bad.size:
        raise BadSample(f"{name}: {bad.size} of {array.size} are not finite, first {array[bad[0]]} at row {bad[0]}")
    return np.ascontiguousarray(array)


def _describe(
    row: int,
    reference: NDArray[np.float64],
    found: NDArray[np.float64],
    p_reference: NDArray[np.float32],
    p_found: NDArray[np.float32],
) -> str:
    return (
        f"row {row}: margin {float(reference[row])!r} wanted, {float(found[row])!r} found;"
        f" probability {float(p_reference[row])!r} wanted, {float(p_found[row])!r} found"
    )


def _check_base(base: NDArray[np.float32]) -> None:
    if base.dtype != np.float32 or base.ndim != 2 or 0 in base.shape:
        raise BadSample(f"base rows: wanted float32 of shape (n >= 1, F >= 1), found {base.dtype} {base.shape}")
    if not np.isfinite(base).all():
        raise BadSample(f"base rows: {int((~np.isfinite(base)).sum())} values are not finite")


def _flushed(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    rows[np.abs(rows) <= TINY] = 0.0
    return rows

"""From a raw margin to a probability: Platt's sigmoid or an isotonic curve with few steps, both in double.

Both are written so that an ONNX graph repeats them: the isotonic curve is a search for the segment and one
multiplication and addition, so its doubles are the graph's own doubles; Platt needs exp, whose last bit differs
between libraries and disappears in the rounding to float32.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from pipelines.errors import NotEnoughData

_NEWTON_STEPS = 100


@dataclass(frozen=True, slots=True)
class Platt:
    """probability = 1 / (1 + exp(-(slope * margin + offset)))."""

    slope: float
    offset: float

    def apply(self, margins: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the probability of each raw margin, float64[n] in and out."""
        with np.errstate(over="ignore"):
            return np.asarray(1.0 / (1.0 + np.exp(-(self.slope * margins + self.offset))), dtype=np.float64)


@dataclass(frozen=True, slots=True)
class Isotonic:
    """A rising broken line through (knots[k], values[k]), flat outside.

    `starts`, `bases` and `slopes` hold one entry a segment: flat before the first knot, one between each pair of
    knots, flat after the last; probability = bases[s] + slopes[s] * (margin - starts[s]).
    """

    knots: tuple[float, ...]
    values: tuple[float, ...]

    def apply(self, margins: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the probability of each raw margin, float64[n] in and out."""
        segment = np.searchsorted(np.array(self.knots), margins, side="left")
        starts, bases, slopes = self.segments()
        return np.asarray(bases[segment] + slopes[segment] * (margins - starts[segment]), dtype=np.float64)

    def segments(self) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
        """Return starts, bases and slopes, each float64[len(knots) + 1]."""
        knots, values = np.array(self.knots), np.array(self.values)
        steps = np.diff(knots)
        slopes = np.diff(values) / steps
        # Rounding must not lift the end of a segment over its knot: the curve would fall there by one ulp.
        while (over := values[:-1] + slopes * steps > values[1:]).any():
            slopes[over] = np.nextafter(slopes[over], 0.0)
        return np.r_[knots[0], knots], np.r_[values[0], values], np.r_[0.0, slopes, 0.0]


Calibrator = Platt | Isotonic


def fit_calibrator(
    margins: NDArray[np.float64], y: NDArray[np.bool_], kind: Literal["isotonic", "platt"], steps: int
) -> Calibrator:
    """Fit the calibrator `kind` on margins float64[n] and labels bool[n]; `steps` caps the knots of the isotonic curve.

    Raises NotEnoughData when only one label is there: a curve through one class says nothing.
    """
    wins = int(y.sum())
    if wins in (0, y.size):
        raise NotEnoughData(f"calibration: {wins} of {y.size} labels are wins; both classes are needed, so add days")
    return fit_platt(margins, y) if kind == "platt" else fit_isotonic(margins, y, steps)


def fit_platt(margins: NDArray[np.float64], y: NDArray[np.bool_]) -> Platt:
    """Fit the sigmoid by Newton's method on the targets of Platt (1999) as corrected by Lin, Lin and Weng (2007)."""
    wins = int(y.sum())
    target = np.where(y, (wins + 1.0) / (wins + 2.0), 1.0 / (y.size - wins + 2.0))
    design = np.column_stack([margins, np.ones_like(margins)])
    weights = np.array([1.0, 0.0])
    for _ in range(_NEWTON_STEPS):
        p = Platt(*weights).apply(margins)
        gradient = design.T @ (target - p)
        curvature = (design * (p * (1.0 - p))[:, None]).T @ design + 1e-9 * np.eye(2)
        change = np.linalg.solve(curvature, gradient)
        weights = weights + np.clip(change, -1.0, 1.0)
        if np.abs(change).max() < 1e-10:
            break
    return Platt(float(weights[0]), float(weights[1]))


def fit_isotonic(margins: NDArray[np.float64], y: NDArray[np.bool_], steps: int) -> Isotonic:
    """Pool margins into at most `steps` groups of equal size, then pool adjacent violators (Ayer et al. 1955).

    One pseudo-observation at the base rate a group keeps every probability inside (0, 1); knots are the groups' mean
    margins. Equal margins always share a group, so no two knots coincide.
    """
    order = np.argsort(margins, kind="stable")
    sorted_margins, wins = margins[order], y[order].astype(np.float64)
    cuts = np.linspace(0, margins.size, min(steps, margins.size) + 1)[1:-1].astype(np.int64)
    starts = np.unique(np.r_[0, np.searchsorted(sorted_margins, sorted_margins[cuts], side="left")])
    counts = np.diff(np.r_[starts, margins.size]).astype(np.float64)
    knots = np.add.reduceat(sorted_margins, starts) / counts
    rates = (np.add.reduceat(wins, starts) + wins.mean()) / (counts + 1.0)
    return Isotonic(tuple(knots.tolist()), tuple(pool_adjacent_violators(rates, counts + 1.0).tolist()))


def pool_adjacent_violators(values: NDArray[np.float64], weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the nearest rising sequence float64[k] in weighted squared distance."""
    blocks: list[tuple[float, float, int]] = []
    for value, weight in zip(values.tolist(), weights.tolist(), strict=True):
        mean, mass, length = value, weight, 1
        while blocks and blocks[-1][0] >= mean:
            earlier_mean, earlier_mass, earlier_length = blocks.pop()
            mean = (earlier_mean * earlier_mass + mean * mass) / (earlier_mass + mass)
            mass, length = earlier_mass + mass, earlier_length + length
        blocks.append((mean, mass, length))
    return np.repeat([block[0] for block in blocks], [block[2] for block in blocks])

"""The lines that drift may reach, and how many independent rows a window is worth: what clean windows teach.

PSI is biased upwards by (B-1)(1/n + 1/N) on independent rows and far more on rows of a market, which has hours and
days of its own. Only windows of the same shape from clean times tell how far: their mean PSI gives the effective rows,
their highest values give a feature that wanders a line of its own. The window to be judged cannot tell it: measured on
recorded days, its own autocorrelation is blind to what changes from one day to the next, and armed features that moved
between two clean days. So without clean history nothing is armed.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from evaluation.drift import Reference, measured
from evaluation.errors import BadRule, BadSample, ReferenceMismatch

_HIGH = 0.999


@dataclass(frozen=True, slots=True)
class DriftRule:
    """The lines a feature may reach, and how many independent rows a window must be worth before they count."""

    psi_warn: float = 0.075
    psi_block: float = 0.30
    ks_warn: float = 0.105
    ks_block: float = 0.20
    min_effective_rows: float = 200.0

    def __post_init__(self) -> None:
        for name, warn, block in (("psi", self.psi_warn, self.psi_block), ("ks", self.ks_warn, self.ks_block)):
            if not 0.0 < warn <= block:
                raise BadRule(f"wanted 0 < {name}_warn <= {name}_block, found {warn} and {block}")


@dataclass(frozen=True, slots=True, eq=False)
class CleanHistory:
    """What windows known to be undrifted showed, float64[F] each: mean PSI, and 99.9 % quantiles of PSI and of KS.

    `rows` is how many rows a window had, `windows` how many there were.
    """

    rows: int
    windows: int
    psi_mean: NDArray[np.float64]
    psi_high: NDArray[np.float64]
    ks_high: NDArray[np.float64]

    @staticmethod
    def measure(reference: Reference, windows: Iterable[ArrayLike]) -> "CleanHistory":
        """Return the history of the given windows, each rows [n, F]; raise BadSample when there is none."""
        return CleanHistory.of([measured(reference, window) for window in windows])

    @staticmethod
    def of(windows: list[tuple[NDArray[np.float64], NDArray[np.float64], int]]) -> "CleanHistory":
        """Return the history of windows that `evaluation.drift.measured` looked at; its rows are the fewest of one."""
        if not windows:
            raise BadSample("clean history: wanted at least 1 window, found 0")
        all_psi, all_ks = np.stack([each[0] for each in windows]), np.stack([each[1] for each in windows])
        return CleanHistory(
            rows=min(each[2] for each in windows),
            windows=len(windows),
            psi_mean=all_psi.mean(axis=0),
            psi_high=np.quantile(all_psi, _HIGH, axis=0, method="higher"),
            ks_high=np.quantile(all_ks, _HIGH, axis=0, method="higher"),
        )


@dataclass(frozen=True, slots=True)
class FeatureDrift:
    """One feature of one window."""

    name: str
    psi: float
    ks: float
    psi_line: float  # block lines: the rule's, or higher where clean history went higher
    ks_line: float
    effective_rows: float  # 0 where no clean history tells it
    armed: bool  # whether the window is worth enough rows for the lines to count
    state: str  # "ok", "warn" or "block": where the numbers lie, armed or not


@dataclass(frozen=True, slots=True)
class DriftReport:
    """One window against the reference, features in their order."""

    rows: int
    features: tuple[FeatureDrift, ...]

    @property
    def blocking(self) -> tuple[str, ...]:
        """Names of the armed features over their block line."""
        return tuple(feature.name for feature in self.features if feature.armed and feature.state == "block")


def effective_rows(reference: Reference, clean_psi: ArrayLike) -> NDArray[np.float64]:
    """Return how many independent rows a window is worth, per feature: (B - 1) / mean PSI of clean windows [w, F].

    Inverts the mean of PSI under no drift, so autocorrelation shows as fewer rows. Infinite for a constant feature.
    """
    values = np.asarray(clean_psi, dtype=np.float64)
    if values.ndim != 2 or values.shape[0] == 0 or values.shape[1] != len(reference.names):
        raise ReferenceMismatch(f"clean PSI: wanted shape (w >= 1, {len(reference.names)}), found {values.shape}")
    freedom = np.count_nonzero(reference.shares, axis=1) - 1
    mean = values.mean(axis=0)
    worth: NDArray[np.float64] = np.divide(freedom, mean, out=np.full(mean.shape, np.inf), where=mean > 0.0)
    return worth


def drift_report(
    reference: Reference, current: ArrayLike, rule: DriftRule, clean: CleanHistory | None, *, spans: bool = True
) -> DriftReport:
    """Return PSI and KS of each feature of current rows [n, F] with its lines, its state and whether it is armed.

    A line is the rule's or the highest of clean history, whichever is higher. A feature is armed when the window is
    worth rule.min_effective_rows; without clean history, or where the window does not yet span what the clean ones
    did (`spans`), none is.
    """
    found_psi, found_ks, rows = measured(reference, current)
    size = len(reference.names)
    worth, psi_high, ks_high = np.zeros(size), np.zeros(size), np.zeros(size)
    if clean is not None:
        worth = _worth(effective_rows(reference, clean.psi_mean[None]), clean.rows, rows)
        psi_high, ks_high = clean.psi_high, clean.ks_high
    psi_line, ks_line = np.maximum(rule.psi_block, psi_high), np.maximum(rule.ks_block, ks_high)
    blocks = (found_psi >= psi_line) | (found_ks >= ks_line)
    warns = (found_psi >= np.maximum(rule.psi_warn, psi_high)) | (found_ks >= np.maximum(rule.ks_warn, ks_high))
    armed = (worth >= rule.min_effective_rows) & spans
    columns: dict[str, list[Any]] = {
        "psi": found_psi.tolist(), "ks": found_ks.tolist(), "psi_line": psi_line.tolist(), "ks_line": ks_line.tolist(),
        "effective_rows": worth.tolist(), "armed": armed.tolist(),
        "state": ["block" if over else "warn" if near else "ok" for over, near in zip(blocks, warns, strict=True)],
    }  # fmt: skip
    features = (FeatureDrift(name, *values) for name, *values in zip(reference.names, *columns.values(), strict=True))
    return DriftReport(rows, tuple(features))


def _worth(clean_worth: NDArray[np.float64], clean_rows: int, rows: int) -> NDArray[np.float64]:
    """What `rows` are worth: what clean windows lose to the market's own course, and what this one has fewer of.

    Under no drift mean PSI is (B-1)(1/n + loss), so 1/worth of the clean windows holds their own 1/n already. A window
    is never worth more than the clean ones, nor more than its rows.
    """
    lost = 1.0 / clean_worth + max(0.0, 1.0 / rows - 1.0 / clean_rows)
    worth = np.divide(1.0, lost, out=np.full(lost.shape, np.inf), where=lost > 0.0)
    return np.asarray(np.minimum(rows, worth))

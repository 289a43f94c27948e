"""Have the features moved since the model was trained: PSI and the KS statistic D of each, and their lines.

Both are sizes of a shift, not significance: D is the statistic, never a p-value, and PSI depends on its bins, so no
threshold may be shared with a tool which bins otherwise. PSI is biased upwards by (B-1)(1/n + 1/N) on independent rows
and far more on neighbouring ones; hence the effective row count and the arming rule of drift_report.
"""

import base64
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from evaluation import samples
from evaluation.errors import BadRule, BadSample, ReferenceMismatch

_WIRE = np.dtype("<f4")
_PLAIN_VALUES = 1_000_000
"""Up to so many values of reference and window KS is counted by numpy."""


@dataclass(frozen=True, slots=True, eq=False)
class Reference:
    """What the features looked like in training: bins with their shares, and the rows sorted feature by feature.

    Bin k holds edges[k-1] < x <= edges[k]; the first and the last are open-ended. A feature with few distinct values
    has a bin for each, equal quantiles are merged, so a feature may have fewer bins than the widest: its row of edges
    is then filled up with +inf and its shares with 0, which add nothing to any sum.
    """

    names: tuple[str, ...]
    rows: int  # training rows the shares were counted on
    edges: NDArray[np.float32]  # [F, bins - 1]
    shares: NDArray[np.float64]  # [F, bins]
    ordered: NDArray[np.float32]  # [F, m]; m = rows, or fewer when thinned

    @staticmethod
    def fit(rows: ArrayLike, names: Sequence[str], bins: int = 10) -> "Reference":
        """Return the reference of rows [N, F], compared as float32. Raises BadSample when one is not finite.

        Bins are quantiles of the rows, so each holds about 1/bins of them unless one value alone is heavier.
        """
        samples.bin_count(bins, least=3)
        ordered = _sorted_columns(samples.feature_rows(rows, names))
        edges = np.full((len(names), bins - 1), np.inf, dtype=np.float32)
        for row, column in zip(edges, ordered, strict=True):
            found = _bin_edges(column, bins)
            row[: found.size] = found
        return Reference(tuple(names), ordered.shape[1], edges, _bin_shares(ordered, edges), ordered)

    def thinned(self, points: int) -> "Reference":
        """Return the same bins over at most `points` evenly spaced order statistics: KS within about 1/(2 points)."""
        if points < 1:
            raise BadRule(f"points must be 1 or more, was {points}")
        size = self.ordered.shape[1]
        if size <= points:
            return self
        kept = (2 * np.arange(points, dtype=np.int64) + 1) * size // (2 * points)
        return Reference(self.names, self.rows, self.edges, self.shares, np.ascontiguousarray(self.ordered[:, kept]))

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-able dict; the sorted sample is base64 of little-endian float32, so thin a large one first."""
        features = [
            {
                "name": name,
                "edges": edges[np.isfinite(edges)].tolist(),
                "shares": shares[: np.isfinite(edges).sum() + 1].tolist(),
                "sample": base64.b64encode(ordered.astype(_WIRE).tobytes()).decode("ascii"),
            }
            for name, edges, shares, ordered in zip(self.names, self.edges, self.shares, self.ordered, strict=True)
        ]
        return {"rows": self.rows, "features": features}

    @staticmethod
    def from_dict(stored: Mapping[str, Any]) -> "Reference":
        """Return the reference that to_dict described, bit for bit; raise ReferenceMismatch when it cannot be one."""
        try:
            features = list(stored["features"])
            rows = int(stored["rows"])
            names = tuple(str(feature["name"]) for feature in features)
            edges = _padded([feature["edges"] for feature in features], np.inf).astype(np.float32)
            shares = _padded([feature["shares"] for feature in features], 0.0)
            ordered = np.stack(
                [np.frombuffer(base64.b64decode(feature["sample"], validate=True), _WIRE) for feature in features]
            ).astype(np.float32)
        except (KeyError, TypeError, ValueError) as error:
            raise ReferenceMismatch(f"stored reference: {type(error).__name__}: {error}; fit it anew") from error
        reference = Reference(names, rows, edges, shares, ordered)
        _check_stored(reference)
        return reference


@dataclass(frozen=True, slots=True)
class DriftRule:
    """The lines a feature may reach, and how many independent rows a window must be worth before they count."""

    psi_warn: float = 0.075
    psi_block: float = 0.30
    ks_warn: float = 0.105
    ks_block: float = 0.20
    min_effective_rows: int = 200

    def __post_init__(self) -> None:
        for name, warn, block in (("psi", self.psi_warn, self.psi_block), ("ks", self.ks_warn, self.ks_block)):
            if not 0.0 < warn <= block:
                raise BadRule(f"wanted 0 < {name}_warn <= {name}_block, found {warn} and {block}")


@dataclass(frozen=True, slots=True, eq=False)
class CleanHistory:
    """PSI and KS of windows known to be undrifted, shaped like those to be judged: float64[windows, F] each."""

    psi: NDArray[np.float64]
    ks: NDArray[np.float64]

    @staticmethod
    def measure(reference: Reference, windows: Iterable[ArrayLike]) -> "CleanHistory":
        """Return the history of the given windows, each rows [n, F]; raise BadSample when there is none."""
        measured = [_measure(reference, window) for window in windows]
        if not measured:
            raise BadSample("clean history: wanted at least 1 window, found 0")
        return CleanHistory(np.stack([psi for psi, _ in measured]), np.stack([ks for _, ks in measured]))


@dataclass(frozen=True, slots=True)
class FeatureDrift:
    """One feature of one window."""

    name: str
    psi: float
    ks: float
    psi_line: float  # block lines: the rule's, or higher where clean history went higher
    ks_line: float
    effective_rows: float
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


def psi(reference: Reference, current: ArrayLike) -> NDArray[np.float64]:
    """Return the population stability index of each feature, float64[F], for current rows [n, F].

    sum_b (c_b - r_b) ln(c_b / r_b) over the reference's bins (Siddiqi 2006; sampling law: Yurdakul 2018). Both shares
    are at least 0.5/n, so an empty bin gives a finite number and a bin empty on both sides gives 0.
    """
    window = _window(reference, current)
    return _psi(reference, window)


def ks(reference: Reference, current: ArrayLike) -> NDArray[np.float64]:
    """Return the two-sample Kolmogorov-Smirnov statistic D of each feature, float64[F]; exact, ties included."""
    return _ks(reference, _window(reference, current))


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
    reference: Reference, current: ArrayLike, rule: DriftRule, clean: CleanHistory | None = None
) -> DriftReport:
    """Return PSI and KS of each feature of current rows [n, F] with its lines, its state and whether it is armed.

    With clean history a block line is the rule's or the 99.9 % quantile of that history, whichever is higher, and the
    effective rows come from it; without, rows are taken to be independent, which is only right for a window drawn
    over a long span. A feature is armed when the window is worth rule.min_effective_rows.
    """
    window = _window(reference, current)
    found_psi, found_ks = _psi(reference, window), _ks(reference, window)
    features, rows = window.shape
    psi_line, ks_line = np.full(features, rule.psi_block), np.full(features, rule.ks_block)
    worth = np.full(features, 1.0 / (1.0 / rows + 1.0 / reference.rows))
    if clean is not None:
        worth = np.minimum(rows, effective_rows(reference, clean.psi))
        psi_line = np.maximum(psi_line, np.quantile(clean.psi, 0.999, axis=0, method="higher"))
        ks_line = np.maximum(ks_line, np.quantile(clean.ks, 0.999, axis=0, method="higher"))
    blocks = (found_psi >= psi_line) | (found_ks >= ks_line)
    warns = (found_psi >= rule.psi_warn) | (found_ks >= rule.ks_warn)
    return DriftReport(
        rows=rows,
        features=tuple(
            FeatureDrift(
                name=name,
                psi=float(found_psi[i]),
                ks=float(found_ks[i]),
                psi_line=float(psi_line[i]),
                ks_line=float(ks_line[i]),
                effective_rows=float(worth[i]),
                armed=bool(worth[i] >= rule.min_effective_rows),
                state="block" if blocks[i] else "warn" if warns[i] else "ok",
            )
            for i, name in enumerate(reference.names)
        ),
    )


def _measure(reference: Reference, current: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    window = _window(reference, current)
    return _psi(reference, window), _ks(reference, window)


def _window(reference: Reference, current: ArrayLike) -> NDArray[np.float32]:
    """Return current rows as sorted columns [F, n]."""
    found = np.shape(current)
    if len(found) == 2 and found[1] != len(reference.names):
        raise ReferenceMismatch(
            f"rows have {found[1]} features, the reference has {len(reference.names)}"
            f" ({reference.names[0]} to {reference.names[-1]}); use the reference of this feature schema"
        )
    return _sorted_columns(samples.feature_rows(current, reference.names))


def _psi(reference: Reference, window: NDArray[np.float32]) -> NDArray[np.float64]:
    floor = 0.5 / window.shape[1]
    expected = np.maximum(reference.shares, floor)
    found = np.maximum(_bin_shares(window, reference.edges), floor)
    return np.asarray(((found - expected) * np.log(found / expected)).sum(axis=1))


def _ks(reference: Reference, window: NDArray[np.float32]) -> NDArray[np.float64]:
    if window.size + reference.ordered.size <= _PLAIN_VALUES:
        return np.array([_ks_plain(*both) for both in zip(reference.ordered, window, strict=True)])
    # The compiled walk is for samples of millions; live holds small ones against a card and does not load numba.
    from evaluation.drift_kernel import ks_sorted

    out = np.empty(window.shape[0])
    ks_sorted(reference.ordered, window, out)
    return out


def _ks_plain(reference: NDArray[np.float32], window: NDArray[np.float32]) -> float:
    """The statistic of one feature, both sorted: the counts divided as in ks_sorted, so the same float64."""
    both = np.concatenate([reference, window])
    theirs = np.searchsorted(reference, both, side="right") / reference.size
    ours = np.searchsorted(window, both, side="right") / window.size
    return float(np.abs(theirs - ours).max())


def _sorted_columns(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    columns = rows.T.copy()
    columns.sort(axis=1)
    return columns


def _bin_edges(ordered: NDArray[np.float32], bins: int) -> NDArray[np.float32]:
    """Return the upper edges of all bins but the last, strictly rising, at most bins - 1 of them."""
    distinct = np.unique(ordered)
    if distinct.size == 1:
        # One bin could not move, so a constant gets three: below it, on it, above it.
        return np.concatenate([np.nextafter(distinct, np.float32(-np.inf)), distinct])
    if distinct.size <= bins:
        return distinct[:-1]
    ranks = -(-np.arange(1, bins) * ordered.size // bins) - 1
    edges = np.unique(ordered[ranks])
    if edges[-1] == distinct[-1]:
        # The last bin would be empty: end the one before it below the heavy value, which then stands alone.
        edges = np.unique(np.append(edges[:-1], distinct[-2]))
    return edges


def _bin_shares(ordered: NDArray[np.float32], edges: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return the share of each bin, [F, bins], of sorted columns [F, n]."""
    features, size = ordered.shape
    upto = np.full((features, edges.shape[1] + 2), size, dtype=np.int64)
    upto[:, 0] = 0
    for feature in range(features):
        upto[feature, 1:-1] = np.searchsorted(ordered[feature], edges[feature], side="right")
    shares: NDArray[np.float64] = np.diff(upto, axis=1) / size
    return shares


def _padded(lists: Sequence[Sequence[float]], fill: float) -> NDArray[np.float64]:
    table = np.full((len(lists), max(map(len, lists))), fill)
    for row, values in zip(table, lists, strict=True):
        row[: len(values)] = values
    return table


def _check_stored(reference: Reference) -> None:
    name_count, bins = len(reference.names), reference.shares.shape[1]
    if reference.edges.shape != (name_count, bins - 1) or reference.rows < 1 or reference.ordered.shape[1] < 1:
        raise ReferenceMismatch(
            f"stored reference: {reference.rows} rows, edges {reference.edges.shape}, shares {reference.shares.shape}"
            " do not belong together; fit it anew"
        )
    for name, edges, shares, ordered in zip(
        reference.names, reference.edges, reference.shares, reference.ordered, strict=True
    ):
        inner = edges[np.isfinite(edges)]
        rising = bool((np.diff(inner) > 0).all() and (np.diff(ordered) >= 0).all() and np.isfinite(ordered).all())
        if not rising or abs(float(shares.sum()) - 1.0) > 1e-9 or float(shares.min()) < 0.0:
            raise ReferenceMismatch(
                f"stored reference: {name}: edges and sample must rise and shares add up to 1, found {shares.sum()};"
                " fit it anew"
            )

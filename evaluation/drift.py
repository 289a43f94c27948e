"""Have the features moved since the model was trained: PSI and the KS statistic D of each.

Both are sizes of a shift, not significance: D is the statistic, never a p-value, and PSI depends on its bins, so no
threshold may be shared with a tool which bins otherwise. Their lines are those of `evaluation.drift_lines`.
"""

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from evaluation import samples
from evaluation.errors import BadRule, ReferenceMismatch

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


def measured(reference: Reference, current: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64], int]:
    """Return PSI float64[F], KS float64[F] and the number of current rows [n, F], which are sorted only once."""
    window = _window(reference, current)
    return _psi(reference, window), _ks(reference, window), window.shape[1]


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

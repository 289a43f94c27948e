"""Rows to learn from: candidates of many partitions, seen from both sides.

A model sees every candidate as if it were a long: `market.features.orient` mirrors the row of a short. So each moment
gives two rows to learn from, and one model serves both sides.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Self

import numpy as np
from numpy.typing import NDArray

from archive.layout import FEATURES, LABELS
from archive.store import Lake
from market.barriers import UNRESOLVED
from market.features import FEATURE_NAMES, orient
from pipelines.errors import BadRows, NotEnoughData
from pipelines.partitions import Cell

TP = 1


@dataclass(frozen=True, slots=True)
class Candidates:
    """Candidates of some partitions in the order of (time, symbol), unresolved ones left out.

    t_ns int64[n]; side int8[n] is the side the rule chose; rows float32[n, F] as the kernel wrote them (not oriented);
    won_long, won_short bool[n]; touched bool[n]: either barrier of the chosen side was touched; net_bps float32[n]
    and gross_bps float32[n] of the chosen side.
    """

    t_ns: NDArray[np.int64]
    side: NDArray[np.int8]
    rows: NDArray[np.float32]
    won_long: NDArray[np.bool_]
    won_short: NDArray[np.bool_]
    touched: NDArray[np.bool_]
    net_bps: NDArray[np.float32]
    gross_bps: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.t_ns)

    def oriented(self, sides: NDArray[np.int8] | None = None) -> NDArray[np.float32]:
        """The rows as the model sees them, float32[n, F]: from the chosen side, or from the sides given."""
        return orient(self.rows, self.side if sides is None else sides)

    @property
    def won(self) -> NDArray[np.bool_]:
        """Whether the chosen side reached its profit barrier first, bool[n]."""
        return np.where(self.side > 0, self.won_long, self.won_short)

    def where(self, mask: NDArray[np.bool_] | NDArray[np.int64]) -> Self:
        """The candidates that the mask bool[n] keeps, or those at the places int64[m] in that order."""
        return type(self)(*(getattr(self, each.name)[mask] for each in fields(self)))

    def both_sides(self) -> tuple[NDArray[np.float32], NDArray[np.bool_], NDArray[np.int64]]:
        """Every candidate twice, as a long and as a short: rows float32[2n, F], won bool[2n], t_ns int64[2n]."""
        long, short = np.ones(len(self), np.int8), np.full(len(self), -1, np.int8)
        rows = np.concatenate([self.oriented(long), self.oriented(short)])
        return rows, np.concatenate([self.won_long, self.won_short]), np.concatenate([self.t_ns, self.t_ns])


def load(lake: Lake, of: Sequence[Cell]) -> Candidates:
    """Read the candidates of these cells from the lake.

    Raises:
        MissingPartition: features or labels of a cell are not there.
        BadRows: a feature is not finite; the trees would take it for a value that was not measured, and say nothing.
        NotEnoughData: the cells hold no resolved candidate at all.
    """
    parts = [load_cell(lake, each) for each in sorted(of)]
    if not parts or not sum(len(part) for part in parts):
        raise NotEnoughData(f"no resolved candidate in {[each.key for each in of]}; materialize features and labels")
    joined = join(parts)
    return joined.where(np.argsort(joined.t_ns, kind="stable"))


def join(parts: Sequence[Candidates]) -> Candidates:
    """The candidates of one or more parts, one part behind the other."""
    return Candidates(*(np.concatenate([getattr(p, each.name) for p in parts]) for each in fields(Candidates)))


def load_cell(lake: Lake, at: Cell) -> Candidates:
    """Read the candidates of one cell as `load` does; there may be none."""
    label = lake.read(LABELS, at.symbol, at.day)
    feature = lake.read(FEATURES, at.symbol, at.day, ["t_ns", *FEATURE_NAMES])
    if not np.array_equal(label["t_ns"], feature["t_ns"]):
        raise NotEnoughData(
            f"{at.key}: {len(label['t_ns'])} labels do not belong to the {len(feature['t_ns'])} feature rows; "
            f"materialize labels again, features changed since"
        )
    rows = np.stack([feature[name] for name in FEATURE_NAMES], axis=1)
    _check_finite(at, rows)
    is_long = label["side"] > 0
    outcome = np.where(is_long, label["outcome_long"], label["outcome_short"])
    whole = Candidates(
        t_ns=label["t_ns"],
        side=label["side"],
        rows=rows,
        won_long=label["outcome_long"] == TP,
        won_short=label["outcome_short"] == TP,
        touched=np.abs(outcome) == 1,
        net_bps=np.where(is_long, label["net_bps_long"], label["net_bps_short"]),
        gross_bps=np.where(is_long, label["gross_bps_long"], label["gross_bps_short"]),
    )
    return whole.where((label["outcome_long"] != UNRESOLVED) & (label["outcome_short"] != UNRESOLVED))


def _check_finite(at: Cell, rows: NDArray[np.float32]) -> None:
    if np.isfinite(rows).all():
        return
    row, column = np.argwhere(~np.isfinite(rows))[0].tolist()
    raise BadRows(
        f"{at.key}: feature {FEATURE_NAMES[column]} must be finite in every row, was {rows[row, column]} at row {row}; "
        f"materialize features and labels of this partition again"
    )

"""One day of labels: how each candidate would have ended, for a long and for a short, on prices one could have traded.

The horizon looks past midnight into the next day's book. A path that crosses a gap or a resync is unresolved, since
nobody knows what happened there.
"""

from contextlib import suppress
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from archive.errors import MissingPartition
from archive.layout import BOOK, FEATURES
from archive.store import Lake
from market.barriers import UNRESOLVED, BarrierRule
from market.columns import BOOK_RESET
from market.labels import Labels, triple_barrier
from market.symbols import Symbol
from pipelines.checks import Finding
from pipelines.partitions import Cell

Columns = dict[str, NDArray[np.generic]]
SIDES = {"long": 1, "short": -1}


def shares(columns: Columns) -> dict[str, float]:
    """Share of each outcome among the candidates of one day, by side."""
    found: dict[str, float] = {}
    for name in SIDES:
        outcome = columns[f"outcome_{name}"]
        for code, word in ((1, "tp"), (-1, "sl"), (0, "timeout"), (UNRESOLVED, "unresolved")):
            found[f"{word}_{name}"] = float(np.mean(outcome == code)) if len(outcome) else 0.0
    return found


def examine(at: Cell, columns: Columns, min_class_share: float) -> Finding:
    """The balance check: each side must have won and not won often enough to learn from."""
    share = shares(columns)
    least = min(min(share[f"tp_{name}"], 1 - share[f"tp_{name}"] - share[f"unresolved_{name}"]) for name in SIDES)
    detail = f"rarest class {least:.4f}, at least {min_class_share} wanted"
    return Finding("label_balance", at.key, least >= min_class_share, detail)


@dataclass(frozen=True, slots=True)
class _Path:
    """The touch over a day and a horizon beyond it, with the stretches nobody saw."""

    t_ns: NDArray[np.int64]
    bid_ticks: NDArray[np.int32]
    ask_ticks: NDArray[np.int32]
    blackout: NDArray[np.int64]


def label_day(lake: Lake, at: Cell, rule: BarrierRule, symbol: Symbol, gap_ns: int) -> Columns:
    """Label one day's candidates for both sides.

    Args:
        gap_ns: a silence of the book longer than this is a gap: what crosses it stays unresolved.

    Returns the columns of the LABELS table, a row for each row of FEATURES.

    Raises:
        MissingPartition: features or book of the day are not in the lake.
    """
    rows = lake.read(FEATURES, at.symbol, at.day, ["t_ns", "book_row", "side", "bid_ticks", "ask_ticks"])
    path = _path(lake, at, rule, gap_ns)
    columns: Columns = {name: rows[name] for name in ("t_ns", "side", "bid_ticks", "ask_ticks")}
    for name, side in SIDES.items():
        judged = triple_barrier(
            path.t_ns,
            path.bid_ticks,
            path.ask_ticks,
            np.maximum(rows["book_row"], 0),
            rows["t_ns"],
            np.full(len(rows["t_ns"]), side, np.int8),
            rule,
            symbol,
            path.blackout,
        )
        columns.update(_side_columns(judged, name, before_first_row=rows["book_row"] < 0))
    return columns


def _side_columns(judged: Labels, name: str, before_first_row: NDArray[np.bool_]) -> Columns:
    """One side's label columns; a candidate that saw only yesterday's book has no entry row today."""
    return {
        f"outcome_{name}": np.where(before_first_row, UNRESOLVED, judged.outcome).astype(np.int8),
        f"exit_ns_{name}": judged.exit_ns,
        f"gross_bps_{name}": judged.gross_bps,
        f"net_bps_{name}": judged.net_bps,
    }


def _path(lake: Lake, at: Cell, rule: BarrierRule, gap_ns: int) -> _Path:
    names = ["exchange_ns", "flags", "bid_ticks_0", "ask_ticks_0"]
    parts = [lake.read(BOOK, at.symbol, at.day, names)]
    until_ns = at.end_ns + round(rule.horizon_seconds * 1e9)
    # Until the next day is there, the last horizon of the newest one stays unresolved.
    with suppress(MissingPartition):
        parts.append(lake.read(BOOK, at.symbol, at.shifted(1).day, names, end_ns=until_ns))
    whole = {name: np.concatenate([part[name] for part in parts]) for name in names}
    t_ns = np.maximum.accumulate(whole["exchange_ns"])
    starts_anew = (whole["flags"] & BOOK_RESET) != 0
    broken = np.flatnonzero((np.diff(t_ns) > gap_ns) | starts_anew[1:])
    return _Path(t_ns, whole["bid_ticks_0"], whole["ask_ticks_0"], np.stack([t_ns[broken], t_ns[broken + 1]], axis=1))

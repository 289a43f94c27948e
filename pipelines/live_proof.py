"""Whether live scored what the registry holds: every recorded row put through the version's bundle once more.

The lake keeps the very row that was scored and the float64 margin that came of it. The bundle fetched from the registry
has to give the same margin, bit for bit; one that differs means another graph, another runtime or another row.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from archive.live_tables import key
from market.feature_spec import FEATURE_NAMES, orient, schema_hash
from monitoring.metrics import SLOTS
from pipelines.live_rows import Rows
from registry.bundle import Scorer


@dataclass(frozen=True, slots=True)
class Rescored:
    """What came of scoring a version's rows again; `first` names the first that differs, empty when none does."""

    version: int
    rows: int
    mismatches: int
    first: str


def oriented(scores: Rows) -> NDArray[np.float32]:
    """The rows of live_scores as a model sees them, float32[n, F]."""
    rows = np.stack([scores[name] for name in FEATURE_NAMES], axis=1)
    return orient(rows, scores["side"])


def comparable(scores: Rows) -> Rows:
    """The rows of this release's kernel: those of another schema say nothing about a model of this one."""
    return scores.where(scores["schema_key"] == key(schema_hash()))


def rescore(scores: Rows, version: int, scorer: Scorer) -> Rescored:
    """Score every comparable row that a version judged, in whatever slot, and count margins with another bit."""
    rows = mismatches = 0
    first = ""
    known = comparable(scores)
    for slot in SLOTS:
        mine = known.where(known[f"{slot}_version"] == version)
        if not len(mine):
            continue
        found = scorer.score_many(oriented(mine)).margin
        bad = np.flatnonzero(found.view(np.int64) != mine[f"{slot}_margin"].view(np.int64))
        rows += len(mine)
        mismatches += len(bad)
        if len(bad) and not first:
            at = int(bad[0])
            name = mine.symbols[int(mine["symbol"][at])]
            first = (
                f"{name}-{mine['t_ns'][at]}: {slot} said {float(mine[f'{slot}_margin'][at])!r}, the bundle says "
                f"{float(found[at])!r}"
            )
    return Rescored(version, rows, mismatches, first)

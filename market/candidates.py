"""When a moment is a candidate for a trade, and on which side.

Time is cut into buckets of `interval_ms`. In each bucket the first event qualifies whose row is valid, whose spread
is narrow enough and whose pressure is strong enough; the side is the pressure's sign. Buckets are counted from the
epoch, so a process that starts anew finds the same moments.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from market.events import BadRule
from market.feature_spec import COLUMN_NAMES, FEATURES

_SPREAD = COLUMN_NAMES.index("spread_ticks")


@dataclass(frozen=True, slots=True)
class CandidateRule:
    """What makes a moment a candidate.

    `interval_ms` is the length of a bucket, `min_pressure` the least absolute value of `pressure_feature` (an odd
    feature), `max_spread_ticks` the widest spread. Raises BadRule for a value that cannot be.
    """

    interval_ms: int = 1_000
    min_pressure: float = 0.0
    max_spread_ticks: int = 1_000
    pressure_feature: str = "queue_imbalance_5"

    def __post_init__(self) -> None:
        odd = [f.name for f in FEATURES if f.symmetry == "odd"]
        if self.interval_ms < 1:
            raise BadRule(f"interval_ms must be 1 or more, was {self.interval_ms}")
        if not self.min_pressure >= 0.0:
            raise BadRule(f"min_pressure must be 0 or more, was {self.min_pressure}")
        if self.max_spread_ticks < 0:
            raise BadRule(f"max_spread_ticks must be 0 or more, was {self.max_spread_ticks}")
        if self.pressure_feature not in odd:
            raise BadRule(f"pressure_feature must be one of {', '.join(odd)}; was {self.pressure_feature!r}")

    @property
    def id(self) -> str:
        """Name the rule by its values, so that two models can be told to judge the same moments."""
        return (
            f"first-in-{self.interval_ms}ms-{self.pressure_feature}>={self.min_pressure:g}"
            f"-spread<={self.max_spread_ticks}"
        )

    def bucket(self, t_ns: int) -> int:
        """Return the number of the bucket that holds a time."""
        return t_ns // (self.interval_ms * 1_000_000)


def select(
    rule: CandidateRule,
    t_ns: NDArray[np.int64],
    out: NDArray[np.float32],
    valid: NDArray[np.uint8],
    last_bucket: int = -1,
) -> tuple[NDArray[np.int64], NDArray[np.int8]]:
    """Return the candidates among n events: their places int64[m], ascending, and their sides int8[m].

    `t_ns` int64[n] never decreases, `out` float32[n, N_COLUMNS] and `valid` uint8[n] are the kernel's. `last_bucket`
    is the bucket of the last candidate of the part before; there is none in it or earlier.
    """
    pressure = out[:, COLUMN_NAMES.index(rule.pressure_feature)].astype(np.float64)
    spread = out[:, _SPREAD].astype(np.float64)
    fits = (valid != 0) & (spread <= rule.max_spread_ticks) & (np.abs(pressure) >= rule.min_pressure)
    places = np.flatnonzero(fits)
    buckets = np.maximum(t_ns[places] // (rule.interval_ms * 1_000_000), last_bucket)
    first = np.diff(buckets, prepend=last_bucket) > 0
    index = places[first].astype(np.int64)
    return index, np.where(pressure[index] < 0.0, -1, 1).astype(np.int8)


class CandidateGate:
    """`select` one event at a time, for the live side."""

    def __init__(self, rule: CandidateRule, last_bucket: int = -1) -> None:
        self.rule = rule
        self.last_bucket = last_bucket
        self._pressure = COLUMN_NAMES.index(rule.pressure_feature)

    def step(self, t_ns: int, row: NDArray[np.float32], valid: int) -> int:
        """Return the side (+1, -1) when this event is a candidate, else 0. `row` is float32[N_COLUMNS]."""
        bucket = self.rule.bucket(t_ns)
        if not valid or bucket <= self.last_bucket:
            return 0
        pressure = float(row[self._pressure])
        if not (float(row[_SPREAD]) <= self.rule.max_spread_ticks and abs(pressure) >= self.rule.min_pressure):
            return 0
        self.last_bucket = bucket
        return -1 if pressure < 0.0 else 1

"""How memory of processes goes over time: read from /proc, and its slope by the median of all pairs of samples."""

import statistics
from collections.abc import Sequence
from itertools import combinations
from pathlib import Path
from typing import NamedTuple

_MOST_SAMPLES = 200


class Sample(NamedTuple):
    """Resident bytes of a process at a time (seconds of any clock that only rises)."""

    seconds: float
    pid: int
    resident_bytes: int


def resident_bytes(pid: int) -> int:
    """Return what a process holds in memory now, 0 when there is none of this number."""
    try:
        text = Path(f"/proc/{pid}/status").read_text(encoding="ascii", errors="replace")
    except OSError:
        return 0
    lines = [line for line in text.splitlines() if line.startswith("VmRSS:")]
    return int(lines[0].split()[1]) * 1024 if lines else 0


def slope_per_hour(samples: Sequence[Sample]) -> float:
    """Return bytes an hour by the Theil-Sen estimate: one spike, or one late cache, does not tilt it.

    0 for fewer than two moments.
    """
    thin = samples[:: 1 + len(samples) // _MOST_SAMPLES]
    pairs = combinations(thin, 2)
    slopes = [
        (later.resident_bytes - before.resident_bytes) / (later.seconds - before.seconds)
        for before, later in pairs
        if later.seconds > before.seconds
    ]
    return statistics.median(slopes) * 3_600.0 if slopes else 0.0


def of_last(samples: Sequence[Sample], since_seconds: float) -> list[Sample]:
    """Return the samples since a time of the process that was there last."""
    if not samples:
        return []
    pid = samples[-1].pid
    return [each for each in samples if each.pid == pid and each.seconds >= since_seconds]

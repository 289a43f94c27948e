"""Clean history from the days a model learnt from: windows as live draws them, each held against all other time.

A window never meets rows of its own hours in the reference, or it would look as like it as no later day will.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from evaluation.drift import Reference, measured
from evaluation.drift_lines import CleanHistory
from evaluation.errors import BadRule

LEAST_SPANS = 7
"""Clean times shorter than so many windows teach nothing; of day windows a week, which shows each day of it.

Measured on days drawn whole from two recorded ones: after three days the gate cried eight times in thirty days for two
features, in the one training of four that had met the same day thrice; of seven days one training in sixty-four does.
"""
MOST_WINDOWS = 48
_STEPS_A_SPAN = 4
_REFERENCE_ROWS = 20_000


@dataclass(frozen=True, slots=True)
class WindowShape:
    """How a window is drawn: so many rows, evenly from all rows of so many seconds."""

    rows: int
    span_seconds: float

    def __post_init__(self) -> None:
        if self.rows < 2 or self.span_seconds <= 0.0:
            raise BadRule(f"wanted 2 rows or more of more than 0 seconds, found {self.rows} of {self.span_seconds}")

    @property
    def span_ns(self) -> int:
        """The span in nanoseconds."""
        return round(self.span_seconds * 1e9)


def evenly(count: int, most: int) -> NDArray[np.int64]:
    """Return the indices of at most `most` of `count` rows, evenly spread, the first and the last among them."""
    return np.linspace(0, count - 1, min(count, most)).astype(np.int64)


def clean_history(
    t_ns: NDArray[np.int64], rows: NDArray[np.float32], names: tuple[str, ...], shape: WindowShape
) -> CleanHistory | None:
    """Return what clean windows of this shape show; rows [n, F] at t_ns, rising. None where the time is too short.

    Windows begin a quarter of a span apart, or further where that would be more than MOST_WINDOWS. One that holds less
    than half of the rows its time should is not like those that will be judged, and is left out.
    """
    first_ns, last_ns = (int(t_ns[0]), int(t_ns[-1])) if len(t_ns) else (0, 0)
    room_ns = last_ns - first_ns - shape.span_ns
    # A day's rows begin and end a little inside of it.
    if room_ns < (LEAST_SPANS - 1.1) * shape.span_ns:
        return None
    count = min(MOST_WINDOWS, round(room_ns / shape.span_ns * _STEPS_A_SPAN) + 1)
    wanted = min(shape.rows, round(len(t_ns) * shape.span_ns / (last_ns - first_ns))) / 2
    looked = []
    for start_ns in np.linspace(first_ns, first_ns + room_ns, count).astype(np.int64).tolist():
        begin, end = np.searchsorted(t_ns, (start_ns, start_ns + shape.span_ns)).tolist()
        if end - begin < max(2.0, wanted):
            continue
        others = np.concatenate([np.arange(begin), np.arange(end, len(rows))])
        if len(others):
            reference = Reference.fit(rows[others[evenly(len(others), _REFERENCE_ROWS)]], names)
            looked.append(measured(reference, rows[begin + evenly(end - begin, shape.rows)]))
    return CleanHistory.of(looked) if len(looked) >= LEAST_SPANS else None

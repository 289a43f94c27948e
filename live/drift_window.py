"""The newest rows that were scored, as float32, for the drift of what the model really sees."""

import numpy as np
from numpy.typing import NDArray

from bus.messages import Score
from market.feature_spec import N_COLUMNS, N_FEATURES

LEAST_ROWS = 500
"""Fewer rows give no number: PSI of a small sample is mostly luck."""


class DriftWindow:
    """A ring of rows of one feature schema; another schema begins anew. Rows that are not finite are left out."""

    def __init__(self, rows: int) -> None:
        self._rows = np.empty((rows, N_FEATURES), np.float32)
        self._sides = np.empty(rows, np.int8)
        self._count = 0
        self.schema_hash = ""

    def __len__(self) -> int:
        return min(self._count, len(self._rows))

    def take(self, score: Score) -> None:
        """Take a scored row."""
        if score.schema_hash != self.schema_hash:
            self.schema_hash, self._count = score.schema_hash, 0
        row = np.frombuffer(score.row, "<f4")
        if len(row) != N_COLUMNS or not np.isfinite(row[:N_FEATURES]).all():
            return
        at = self._count % len(self._rows)
        self._rows[at], self._sides[at] = row[:N_FEATURES], score.side
        self._count += 1

    def rows(self) -> tuple[NDArray[np.float32], NDArray[np.int8]] | None:
        """Return copies of rows and sides, None while there are too few."""
        if len(self) < min(LEAST_ROWS, len(self._rows)):
            return None
        return self._rows[: len(self)].copy(), self._sides[: len(self)].copy()

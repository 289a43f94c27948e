"""Rows that were scored, drawn evenly from a whole span of time (a day), for the drift of what the model really sees.

The newest rows of a market are of one hour, and look drifted against a training that saw all hours. So the span is
cut into slices, each of which keeps a few of its rows: those whose hash of the candidate's id is lowest, which is a
draw without favour, and the same one in a replay. A window takes from each slice its share of all rows seen.
"""

import hashlib
import io
from dataclasses import dataclass, field
from typing import Any, Final
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from bus.messages import Score
from evaluation.clean_windows import WindowShape
from market.feature_spec import N_COLUMNS, N_FEATURES

SLICES = 24
LEAST_ROWS = 200
"""Fewer rows give no number: PSI of a small sample is mostly luck."""
LEAST_COVER = 0.8
"""A window spans its time when so much of it has rows: a fifth may be missing for a pause of the market, or of ours."""
_COLUMNS: Final = ("rows", "sides", "times", "ranks")
_SPARE = 4
"""A slice keeps so many times its even share, for hours that are busier than others."""


@dataclass(frozen=True, slots=True, eq=False)
class Drawn:
    """A window: rows float32[n, N_FEATURES] in order of time, their sides, and how much of the span has rows."""

    rows: NDArray[np.float32]
    sides: NDArray[np.int8]
    covered_seconds: float

    def spans(self, shape: WindowShape) -> bool:
        """Whether it spans its time well enough to be judged by."""
        return self.covered_seconds >= LEAST_COVER * shape.span_seconds * (1.0 - 1e-9)


class DriftWindow:
    """Draws of one feature schema; another schema begins anew. Rows that are not finite are left out."""

    def __init__(self, shape: WindowShape) -> None:
        self.shape = shape
        self.schema_hash = ""
        self.taken = 0
        self._slice_ns = max(1, shape.span_ns // SLICES)
        self._room = max(LEAST_ROWS, -(-_SPARE * shape.rows // SLICES))
        self._slices: dict[int, _Slice] = {}

    def take(self, score: Score) -> None:
        """Take a scored row. One older than the span is left out."""
        if score.schema_hash != self.schema_hash:
            self.schema_hash = score.schema_hash
            self._slices = {}
        row = np.frombuffer(score.row, "<f4")
        if len(row) != N_COLUMNS or not np.isfinite(row[:N_FEATURES]).all():
            return
        number = score.local_ns // self._slice_ns
        newest = max(self._slices, default=number)
        if number <= newest - SLICES:
            return
        if number not in self._slices:
            self._slices[number] = _Slice(self._room)
            self._slices = {at: each for at, each in self._slices.items() if at > max(newest, number) - SLICES}
        digest = hashlib.blake2b(score.candidate_id.encode(), digest_size=8).digest()
        self._slices[number].take(int.from_bytes(digest, "little"), score.local_ns, row[:N_FEATURES], score.side)
        self.taken += 1

    def draw(self) -> Drawn | None:
        """Return the window as it is now; None while it has fewer than LEAST_ROWS, or its shape's fewer."""
        slices = [self._slices[number] for number in sorted(self._slices)]
        seen = np.cumsum([0, *(each.seen for each in slices)])
        total = int(seen[-1])
        if total < min(LEAST_ROWS, self.shape.rows):
            return None
        shares = np.diff(seen * min(total, self.shape.rows) // total).tolist()
        parts = [each.lowest(share) for each, share in zip(slices, shares, strict=True)]
        rows, sides = (np.concatenate([part[k] for part in parts]) for k in (0, 1))
        return Drawn(rows, sides, len(slices) * self.shape.span_seconds / SLICES)

    def copied(self) -> dict[str, Any]:
        """Return copies of all of it, for `packed`."""
        numbers = sorted(self._slices)
        slices = [self._slices[number] for number in numbers]
        columns: dict[str, Any] = {
            "schema": np.array(self.schema_hash),
            "shape": np.array([self.shape.rows, self.shape.span_ns, N_FEATURES], np.int64),
            "numbers": np.array(numbers, np.int64),
            "seen": np.array([each.seen for each in slices], np.int64),
            "held": np.array([each.held for each in slices], np.int64),
        }
        for name in _COLUMNS if slices else ():
            columns[name] = np.concatenate([getattr(each, name)[: each.held] for each in slices])
        return columns

    def restore(self, content: bytes) -> bool:
        """Go on from what `packed` made; False, and empty, when it is of another shape or no such file."""
        try:
            with np.load(io.BytesIO(content), allow_pickle=False) as stored:
                if stored["shape"].tolist() != [self.shape.rows, self.shape.span_ns, N_FEATURES]:
                    return False
                ends = np.cumsum(stored["held"])
                slices = {}
                for number, seen, held, end in zip(
                    stored["numbers"].tolist(), stored["seen"].tolist(), stored["held"].tolist(), ends, strict=True
                ):
                    slices[number] = _Slice(self._room, seen=seen, held=held)
                    for name in _COLUMNS:
                        getattr(slices[number], name)[:held] = stored[name][end - held : end]
                self.schema_hash, self._slices = str(stored["schema"]), slices
        except (OSError, ValueError, KeyError, EOFError, BadZipFile):
            return False
        return True


def packed(columns: dict[str, Any]) -> bytes:
    """Return what `DriftWindow.copied` gave as an npz file: ten milliseconds, so not in the loop."""
    out = io.BytesIO()
    np.savez(out, **columns)
    return out.getvalue()


@dataclass(slots=True, eq=False)
class _Slice:
    """The rows of one slice with the lowest ranks, `room` of them at most, in no order; `seen` counts all."""

    room: int
    seen: int = 0
    held: int = 0
    rows: NDArray[np.float32] = field(init=False)
    sides: NDArray[np.int8] = field(init=False)
    times: NDArray[np.int64] = field(init=False)
    ranks: NDArray[np.uint64] = field(init=False)

    def __post_init__(self) -> None:
        self.rows, self.sides = np.empty((self.room, N_FEATURES), np.float32), np.empty(self.room, np.int8)
        self.times, self.ranks = np.empty(self.room, np.int64), np.empty(self.room, np.uint64)

    def take(self, rank: int, at_ns: int, row: NDArray[np.float32], side: int) -> None:
        """Count a row, and keep it when there is room or when its rank is lower than the highest; one held is known."""
        if (self.ranks[: self.held] == rank).any():
            return
        self.seen += 1
        at = self.held
        if at == self.room:
            at = int(self.ranks.argmax())
            if rank >= int(self.ranks[at]):
                return
        else:
            self.held += 1
        self.rows[at], self.sides[at], self.times[at], self.ranks[at] = row, side, at_ns, rank

    def lowest(self, count: int) -> tuple[NDArray[np.float32], NDArray[np.int8]]:
        """Return copies of rows and sides of the lowest ranks, at most `count`, in order of time."""
        chosen = np.argsort(self.ranks[: self.held], kind="stable")[:count]
        chosen = chosen[np.argsort(self.times[chosen], kind="stable")]
        return self.rows[chosen], self.sides[chosen]

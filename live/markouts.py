"""Markouts: how far the mid went in a trade's direction 100, 500 and 1,000 ms behind it, in basis points.

Measured for every candidate from the mid of its entry row, and for every fill from the mid at the moment of the fill.
A horizon is read once a row behind it is here; NaN stands where the market was not seen all the way.
"""

import math
from dataclasses import dataclass, field
from heapq import heappop, heappush
from typing import Generic, TypeVar

from live.touches import Row, Touches

HORIZONS_MS = (100, 500, 1_000)
_NS_PER_MS = 1_000_000

K = TypeVar("K")


@dataclass(slots=True)
class _Asked(Generic[K]):
    key: K
    t_ns: int
    side: int
    from_ticks: float | None
    found: list[float] = field(default_factory=list)


class Markouts(Generic[K]):
    """The open questions of one symbol; `touches` is that of its Resolver."""

    def __init__(self, touches: Touches) -> None:
        self._touches = touches
        self._number = 0
        self._due: list[tuple[int, int, _Asked[K]]] = []

    def __len__(self) -> int:
        return len(self._due)

    def ask(self, key: K, t_ns: int, side: int, from_ticks: float | None = None) -> list[tuple[K, list[float]]]:
        """Ask for the markouts of a moment; answered at once when the rows are here already, else by `see`."""
        self._number += 1
        heappush(self._due, (t_ns + HORIZONS_MS[0] * _NS_PER_MS, self._number, _Asked(key, t_ns, side, from_ticks)))
        newest = self._touches.newest
        return [] if newest is None else self.see(newest)

    def see(self, row: Row) -> list[tuple[K, list[float]]]:
        """Answer what this row, the newest of `touches`, makes known: keys with a value for each of HORIZONS_MS."""
        answered: list[tuple[K, list[float]]] = []
        while self._due and self._due[0][0] < row.t_ns:
            due_ns, number, asked = heappop(self._due)
            moved = self._touches.moved_bps(asked.t_ns, due_ns, asked.side, asked.from_ticks)
            asked.found.append(math.nan if moved is None else moved)
            if len(asked.found) == len(HORIZONS_MS):
                answered.append((asked.key, asked.found))
            else:
                next_ns = asked.t_ns + HORIZONS_MS[len(asked.found)] * _NS_PER_MS
                heappush(self._due, (next_ns, number, asked))
        return answered

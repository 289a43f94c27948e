"""Outcomes wait until their whole horizon is behind them, then count in the order in which they were decided.

Else fast losses would arrive before slow wins, and every young trial would look bad. One that is known later than that
(its market was silent) counts when it is known.
"""

from collections.abc import Iterator
from heapq import heappop, heappush
from typing import Final

from bus.messages import Outcome

GRACE_NS: Final = 2_000_000_000
"""Behind the horizon, for the first book after it, which a timeout is decided by."""


class Maturing:
    """Outcomes by the time of their decision."""

    def __init__(self) -> None:
        self._waiting: list[tuple[int, str, Outcome]] = []

    def __len__(self) -> int:
        return len(self._waiting)

    def put(self, outcome: Outcome) -> None:
        """Let one wait."""
        heappush(self._waiting, (outcome.t_ns, outcome.candidate_id, outcome))

    def ripe(self, now_ns: int, horizon_ns: int) -> Iterator[Outcome]:
        """Yield, and give up, those that were decided a horizon and the grace before `now_ns`."""
        until_ns = now_ns - horizon_ns - GRACE_NS
        while self._waiting and self._waiting[0][0] <= until_ns:
            yield heappop(self._waiting)[2]

"""How wide the mid moves in a second: the deviation of the newest one-second moves of one symbol."""

import math
from collections import deque

from live.touches import Row
from market.events import NO_ASK_TICKS, NO_BID_TICKS

_SECOND_NS = 1_000_000_000
SECONDS = 30
LEAST = 10


class OneSecondMoves:
    """The mid at every whole second of market time; moves across a break do not count."""

    def __init__(self, seconds: int = SECONDS) -> None:
        self.bps: float | None = None
        """Root of the mean squared move in basis points; None before LEAST moves."""
        self._squares: deque[float] = deque(maxlen=seconds)
        self._mid = 0.0
        self._sampled = 0.0
        self._second = 0

    def see(self, row: Row) -> bool:
        """Take the touch after an update; return whether a second has ended by it."""
        if row.breaks:
            self._squares.clear()
            self._sampled = self._mid = 0.0
            self.bps = None
        second = row.t_ns // _SECOND_NS
        ended = second > self._second
        if ended:
            if self._mid:
                self._end_seconds(second - self._second)
            self._second = second
        if row.bid_ticks != NO_BID_TICKS and row.ask_ticks != NO_ASK_TICKS:
            self._mid = (row.bid_ticks + row.ask_ticks) / 2
        return ended

    def _end_seconds(self, count: int) -> None:
        """The mid stood still in all seconds but the first; more of them than the window holds change nothing more."""
        for number in range(min(count, self._squares.maxlen or 0)):
            if self._sampled:
                move = (self._mid - self._sampled) / self._sampled if number == 0 else 0.0
                self._squares.append(move * move)
            self._sampled = self._mid
        if len(self._squares) >= LEAST:
            self.bps = math.sqrt(sum(self._squares) / len(self._squares)) * 1e4

"""How many more requests a venue allows us, and what is kept back of it: pure, on a clock that is handed in.

New orders may use all but the reserve; cancellations, questions and the dead-man switch may use all of it. An order
that the budget does not allow is refused here and never queued: by the time it could go it would be an old one.
"""

from collections import deque
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Limit:
    """So many requests in so many seconds."""

    requests: int
    seconds: float


@dataclass(slots=True)
class RateBudget:
    """One venue's limits of order requests. `reserve` is the share of each that new orders leave alone."""

    limits: tuple[Limit, ...]
    reserve: float = 0.25
    _sent: deque[int] = field(default_factory=deque)
    _closed_until_ns: int = 0

    def take(self, now_ns: int, *, is_new: bool) -> float:
        """Take one request out and return 0, or how many seconds to wait when there is none for it."""
        if is_new and self.is_closed(now_ns):
            return (self._closed_until_ns - now_ns) * 1e-9
        self._forget(now_ns)
        waits = [self._wait(limit, now_ns, is_new=is_new) for limit in self.limits]
        if any(waits):
            return max(waits)
        self._sent.append(now_ns)
        return 0.0

    def close(self, now_ns: int, seconds: float) -> None:
        """The venue has told us to stop: nothing new for so long."""
        self._closed_until_ns = max(self._closed_until_ns, now_ns + round(seconds * 1e9))

    def is_closed(self, now_ns: int) -> bool:
        """Whether the venue has told us to stop, and the time is not over."""
        return now_ns < self._closed_until_ns

    def _wait(self, limit: Limit, now_ns: int, *, is_new: bool) -> float:
        allowed = max(1, int(limit.requests * (1.0 - self.reserve))) if is_new else limit.requests
        inside = [each for each in self._sent if each > now_ns - round(limit.seconds * 1e9)]
        if len(inside) < allowed:
            return 0.0
        leaves_ns = inside[len(inside) - allowed] + round(limit.seconds * 1e9)
        return max(leaves_ns - now_ns, 1) * 1e-9

    def _forget(self, now_ns: int) -> None:
        longest_ns = round(max(limit.seconds for limit in self.limits) * 1e9)
        while self._sent and self._sent[0] <= now_ns - longest_ns:
            self._sent.popleft()

"""What waits for a symbol's thread: orders and their cancellations first, in the order they came, then questions.

A call may take seconds where the venue is slow. What was to be sent meanwhile is not what is wanted any more: an order
that was taken back before it left never leaves, and an entry that waited too long is refused here, as it was priced
for a market that is gone.
"""

from dataclasses import dataclass
from queue import PriorityQueue
from typing import Final, Literal

from live.clock import Clock
from live.exchange.protocol import Cancel, CancelAll, Place, Request

LATE_NS: Final = 1_000_000_000
"""An entry that waited for so long is not sent; an exit is, for a position is open."""
_ORDERS, _QUESTIONS, _END = range(3)


@dataclass(frozen=True, slots=True)
class Job:
    """A request, or a look at what stands; `put_ns` is when it was put here, by the monotonic clock."""

    request: Request | Literal["look"]
    put_ns: int


class Inbox:
    """Filled by one thread, emptied by another."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._waiting: PriorityQueue[tuple[int, int, Job | None]] = PriorityQueue()
        self._count = 0
        self._withdrawn: set[str] = set()

    def put(self, request: Request) -> None:
        """Add a request."""
        if isinstance(request, Cancel):
            self._withdrawn.add(request.client_id)
        rank = _ORDERS if isinstance(request, Place | Cancel | CancelAll) else _QUESTIONS
        self._put(rank, Job(request, self._clock.mono_ns()))

    def put_look(self) -> None:
        """Ask for a look, where nothing else waits: looks do not pile up."""
        if self._waiting.empty():
            self._put(_QUESTIONS, Job("look", self._clock.mono_ns()))

    def end(self) -> None:
        """Nothing comes behind this."""
        self._put(_END, None)

    def take(self) -> Job | None:
        """Wait for the next job and return it; None at the end."""
        return self._waiting.get()[2]

    def why_not(self, job: Job) -> str:
        """Why an order must not be sent any more; empty when it may."""
        request = job.request
        if isinstance(request, Cancel):
            self._withdrawn.discard(request.client_id)
        if not isinstance(request, Place):
            return ""
        if request.client_id in self._withdrawn:
            return "withdrawn"
        is_late = not request.reduce_only and self._clock.mono_ns() - job.put_ns >= LATE_NS
        return "late" if is_late else ""

    def _put(self, rank: int, job: Job | None) -> None:
        self._count += 1
        self._waiting.put((rank, self._count, job))

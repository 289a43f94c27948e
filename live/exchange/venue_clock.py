"""The venue's clock as far as its market data tell it, and how long a request and its answer travel.

A market message takes at least `feed_ns` to us; what its least lag shows beyond that is the difference of the clocks.
So the paper exchange can say when an order sent now arrives in the venue's time, and when we learn of an answer.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

_WINDOW_NS = 60_000_000_000


@dataclass(slots=True)
class VenueClock:
    """Turns local time into a venue's and back: by the least lag of the last one to two minutes."""

    feed_ns: int
    _least: int | None = None
    _least_before: int | None = None
    _window_end_ns: int = 0

    @property
    def is_known(self) -> bool:
        """Whether anything was seen of the venue."""
        return self._least is not None

    @property
    def offset_ns(self) -> int:
        """Local time less the venue's; 0 while nothing is known."""
        seen = [each for each in (self._least, self._least_before) if each is not None]
        return min(seen) - self.feed_ns if seen else 0

    def observe(self, exchange_ns: int, local_ns: int) -> None:
        """See a market message: when the venue made it, when we had it."""
        lag = local_ns - exchange_ns
        if self._least is None or local_ns >= self._window_end_ns:
            self._least_before, self._least = self._least, lag
            self._window_end_ns = local_ns + _WINDOW_NS
        elif lag < self._least:
            self._least = lag

    def to_exchange(self, local_ns: int) -> int:
        """The venue's time at a moment of ours."""
        return local_ns - self.offset_ns

    def to_local(self, exchange_ns: int) -> int:
        """Our time at a moment of the venue's."""
        return exchange_ns + self.offset_ns


class Latency(Protocol):
    """How long one request, and one answer, travels."""

    def entry_ns(self) -> int:
        """From us to the venue."""
        ...

    def response_ns(self) -> int:
        """From the venue to us."""
        ...


@dataclass(frozen=True, slots=True)
class ConstantLatency:
    """Always the same."""

    entry: int
    response: int

    def entry_ns(self) -> int:
        """From us to the venue."""
        return self.entry

    def response_ns(self) -> int:
        """From the venue to us."""
        return self.response


@dataclass(slots=True)
class SampledLatency:
    """Drawn from measured travel times, nanoseconds; the same seed draws the same."""

    entries: Sequence[int]
    responses: Sequence[int]
    seed: int
    _rng: random.Random = field(init=False)

    def __post_init__(self) -> None:
        self._rng = random.Random(self.seed)

    def entry_ns(self) -> int:
        """From us to the venue."""
        return self._rng.choice(self.entries)

    def response_ns(self) -> int:
        """From the venue to us."""
        return self._rng.choice(self.responses)

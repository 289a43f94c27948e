"""While the bus does not answer: when to try again, and when the executor must be told."""

from live.clock import Clock

_FIRST_SECONDS = 0.1
_LONGEST_SECONDS = 1.0


class Outage:
    """Whether the bus is away. Tries double from 0.1 s to 1 s; after `tell_seconds` it is told of, once an outage."""

    def __init__(self, clock: Clock, tell_seconds: float) -> None:
        self._clock = clock
        self._tell_ns = round(tell_seconds * 1e9)
        self._since_ns: int | None = None
        self._wait = _FIRST_SECONDS
        self._try_ns = 0
        self._told = False

    @property
    def is_on(self) -> bool:
        """Whether the bus was away at the last try."""
        return self._since_ns is not None

    def failed(self) -> bool:
        """A call failed; returns whether it is the first of an outage."""
        now = self._clock.mono_ns()
        first = self._since_ns is None
        if first:
            self._since_ns, self._told, self._wait = now, False, _FIRST_SECONDS
        self._try_ns = now + round(self._wait * 1e9)
        self._wait = min(self._wait * 2, _LONGEST_SECONDS)
        return first

    def may_try(self) -> bool:
        """Whether it is time to ask the bus again."""
        return self._since_ns is None or self._clock.mono_ns() >= self._try_ns

    def must_tell(self) -> bool:
        """True once, when the bus has been away for too long."""
        if self._since_ns is None or self._told or self._clock.mono_ns() - self._since_ns < self._tell_ns:
            return False
        self._told = True
        return True

    def over(self) -> float:
        """The bus answers again; returns the seconds it was away."""
        seconds = 0.0 if self._since_ns is None else (self._clock.mono_ns() - self._since_ns) / 1e9
        self._since_ns = None
        return seconds

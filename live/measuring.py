"""What a host measures of messages, kept off the path of the market: counts are passed on once a second."""

from collections import Counter

from bus.messages import Received
from bus.streams import is_market
from live.clock import Clock, ManualClock
from monitoring.metrics import Metrics

_EACH = 16
"""Of market data, which comes thousands of times a second, every so manieth handling is timed."""


class Measures:
    """Counts and times of one host. `handled` and `approved` take the host's own nanoseconds (perf_counter_ns)."""

    def __init__(self, metrics: Metrics, clock: Clock) -> None:
        self._metrics = metrics
        self._clock = clock
        self._counts: Counter[tuple[str, str]] = Counter()
        self._turn = 0

    def handled(self, service: str, received: Received, nanoseconds: int) -> None:
        """A service has taken a message."""
        self._counts[service, received.header.kind] += 1
        if is_market(received.stream):
            self._turn = (self._turn + 1) % _EACH
            if self._turn:
                return
        self._metrics.handle_seconds.labels(service).observe(nanoseconds / 1e9)

    def approved(self, received_ns: int, root_ns: int, now_ns: int) -> None:
        """An approval is on the bus: `received_ns` is when its market frame arrived (0 unknown), by the wall clock,
        `root_ns` and `now_ns` are when this host took up the cause and now.

        Where a replay turns the clock only the host's own time is real.
        """
        seconds = (now_ns - root_ns) / 1e9
        if received_ns and not isinstance(self._clock, ManualClock):
            seconds = (self._clock.wall_ns() - received_ns) / 1e9
        self._metrics.tick_to_approval_seconds.observe(max(0.0, seconds))

    def pass_on(self) -> None:
        """Add what was counted to the metrics."""
        for (service, kind), count in self._counts.items():
            self._metrics.messages_total.labels(service, kind).inc(count)
        self._counts.clear()

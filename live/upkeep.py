"""What a host does beside its messages: heartbeats, the depth of its groups, the age of everybody's heartbeat, and in
one place of a stack the janitor."""

import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from bus.heartbeats import EVERY_SECONDS, Heartbeat, read, write
from bus.protocol import Bus
from live.clock import Clock, SystemClock
from live.logs import Log
from live.service import Service
from monitoring.metrics import Metrics
from monitoring.processes import EXPECTED

_SLOW_SECONDS = 5.0


class Upkeep:
    """Told of services and groups by `begin`, then asked at every pass; does something once a second.

    `metrics_port` is shown in the heartbeats. `sweep` is the janitor's pass, run every few seconds where it is given.
    `instance` names a service among those that share its work: heartbeats tell them apart, this process's own metrics
    need not. `expected` are those whose heartbeats are missed from the start.
    """

    def __init__(
        self,
        bus: Bus,
        clock: Clock,
        metrics: Metrics,
        log: Log,
        *,
        metrics_port: int = 0,
        sweep: Callable[[], object] | None = None,
        instance: Callable[[str], str] = str,
        expected: Sequence[str] = EXPECTED,
    ) -> None:
        self._bus, self._clock, self._metrics, self._log = bus, clock, metrics, log
        self._metrics_port = metrics_port
        self._sweep = sweep
        self._instance, self._expected = instance, expected
        self._services: Sequence[Service] = ()
        self._groups: Sequence[tuple[str, str]] = ()
        self._started_ns = 0
        self._beat_ns = self._slow_ns = 0
        self._seen_ns: dict[str, int] = {}
        self._lost: dict[tuple[str, str], int] = {}

    def begin(self, services: Sequence[Service], groups: Sequence[tuple[str, str]]) -> None:
        """The services run from now on. Raises BusUnavailable."""
        self._services, self._groups = services, groups
        self._started_ns = self._clock.wall_ns()
        # Who was never heard is as old as we are: nobody's silence is hidden by his never having come.
        self._seen_ns = dict.fromkeys(self._expected, self._started_ns)
        self._say("running")
        self._ages()

    def due(self) -> bool:
        """Whether it is time for `look`."""
        return self._clock.mono_ns() >= self._beat_ns

    def look(self) -> None:
        """Do what is due. Raises BusUnavailable."""
        now = self._clock.mono_ns()
        self._beat_ns = now + round(EVERY_SECONDS * 1e9)
        if isinstance(self._clock, SystemClock):
            self._metrics.clock_step_seconds.set(self._clock.step_ns() / 1e9)
        self._say("running")
        self._ages()
        if now >= self._slow_ns:
            self._slow_ns = now + round(_SLOW_SECONDS * 1e9)
            self._depths()
            if self._sweep:
                self._sweep()

    def farewell(self) -> None:
        """Leave a last heartbeat that says the services ended in order. Raises BusUnavailable."""
        self._say("stopped")

    def _say(self, state: str) -> None:
        names = [self._instance(each.name) for each in self._services]
        for name, service in zip(names, self._services, strict=True):
            status = self._status(service)
            ready = bool(status.get("ready")) and state == "running"
            self._metrics.service_ready.labels(service.name).set(ready)
            self._metrics.heartbeat_timestamp_seconds.labels(service.name).set(self._clock.wall_ns() / 1e9)
            heartbeat = Heartbeat(
                service=name,
                at_ns=self._clock.wall_ns(),
                started_ns=self._started_ns,
                pid=os.getpid(),
                state=state,
                ready=ready,
                metrics_port=self._metrics_port,
                hosted_with=[other for other in names if other != name],
                groups=list(self._groups),
                status=dict(status),
            )
            write(self._bus, heartbeat)

    def _status(self, service: Service) -> Mapping[str, Any]:
        try:
            return service.status()
        except Exception as error:  # a status that cannot be told is one
            self._log.exception("status_failed", service=service.name)
            return {"ready": False, "error": f"{type(error).__name__}: {error}"}

    def _ages(self) -> None:
        now = self._clock.wall_ns()
        for name, heartbeat in read(self._bus).items():
            self._seen_ns[name] = max(heartbeat.at_ns, self._seen_ns.get(name, 0))
        for name, at_ns in self._seen_ns.items():
            self._metrics.heartbeat_age_seconds.labels(name).set(max(0.0, (now - at_ns) / 1e9))

    def _depths(self) -> None:
        for stream, group in self._groups:
            depth = self._bus.depth(stream, group)
            self._metrics.stream_depth.labels(stream, group).set(depth.lag + depth.pending)
            lost = depth.lost - self._lost.get((stream, group), 0)
            self._lost[stream, group] = depth.lost
            if lost > 0:
                self._metrics.stream_lost_total.labels(stream).inc(lost)
                self._log.error("entries_lost", stream=stream, group=group, lost=lost)

"""The live side at one moment, as its services tell it: heartbeats, queues, control events."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from bus.codec import decode
from bus.errors import BusError
from bus.heartbeats import SILENT_SECONDS, Heartbeat, read
from bus.messages import ControlEvent
from bus.protocol import Bus
from bus.streams import CONTROL

SERVICES = ("collector", "recorder", "signal_engine", "ai_scorer", "executor", "risk", "model_sync")
_EVENTS = 6
_EVENTS_READ = 50
Verdict = Literal["ready", "not ready", "silent", "stopped", "absent"]


@dataclass(frozen=True, slots=True)
class ServiceRow:
    """One service: `beat` is None when it never spoke or has been gone for long."""

    name: str
    verdict: Verdict
    age_seconds: float
    beat: Heartbeat | None


@dataclass(frozen=True, slots=True)
class QueueRow:
    """A group on a stream: entries it has not acknowledged, and those that were gone before it read them."""

    stream: str
    group: str
    waiting: int
    lost: int


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Everything at one moment; `events` are the newest control events, the newest first."""

    at_ns: int
    address: str
    services: Sequence[ServiceRow]
    queues: Sequence[QueueRow]
    events: Sequence[ControlEvent]

    @property
    def is_well(self) -> bool:
        """Whether everything that trades is ready; model_sync may be absent, trading goes on without it."""
        return all(row.verdict == "ready" for row in self.services if row.name != "model_sync")

    def status_of(self, service: str) -> Mapping[str, Any]:
        """What a service said of itself; empty when it is not there."""
        for row in self.services:
            if row.name == service and row.beat and row.verdict in ("ready", "not ready"):
                return row.beat.status
        return {}


def look(bus: Bus, address: str, now_ns: int) -> Snapshot:
    """Gather everything from the bus at an address. Raises BusUnavailable."""
    beats = read(bus)
    rows = [_row(name, beats.get(name), now_ns) for name in SERVICES]
    groups = sorted({(stream, group) for row in rows if row.beat for stream, group in row.beat.groups})
    return Snapshot(
        at_ns=now_ns,
        address=address,
        services=rows,
        queues=[_queue(bus, stream, group) for stream, group in groups],
        events=list(_events(bus)),
    )


def _row(name: str, beat: Heartbeat | None, now_ns: int) -> ServiceRow:
    if beat is None:
        return ServiceRow(name, "absent", 0.0, None)
    age = max(0.0, (now_ns - beat.at_ns) / 1e9)
    verdict: Verdict = "ready" if beat.ready else "not ready"
    if beat.state == "stopped":
        verdict = "stopped"
    elif age > SILENT_SECONDS:
        verdict = "silent"
    return ServiceRow(name, verdict, age, beat)


def _queue(bus: Bus, stream: str, group: str) -> QueueRow:
    depth = bus.depth(stream, group)
    return QueueRow(stream, group, depth.lag + depth.pending, depth.lost)


def _events(bus: Bus) -> Iterator[ControlEvent]:
    shown = 0
    for entry in reversed(bus.recent(CONTROL, _EVENTS_READ)):
        try:
            body = decode(entry).body
        except BusError:
            continue
        if isinstance(body, ControlEvent) and shown < _EVENTS:
            shown += 1
            yield body

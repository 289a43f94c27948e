"""The live side at one moment, as its services tell it: heartbeats, queues, control events, and the registry's head."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from bus.codec import decode
from bus.errors import BusError
from bus.heartbeats import SILENT_SECONDS, Heartbeat, read
from bus.messages import ControlEvent
from bus.protocol import Bus
from bus.streams import CONTROL
from registry.errors import RegistryError
from registry.journal import read_head

SERVICES = ("collector", "recorder", "signal_engine", "ai_scorer", "executor", "risk", "model_sync")
SENSOR_PREFIX = "sensor:"
"""How Dagster's sensors sign their heartbeats. Without Dagster there are none, and nothing is missing."""
_LOOKS_MISSED = 3
"""So many looks in a row that did not come make a sensor silent."""
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
class RegistryRow:
    """Where the registry stands by its journal on this host; `cooldown_until` only while it lasts.

    `pending` are moves of which MLflow, or the streams, have yet to hear; `trouble` why the journal cannot be read.
    """

    epoch: int = 0
    head: str = ""
    active: int | None = None
    previous: int | None = None
    shadow: int | None = None
    canary: int | None = None
    rollout: str = ""
    fraction: float = 0.0
    reason: str = ""
    cooldown_until: datetime | None = None
    pending: Sequence[str] = ()
    trouble: str = ""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Everything at one moment; `events` are the newest control events, the newest first.

    `sensors` are those of Dagster that left word, `registry` is None where no mirror was looked at.
    """

    at_ns: int
    address: str
    services: Sequence[ServiceRow]
    queues: Sequence[QueueRow]
    events: Sequence[ControlEvent]
    sensors: Sequence[ServiceRow] = ()
    registry: RegistryRow | None = None

    @property
    def is_well(self) -> bool:
        """Whether everything that trades is ready; it goes on without model_sync, Dagster's sensors and MLflow."""
        return all(row.verdict == "ready" for row in self.services if row.name != "model_sync")

    def status_of(self, service: str) -> Mapping[str, Any]:
        """What a service said of itself; empty when it is not there."""
        return next(iter(self.statuses_of(service)), {})

    def statuses_of(self, service: str) -> Sequence[Mapping[str, Any]]:
        """What every share of a service said of itself, as far as they are there."""
        return [
            row.beat.status
            for row in self.services
            if row.name.partition(":")[0] == service and row.beat and row.verdict in ("ready", "not ready")
        ]


def look(
    bus: Bus, address: str, now_ns: int, mirror: Path | None = None, services: Sequence[str] = SERVICES
) -> Snapshot:
    """Gather everything from the bus at an address, and from the journal in a mirror. Raises BusUnavailable.

    `services` are those that are to be there (`live.shards.instances`).
    """
    beats = read(bus)
    rows = [_row(name, beats.get(name), now_ns) for name in services]
    groups = sorted({(stream, group) for row in rows if row.beat for stream, group in row.beat.groups})
    return Snapshot(
        at_ns=now_ns,
        address=address,
        services=rows,
        queues=[_queue(bus, stream, group) for stream, group in groups],
        events=list(_events(bus)),
        sensors=[
            _row(name, beat, now_ns, _sensor_patience(beat))
            for name, beat in sorted(beats.items())
            if name.startswith(SENSOR_PREFIX)
        ],
        registry=None if mirror is None else registry_row(mirror, now_ns),
    )


def registry_row(mirror: Path, now_ns: int) -> RegistryRow:
    """Read where the registry stands; MLflow is not asked."""
    try:
        head = read_head(mirror)
    except RegistryError as error:
        return RegistryRow(trouble=str(error))
    rollout = head.rollout
    ends = rollout.cooldown_until if rollout else None
    return RegistryRow(
        epoch=head.epoch,
        head=head.hash,
        active=head.slots.active,
        previous=head.slots.previous,
        shadow=head.slots.shadow,
        canary=head.canary,
        rollout=rollout.mode if rollout else "",
        fraction=rollout.canary_fraction if rollout else 0.0,
        reason=rollout.reason if rollout else "",
        cooldown_until=ends if ends is not None and now_ns < ends.timestamp() * 1e9 else None,
        pending=tuple(f"{each.effect} of {each.tx}" for each in head.pending),
    )


def _sensor_patience(beat: Heartbeat) -> float:
    """Seconds after which a sensor is silent; one that looks on occasion, such as at a failed run, never is."""
    every = float(beat.status.get("every_seconds", 0.0) or 0.0)
    return SILENT_SECONDS + _LOOKS_MISSED * every if every else math.inf


def _row(name: str, beat: Heartbeat | None, now_ns: int, silent_seconds: float = SILENT_SECONDS) -> ServiceRow:
    if beat is None:
        return ServiceRow(name, "absent", 0.0, None)
    age = max(0.0, (now_ns - beat.at_ns) / 1e9)
    verdict: Verdict = "ready" if beat.ready else "not ready"
    if beat.state == "stopped":
        verdict = "stopped"
    elif age > silent_seconds:
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

"""tidegate status: what every live service last said of itself, how long its queues are, what was called last."""

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import msgspec
from rich.console import Console
from rich.live import Live

from bus.client import RedisBus
from bus.codec import decode
from bus.errors import BusError
from bus.messages import ControlEvent
from bus.protocol import Bus
from bus.streams import CONTROL
from config.settings import Settings
from live.heartbeats import SILENT_SECONDS, Heartbeat, read
from tidegate.status_view import view
from tidegate.streams import NoStreams, opened

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


def run(settings: Settings, url: str, *, watch: bool, as_json: bool) -> int:
    """Show it once, or every second until Ctrl-C; returns 0 when everything that trades is ready, else 1."""
    console = Console(highlight=False)
    try:
        with opened(settings, url) as bus:
            if watch and not as_json:
                return _watch(console, bus)
            snapshot = look(bus, bus.address, time.time_ns())
    except (NoStreams, BusError) as error:
        if as_json:
            console.print_json(json.dumps({"error": str(error)}))
        else:
            console.print(f"[red]{error}[/]", soft_wrap=True)
        return 1
    if as_json:
        console.print_json(json.dumps(as_plain(snapshot)))
    else:
        console.print(view(snapshot, console.width))
    return 0 if snapshot.is_well else 1


def as_plain(snapshot: Snapshot) -> Mapping[str, Any]:
    """The snapshot as plain values."""
    plain = msgspec.to_builtins(snapshot)
    plain["well"] = snapshot.is_well
    # Messages travel as arrays; people read names.
    plain["events"] = [{name: getattr(each, name) for name in each.__struct_fields__} for each in snapshot.events]
    return dict(plain)


def _watch(console: Console, bus: RedisBus) -> int:
    snapshot = look(bus, bus.address, time.time_ns())
    try:
        with Live(
            view(snapshot, console.width), console=console, screen=console.is_terminal, auto_refresh=False
        ) as live:
            while True:
                time.sleep(1.0)
                try:
                    snapshot = look(bus, bus.address, time.time_ns())
                except BusError as error:
                    live.update(f"the streams are away: {error}", refresh=True)
                    continue
                live.update(view(snapshot, console.width), refresh=True)
    except KeyboardInterrupt:
        return 0 if snapshot.is_well else 1


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

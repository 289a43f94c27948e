"""tidegate status: what every live service last said of itself, how long its queues are, what was called last."""

import json
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
from rich.console import Console
from rich.live import Live

from bus.client import RedisBus
from bus.errors import BusError
from config.settings import Settings
from live.shards import instances
from tidegate.complaint import complain
from tidegate.situation import SERVICES, Snapshot, look
from tidegate.status_view import view
from tidegate.streams import NoStreams, opened


def run(settings: Settings, url: str, *, watch: bool, as_json: bool) -> int:
    """Show it once, or every second until Ctrl-C; returns 0 when everything that trades is ready, else 1."""
    console, mirror = Console(highlight=False), Path(settings.registry.mirror)
    services = instances(SERVICES, settings)
    try:
        with opened(settings, url) as bus:
            if watch and not as_json:
                return _watch(console, bus, mirror, services)
            snapshot = look(bus, bus.address, time.time_ns(), mirror, services)
    except (NoStreams, BusError) as error:
        if as_json:
            console.print_json(json.dumps({"error": str(error)}))
        else:
            complain(str(error))
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


def _watch(console: Console, bus: RedisBus, mirror: Path, services: Sequence[str]) -> int:
    snapshot = look(bus, bus.address, time.time_ns(), mirror, services)
    try:
        with Live(
            view(snapshot, console.width), console=console, screen=console.is_terminal, auto_refresh=False
        ) as live:
            while True:
                time.sleep(1.0)
                try:
                    snapshot = look(bus, bus.address, time.time_ns(), mirror, services)
                except BusError as error:
                    live.update(f"the streams are away: {error}", refresh=True)
                    continue
                live.update(view(snapshot, console.width), refresh=True)
    except KeyboardInterrupt:
        return 0 if snapshot.is_well else 1

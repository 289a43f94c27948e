"""Heartbeats: what each service says of itself every second, kept by the bus for a while, read by operators.

A service that has died leaves a heartbeat that grows old, then none. One that ended in order says so.
"""

from collections.abc import Mapping
from typing import Any

import msgspec

from bus.protocol import Bus

EVERY_SECONDS = 1.0
KEPT_SECONDS = 600.0
"""How long the last heartbeat of a service that died, or ended, can be seen."""
SILENT_SECONDS = 5.0
"""A service whose heartbeat is older than this is called silent."""
_PREFIX = "hb:"


class Heartbeat(msgspec.Struct, frozen=True):
    """One service at one moment. `state` is running or stopped, `groups` are the (stream, group) pairs of its process,
    `status` is the service's own."""

    service: str
    at_ns: int
    started_ns: int
    pid: int
    state: str
    ready: bool
    metrics_port: int
    hosted_with: list[str]
    groups: list[tuple[str, str]]
    status: dict[str, Any]


_DECODE = msgspec.json.Decoder(Heartbeat).decode


def write(bus: Bus, heartbeat: Heartbeat) -> None:
    """Leave a heartbeat. Raises BusUnavailable."""
    data = msgspec.json.encode(heartbeat, enc_hook=str)
    bus.put(_PREFIX + heartbeat.service, data, int(KEPT_SECONDS * 1000))


def read(bus: Bus) -> Mapping[str, Heartbeat]:
    """The last heartbeat of every service; one that cannot be read counts as none. Raises BusUnavailable."""
    found = {}
    for value in bus.values(_PREFIX).values():
        try:
            heartbeat = _DECODE(value)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            continue
        found[heartbeat.service] = heartbeat
    return found

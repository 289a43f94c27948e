"""Heartbeats of sensors: a sensor that fails or hangs alerts nobody in Dagster, so each leaves word on the bus."""

import os

from bus.errors import BusError
from bus.heartbeats import Heartbeat, write
from pipelines.registrar import nanoseconds, open_streams
from pipelines.workspace import Workspace


def leave_heartbeat(
    sensor: str, text: str, workspace: Workspace, *, is_well: bool = True, every_seconds: float = 0.0
) -> None:
    """Say that a sensor looked: heartbeat_age_seconds then tells when one stopped looking.

    `text` is what came of the look, `every_seconds` when to expect the next, 0 where it looks on occasion.
    A bus that is away hears nothing, which makes the heartbeat old.
    """
    beat = Heartbeat(
        service=f"sensor:{sensor}", at_ns=nanoseconds(workspace.now()), started_ns=nanoseconds(workspace.opened),
        pid=os.getpid(), state="running", ready=is_well, metrics_port=0, hosted_with=[], groups=[],
        status={"text": text, "every_seconds": every_seconds},
    )  # fmt: skip
    try:
        with open_streams(workspace.settings) as bus:
            write(bus, beat)
    except BusError:
        return

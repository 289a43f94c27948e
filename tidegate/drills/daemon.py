"""Dagster's daemon beside a drill's services: the sensors that move versions by themselves."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from bus.errors import BusUnavailable
from bus.heartbeats import read
from tidegate.drills.scene import Scene
from tidegate.environment import ROOT

_STOP_SECONDS = 20.0
_START_SECONDS = 180.0
_SENSOR = "sensor:rollback_sensor"


@contextmanager
def daemon(scene: Scene) -> Iterator[None]:
    """Run the daemon for a block, from the first look of the rollback sensor on. Raises DrillFailed."""
    log = scene.stack.folder / "logs" / "daemon.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "dagster._daemon", "run", "-w", str(ROOT / "workspace.yaml")]
    with log.open("wb") as out:
        process = subprocess.Popen(  # noqa: S603 - the command is ours
            command, cwd=ROOT, env={**os.environ, **scene.environ, "REDIS_URL": scene.stack.server.url},
            stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT, start_new_session=True,
        )  # fmt: skip
    try:
        scene.until(lambda: _has_looked(scene), _START_SECONDS, f"a look of the rollback sensor; {log}")
        scene.timeline.saw("healthy", "Dagster's daemon runs, and the rollback sensor has looked")
        yield
    finally:
        _end(process)


def _has_looked(scene: Scene) -> bool | None:
    try:
        return _SENSOR in read(scene.stack.bus) or None
    except BusUnavailable:
        return None


def _end(process: "subprocess.Popen[bytes]") -> None:
    """End the daemon and the servers of code and runs that it started: all of them are in its session."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        with suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        with suppress(subprocess.TimeoutExpired):
            process.wait(_STOP_SECONDS)

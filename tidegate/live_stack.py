"""The live services as a process beside ours: started on a server of streams, watched by heartbeats, ended in order."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bus.client import RedisBus, open_bus
from bus.errors import BusUnavailable
from bus.heartbeats import Heartbeat, read
from bus.server import serve
from monitoring.scrape import Scrape, ScrapeError
from tidegate.environment import ROOT

SERVICES = ("collector", "signal_engine", "ai_scorer", "executor", "risk")
"""What trades. model_sync runs beside them, in a process of its own: it imports MLflow."""
_STOP_SECONDS = 20.0
_TAIL_BYTES = 2_000


class StackError(Exception):
    """The services ended, or did not come up; the end of their log is in the message."""


@dataclass
class LiveStack:
    """Running services: their process, their streams, and the file their log goes to."""

    process: "subprocess.Popen[bytes]"
    bus: RedisBus
    log: Path

    def heartbeats(self) -> Mapping[str, Heartbeat]:
        """What each service last said of itself; empty while the bus is away."""
        try:
            return read(self.bus)
        except BusUnavailable:
            return {}

    def scrape(self) -> Scrape:
        """What the process shows on /metrics. Raises StackError while it shows nothing."""
        ports = {beat.metrics_port for beat in self.heartbeats().values() if beat.pid == self.process.pid}
        ports.discard(0)
        if not ports:
            raise StackError(f"the services show no /metrics yet; see {self.log}")
        try:
            return Scrape.of(f"http://127.0.0.1:{min(ports)}/metrics")
        except ScrapeError as error:
            raise StackError(f"{error}; see {self.log}") from error

    def check(self) -> None:
        """Raise StackError when the process has ended."""
        code = self.process.poll()
        if code is not None:
            raise StackError(f"the live services ended with {code}; {self.log} ends with:\n{_end_of(self.log)}")

    def wait_for(self, names: Sequence[str], seconds: float) -> None:
        """Wait until every one of these services is ready. Raises StackError when one is not in time."""
        deadline = time.monotonic() + seconds
        while waiting := [name for name in names if not self._is_ready(name)]:
            self.check()
            if time.monotonic() > deadline:
                raise StackError(f"{', '.join(waiting)} not ready after {seconds:g} s; see {self.log}")
            time.sleep(0.1)

    def _is_ready(self, name: str) -> bool:
        beat = self.heartbeats().get(name)
        return beat is not None and beat.pid == self.process.pid and beat.ready


@contextmanager
def running(
    folder: Path, log: Path, names: Sequence[str] = SERVICES, environ: Mapping[str, str] | None = None
) -> Iterator[LiveStack]:
    """Run services in one process on a server of streams in `folder`; both are ended with the block.

    Raises BusNotFound or BusUnavailable when there is no server.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    with serve(folder) as server, open_bus(server.url) as bus:
        process = start(names, log, {**(environ or {}), "REDIS_URL": server.url})
        try:
            yield LiveStack(process, bus, log)
        finally:
            stop(process)


def start(
    names: Sequence[str], log: Path, environ: Mapping[str, str], metrics_port: int = 0
) -> "subprocess.Popen[bytes]":
    """Start services as one process with its output in a file. A session of its own: Ctrl-C is ours to pass on."""
    command = [sys.executable, "-m", "live", *names, "--metrics-port", str(metrics_port)]
    with log.open("wb") as out:
        return subprocess.Popen(  # noqa: S603 - the command is ours
            command, stdout=out, stderr=subprocess.STDOUT, cwd=ROOT, env={**os.environ, **environ},
            start_new_session=True,
        )  # fmt: skip


def stop(process: "subprocess.Popen[bytes]") -> int:
    """Let services end in order, by force after 20 s; returns the exit code."""
    if process.poll() is None:
        process.terminate()
    try:
        return process.wait(_STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        return process.wait()


def _end_of(log: Path) -> str:
    try:
        return log.read_bytes()[-_TAIL_BYTES:].decode(errors="replace")
    except OSError:
        return "(no log)"

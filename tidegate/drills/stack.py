"""The services of a drill: processes of its own on a server of its own, looked at through heartbeats and /metrics."""

import signal
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from bus.client import RedisBus, open_bus
from bus.errors import BusUnavailable
from bus.heartbeats import Heartbeat, read
from bus.server import Server, serve
from monitoring.scrape import Scrape, ScrapeError
from tidegate import live_stack
from tidegate.drills.errors import DrillFailed

_TAIL_BYTES = 1_500
TOGETHER: tuple[Sequence[str], ...] = (("collector", "signal_engine", "ai_scorer", "executor", "risk"),)
"""Everything that trades in one process: the only way in which the market can turn the clock."""
APART: tuple[Sequence[str], ...] = (("collector", "signal_engine", "ai_scorer"), ("executor",), ("risk",))
"""Three processes, so that one of them can be killed, stopped or started again alone."""


@dataclass
class _Group:
    names: Sequence[str]
    process: "subprocess.Popen[bytes]"
    log: Path


@dataclass
class Stack:
    """Processes of services by what they run. `environ` is what each is started with."""

    folder: Path
    server: Server
    bus: RedisBus
    environ: Mapping[str, str]
    _groups: dict[str, _Group] = field(default_factory=dict)
    _ports: dict[int, int] = field(default_factory=dict)
    _started: int = 0

    def start(self, names: Sequence[str], **knobs: str) -> None:
        """Start services as one process; knobs are laid over the stack's own."""
        self._started += 1
        log = self.folder / "logs" / f"{self._started}-{'-'.join(names)}.log"
        log.parent.mkdir(parents=True, exist_ok=True)
        process = live_stack.start(list(names), log, {**self.environ, "REDIS_URL": self.server.url, **knobs})
        group = _Group(names, process, log)
        for name in names:
            self._groups[name] = group

    def stop(self, name: str) -> None:
        """End the process of a service in order."""
        live_stack.stop(self._groups[name].process)

    def send(self, name: str, number: signal.Signals) -> None:
        """Send a signal to the process of a service; SIGKILL is waited for."""
        process = self._groups[name].process
        process.send_signal(number)
        if number is signal.SIGKILL:
            process.wait()

    def beat(self, name: str) -> Heartbeat | None:
        """What a service last said of itself, None when it has not spoken since it was started here."""
        try:
            found = read(self.bus).get(name)
        except BusUnavailable:
            return None
        group = self._groups.get(name)
        return found if found is not None and group is not None and found.pid == group.process.pid else None

    def is_ready(self, name: str) -> bool:
        """Whether a service says so. Raises DrillFailed when its process has ended."""
        self.check()
        beat = self.beat(name)
        return beat is not None and beat.ready

    def scrape(self, name: str) -> Scrape:
        """What the process of a service shows on /metrics, also while the streams are away.

        Raises ScrapeError while it does not answer.
        """
        pid = self._groups[name].process.pid
        if pid not in self._ports:
            beat = self.beat(name)
            if beat is None:
                raise ScrapeError(f"{name} has not spoken yet")
            self._ports[pid] = beat.metrics_port
        return Scrape.of(f"http://127.0.0.1:{self._ports[pid]}/metrics")

    def check(self) -> None:
        """Raise DrillFailed when a process has ended that should run."""
        for name, group in self._groups.items():
            if group.process.poll() not in (None, -signal.SIGKILL, 0):
                text = group.log.read_bytes()[-_TAIL_BYTES:].decode(errors="replace")
                raise DrillFailed(f"{name} ended with {group.process.returncode}; {group.log} ends with:\n{text}")

    def close(self) -> None:
        """End what still runs, the last started first."""
        for group in reversed(list({id(each): each for each in self._groups.values()}.values())):
            if group.process.poll() is None:
                group.process.send_signal(signal.SIGCONT)
            live_stack.stop(group.process)


@contextmanager
def opened(folder: Path, environ: Mapping[str, str]) -> Iterator[Stack]:
    """A server of streams below a folder, and no service yet; all of it ends with the block."""
    with serve(folder / "var" / "redis") as server, open_bus(server.url) as bus:
        stack = Stack(folder, server, bus, environ)
        try:
            yield stack
        finally:
            stack.close()

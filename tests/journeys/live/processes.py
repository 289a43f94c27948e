"""Services as processes of a test's own, on a server and a folder of its own: started, watched, killed.

Everything that is started here ends with the test. A service is ready when its heartbeat says so; nothing is waited for
without a deadline.
"""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bus.client import RedisBus
from bus.errors import BusUnavailable
from bus.heartbeats import Heartbeat, read
from config.settings import Settings, load
from monitoring.scrape import Scrape
from tests.bus.servers import RealServer, real_server
from tests.journeys.waiting import until
from tests.live.parts import ROOT

PATIENCE_SECONDS = 60.0
"""Far more than anything takes; only a failing test waits for so long."""
PAUSE_SECONDS = 0.02
KNOBS: Mapping[str, str] = {
    "MARKET_SYMBOLS": "BTCUSDT",
    "SERVING_METRICS_PORT": "0",
    "SERVING_LOG_FORMAT": "json",
    "WARMUP_SECONDS": "0.1",
    "WARMUP_RECOVER_SECONDS": "0.1",
    "GATES_MAX_VOLATILITY_BPS": "500",
    "GATES_FLIP_COOLDOWN_SECONDS": "0",
    "GATES_LOSS_STREAK": "10000",
    "GATES_MAX_OPEN_ORDERS": "100",
    "LADDER_LIFE_MS": "400",
}
"""One symbol, gates that open soon, orders that do not live long."""


class Process:
    """One process and its log."""

    def __init__(self, process: "subprocess.Popen[bytes]", log: Path, names: Sequence[str]) -> None:
        self._process, self.log, self.names = process, log, names

    @property
    def pid(self) -> int:
        """Its number."""
        return self._process.pid

    @property
    def is_running(self) -> bool:
        """Whether it has not ended."""
        return self._process.poll() is None

    def signal(self, number: int) -> None:
        """Send a signal."""
        os.kill(self.pid, number)

    def kill(self) -> None:
        """End it with kill -9, in the midst of whatever it does."""
        if self.is_running:
            self._process.kill()
        self._process.wait()

    def end(self) -> int:
        """End it in order and return its exit code."""
        if self.is_running:
            self._process.terminate()
        return self.wait()

    def wait(self) -> int:
        """Return its exit code once it has ended by itself."""
        return self._process.wait(PATIENCE_SECONDS)

    def text(self) -> str:
        """Its log so far."""
        return self.log.read_text(errors="replace")

    def events(self, name: str) -> list[dict[str, Any]]:
        """The lines of its log that tell of an event of this name."""
        lines = [line for line in self.text().splitlines() if line.startswith("{") and line.endswith("}")]
        return [found for line in lines if (found := json.loads(line)).get("event") == name]


class Site:
    """A server, a folder, and processes that come and go."""

    def __init__(self, folder: Path, server: RealServer) -> None:
        self.folder, self.server = folder, server
        self.url = server.url
        """Where processes find the server; a proxy's address where a test puts one in between."""
        self.environ = {
            **KNOBS,
            "PATHS_VAR": str(folder / "var"),
            "PATHS_LAKE": str(folder / "lake"),
            "REGISTRY_MIRROR": str(folder / "mirror"),
        }
        self.bus = RedisBus(server.url)
        self._started: list[Process] = []

    def start(self, *names: str, module: str = "live", more: Sequence[str] = (), **knobs: str) -> Process:
        """Start `python -m live NAMES` (or another module) and return at once. `knobs` are the environment's."""
        environ = {**os.environ, **self.environ, "REDIS_URL": self.url, **knobs}
        log = self.folder / f"{len(self._started)}-{'-'.join(names)}.log"
        with log.open("wb") as out:
            process = subprocess.Popen(
                [sys.executable, "-m", module, *names, *more], cwd=ROOT, env=environ, stdin=subprocess.DEVNULL,
                stdout=out, stderr=subprocess.STDOUT, start_new_session=True,
            )  # fmt: skip
        self._started.append(Process(process, log, names))
        return self._started[-1]

    def settings(self, **knobs: str) -> Settings:
        """What a process started with these knobs goes by."""
        return load(environ={**self.environ, **knobs})

    def beat(self, process: Process, name: str = "") -> Heartbeat | None:
        """What a service of a process last said of itself; None when that is not to be had."""
        try:
            found = read(self.bus).get(name or process.names[0])
        except BusUnavailable:
            return None
        return found if found is not None and found.pid == process.pid else None

    def is_ready(self, process: Process) -> bool:
        """Whether every service of a process is ready. Raises AssertionError when it has ended instead."""
        assert process.is_running, f"{process.names} ended with {process.wait()}:\n{process.text()[-3000:]}"
        beats = [self.beat(process, name) for name in process.names]
        return all(beat is not None and beat.ready for beat in beats)

    def scrape(self, process: Process) -> Scrape:
        """What a process shows on /metrics."""
        beat = self.beat(process)
        assert beat is not None
        return Scrape.of(f"http://127.0.0.1:{beat.metrics_port}/metrics")

    def close(self) -> None:
        """End what still runs."""
        for process in self._started:
            if process.is_running:
                process.signal(signal.SIGCONT)
            process.kill()
        self.bus.close()


@contextmanager
def site(folder: Path, *options: str) -> Iterator[Site]:
    """A site whose server was started with these options of redis-server; all of it ends with the block."""
    with real_server(folder / "redis", *options) as server:
        made = Site(folder, server)
        try:
            yield made
        finally:
            made.close()


def wait(holds: Callable[[], bool], what: str) -> None:
    """Wait until something holds; the question may do a step of work each time."""
    until(lambda: holds() or None, PATIENCE_SECONDS, what, PAUSE_SECONDS)

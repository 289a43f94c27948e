"""The stack of a soak: every service a process of its own on a Redis with its file, killed, started again, watched."""

import shutil
import threading
import time
from collections import defaultdict
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, NamedTuple

from benchmarks.soak_memory import Sample, resident_bytes
from benchmarks.soak_plan import EVERYTHING, Kill
from bus.errors import BusUnavailable
from bus.heartbeats import read
from live.health import SERVICES
from tests.journeys.live.processes import Process, Site
from tests.journeys.waiting import until
from tidegate.drills import knobs
from tidegate.drills.training import OTHER, Trained, environment, utc_now

SPEED: Final = 11.0
DEPTH_MS: Final = 700
KNOBS: Final[Mapping[str, str]] = {
    **knobs.MARKET,
    **knobs.LIVE,
    "FEED_KIND": "simulator",
    "FEED_SPEED": f"{SPEED:g}",
    "FEED_START": "now",
    "SIMULATOR_DEPTH_INTERVAL_MS": str(DEPTH_MS),
    "REDIS_MAX_DELIVERIES": "50",
    "REDIS_MARKET_MINUTES": "5000",
    "REDIS_DURABLE_MINUTES": "5000",
    "RECORDER_COMPACT_MINUTES": "2",
    "ROLLOUT_MODE": "canary",
    "ROLLOUT_CANARY_FRACTION": "0.3",
    "GATES_MAX_VOLATILITY_BPS": "5000",
    "GATES_MAX_SPREAD_BPS": "1000",
    "GATES_FAT_FINGER_BPS": "10000",
    "RISK_VOLATILITY_HALT_BPS": "10000",
}
"""A market eleven times as fast, whose books and prints come at five times the recorded rate or more; gates that do
not hide what is counted behind; streams that keep everything, so that it can be counted."""
_READY_SECONDS = 90.0
_SAMPLE_SECONDS = 1.0


class Recovery(NamedTuple):
    """A kill: how long after it the victim was started again, and was at work again after that."""

    victim: str
    away_seconds: float
    seconds: float


@dataclass
class SoakStack:
    """A site with every service. `samples` are of memory, by service and `redis`, a thread takes them."""

    place: Site
    running: dict[str, Process] = field(default_factory=dict)
    samples: dict[str, list[Sample]] = field(default_factory=lambda: defaultdict(list))
    recoveries: list[Recovery] = field(default_factory=list)
    logs: list[Process] = field(default_factory=list)
    _ends: threading.Event = field(default_factory=threading.Event)

    def start(self) -> None:
        """Start everything and wait until it is ready."""
        for name in SERVICES:
            self._start(name)
        self._wait_for(SERVICES)
        threading.Thread(target=self._watch, name="memory", daemon=True).start()

    def suffer(self, kill: Kill) -> None:
        """Kill a victim, start it again, and note how long it took to be at work."""
        victims = (*SERVICES, "redis") if kill.victim == EVERYTHING else (kill.victim,)
        for name in victims:
            self._kill(name)
        time.sleep(kill.away_seconds)
        begin = time.monotonic()
        since_ns = time.time_ns()
        if "redis" in victims:
            self.place.server.start()
        for name in SERVICES:
            if name in victims:
                self._start(name)
        self._wait_for(SERVICES, since_ns if "redis" in victims else 0)
        self.recoveries.append(Recovery(kill.victim, kill.away_seconds, time.monotonic() - begin))

    def end(self, name: str) -> None:
        """End a service in order. Raises AssertionError when it did not end well."""
        code = self.running[name].end()
        assert code == 0, f"{name} ended with {code}:\n{self.running[name].text()[-3000:]}"

    def close(self) -> None:
        """Take no more samples; the site ends the processes."""
        self._ends.set()

    def told(self, event: str) -> int:
        """How often the logs of all processes tell of an event."""
        return sum(len(process.events(event)) for process in self.logs)

    def _start(self, name: str) -> None:
        self.running[name] = self.place.start(name)
        self.logs.append(self.running[name])

    def _kill(self, name: str) -> None:
        if name == "redis":
            self.place.server.kill()
        else:
            self.running[name].kill()

    def _wait_for(self, names: tuple[str, ...], since_ns: int = 0) -> None:
        def at_work() -> bool | None:
            for name in names:
                process = self.running[name]
                assert process.is_running, f"{name} ended with {process.wait()}:\n{process.text()[-3000:]}"
            try:
                beats = read(self.place.bus)
            except BusUnavailable:
                return None
            fresh = [beats[name] for name in names if name in beats and beats[name].at_ns > since_ns]
            ready = {each.service for each in fresh if each.ready and each.pid == self.running[each.service].pid}
            return ready == set(names) or None

        until(at_work, _READY_SECONDS, f"{', '.join(names)} to be at work", 0.02)

    def _watch(self) -> None:
        while not self._ends.wait(_SAMPLE_SECONDS):
            now = time.monotonic()
            pids = {name: process.pid for name, process in self.running.items()}
            with suppress(AssertionError):  # between a kill and a start there is none
                pids["redis"] = self.place.server.pid
            for name, pid in pids.items():
                if found := resident_bytes(pid):
                    self.samples[name].append(Sample(now, pid, found))


def prepare(place: Site, stage: Trained) -> None:
    """Put the trained versions into a site: one active, another one as its canary, by the registrar."""
    folder = place.folder
    shutil.copy2(stage.folder / "mlflow.db", folder / "mlflow.db")
    shutil.copytree(stage.folder / "mirror", folder / "mirror", symlinks=True)
    # The copied database names bundles where they were trained; nothing else is a place of ours.
    bundles = {"REGISTRY_ARTIFACTS": str(stage.folder / "artifacts")}
    place.environ = {**KNOBS, **knobs.paths(folder, folder / "lake"), **bundles}
    with environment({**place.environ, "REDIS_URL": place.url}):
        from config.settings import load  # noqa: PLC0415 - MLflow is slow to load
        from pipelines.registrar import open_registrar  # noqa: PLC0415
        from registry.states import Actor  # noqa: PLC0415

        with open_registrar(load(), utc_now, place.url) as registrar:
            for step in ("shadow", "canary"):
                registrar.promote(OTHER, step, Actor("human", "soak"), "a canary for the soak", force=True)


def folder_of(root: Path) -> Path:
    """An empty folder for the next soak."""
    folder = root / "run"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder

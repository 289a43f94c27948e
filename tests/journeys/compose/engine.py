"""Starts the services of a profile in their order, waits by their own health checks, and ends them."""

import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.journeys.compose.container import Container
from tests.journeys.compose.plan import Service
from tests.journeys.waiting import until

_PAUSE_SECONDS = 1.0
_LOOK_SECONDS = 4.0
"""Between two health checks of a service: each is a process of its own."""
_IMAGE_OWNERS = {"redis": 999, "postgres": 999}


@dataclass
class Engine:
    """The containers of a profile by service, their volumes and logs below a folder."""

    services: Mapping[str, Service]
    folder: Path
    containers: dict[str, Container] = field(default_factory=dict)
    healthy_after: dict[str, float] = field(default_factory=dict)
    _began: dict[str, float] = field(default_factory=dict)
    _looked: dict[str, float] = field(default_factory=dict)

    def up(self, names: list[str] | None = None) -> None:
        """Start services, each once what it depends on is healthy or done, and wait until all of them are."""
        chosen = names or list(self.services)
        waiting = [name for name in chosen if name not in self.containers]
        while waiting:
            due = [name for name in waiting if self._may_start(name)]
            for name in due:
                self._start(name)
                waiting.remove(name)
            self._look(chosen)
            if not due:
                time.sleep(_PAUSE_SECONDS)  # between two looks, each with a deadline of its own
        until(lambda: True if self._look(chosen) else None, 300, "every service to be healthy", _PAUSE_SECONDS)

    def restart(self, name: str) -> None:
        """Start a service whose command ended anew, as the restart policy does."""
        self.healthy_after.pop(name, None)
        self._start(name, again=True)

    def down(self) -> dict[str, int | None]:
        """End everything, the last one started first; returns the exit statuses."""
        return {name: each.stop() for name, each in reversed(self.containers.items())}

    def _may_start(self, name: str) -> bool:
        return all(other in self.healthy_after for other in self.services[name].depends_on)

    def _start(self, name: str, *, again: bool = False) -> None:
        service = self.services[name]
        volumes = {
            source: self._volume(source, inside, service)
            for source, inside, _ in service.mounts
            if not source.startswith("/")
        }
        count = len(list(self.folder.glob(f"{name}.*.log")))
        container = Container(
            service,
            self.folder / "roots" / f"{name}.{count}",
            self.folder / f"{name}.{count}.log",
            volumes,
            self._hosts(),
        )
        assert again or name not in self.containers
        self.containers[name] = container
        self._began[name] = time.monotonic()
        container.start()

    def _look(self, chosen: list[str]) -> bool:
        """Whether all are well; AssertionError for one that ended, or is not healthy in its start period."""
        for name, container in self.containers.items():
            if name in self.healthy_after:
                continue
            spent = time.monotonic() - self._began[name]
            code = container.code
            if container.service.is_one_shot:
                assert code in (None, 0), f"{name} ended with {code}:\n{container.log_end}"
                if code == 0:
                    self.healthy_after[name] = spent
                continue
            assert code is None, f"{name} ended with {code}:\n{container.log_end}"
            health = container.service.health
            assert health, f"{name} has no health check"
            if time.monotonic() - self._looked.get(name, 0.0) < min(_LOOK_SECONDS, health.interval / 5):
                continue
            self._looked[name] = time.monotonic()
            if container.is_healthy():
                self.healthy_after[name] = time.monotonic() - self._began[name]
            else:
                allowed = health.start_period + health.interval * health.retries
                assert spent < allowed, f"{name} not healthy within {allowed:g} s:\n{container.log_end}"
        return all(name in self.healthy_after for name in chosen)

    def _volume(self, name: str, inside: str, service: Service) -> Path:
        """A named volume: a folder that takes over owner and folders of the image that has it first."""
        place = self.folder / "volumes" / name
        if not place.exists():
            owner = _IMAGE_OWNERS.get(name, 10001)
            for each in [inside, *(folder for folder in service.made if folder.startswith(f"{inside}/"))]:
                folder = place / Path(each).relative_to(inside)
                folder.mkdir(parents=True)
                os.chown(folder, owner, owner)
        return place

    def _hosts(self) -> Path:
        """Names of the services, all on the one loopback interface there is."""
        file = self.folder / "hosts"
        if not file.exists():
            file.write_text(f"127.0.0.1 localhost {' '.join(self.services)}\n")
        return file


@contextmanager
def running(services: Mapping[str, Service], folder: Path) -> Iterator[Engine]:
    """An engine whose containers all end with the block."""
    folder.chmod(0o755)
    engine = Engine(services, folder)
    try:
        yield engine
    finally:
        engine.down()

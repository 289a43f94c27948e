"""A release on a site: a registry with versions, a server before it that comes and goes, a registrar, two services."""

import os
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from bus.codec import decode
from bus.messages import Score
from bus.streams import SCORES
from live.clock import SystemClock
from pipelines.registrar import open_registrar
from registry.journal import read_head
from registry.promotion import Moved, Registrar
from registry.states import Actor, Head
from registry.store import ModelStore
from registry.versions import TrainingData
from tests.journeys.live.processes import Process, Site
from tests.journeys.live.scoring import LASTING, PlayedEngine, models_of
from tests.journeys.played import seconds_until
from tests.journeys.test_registry_down import free_port
from tests.live.mirrors import Models, registered
from tidegate.up import Page, answers, pages_of, start, stop

START_SECONDS, PATIENCE_SECONDS = 120.0, 60.0
ANNA = Actor("human", "anna")


def now() -> datetime:
    """The machine's time."""
    return datetime.fromtimestamp(SystemClock().wall_ns() / 1e9, UTC)


@dataclass
class Release:
    """Everything a test of a release needs; `serve` and `hang_up` start and stop MLflow's server."""

    place: Site
    engine: PlayedEngine
    models: Models
    store: ModelStore
    """Straight to the database, as a person who moves an alias by hand."""
    page: Page
    _server: "list[subprocess.Popen[bytes]]" = field(default_factory=list)

    @property
    def head(self) -> Head:
        """The journal's."""
        return read_head(self.models.root)

    def serve(self) -> None:
        """Start MLflow's server and wait for its first answer."""
        log = self.place.folder / f"mlflow-{now():%H%M%S}.log"
        process = start(self.page, log, {**os.environ, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"})
        self._server.append(process)
        seconds_until(lambda: answers(self.page), START_SECONDS, f"MLflow; its output is in {log}")

    def hang_up(self) -> None:
        """Stop it, with everything that listens for it."""
        stop(self._server)
        self._server.clear()

    @contextmanager
    def registrar(self) -> Iterator[Registrar]:
        """A registrar that asks the server, as sensors do."""
        with open_registrar(self.place.settings(), now, self.place.server.url) as made:
            yield made

    def make(self, move: Callable[[Registrar], Moved]) -> Moved:
        """Have a move made."""
        with self.registrar() as registrar:
            return move(registrar)

    def activate(self, version: int) -> None:
        """Take a version all the way up, without evidence."""
        with self.registrar() as registrar:
            registrar.enter(version, ANNA, "a test")
            if registrar.head().slots.active is None:
                registrar.promote(version, "active", ANNA, "the first")
                return
            for to in ("shadow", "canary", "active"):
                registrar.promote(version, to, ANNA, "a test", force=True)  # type: ignore[arg-type]

    def scored_by(self, version: int, seconds: float, what: str) -> float:
        """Play until the newest score is of a version; returns how long that took."""

        def is_newest() -> bool:
            self.engine.step()
            found = self.place.bus.recent(SCORES, 1)
            body = decode(found[-1]).body if found else None
            return isinstance(body, Score) and body.judgements[0].version == version

        return seconds_until(is_newest, seconds, what)

    def divergence(self, sync: Process) -> float:
        """What model_sync shows."""
        return self.place.scrape(sync).total("registry_divergence")


@contextmanager
def releasing(place: Site, versions: int = 3, **knobs: str) -> Iterator[Release]:
    """A registry with so many versions behind a server that runs; everything ends with the block."""
    folder = place.folder
    uri, artifacts = f"sqlite:///{folder}/mlflow.db", str(folder / "artifacts")
    store = ModelStore(uri, artifacts)
    models = models_of(place)
    for number in range(1, versions + 1):
        bundle = models.folder / f"v{number}"
        models.sha256[number] = registered(bundle, number)
        data = TrainingData("d", "ab" * 32, "lake", 1)
        run_id = store.log_training_run(parameters={}, metrics={}, tags={}, artifacts={}, data=data)
        assert store.register(bundle, run_id).number == number
    page = pages_of(uri, artifacts, 0, free_port())[1]
    place.environ |= {
        "REGISTRY_TRACKING_URI": page.url, "REGISTRY_ARTIFACTS": artifacts, "RELEASE_MIN_HOURS": "0",
        "MODEL_SYNC_POLL_SECONDS": "0.5", **LASTING, **knobs,
    }  # fmt: skip
    engine = PlayedEngine(place.server.url)
    made = Release(place, engine, models, store, page)
    try:
        made.serve()
        yield made
    finally:
        made.hang_up()
        engine.close()


def following(release: Release) -> tuple[Process, Process]:
    """model_sync and a scorer that run."""
    sync, scorer = release.place.start("model_sync"), release.place.start("ai_scorer")
    for process in (sync, scorer):
        seconds_until(lambda process=process: release.place.is_ready(process), PATIENCE_SECONDS, str(process.names))  # type: ignore[misc]
    return sync, scorer


def script(place: Site, *arguments: str, name: str = "promote_model") -> Process:
    """One of the runbook's scripts, started."""
    return place.start(*arguments, module=f"scripts.{name}")


def ended(process: Process) -> tuple[int, str]:
    """Its exit status and what it said."""
    return process.wait(), Path(process.log).read_text(encoding="utf-8")

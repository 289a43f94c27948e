"""Dagster's page and daemon over a registry of small real versions, with a server of streams that risk speaks on."""

import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from unittest.mock import patch

from bus.client import RedisBus
from bus.heartbeats import Heartbeat, write
from bus.messages import Breach, Decision, Trial, Verdict
from bus.publisher import Publisher
from bus.server import serve
from bus.streams import VERDICTS
from config.settings import Settings
from pipelines.registrar import open_registrar, open_store
from registry.journal import read_head
from registry.rollout import read
from registry.states import Actor, Head
from registry.store import ModelStore
from registry.versions import TrainingData
from tests.journeys.graphql import Webserver
from tests.journeys.test_registry_down import free_port
from tests.journeys.waiting import until
from tests.live.mirrors import registered
from tidegate.environment import prepare
from tidegate.up import Page, answers, pages_of, start, stop

SENSORS = ("promotion_sensor", "rollback_sensor", "registry_sensor")
START_SECONDS = 240
# A pipeline's moves leave no run of their own, so the daemon has only the moves on trial to record.
BY = Actor("pipeline", "tests")
ANNA = Actor("human", "anna")
BREACH = Breach("winrate_delta", 0.471, 0.5, "win rate 47.1 % of 612 trades, 8.2 points under the active version's")


def now() -> datetime:
    """The machine's time."""
    return datetime.now(UTC)  # noqa: TID251 - the daemon goes by it, too


@dataclass
class Watched:
    """The running daemon, and the same registry and streams seen from here."""

    settings: Settings
    web: Webserver
    bus: RedisBus
    voice: Publisher
    store: ModelStore
    log: Path

    @property
    def head(self) -> Head:
        """The journal's."""
        return read_head(self.settings.registry.mirror)

    def shadow(self, version: int) -> None:
        """Bring a registered version into the shadow slot."""
        with open_registrar(self.settings, now) as registrar:
            registrar.enter(version, BY, "trained")
            registrar.promote(version, "shadow", BY, "its gates are green")

    def canary(self, version: int) -> str:
        """Bring a registered version as far as canary, and return its salt; a person enables the rollout again."""
        if (rollout := self.head.rollout) and rollout.mode == "disabled":
            with open_registrar(self.settings, now) as registrar:
                registrar.enable_rollout(ANNA, "the next canary", force=True)
        self.shadow(version)
        proof = {"trial": "shadow", "version": version, "decision": "promote", "at_ns": time.time_ns()}
        with open_registrar(self.settings, now) as registrar:
            moved = registrar.promote(version, "canary", BY, "as good as the active version", proof)
        assert moved.head.rollout is not None
        return moved.head.rollout.salt

    def say(self, trial: Trial, decision: Decision, version: int, salt: str = "", against: int = 1) -> int:
        """Publish a verdict as risk does, and return when."""
        at_ns = time.time_ns()
        breaches = [BREACH] if decision == "roll_back" else []
        self.voice.publish(
            VERDICTS,
            Verdict(
                trial=trial, decision=decision, version=version, model_id=f"signal_scorer-{version}", against=against,
                epoch=self.head.epoch, salt=salt, breaches=breaches, observed=[],
                numbers={"sample_canary": 612.0, "winrate_canary": 0.471, "winrate_baseline_active": 0.553},
                limits={"sample_canary": 500.0, "winrate_canary": 0.503}, budget_used=0.61, since_ns=at_ns - 10**12,
                signal_ns=at_ns, at_ns=at_ns,
            ),
            message_id=f"{trial}-{at_ns}",
        )  # fmt: skip
        self.voice.flush()
        return at_ns

    def live_is_there(self, active: int = 1) -> None:
        """Leave the heartbeats that services leave every second, and risk's word on the active version."""
        status: dict[str, Any] = {
            "models": {"active": {"id": "m", "version": active}}, "rollout": {"epoch": self.head.epoch}
        }  # fmt: skip
        for service in ("risk", "ai_scorer"):
            at_ns = time.time_ns()
            write(self.bus, Heartbeat(service, at_ns, at_ns, os.getpid(), "running", True, 0, [], [], status))
        self.say("active", "hold", active, against=0)

    def is_withdrawn(self, version: int) -> bool:
        """Whether a canary is gone by every book: the journal, the rollout that live reads, MLflow's alias."""
        rollout = read(self.settings.registry.mirror)
        if self.head.states.get(version) != "rolled_back" or rollout is None or rollout.mode != "disabled":
            return False
        return "shadow" not in self.store.aliases()


@contextmanager
def watched(folder: Path, versions: int, **more: str) -> Iterator[Watched]:
    """Run Dagster over a registry of so many versions, the first of them active; everything lies below one folder."""
    overrides = {
        "PATHS_LAKE": str(folder / "lake"), "PATHS_VAR": str(folder / "var"), "SCHEDULE_AUTOMATIC": "false",
        "REGISTRY_TRACKING_URI": f"sqlite:///{folder}/mlflow.db", "REGISTRY_ARTIFACTS": str(folder / "artifacts"),
        "REGISTRY_MIRROR": str(folder / "mirror"), "RELEASE_COOLDOWN_MINUTES": "0", **more,
    }  # fmt: skip
    with patch.dict(os.environ, overrides):
        settings = prepare(None)
        store = _registry(settings, folder / "bundles", versions)
        with serve(Path(settings.paths.var) / "redis") as server, RedisBus(server.url) as bus:
            page, _ = pages_of(settings.registry.tracking_uri, settings.registry.artifacts, free_port(), 0)
            log = folder / "dagster.log"
            process = start(page, log)
            try:
                until(lambda: _is_up(page, process, log), START_SECONDS, f"{page.url}; output in {log}")
                web = Webserver(page.url)
                until(lambda: _all_look(web), START_SECONDS, f"a look of every sensor; output in {log}")
                voice = Publisher(bus, "risk", time.time_ns)
                yield Watched(settings, web, bus, voice, store, log)
            finally:
                stop([process])


def _registry(settings: Settings, bundles: Path, versions: int) -> ModelStore:
    store = open_store(settings)
    for number in range(1, versions + 1):
        sha256 = registered(bundles / f"v{number}", number)
        data = TrainingData("d", "ab" * 32, "lake", 1)
        run_id = store.log_training_run(parameters={}, metrics={}, tags={}, artifacts={}, data=data)
        assert store.register(bundles / f"v{number}", run_id).sha256 == sha256
    with open_registrar(settings, now) as registrar:
        registrar.enter(1, BY, "trained")
        registrar.promote(1, "active", ANNA, "the first one")
    return store


def _all_look(web: Webserver) -> bool | None:
    ticks = [web.finished_tick(name) for name in SENSORS]
    return True if all(tick and tick["status"] != "FAILURE" for tick in ticks) else None


def _is_up(page: Page, process: "subprocess.Popen[bytes]", log: Path) -> bool | None:
    assert process.poll() is None, f"dagster dev ended with {process.returncode}: {log.read_text()[-2_000:]}"
    return True if answers(page) else None

"""The service beside the registry: it follows, it waits for nobody, it says what is wrong once."""

import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from bus.heartbeats import read, write
from bus.memory import MemoryBus
from bus.messages import ControlEvent
from bus.streams import CONTROL
from live.ai_scorer import AiScorer
from live.clock import ManualClock
from live.mirroring import RETRY_NS
from live.model_sync import ModelSync
from live.service import Parts
from live.worker import Task, at_once
from registry.bundle import GOLDEN_FILE
from registry.store import ModelStore
from registry.versions import TrainingData
from tests.live.journals import moved, tags
from tests.live.mirrors import Models
from tests.live.parts import RecordingOutput, parts, received
from tests.live.registries import FakeRegistry
from tests.live.test_scorer_view import beat


@pytest.fixture
def models(tmp_path: Path) -> Models:
    """An empty store and an empty mirror."""
    return Models(tmp_path / "store", tmp_path / "mirror")


@pytest.fixture
def registry(models: Models) -> FakeRegistry:
    """A registry of two versions, the first of them active."""
    found = FakeRegistry(models)
    found.add(1)
    found.add(2)
    found.aliases["active"] = 1
    return found


@pytest.fixture
def made_of(tmp_path: Path, models: Models) -> Parts:
    """Parts whose mirror is the test's own."""
    return parts(tmp_path / "var", {"registry": {"mirror": str(models.root)}})


def turned(made_of: Parts, service: ModelSync | AiScorer, seconds: float = 1.0) -> None:
    """Let time pass and tick twice: what a thread did is seen by the tick after it."""
    assert isinstance(made_of.clock, ManualClock)
    made_of.clock.advance(seconds=seconds)
    service.tick()
    service.tick()


def told(made_of: Parts, severity: str) -> list[str]:
    """The texts of its alerts."""
    assert isinstance(made_of.out, RecordingOutput)
    return [each.text for each in made_of.out.of(ControlEvent) if each.severity == severity]


def value(made_of: Parts, name: str) -> float | None:
    """One value of /metrics."""
    return made_of.metrics.registry.get_sample_value(name)


def version_in(models: Models) -> str:
    """The active folder's version."""
    folder = models.mirror.slot("active")
    return folder.name.partition("-")[0] if folder else ""


def test_a_moved_alias_is_scoring_after_the_next_look(made_of: Parts, models: Models, registry: FakeRegistry) -> None:
    """Look, fill, load: a poll of the registry and a tick of the scorer."""
    sync, scorer = ModelSync(made_of, at_once, lambda: registry), AiScorer(made_of, at_once)
    sync.start()
    scorer.start()
    for version in (1, 2, 1):
        registry.aliases["active"] = version
        turned(made_of, sync)
        turned(made_of, scorer, 0.05)
        assert scorer.status()["models"]["active"]["version"] == version
    found = sync.status()
    assert (found["ready"], found["age_seconds"], found["text"], found["epoch"]) == (True, 0.05, "", 0)


def test_it_polls_as_often_as_configured_and_never_twice_at_once(made_of: Parts, registry: FakeRegistry) -> None:
    """While a look is under way there is no second one, however long it takes."""
    tasks: list[Task] = []
    sync = ModelSync(made_of, tasks.append, lambda: registry)
    for _ in range(100):
        turned(made_of, sync, 0.5)
    assert len(tasks) == 1
    tasks.pop()()
    for _ in range(4):
        turned(made_of, sync, 0.5)
        while tasks:
            tasks.pop()()
    assert registry.downloads == 1
    assert made_of.metrics.registry.get_sample_value("model_sync_age_seconds") == 0.0


@pytest.mark.parametrize(("event", "asks"), [("PROMOTION", 2), ("ROLLBACK", 2), ("HALT", 1)])
def test_a_promotion_is_followed_at_once(made_of: Parts, registry: FakeRegistry, event: Any, asks: int) -> None:
    """Without waiting for the next look."""
    asked: list[Task] = []

    def run(task: Task) -> None:
        asked.append(task)
        task()

    sync = ModelSync(made_of, run, lambda: registry)
    sync.tick()
    sync.handle(received(CONTROL, ControlEvent(event, "INFO", "", "", "", "tests", 0, "", "", "")))
    sync.tick()
    assert len(asked) == asks


def test_a_silent_registry_is_said_once_and_trading_goes_on(
    made_of: Parts, models: Models, registry: FakeRegistry
) -> None:
    """Its age grows, WARN comes after stale_seconds, the mirror stays; back again, it is followed."""
    sync = ModelSync(made_of, at_once, lambda: registry)
    turned(made_of, sync)
    registry.is_up = False
    for _ in range(60):
        turned(made_of, sync)
    assert told(made_of, "WARN") == []
    for _ in range(60):
        turned(made_of, sync)
    assert len(told(made_of, "WARN")) == 1
    assert "cannot be opened" in told(made_of, "WARN")[0]
    assert made_of.metrics.registry.get_sample_value("model_sync_age_seconds") == 120.0
    assert (sync.status()["ready"], version_in(models)) == (False, "v1")
    registry.is_up = True
    registry.aliases["active"] = 2
    turned(made_of, sync)
    assert (sync.status()["ready"], version_in(models)) == (True, "v2")
    registry.is_up = False
    for _ in range(70):
        turned(made_of, sync)
    assert len(told(made_of, "WARN")) == 2


def test_a_bad_bundle_is_crit_once(made_of: Parts, models: Models, registry: FakeRegistry) -> None:
    """However often it is fetched; the one before stays."""
    sync = ModelSync(made_of, at_once, lambda: registry)
    turned(made_of, sync)
    golden = registry.folder(2) / GOLDEN_FILE
    golden.write_bytes(golden.read_bytes()[:-1])
    registry.aliases["active"] = 2
    for _ in range(3):
        turned(made_of, sync, RETRY_NS / 1e9)
    assert registry.downloads == 4
    assert len(told(made_of, "CRIT")) == 1
    assert version_in(models) == "v1"
    labels = {"slot": "active", "reason": "corrupt"}
    assert made_of.metrics.registry.get_sample_value("model_swap_refused_total", labels) == 1


def test_a_bad_shadow_is_no_alarm(made_of: Parts, models: Models, registry: FakeRegistry) -> None:
    """WARN: what trades is not in doubt."""
    sync = ModelSync(made_of, at_once, lambda: registry)
    golden = registry.folder(2) / GOLDEN_FILE
    golden.write_bytes(golden.read_bytes()[:-1])
    registry.aliases["shadow"] = 2
    turned(made_of, sync)
    assert (len(told(made_of, "WARN")), told(made_of, "CRIT")) == (1, [])


def test_the_epoch_that_is_followed_is_shown(made_of: Parts, models: Models, registry: FakeRegistry) -> None:
    """From the journal on this host, also while the registry is silent."""
    moved(models.root, active=1)
    sync = ModelSync(made_of, at_once, lambda: registry)
    turned(made_of, sync)
    assert value(made_of, "registry_epoch") == 1
    registry.is_up = False
    moved(models.root, active=1)
    turned(made_of, sync)
    assert (value(made_of, "registry_epoch"), sync.status()["epoch"]) == (2, 2)
    assert (sync.status()["ready"], version_in(models)) == (False, "v1")


def test_a_difference_is_shown_at_once_and_told_of_when_it_lasts(
    made_of: Parts, models: Models, registry: FakeRegistry
) -> None:
    """An alias that was moved by hand: nobody follows it, and a person hears of it once."""
    moved(models.root, active=1)
    registry.tags = tags(1, active=1)
    sync = ModelSync(made_of, at_once, lambda: registry)
    turned(made_of, sync)
    assert value(made_of, "registry_divergence") == 0
    registry.aliases["active"] = 2
    turned(made_of, sync)
    assert value(made_of, "registry_divergence") == 1
    assert "its alias in MLflow names version 2" in sync.status()["differences"][0]
    for _ in range(28):
        turned(made_of, sync)
    assert told(made_of, "WARN") == []
    for _ in range(5):
        turned(made_of, sync)
    assert len(told(made_of, "WARN")) == 1
    assert version_in(models) == "v1"
    registry.aliases["active"] = 1
    turned(made_of, sync)
    assert (value(made_of, "registry_divergence"), sync.status()["differences"]) == (0, [])


def test_a_scorer_that_scores_with_another_version_is_a_difference(
    made_of: Parts, models: Models, registry: FakeRegistry
) -> None:
    """By its own heartbeat; a bus that is away changes nothing of what is known."""
    moved(models.root, active=1)
    registry.tags = tags(1, active=1)
    bus = MemoryBus(lambda: made_of.clock.wall_ns() // 1_000_000)
    sync = ModelSync(made_of, at_once, lambda: registry, beats=partial(read, bus))
    turned(made_of, sync)
    assert value(made_of, "registry_divergence") == 0
    write(bus, beat(made_of.clock.wall_ns(), active=2))
    turned(made_of, sync)
    assert sync.status()["differences"] == ["active: version 1 is named, ai_scorer scores with 2"]
    bus.fail_next("values")
    turned(made_of, sync)
    assert value(made_of, "registry_divergence") == 1


def test_a_registry_without_a_version_is_no_alarm(made_of: Parts, models: Models) -> None:
    """Nobody has trained yet; the status says what to do."""
    sync = ModelSync(made_of, at_once, lambda: FakeRegistry(models))
    turned(made_of, sync)
    found = sync.status()
    assert (found["ready"], found["age_seconds"]) == (False, 0.0)
    assert found["text"] == "the registry has no version yet: train a model"


def test_a_database_that_is_not_there_is_not_made(tmp_path: Path, models: Models) -> None:
    """Whoever trains makes it; MLflow is not even imported for the answer."""
    uri = f"sqlite:///{tmp_path}/none/mlflow.db"
    made_of = parts(tmp_path, {"registry": {"mirror": str(models.root), "tracking_uri": uri}})
    sync = ModelSync(made_of, at_once)
    turned(made_of, sync)
    assert "not there yet" in sync.status()["text"]
    assert not (tmp_path / "none").exists()


def test_whatever_the_registry_raises_is_silence(made_of: Parts, registry: FakeRegistry) -> None:
    """A driver's error, not one of ours: told by its name, and the store is opened anew."""
    opened: list[int] = []

    def broken() -> FakeRegistry:
        opened.append(1)
        raise OSError("no route to host")

    sync = ModelSync(made_of, at_once, broken)
    turned(made_of, sync)
    turned(made_of, sync)
    assert sync.status()["text"] == "OSError: no route to host"
    assert len(opened) == 2


def test_its_thread_ends_with_it(made_of: Parts, models: Models, registry: FakeRegistry) -> None:
    """The real worker: what it was doing is done, and whole."""
    sync = ModelSync(made_of, None, lambda: registry)
    sync.tick()
    sync.stop()
    sync.tick()
    assert version_in(models) == "v1"


def test_importing_it_imports_no_mlflow() -> None:
    """MLflow costs seconds: only asking a registry loads it."""
    code = "import sys, live.model_sync; sys.exit('mlflow' in sys.modules or 'numba' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_real_registry_is_followed(tmp_path: Path, models: Models) -> None:
    """MLflow on SQLite: train, alias, sync, score; its database gone, the mirror goes on."""
    uri = f"sqlite:///{tmp_path}/mlflow.db"
    store = ModelStore(uri, tmp_path / "artifacts")
    fake = FakeRegistry(models)
    for number in (1, 2):
        fake.add(number)
        run_id = store.log_training_run(
            parameters={}, metrics={}, tags={}, artifacts={}, data=TrainingData("d", "ab" * 32, "lake", 1)
        )
        assert store.register(fake.folder(number), run_id).number == number
    knobs = {"mirror": str(models.root), "tracking_uri": uri, "artifacts": str(tmp_path / "artifacts")}
    made_of = parts(tmp_path / "var", {"registry": knobs})
    sync, scorer = ModelSync(made_of, at_once), AiScorer(made_of, at_once)
    scorer.start()
    seen: list[Callable[[], Any]] = []
    for version in (1, 2):
        store.set_alias("active", version)
        turned(made_of, sync)
        turned(made_of, scorer, 0.05)
        seen.append(scorer.status()["models"]["active"]["version"])
    assert seen == [1, 2]
    (tmp_path / "mlflow.db").write_bytes(b"no database any more")
    turned(made_of, sync)
    assert not sync.status()["ready"]
    assert version_in(models) == "v2"

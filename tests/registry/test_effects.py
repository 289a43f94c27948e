"""What MLflow is told, by a real one on SQLite, and what the bus is told."""

from pathlib import Path

import pytest

from registry.audit import log
from registry.effects import announcements
from registry.errors import MoveRefused
from registry.journal import read_head
from registry.promotion import Registrar
from registry.states import Announcement
from registry.store import ModelStore
from registry.versions import TrainingData
from tests.registry.graphs import Forest, forest_graph, written
from tests.registry.stores import HUMAN, PIPELINE, RULES, SCHEMA, START, World

_DATA = TrainingData("candidates", "ab" * 32, "data/parquet", 12_000)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> ModelStore:
    """A real registry with three versions."""
    folder = tmp_path_factory.mktemp("mlflow")
    made = ModelStore(f"sqlite:///{folder}/mlflow.db", folder / "artifacts")
    for seed in (1, 2, 3):
        run = made.log_training_run(parameters={}, metrics={}, tags={}, artifacts={}, data=_DATA)
        written(folder / f"v{seed}", forest_graph(Forest.grown(trees=2, seed=seed)), schema_hash=SCHEMA)
        made.register(folder / f"v{seed}", run)
    return made


def test_a_real_mlflow_follows_the_way_up_and_back(store: ModelStore, tmp_path: Path) -> None:
    """Aliases, tags of each version and of the model, and the bundles that it holds."""
    told: list[Announcement] = []
    registrar = Registrar(
        store, tmp_path / "mirror", RULES, now=lambda: START, announce=told.append, schema_hash=SCHEMA
    )
    for version in (1, 2):
        registrar.enter(version, PIPELINE, "trained")
    registrar.promote(1, "active", HUMAN, "the first one")
    registrar.promote(2, "shadow", HUMAN, "gates are green")
    registrar.promote(2, "canary", HUMAN, "I know it", force=True)
    registrar.promote(2, "active", HUMAN, "I know it", force=True)
    assert store.aliases() == {"active": 2, "previous": 1, "shadow": 1}
    registrar.rollback(HUMAN, "operator", "I was wrong")
    head = read_head(tmp_path / "mirror")
    assert store.aliases() == {"active": 1}
    assert {number: store.version(number).state for number in (1, 2, 3)} == {
        1: "active", 2: "rolled_back", 3: "candidate",
    }  # fmt: skip
    assert store.version(2).tags["tidegate.reason"] == "rollback: I was wrong"
    tags = store.model_tags()
    assert (tags["tidegate.epoch"], tags["tidegate.head"]) == (str(head.epoch), head.hash)
    assert tags["tidegate.slots"] == '{"active":1,"previous":null,"shadow":null}'
    assert '"mode":"disabled"' in tags["tidegate.rollout"]
    assert registrar.reconcile().divergences == ()
    with pytest.raises(MoveRefused, match="has no version 9"):
        registrar.enter(9, PIPELINE, "trained")


def test_a_move_is_told_under_the_same_ids_whenever_it_is_told(tmp_path: Path) -> None:
    """Whoever hears it twice knows that it is one."""
    world = World.at(tmp_path)
    world.activate(1)
    world.canary(2)
    world.told.clear()
    world.registrar().rollback(HUMAN, "markout", "it bleeds", tx="t")
    assert announcements(log(world.root, 1)[0]) == tuple(world.told)
    assert [each.tx for each in world.told] == ["t", "t:MODE_SWITCH"]
    assert [(each.source, each.target) for each in world.told] == [("2", "1"), ("canary", "disabled")]

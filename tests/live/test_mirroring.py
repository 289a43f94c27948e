"""Following aliases: what is followed, what is left alone, and what may not be mirrored."""

import shutil
from pathlib import Path
from typing import Any

import msgspec
import pytest

from live.mirroring import RETRY_NS, STATE_FILE, Mirroring, Turned
from live.model_slots import Engine, load
from market.feature_spec import schema_hash
from registry import rollout
from registry.bundle import GOLDEN_FILE, MODEL_FILE
from registry.errors import RegistryError, StoreUnavailable
from registry.manifest import MANIFEST_FILE
from registry.slots import SLOTS
from tests.live.journals import begun, committed, moved, tags
from tests.live.mirrors import CAUSE, Models
from tests.live.parts import START_NS, settings
from tests.live.registries import FakeRegistry
from tests.live.test_rollout import state

ENGINE = Engine(schema_hash(), settings().candidate.rule(), settings().label.rule())


@pytest.fixture
def models(tmp_path: Path) -> Models:
    """An empty store and an empty mirror."""
    return Models(tmp_path / "store", tmp_path / "mirror")


@pytest.fixture
def registry(models: Models) -> FakeRegistry:
    """A registry of three versions, the first of them active."""
    found = FakeRegistry(models)
    for number in (1, 2, 3):
        found.add(number)
    found.aliases["active"] = 1
    return found


def mirroring(models: Models) -> Mirroring:
    """As a process begins with."""
    return Mirroring(models.root, models.root.parent / "var", ENGINE)


def held(models: Models) -> dict[str, int]:
    """The version in every filled slot."""
    folders = {slot: models.mirror.slot(slot) for slot in SLOTS}
    return {slot: int(folder.name.partition("-")[0][1:]) for slot, folder in folders.items() if folder}


def test_aliases_fill_the_slots_of_their_names(models: Models, registry: FakeRegistry) -> None:
    """Other aliases are none of ours; a second look changes nothing and fetches nothing."""
    registry.aliases |= {"shadow": 2, "candidate": 3, "previous": 3}
    sync = mirroring(models)
    found = sync.round(registry, START_NS)
    assert set(found.turned) == {Turned("active", 1), Turned("shadow", 2), Turned("previous", 3)}
    assert held(models) == {"active": 1, "shadow": 2, "previous": 3}
    assert load(models.root, "active", ENGINE).version == 1
    again = sync.round(registry, START_NS)
    assert (again.versions, again.turned, again.unfit, again.differences) == (3, (), (), ())
    assert registry.downloads == 3
    entry = models.mirror.manifest().find(1)
    assert entry is not None
    assert (entry.history[-1].by, entry.history[-1].reason) == ("model_sync", "alias active names version 1")
    assert entry.history[-1].at == "2026-01-07T12:00:00Z"


def test_a_promotion_from_shadow_is_not_fetched_again(models: Models, registry: FakeRegistry) -> None:
    """Its verified copy is there: the link is turned even when the artifact store is gone."""
    registry.aliases["shadow"] = 2
    sync = mirroring(models)
    sync.round(registry, START_NS)
    shutil.rmtree(models.folder)
    registry.aliases = {"active": 2, "previous": 1}
    sync.round(registry, START_NS)
    assert held(models) == {"active": 2, "previous": 1}


def test_a_silent_registry_takes_nothing(models: Models, registry: FakeRegistry) -> None:
    """It says so, and the mirror stays."""
    sync = mirroring(models)
    sync.round(registry, START_NS)
    registry.is_up = False
    with pytest.raises(StoreUnavailable):
        sync.round(registry, START_NS)
    assert held(models) == {"active": 1}


@pytest.mark.parametrize("lost", ["versions", "aliases"])
def test_a_registry_that_lost_everything_takes_no_active_model(
    models: Models, registry: FakeRegistry, lost: str
) -> None:
    """A database that is empty, or has no aliases any more."""
    registry.aliases["shadow"] = 2
    sync = mirroring(models)
    sync.round(registry, START_NS)
    registry.aliases.clear()
    if lost == "versions":
        models.sha256.clear()
    sync.round(registry, START_NS)
    assert held(models) == ({"active": 1, "shadow": 2} if lost == "versions" else {"active": 1})


@pytest.mark.parametrize("restarted", [False, True])
def test_a_rollback_that_turned_the_mirror_first_is_not_undone(
    models: Models, registry: FakeRegistry, restarted: bool
) -> None:
    """The registry still names the bad version; it is followed again once it names another one."""
    registry.aliases |= {"active": 2, "shadow": 3}
    sync = mirroring(models)
    sync.round(registry, START_NS)
    models.put("active", 1)
    models.mirror.empty("shadow", CAUSE)
    if restarted:
        sync = mirroring(models)
    assert sync.round(registry, START_NS).turned == ()
    assert held(models) == {"active": 1}
    registry.aliases = {"active": 1}
    assert sync.round(registry, START_NS).turned == ()
    registry.aliases = {"active": 2}
    sync.round(registry, START_NS)
    assert held(models) == {"active": 2}


def test_a_shadow_whose_alias_is_taken_away_leaves(models: Models, registry: FakeRegistry) -> None:
    """And comes back with it."""
    registry.aliases["shadow"] = 2
    sync = mirroring(models)
    sync.round(registry, START_NS)
    del registry.aliases["shadow"]
    assert sync.round(registry, START_NS).turned == (Turned("shadow", None),)
    assert held(models) == {"active": 1}
    registry.aliases["shadow"] = 2
    sync.round(registry, START_NS)
    assert held(models) == {"active": 1, "shadow": 2}


@pytest.mark.parametrize("damage", ["byte", "file", "folder", "link", "manifest"])
def test_a_damaged_mirror_is_mended(models: Models, registry: FakeRegistry, damage: str) -> None:
    """Whatever of it is lost, the next look brings the named version back."""
    sync = mirroring(models)
    sync.round(registry, START_NS)
    folder = models.mirror.slot("active")
    assert folder is not None
    path = folder / MODEL_FILE
    if damage == "byte":
        path.write_bytes(path.read_bytes()[:-1] + b"\x00")
    elif damage == "file":
        path.unlink()
    elif damage == "folder":
        shutil.rmtree(folder)
    elif damage == "link":
        (models.root / "active").unlink()
    else:
        (models.root / MANIFEST_FILE).unlink()
        (models.root / "active").unlink()
    sync.round(registry, START_NS)
    assert load(models.root, "active", ENGINE).version == 1


@pytest.mark.parametrize(
    ("number", "changes", "reason"),
    [
        (4, {"schema_hash": "5c" * 32}, "schema"),
        (5, {"candidate_rule": {"interval_ms": 9}}, "schema"),
        (6, {}, "corrupt"),
    ],
)
def test_a_version_that_may_not_trade_is_not_mirrored(
    models: Models, registry: FakeRegistry, number: int, changes: dict[str, Any], reason: str
) -> None:
    """The one before stays, the others go on; it is fetched again after a while, for somebody may have mended it."""
    sync = mirroring(models)
    sync.round(registry, START_NS)
    registry.add(number, **changes)
    golden = registry.folder(number) / GOLDEN_FILE
    whole = golden.read_bytes()
    if not changes:
        golden.write_bytes(whole[:-1])
    registry.aliases = {"active": number, "shadow": 2}
    found = sync.round(registry, START_NS)
    assert [(each.slot, each.version, each.reason) for each in found.unfit] == [("active", number, reason)]
    assert held(models) == {"active": 1, "shadow": 2}
    assert sync.round(registry, START_NS + RETRY_NS - 1).unfit == ()
    golden.write_bytes(whole)
    again = sync.round(registry, START_NS + RETRY_NS)
    assert held(models)["active"] == (1 if changes else number)
    assert len(again.unfit) == (1 if changes else 0)


def test_the_previous_version_may_be_of_an_older_schema(models: Models, registry: FakeRegistry) -> None:
    """Nobody scores by it."""
    registry.add(4, schema_hash="5c" * 32)
    registry.aliases["previous"] = 4
    assert mirroring(models).round(registry, START_NS).unfit == ()
    assert held(models) == {"active": 1, "previous": 4}


@pytest.mark.parametrize("where", ["journal", "tags"])
def test_an_alias_moved_by_hand_is_not_followed(models: Models, registry: FakeRegistry, where: str) -> None:
    """Once there was a move, the head is followed, and the alias is told of as a difference."""
    head = {"active": 1, "shadow": 2}
    if where == "journal":
        moved(models.root, **head)
    registry.aliases, registry.tags = dict(head), tags(1, **head)
    sync = mirroring(models)
    assert sync.round(registry, START_NS).differences == ()
    registry.aliases["active"] = 3
    found = sync.round(registry, START_NS)
    assert (held(models), found.turned) == (head, ())
    assert found.differences == ("active: epoch 1 of the registry has version 1, its alias in MLflow names version 3",)
    assert (found.epoch, found.named) == (1, head)


@pytest.mark.parametrize("is_state_lost", [False, True])
def test_a_registry_that_lags_does_not_undo_a_rollback(
    models: Models, registry: FakeRegistry, is_state_lost: bool
) -> None:
    """MLflow was away and still says what was before; also when what was followed so far is lost."""
    before, after = {"active": 2, "shadow": 1, "previous": 1}, {"active": 1}
    moved(models.root, **before)
    registry.aliases, registry.tags = dict(before), tags(1, **before)
    sync = mirroring(models)
    sync.round(registry, START_NS)
    moved(models.root, **after)
    if is_state_lost:
        (models.root.parent / "var" / STATE_FILE).unlink()
        sync = mirroring(models)
    found = sync.round(registry, START_NS)
    assert (held(models), found.epoch) == (after, 2)
    assert "MLflow is at epoch 1, the journal at 2" in found.differences
    registry.aliases, registry.tags = dict(after), tags(2, **after)
    assert sync.round(registry, START_NS).differences == ()


@pytest.mark.parametrize("is_state_lost", [False, True])
def test_an_older_head_than_was_followed_is_not_followed(
    models: Models, registry: FakeRegistry, is_state_lost: bool
) -> None:
    """On a host without the journal: MLflow's database was put back from a copy. The rollout knows the epoch too."""
    registry.tags = tags(5, active=1) | {"tidegate.rollout": msgspec.json.encode(state(epoch=5)).decode()}
    sync = mirroring(models)
    sync.round(registry, START_NS)
    assert held(models) == {"active": 1}
    if is_state_lost:
        (models.root.parent / "var" / STATE_FILE).unlink()
        sync = mirroring(models)
    registry.aliases["active"] = 2
    for old in (tags(4, active=2), {}):
        registry.tags = old
        found = sync.round(registry, START_NS)
        assert (held(models), found.epoch, len(found.differences)) == ({"active": 1}, 5, 1)
    registry.tags = tags(6, active=2)
    sync.round(registry, START_NS)
    assert held(models) == {"active": 2}


def test_the_share_of_a_canary_comes_with_the_head(models: Models, registry: FakeRegistry) -> None:
    """Where the registrar writes to another host: a newer one replaces what is here, an older one does not."""
    sync = mirroring(models)
    for epoch, holds in ((2, 2), (1, 2), (3, 3)):
        told = msgspec.json.encode(state(epoch=epoch)).decode()
        registry.tags = tags(4 + epoch, active=1) | {"tidegate.rollout": told}
        sync.round(registry, START_NS)
        found = rollout.read(models.root)
        assert found is not None
        assert found.epoch == holds


def test_a_move_under_way_is_waited_for(models: Models, registry: FakeRegistry) -> None:
    """The registrar turns the mirror before it commits: nobody turns it back meanwhile."""
    moved(models.root, active=1)
    registry.aliases["active"] = 1
    sync = mirroring(models)
    sync.round(registry, START_NS)
    tx = begun(models.root, active=2)
    models.put("active", 2)
    assert sync.round(registry, START_NS).turned == ()
    assert held(models) == {"active": 2}
    committed(models.root, tx)
    assert sync.round(registry, START_NS).turned == ()
    assert held(models) == {"active": 2}


def test_without_a_registry_the_journal_is_followed_by_what_is_kept_here(
    models: Models, registry: FakeRegistry
) -> None:
    """A link that was lost comes back; a version that is not here has to wait."""
    moved(models.root, active=1, shadow=2)
    sync = mirroring(models)
    sync.round(registry, START_NS)
    for slot in ("active", "shadow"):
        (models.root / slot).unlink()
    shutil.rmtree(next((models.root / "bundles").glob("v2-*")))
    found = sync.alone(START_NS)
    assert held(models) == {"active": 1}
    assert found.turned == (Turned("active", 1),)
    assert found.differences == ("shadow: epoch 1 of the registry has version 2, the mirror holds none",)


def test_without_a_registry_and_a_journal_nothing_is_done(models: Models, registry: FakeRegistry) -> None:
    """The mirror stays."""
    sync = mirroring(models)
    sync.round(registry, START_NS)
    assert sync.alone(START_NS).turned == ()
    assert held(models) == {"active": 1}


@pytest.mark.parametrize("content", [b"", b'{"active": "one"}', b"[]"])
def test_what_was_followed_may_be_lost(models: Models, registry: FakeRegistry, content: bytes) -> None:
    """Then the aliases are followed as they stand."""
    mirroring(models).round(registry, START_NS)
    (models.root.parent / "var" / STATE_FILE).write_bytes(content)
    registry.aliases["active"] = 2
    mirroring(models).round(registry, START_NS)
    assert held(models) == {"active": 2}


def test_a_disk_that_refuses_is_told_of(models: Models, registry: FakeRegistry) -> None:
    """The mirror's folder is a file: an error of ours, not a verdict on the bundle."""
    models.root.parent.mkdir(exist_ok=True)
    models.root.write_bytes(b"")
    with pytest.raises(RegistryError, match="mirror"):
        mirroring(models).round(registry, START_NS)


def test_nothing_is_left_behind_of_a_fetch(models: Models, registry: FakeRegistry) -> None:
    """The temporary folder goes, whatever the bundle was."""
    registry.add(4, schema_hash="5c" * 32)
    registry.aliases["shadow"] = 4
    mirroring(models).round(registry, START_NS)
    assert [path.name for path in (models.root.parent / "var").iterdir()] == [STATE_FILE]

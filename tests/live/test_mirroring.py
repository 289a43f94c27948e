"""Following aliases: what is followed, what is left alone, and what may not be mirrored."""

import shutil
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from live.mirroring import EMPTIED, RETRY_NS, STATE_FILE, Mirroring, Round, Standing, Turned, step_of
from live.model_slots import Engine, load
from market.feature_spec import schema_hash
from registry.bundle import GOLDEN_FILE, MODEL_FILE
from registry.errors import RegistryError, StoreUnavailable
from registry.manifest import MANIFEST_FILE, SLOTS, Slot
from tests.live.mirrors import CAUSE, Models
from tests.live.parts import START_NS, settings
from tests.live.registries import FakeRegistry

ENGINE = Engine(schema_hash(), settings().candidate.rule(), settings().label.rule())
numbers = st.none() | st.integers(1, 4)
standings = st.none() | st.just(EMPTIED) | st.builds(Standing, st.integers(1, 4), st.booleans())


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


@given(st.sampled_from(SLOTS), numbers, numbers, standings)
def test_what_is_done_to_a_slot(slot: Slot, named: int | None, followed: int | None, standing: Standing | None) -> None:
    """Whatever stands and was followed: the rules that must hold of the step."""
    step = step_of(slot, named, followed, standing)
    if step == "empty":
        assert slot != "active"
        assert named is None
    if step == "fill":
        assert named is not None
        assert standing is None or standing.version != named or not standing.is_sound
    if named is not None and standing is None:
        assert step == "fill"
    if named is not None and named == followed and standing is not None and standing.version != named:
        assert step == "keep", "a mirror that was turned by others since is left alone"
    if named is not None and named != followed and standing is not None and standing.version != named:
        assert step == "fill"
    if standing and named == standing.version:
        assert step == ("keep" if standing.is_sound else "fill")


def test_aliases_fill_the_slots_of_their_names(models: Models, registry: FakeRegistry) -> None:
    """Other aliases are none of ours; a second look changes nothing and fetches nothing."""
    registry.aliases |= {"shadow": 2, "candidate": 3, "previous": 3}
    sync = mirroring(models)
    found = sync.round(registry, START_NS)
    assert set(found.turned) == {Turned("active", 1), Turned("shadow", 2), Turned("previous", 3)}
    assert held(models) == {"active": 1, "shadow": 2, "previous": 3}
    assert load(models.root, "active", ENGINE).version == 1
    assert sync.round(registry, START_NS) == Round(3)
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

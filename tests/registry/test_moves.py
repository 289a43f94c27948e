"""One move under crashes: whatever step it dies at, it is made once or not at all, and everything agrees afterwards."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest

from registry.errors import JournalBroken, ManifestError, MoveRefused
from registry.journal import JOURNAL_FILE, HeadReader, read_head
from registry.manifest import MANIFEST_FILE
from registry.rollout import ROLLOUT_FILE, read
from registry.states import Moved
from tests.registry.agreement import check_agreement, check_prefixes
from tests.registry.stores import HUMAN, PIPELINE, SENSOR, World
from tests.registry.walks import Death, Killed, step

_UP = ["intent", "mlflow", "manifest", "rollout", "link active", "link shadow", "link previous", "announce", "commit"]
_DOWN = ["intent", "fence", "manifest", "link active", "link shadow", "link previous", "announce", "mlflow", "commit"]


@pytest.fixture
def world(tmp_path: Path) -> World:
    """A registry whose version 2 is the canary beside version 1."""
    made = World.at(tmp_path)
    made.activate(1)
    made.canary(2)
    made.passes(hours=30)
    return made


def _promote(world: World, steps: Callable[[str], None]) -> Moved:
    return world.registrar(steps).promote(2, "active", HUMAN, "passed", world.verdict("canary", 2), tx="up")


def _withdraw(world: World, steps: Callable[[str], None]) -> Moved:
    return world.registrar(steps).rollback(SENSOR, "markout", "it bleeds", subject="canary", tx="down")


def test_the_order_of_effects(world: World) -> None:
    """Up: MLflow before anything that trades. Down: the fence first, MLflow last."""
    down = Death()
    _withdraw(world, down)
    assert down.seen == _DOWN
    world.shadow(3)
    world.passes(hours=1)
    up = Death()
    world.registrar(up).promote(3, "canary", HUMAN, "again", force=True)
    assert up.seen == _UP


@pytest.mark.parametrize("at", range(len(_UP)))
def test_a_promotion_that_dies_is_finished_or_undone(world: World, at: int) -> None:
    """Before the manifest it is aborted and MLflow told again, behind it finished; asked again, it is made once."""
    with pytest.raises(Killed):
        _promote(world, Death(at))
    recovered = world.registrar().recover()
    head = read_head(world.root)
    is_finished = at > _UP.index("manifest")
    assert (recovered is not None) == is_finished
    assert head.slots.active == (2 if is_finished else 1)
    world.registrar().reconcile()
    check_agreement(world)
    assert _promote(world, Death()).was_known == is_finished
    world.registrar().reconcile()
    assert read_head(world.root).slots.active == 2
    check_agreement(world)
    check_prefixes(world.root)


@pytest.mark.parametrize("at", range(1, len(_DOWN)))
def test_a_rollback_that_dies_is_finished(world: World, at: int) -> None:
    """Once its INTENT is written it is never undone."""
    with pytest.raises(Killed):
        _withdraw(world, Death(at))
    assert world.registrar().recover() is not None
    assert read_head(world.root).states[2] == "rolled_back"
    assert _withdraw(world, Death()).was_known
    world.registrar().reconcile()
    check_agreement(world)
    check_prefixes(world.root)


@pytest.mark.parametrize("seed", range(20))
def test_random_deaths(tmp_path: Path, seed: int) -> None:
    """Fifty deaths a walk, at any step of any move, also while the one before is recovered: a thousand in all."""
    world, random = World.at(tmp_path, versions=6), Random(seed)
    deaths = moves = 0
    while deaths < 50:
        moves += 1
        tx = f"tx{moves}"
        death = Death(random.randint(0, 9))
        make = step(world, random, tx, death)
        died_in = ""
        try:
            is_made = make()
        except Killed as killed:
            deaths, died_in = deaths + 1, str(killed)
            if random.random() < 0.3:
                try:
                    world.registrar(Death(random.randint(0, 6))).recover()
                except Killed:
                    deaths += 1
            is_made = make(Death())  # whoever asked for it asks again, under the same tx
            assert is_made, f"seed {seed}, {tx}: it was begun, so its guards let it pass"
        world.registrar().reconcile()
        check_agreement(world)
        made = [each for each in HeadReader(world.root).folded().moves if each == tx]
        assert len(made) == is_made, f"seed {seed}, {tx}, died in {died_in!r}"
    check_prefixes(world.root)


def test_real_deaths(tmp_path: Path) -> None:
    """kill -9 at random steps of processes of their own; what is on the disk is all that is left of them."""
    command = [sys.executable, "-m", "tests.registry.kills", str(tmp_path), "60"]
    told = subprocess.run(command, capture_output=True, text=True, timeout=240, check=False)
    assert told.returncode == 0, told.stderr
    assert json.loads(told.stdout) == {"deaths": 60}


def test_mlflow_goes_away_half_way_through_a_promotion(world: World) -> None:
    """The promotion is refused and undone; MLflow, which heard half of it, is told again when it is back."""
    world.store.writes_left = 2
    with pytest.raises(MoveRefused, match="MLflow does not answer") as refused:
        _promote(world, Death())
    assert refused.value.code == "registry_down"
    assert (read_head(world.root).slots.active, world.holds()) == (1, 1)
    world.store.is_down, world.store.writes_left = False, None
    assert world.registrar().reconcile().settled == ("mlflow",)
    check_agreement(world)


def test_mlflow_is_away_during_a_rollback(world: World) -> None:
    """The rollback is whole without it; one line of the journal tells when it was caught up with."""
    world.store.is_down = True
    moved = _withdraw(world, Death())
    assert moved.effects == {"mlflow": "pending", "announce": "done"}
    assert [each.effect for each in moved.head.pending] == ["mlflow"]
    assert world.slot("shadow") is None
    found = world.registrar().reconcile()
    assert "MLflow is away" in found.divergences[0]
    world.store.is_down = False
    assert world.registrar().reconcile().settled == ("mlflow",)
    check_agreement(world)
    rollbacks = [each for each in HeadReader(world.root).folded().moves.values() if each.transition == "rollback"]
    assert len(rollbacks) == 1


def test_a_canary_comes_down_beside_an_active_copy_that_is_damaged(world: World) -> None:
    """With MLflow away there is no other copy: the link stays, and the fence does not wait for it."""
    (bundle,) = (world.root / "bundles").glob("v1-*")
    kept = (bundle / "model.onnx").read_bytes()
    (bundle / "model.onnx").write_bytes(b"damaged")
    world.store.is_down = True
    moved = _withdraw(world, Death())
    assert (moved.head.states[2], moved.head.slots.active) == ("rolled_back", 1)
    assert (world.slot("active"), world.slot("shadow")) == (1, None)
    found = read(world.root)
    assert found is not None and found.mode == "disabled"
    (bundle / "model.onnx").write_bytes(kept)
    world.store.is_down = False
    world.registrar().reconcile()
    check_agreement(world)


def test_the_bus_is_away(world: World) -> None:
    """A move holds without it; the event is told later, under the ids it would have had."""
    world.is_bus_down = True
    assert _withdraw(world, Death()).effects["announce"] == "pending"
    assert world.registrar().reconcile().settled == ()
    world.is_bus_down, world.told = False, []
    assert world.registrar().reconcile().settled == ("announce",)
    assert [(each.event, each.tx) for each in world.told] == [("ROLLBACK", "down"), ("MODE_SWITCH", "down:MODE_SWITCH")]
    check_agreement(world)


def test_a_disk_that_refuses_the_journal_changes_nothing(world: World) -> None:
    """The move is refused before anything else is touched."""
    before = read_head(world.root)
    path = world.root / JOURNAL_FILE
    content = path.read_bytes()
    path.unlink()
    path.mkdir()
    with pytest.raises(ManifestError, match=JOURNAL_FILE):
        _withdraw(world, Death())
    path.rmdir()
    path.write_bytes(content)
    assert read_head(world.root) == before
    assert _withdraw(world, Death()).head.states[2] == "rolled_back"


def test_a_journal_that_was_cut_lets_nothing_move(world: World) -> None:
    """The manifest names a line that is gone: moving on would hide it."""
    path = world.root / JOURNAL_FILE
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:-2]))
    with pytest.raises(JournalBroken, match="it was cut or rewritten") as broken:
        _withdraw(world, Death())
    assert broken.value.line == len(lines) - 1
    path.unlink()
    with pytest.raises(JournalBroken):
        world.registrar().enter(3, PIPELINE, "trained")


def test_a_torn_line_is_taken_away(world: World) -> None:
    """A crash in the middle of a write leaves half a line, which was never acknowledged."""
    path = world.root / JOURNAL_FILE
    before = read_head(world.root)
    with path.open("ab") as file:
        file.write(b'{"prev":"12')
    assert read_head(world.root) == before
    _withdraw(world, Death())
    check_agreement(world)


def test_lost_files_of_the_mirror_are_mended(world: World) -> None:
    """The journal says what they held."""
    (world.root / ROLLOUT_FILE).unlink()
    (world.root / MANIFEST_FILE).unlink()
    (world.root / "shadow").unlink()
    assert len(world.registrar().reconcile().divergences) == 3
    assert world.registrar().reconcile().divergences == ()
    check_agreement(world)

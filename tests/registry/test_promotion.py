"""The registrar's verbs: the way of a version from candidate to active and back, what is refused, and any order of it
all, with MLflow, bus and process failing in between, as a state machine."""

import shutil
import threading
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from random import Random
from tempfile import mkdtemp
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from registry import rollout
from registry.audit import log
from registry.errors import EpochConflict, MoveRefused
from registry.journal import JOURNAL_FILE, read_head
from registry.promotion import Registrar
from tests.registry.agreement import check_agreement, check_prefixes
from tests.registry.stores import HUMAN, PIPELINE, RULES, SENSOR, START, World
from tests.registry.walks import Death, Killed, step


@pytest.fixture
def world(tmp_path: Path) -> World:
    """Four registered versions, of which the first is active."""
    made = World.at(tmp_path)
    made.activate(1)
    return made


def _refused(code: str, verb: Any, *args: Any, **options: Any) -> str:
    with pytest.raises(MoveRefused) as refused:
        verb(*args, **options)
    assert refused.value.code == code
    return str(refused.value)


def test_the_whole_way_and_back(world: World) -> None:
    """Candidate, shadow, canary, three shares, active; the version before stays beside it, and comes back."""
    world.promote(2)
    head = world.registrar().head()
    assert head.states == {1: "archived", 2: "active"}
    assert (head.slots.active, head.slots.previous, head.slots.shadow) == (2, 1, 1)
    assert head.control == 1
    assert head.rollout is not None
    assert (head.rollout.mode, head.rollout.canary_fraction) == ("full", 0.0)
    assert [each.target for each in world.told if each.event == "PROMOTION"] == ["1", "2"]
    check_agreement(world)

    moved = world.registrar().rollback(SENSOR, "post_promotion", "the detector fired", subject="active")
    head = moved.head
    assert head.states == {1: "active", 2: "rolled_back"}
    assert (head.slots.active, head.slots.previous, head.slots.shadow) == (1, None, None)
    state = rollout.read(world.root)
    assert state is not None
    assert state.mode == "disabled"
    assert state.cooldown_until == world.now + timedelta(minutes=RULES.cooldown_minutes)
    told = world.told[-1]
    assert (told.event, told.severity, told.source, told.target) == ("MODE_SWITCH", "INFO", "full", "disabled")
    assert (world.told[-2].event, world.told[-2].reason, world.told[-2].by) == (
        "ROLLBACK", "post_promotion", "sensor:verdict",
    )  # fmt: skip
    check_agreement(world)
    check_prefixes(world.root)


def test_every_version_tells_in_mlflow_why_it_is_what_it_is(world: World) -> None:
    """Tags of the version: state, epoch, who, why, and what it was decided on."""
    evidence = world.verdict("canary", 2, "roll_back", value=0.41)
    world.canary(2)
    world.registrar().rollback(SENSOR, "winrate_delta", "41 % against 55 %", evidence, subject="canary")
    tags = world.store.known[2].tags
    assert tags["state"] == "rolled_back"
    assert tags["tidegate.by"] == "sensor:verdict"
    assert tags["tidegate.reason"] == "rollback: 41 % against 55 %"
    assert tags["tidegate.epoch"] == "6"
    assert (world.root / "evidence" / f"{tags['tidegate.evidence']}.json").is_file()


def test_the_same_tx_is_one_move(world: World) -> None:
    """The scorer's fence and the sensor may both bring it; who is second is told what it led to."""
    world.canary(2)
    first = world.registrar().rollback(SENSOR, "markout", "it bleeds", subject="canary", tx="verdict-17")
    again = world.registrar().rollback(HUMAN, "operator", "out", subject="canary", tx="verdict-17")
    assert (again.was_known, again.epoch, again.tx) == (True, first.epoch, "verdict-17")
    assert len([each for each in log(world.root) if each.transition == "rollback"]) == 1


def test_a_second_report_of_a_bad_canary_does_not_reach_the_active_version(world: World) -> None:
    """A sensor says which it means; once the canary is out there is none to withdraw."""
    world.canary(2)
    registrar = world.registrar()
    registrar.rollback(SENSOR, "markout", "it bleeds", subject="canary")
    _refused("no_canary", registrar.rollback, SENSOR, "markout", "it bleeds", subject="canary")
    _refused("no_subject", registrar.rollback, SENSOR, "markout", "it bleeds")
    evidence = world.verdict("active", 2, "roll_back")
    said = _refused("not_running", registrar.rollback, SENSOR, "markout", "bad", evidence, subject="active")
    assert said == "version 2 is not the active one, 1 is"


def test_two_at_once(world: World) -> None:
    """Of two who saw the same epoch one moves, and the other is told to look again."""
    for version in (2, 3):
        world.registrar().enter(version, PIPELINE, "trained")
    epoch = world.registrar().head().epoch
    found: list[object] = []
    barrier = threading.Barrier(2)

    def move(version: int) -> None:
        registrar = world.registrar()
        barrier.wait()
        try:
            found.append(registrar.promote(version, "shadow", HUMAN, "mine", expect_epoch=epoch))
        except EpochConflict as conflict:
            found.append(conflict)

    threads = [threading.Thread(target=move, args=(version,)) for version in (2, 3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    conflicts = [each for each in found if isinstance(each, EpochConflict)]
    assert len(found) == 2
    assert len(conflicts) == 1
    assert f"is at epoch {epoch + 1}, expected {epoch}: somebody moved first" in str(conflicts[0])
    check_agreement(world)


def test_bad_input_is_refused_and_loses_nothing(world: World) -> None:
    """Unknown id, no parity, another schema, no lineage, an empty canary: a code, a sentence, and the same head."""
    store = world.store
    store.register(5, tags={})
    store.register(6, schema_hash="ab" * 32)
    store.register(7, data_hash="")
    store.register(8, tags={"parity": "3 margin mismatches, 0 flips in 9 rows"})
    registrar = world.registrar()
    for version in (5, 6, 8):
        registrar.enter(version, PIPELINE, "trained")
    before = world.registrar().head()
    assert "has no version 99" in _refused("unknown_version", registrar.promote, 99, "shadow", HUMAN, "go")
    assert "has no version 99" in _refused("unknown_version", registrar.enter, 99, PIPELINE, "go")
    _refused("no_parity", registrar.promote, 5, "shadow", HUMAN, "go", force=True)
    _refused("no_parity", registrar.promote, 8, "shadow", HUMAN, "go", force=True)
    _refused("schema", registrar.promote, 6, "shadow", HUMAN, "go", force=True)
    _refused("no_lineage", registrar.enter, 7, PIPELINE, "go")
    _refused("no_canary", registrar.ramp, 0.5, HUMAN, "go")
    _refused("no_canary", registrar.inconclusive, SENSOR, "cap")
    _refused("no_canary", registrar.rollback, HUMAN, "operator", "go", subject="canary")
    _refused("no_reason", registrar.promote, 2, "shadow", HUMAN, " ")
    assert world.registrar().head() == before
    check_agreement(world)


def test_nothing_to_go_back_to(world: World) -> None:
    """A human is told; a sensor's call also takes everything to paper, and says so as critical."""
    registrar = world.registrar()
    before = registrar.head()
    assert "there is no healthy version before it" in _refused(
        "no_previous", registrar.rollback, HUMAN, "operator", "x"
    )
    assert registrar.head() == before
    _refused("no_previous", registrar.rollback, SENSOR, "markout", "it bleeds", subject="active", tx="t")
    head = registrar.head()
    assert head.slots.active == 1
    assert head.rollout is not None
    assert head.rollout.mode == "disabled"
    assert (world.told[-1].event, world.told[-1].severity) == ("MODE_SWITCH", "CRIT")
    _refused("no_previous", registrar.rollback, SENSOR, "markout", "it bleeds", subject="active", tx="t")
    assert registrar.head() == head
    check_agreement(world)


def test_the_second_rollback_within_an_hour_is_critical(world: World) -> None:
    """Who goes back and forth is stopped by a human; promotions wait for the cooldown, rollbacks for nothing."""
    world.promote(2)
    world.canary(3)
    registrar = world.registrar()
    registrar.rollback(SENSOR, "markout", "bad", subject="canary")
    registrar.enter(4, PIPELINE, "trained")
    registrar.promote(4, "shadow", SENSOR, "gates are green")
    said = _refused("cooldown", registrar.promote, 4, "canary", HUMAN, "go", force=True)
    assert said.startswith("nothing is promoted in the cooldown, until 2026-01-09 03:15:00 UTC: bad")
    world.passes(minutes=5)
    registrar.rollback(SENSOR, "precision_halt", "worse", subject="active")
    assert [each.severity for each in world.told if each.event == "ROLLBACK"] == ["WARN", "CRIT"]
    world.passes(minutes=16)
    _refused("disabled", registrar.promote, 4, "canary", SENSOR, "go", world.verdict("shadow", 4))
    _refused("no_evidence", registrar.enable_rollout, HUMAN, "all well", {"clean_evaluations": 2})
    registrar.enable_rollout(HUMAN, "all well", {"clean_evaluations": 3})
    registrar.promote(4, "canary", SENSOR, "as good", world.verdict("shadow", 4))
    check_agreement(world)


def test_an_older_active_version_comes_back_as_a_rollback(world: World) -> None:
    """The runbook's promote_model.py --to active --id PREVIOUS: any of the last three, whatever came between."""
    for version in (2, 3, 4):
        world.promote(version)
    moved = world.registrar().promote(2, "active", HUMAN, "the last good one")
    assert moved.transition == "rollback"
    assert moved.head.states == {1: "archived", 2: "active", 3: "archived", 4: "rolled_back"}
    assert moved.head.slots.previous == 3
    assert log(world.root, 1)[0].version == 4
    _refused("withdrawn", world.registrar().promote, 4, "active", HUMAN, "or not")
    world.registrar().promote(4, "active", HUMAN, "it was the feed", force=True)
    check_agreement(world)
    check_prefixes(world.root)


def test_too_old_a_version_takes_the_long_way(world: World) -> None:
    """Beyond release.rollback_window nothing vouches for it."""
    for version in (2, 3):
        world.promote(version)
    registrar = world.registrar(rollback_window=1)
    assert "release.rollback_window" in _refused("not_recent", registrar.promote, 1, "active", HUMAN, "go")


def test_a_bundle_that_is_not_what_was_registered_is_quarantined(world: World) -> None:
    """Found where it is fetched: the move is refused and the version put away."""
    world.registrar().enter(2, PIPELINE, "trained")
    (world.store.bundles / "v2" / "model.onnx").write_bytes(b"something else")
    _refused("corrupt", world.registrar().promote, 2, "shadow", HUMAN, "go")
    assert world.registrar().head().states[2] == "quarantined"
    _refused("state", world.registrar().reinstate, 2, HUMAN, "it is fine", {"note": "really"})
    check_agreement(world)


def test_a_quarantined_active_version_is_rolled_back(world: World) -> None:
    """Exactly one version stays active."""
    world.promote(2)
    head = world.registrar().quarantine(2, SENSOR, "its sha256 changed").head
    assert (head.slots.active, head.states[2]) == (1, "quarantined")
    check_agreement(world)


def test_a_withdrawn_version_comes_back_only_through_a_human(world: World) -> None:
    """T11: with evidence that was not used before."""
    world.canary(2)
    registrar = world.registrar()
    registrar.rollback(SENSOR, "markout", "bad", {"note": "first"}, subject="canary")
    _refused("withdrawn", registrar.promote, 2, "shadow", HUMAN, "go", force=True)
    _refused("actor", registrar.reinstate, 2, SENSOR, "go", {"note": "new"})
    _refused("no_evidence", registrar.reinstate, 2, HUMAN, "go")
    registrar.reinstate(2, HUMAN, "the feed was broken", {"note": "second"})
    assert registrar.head().candidate == 2
    check_agreement(world)


def test_a_rollback_with_a_lost_copy_fetches_it(world: World) -> None:
    """What trades must be there; without MLflow the rollback says so and changes nothing."""
    world.promote(2)
    kept = next((world.root / "bundles").glob("v1-*"))
    (kept / "model.onnx").unlink()
    world.store.is_down = True
    before = world.registrar().head()
    _refused("no_copy", world.registrar().rollback, HUMAN, "operator", "back")
    assert world.registrar().head() == before
    world.store.is_down = False
    world.registrar().rollback(HUMAN, "operator", "back")
    assert world.holds() == 1
    check_agreement(world)


def test_a_first_move_leaves_an_older_installation_alone(tmp_path: Path) -> None:
    """Aliases and links from before the journal stay until a version is activated through it."""
    world = World.at(tmp_path)
    world.store.named = {"active": 1, "shadow": 4}
    world.registrar().enter(2, PIPELINE, "trained")
    assert world.store.named == {"active": 1, "shadow": 4, "candidate": 2}
    assert world.registrar().reconcile().moved is None
    world.registrar().promote(2, "active", HUMAN, "through the gates now")
    assert world.store.named == {"active": 2}
    check_agreement(world)


def test_an_actor_is_who_it_says(world: World) -> None:
    """A scorer only fences; sensors do what is left to them, and force nothing."""
    world.shadow(2)
    registrar: Registrar = world.registrar(auto_canary=False, auto_rollback=False)
    fresh = world.verdict("shadow", 2)
    _refused("not_automatic", registrar.promote, 2, "canary", SENSOR, "go", fresh)
    _refused("not_automatic", registrar.rollback, SENSOR, "markout", "go", subject="active")
    _refused("actor", registrar.promote, 2, "canary", SENSOR, "go", fresh, force=True)
    registrar.promote(2, "canary", HUMAN, "go", fresh)


class Machine(RuleBasedStateMachine):
    """Any moves in any order while MLflow, the bus and the process come and go."""

    def __init__(self) -> None:
        super().__init__()
        self.world = World.at(Path(mkdtemp(prefix="tidegate-machine-")), versions=5)
        self.moves = 0

    @rule(seed=st.integers(0, 2**32), at=st.one_of(st.none(), st.integers(0, 8)))
    def move(self, seed: int, at: int | None) -> None:
        """A move, which may die at a step."""
        self.moves += 1
        death = Death(at)
        with suppress(Killed):
            step(self.world, Random(seed), f"tx{self.moves}", death)()

    @rule(is_down=st.booleans())
    def mlflow(self, is_down: bool) -> None:  # Hypothesis gives it by name
        """MLflow goes, or is back."""
        self.world.store.is_down = is_down

    @rule(is_down=st.booleans())
    def bus(self, is_down: bool) -> None:  # Hypothesis gives it by name
        """The bus goes, or is back."""
        self.world.is_bus_down = is_down

    @rule(alias=st.sampled_from(["active", "shadow", "previous", "candidate"]), version=st.integers(1, 5))
    def hand(self, alias: str, version: int) -> None:
        """Somebody moves an alias in MLflow's page."""
        self.world.store.named[alias] = version

    @rule(policy=st.sampled_from(["revert", "adopt"]))
    def reconcile(self, policy: str) -> None:
        """The registry sensor looks."""
        self.world.registrar(external_moves=policy).reconcile()

    @invariant()
    def holds(self) -> None:
        """Exactly one active version at every line, nothing lost and nothing counted twice."""
        check_prefixes(self.world.root)
        head = read_head(self.world.root)
        if head.slots.active is not None and not head.unfinished:
            assert self.world.holds() == head.slots.active

    def teardown(self) -> None:
        """With everything back two looks bring all voices together."""
        self.world.store.is_down = self.world.is_bus_down = False
        for _ in range(3):
            self.world.registrar().reconcile()
        if (self.world.root / JOURNAL_FILE).exists() and read_head(self.world.root).slots.active is not None:
            check_agreement(self.world)
        shutil.rmtree(self.world.root.parent)


TestMachine = Machine.TestCase
TestMachine.settings = settings(
    max_examples=30, stateful_step_count=25, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)


def test_the_clock_is_handed_in(world: World) -> None:
    """Nothing here asks the system for the time."""
    assert log(world.root)[0].at == START

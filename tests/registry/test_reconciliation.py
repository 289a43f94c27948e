"""Four voices held against each other: aliases moved by hand, a registry put back, links turned, scorers that lag."""

from pathlib import Path

import pytest

from registry import rollout
from registry.audit import log
from registry.journal import JOURNAL_FILE
from registry.reconciliation import Reconciliation, ScorerView
from tests.registry.agreement import check_agreement
from tests.registry.stores import HUMAN, PIPELINE, World


@pytest.fixture
def world(tmp_path: Path) -> World:
    """Version 2 active, version 1 before it and beside it, version 3 a candidate."""
    made = World.at(tmp_path)
    made.activate(1)
    made.promote(2)
    made.registrar().enter(3, PIPELINE, "trained")
    return made


def test_all_agree(world: World) -> None:
    """Nothing is said, nothing is written."""
    before = (world.root / JOURNAL_FILE).read_bytes()
    found = world.registrar().reconcile({"ai_scorer": ScorerView(2, 1, 8, 0.5)})
    assert found == Reconciliation(world.registrar().head())
    assert (world.root / JOURNAL_FILE).read_bytes() == before


def test_an_alias_moved_by_hand_is_put_back(world: World) -> None:
    """Said, recorded, alerted, and reverted; what trades was never touched."""
    world.store.named |= {"active": 3, "shadow": 4}
    found = world.registrar().reconcile()
    (said,) = found.divergences
    assert said.startswith("moved past tidegate: alias shadow names version 4, the journal has version 1; alias active")
    assert found.moved is not None
    assert found.moved.transition == "revert"
    told = world.told[-1]
    assert (told.event, told.severity, told.reason, told.target) == ("ALERT", "WARN", "external_move", "2")
    assert world.holds() == 2
    check_agreement(world)
    assert world.registrar().reconcile().divergences == ()


def test_an_alias_taken_away_by_hand_is_put_back(world: World) -> None:
    """Exactly one version stays active, whatever the policy."""
    del world.store.named["active"]
    found = world.registrar(external_moves="adopt").reconcile()
    assert found.moved is not None
    assert found.moved.transition == "revert"
    check_agreement(world)


def test_an_alias_moved_by_hand_is_adopted(world: World) -> None:
    """By config: the mirror follows, the rollout is disabled, and who did it is called external."""
    world.store.named["active"] = 3
    found = world.registrar(external_moves="adopt").reconcile()
    assert found.moved is not None
    assert found.moved.transition == "adopt"
    head = world.registrar().head()
    assert (head.slots.active, head.states[3], head.states[2]) == (3, "active", "archived")
    assert world.holds() == 3
    assert log(world.root, 1)[0].reason == "external_move"
    state = rollout.read(world.root)
    assert state is not None
    assert state.mode == "disabled"
    check_agreement(world)


def test_what_may_not_trade_is_not_adopted(world: World) -> None:
    """A version without parity is put back, and the record says why."""
    world.store.register(5, tags={})
    world.store.named["active"] = 5
    found = world.registrar(external_moves="adopt").reconcile()
    assert found.moved is not None
    assert found.moved.transition == "revert"
    assert "not adopted: version 5 has parity proof 'none'" in log(world.root, 1)[0].text
    check_agreement(world)


def test_a_registry_that_was_put_back_to_yesterday_is_told_again(world: World) -> None:
    """An MLflow restored from a copy is no external move."""
    yesterday = (dict(world.store.named), dict(world.store.tags), dict(world.store.known))
    world.registrar().promote(3, "shadow", HUMAN, "gates are green")
    world.store.named, world.store.tags, world.store.known = yesterday
    found = world.registrar().reconcile()
    assert found.divergences == ("MLflow was at epoch 9, the journal is at 10: it was told again",)
    assert found.moved is None
    check_agreement(world)


def test_an_mlflow_of_another_journal_is_not_touched(world: World) -> None:
    """It names a line that this journal does not hold."""
    world.store.tags["tidegate.head"] = "ab" * 32
    named = dict(world.store.named)
    found = world.registrar().reconcile()
    assert "which it does not hold: the journal was rewritten or cut" in found.divergences[0]
    assert world.store.named == named


def test_a_link_turned_by_hand_is_turned_back(world: World) -> None:
    """What trades is what the journal says."""
    link = world.root / "active"
    target = (world.root / "previous").resolve()
    link.unlink()
    link.symlink_to(target)
    found = world.registrar().reconcile()
    assert found.divergences == ("the mirror's active slot holds version 1, the journal has version 2",)
    assert world.holds() == 2
    assert world.registrar().reconcile().divergences == ()


def test_a_rollout_written_by_hand_is_put_back(world: World) -> None:
    """Guards and promotions write it, and nobody else."""
    state = rollout.read(world.root)
    assert state is not None
    (world.root / rollout.ROLLOUT_FILE).write_text("{}")
    assert "rollout.json" in world.registrar().reconcile().divergences[0]
    assert rollout.read(world.root) == state


def test_scorers_that_go_by_something_else_are_named(world: World) -> None:
    """One that was not heard of lately says nothing."""
    found = world.registrar().reconcile(
        {"ai_scorer": ScorerView(1, None, 3, 0.5), "another": ScorerView(9, 9, 9, 60.0)}
    )
    assert found.divergences == (
        "ai_scorer scores with version 1 as active, the journal has version 2",
        "ai_scorer scores with none as shadow, the journal has version 1",
        "ai_scorer goes by the rollout of epoch 3, the journal has 8",
    )


def test_mlflow_away_is_no_divergence_while_it_has_heard_all(world: World) -> None:
    """Trading does not need it."""
    world.store.is_down = True
    assert world.registrar().reconcile().divergences == ()

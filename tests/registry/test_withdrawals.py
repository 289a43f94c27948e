"""What may follow what on the way down."""

from dataclasses import replace as changed
from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from registry.states import Head, Slots
from tests.registry.cases import ACTIVE, CANARY, COOLING, FIT, HUMAN, NOW, RULES, SENSOR, planned, refused, rolled_out


def test_a_canary_is_withdrawn_whatever_the_clock_says() -> None:
    """T5: in a cooldown, in a freeze, without evidence."""
    cooling = rolled_out(CANARY, cooldown_until=NOW + timedelta(minutes=1))
    plan = planned("rollback", None, SENSOR, head=cooling, subject="canary")
    assert (plan.direction, plan.version, plan.states) == ("down", 3, {3: "rolled_back"})
    assert plan.after.slots == Slots(active=2, previous=1)
    assert plan.after.rollout is not None
    assert plan.after.rollout.mode == "disabled"
    assert plan.after.rollout.cooldown_until == NOW + RULES.cooldown


def test_going_back() -> None:
    """T6: the previous one trades again, the canary is a shadow again, and there is nothing before it any more."""
    plan = planned("rollback", None, HUMAN, subject="active")
    assert plan.after.slots == Slots(active=1, shadow=3)
    assert plan.states == {2: "rolled_back", 1: "active", 3: "shadow"}
    assert plan.after.active_history == (1, 2)
    alone = replace(ACTIVE, slots=Slots(active=2), active_history=(2,))
    assert refused("rollback", None, HUMAN, head=alone) == "no_previous"
    assert refused("rollback", None, HUMAN, head=Head()) == "no_active"


def test_a_human_who_names_nothing_means_the_canary_first() -> None:
    """Everybody else must say what they mean, and about which version."""
    assert planned("rollback", None, HUMAN).version == 3
    assert planned("rollback", None, HUMAN, head=ACTIVE).version == 2
    assert refused("rollback", None, SENSOR) == "no_subject"
    assert refused("rollback", 4, SENSOR, subject="canary") == "not_running"
    assert refused("rollback", None, SENSOR, subject="canary", evidence={"version": 4}) == "not_running"
    assert refused("rollback", None, SENSOR, head=ACTIVE, subject="canary") == "no_canary"


def test_where_to_go_back_to() -> None:
    """One of the last that were active, and healthy unless forced; quarantine is for ever."""
    head = replace(
        ACTIVE, slots=Slots(active=5, previous=4), active_history=(5, 4, 3, 2, 1),
        states={5: "active", 4: "archived", 3: "rolled_back", 2: "quarantined", 1: "archived"},
    )  # fmt: skip
    assert planned("rollback", None, HUMAN, head=head, subject="active", target=4).after.slots.previous == 1
    assert refused("rollback", None, HUMAN, head=head, subject="active", target=1) == "not_recent"
    assert refused("rollback", None, HUMAN, head=head, subject="active", target=3) == "withdrawn"
    assert planned("rollback", None, HUMAN, head=head, subject="active", target=3, force=True).states[3] == "active"
    assert refused("rollback", None, HUMAN, head=head, subject="active", target=2, force=True) == "withdrawn"


@given(minutes=st.lists(st.floats(0, 600), max_size=5), most=st.integers(1, 4))
def test_the_one_too_many_within_an_hour_is_critical(minutes: list[float], most: int) -> None:
    """The limit counts the one that is being made."""
    rollbacks = tuple(NOW - timedelta(minutes=each) for each in sorted(minutes))
    rules = changed(RULES, max_rollbacks_per_hour=most)
    plan = planned("rollback", None, HUMAN, head=replace(CANARY, rollbacks=rollbacks), rules=rules)
    is_flapping = sum(each < 60 for each in minutes) + 1 >= most
    assert plan.events[0].severity == ("CRIT" if is_flapping else "WARN")


def test_inconclusive_is_no_rollback() -> None:
    """T7: back to shadow, without cooldown or a mark."""
    plan = planned("inconclusive")
    assert plan.states == {3: "shadow"}
    assert plan.after.slots == CANARY.slots
    assert plan.after.rollbacks == ()
    assert plan.after.rollout is not None
    assert plan.after.rollout.cooldown_until is None
    assert refused("inconclusive", 4) == "no_canary"
    assert refused("inconclusive", head=ACTIVE) == "no_canary"


def test_disable() -> None:
    """By a guard it is critical, by a human it is a decision; a cooldown that runs goes on."""
    assert planned("disable", None, SENSOR).events[0].severity == "CRIT"
    plan = planned("disable", None, HUMAN)
    assert plan.events[0].severity == "INFO"
    assert plan.states == {3: "shadow"}
    assert refused("disable", None, HUMAN, head=COOLING) == "already"


def test_reject_and_archive() -> None:
    """T8, and the end of a version's time in the shadow slot, the control's included."""
    assert planned("reject", 3, head=ACTIVE).after.slots.shadow is None
    assert planned("reject", 4, head=ACTIVE).states == {4: "rejected"}
    assert refused("reject", 2, head=ACTIVE) == "state"
    assert refused("reject", 3, head=CANARY) == "state"
    assert planned("archive", 3, head=ACTIVE).states == {3: "archived"}
    watching = replace(ACTIVE, slots=Slots(active=2, previous=1, shadow=1))
    assert watching.control == 1
    plan = planned("archive", 1, head=watching)
    assert (plan.after.slots, plan.states) == (Slots(active=2, previous=1), {})
    assert refused("archive", 2, head=watching) == "state"


def test_quarantine() -> None:
    """T10, from any state; whatever still vouched for it no longer does."""
    assert planned("quarantine", 3).after.canary is None
    assert planned("quarantine", 2).after.slots.active == 1
    history = replace(ACTIVE, active_history=(2, 1, 9), states={**ACTIVE.states, 9: "archived"})
    assert planned("quarantine", 1, head=history).after.slots.previous == 9
    assert planned("quarantine", 4).states == {4: "quarantined"}
    assert refused("quarantine", 99) == "state"


def test_adopt() -> None:
    """Somebody's aliases become the slots, if they may trade; no canary outlives them."""
    plan = planned("adopt", 4, adopted=Slots(active=4, previous=2, shadow=3))
    assert plan.states == {2: "archived", 3: "shadow", 4: "active"}
    assert plan.after.canary is None
    assert plan.after.slots == Slots(active=4, previous=2, shadow=3)
    assert plan.after.rollout is not None
    assert plan.after.rollout.mode == "disabled"
    assert refused("adopt", None, adopted=Slots(shadow=3)) == "no_active"
    assert refused("adopt", 4, adopted=Slots(active=4), facts=changed(FIT, parity="")) == "no_parity"
    bad = replace(ACTIVE, states={**ACTIVE.states, 4: "rolled_back"})
    assert refused("adopt", 4, head=bad, adopted=Slots(active=4)) == "withdrawn"
    only_previous = planned("adopt", 2, adopted=Slots(active=2, shadow=3))
    assert only_previous.after.canary == 3
    assert only_previous.after.slots.previous == 1

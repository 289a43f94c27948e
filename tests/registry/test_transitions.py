"""What may follow what on the way up, one guard at a time."""

from dataclasses import replace as changed
from datetime import timedelta
from typing import Any

import pytest
from msgspec.structs import replace

from registry.states import Actor, Head, Slots
from tests.registry.cases import (
    ACTIVE,
    CANARY,
    COOLING,
    FIT,
    HUMAN,
    NOW,
    PIPELINE,
    RULES,
    SCORER,
    SENSOR,
    asked,
    planned,
    refused,
    rolled_out,
    verdict,
)


def test_a_scorer_moves_nothing_and_nobody_moves_without_a_name() -> None:
    """T5's fence is the scorer's own; the registry is not."""
    assert refused("rollback", None, SCORER, subject="canary") == "actor"
    assert refused("rollback", None, Actor("human", ""), subject="canary") == "no_reason"


def test_only_a_human_forces() -> None:
    """A sensor that wants more than its evidence gives is wrong."""
    assert refused("active", force=True) == "actor"
    assert planned("active", 3, HUMAN, force=True).target == "active"


def test_candidate() -> None:
    """T1: sha256, lineage, green gates, and once."""
    assert planned("candidate", 9, PIPELINE).states == {9: "candidate"}
    assert refused("candidate", 3, PIPELINE) == "already"
    assert refused("candidate", 9, PIPELINE, facts=changed(FIT, is_known=False)) == "unknown_version"
    assert refused("candidate", 9, PIPELINE, facts=changed(FIT, data_hash="")) == "no_lineage"
    assert refused("candidate", 9, PIPELINE, facts=changed(FIT, failed_gates=("gate.psi",))) == "gates"


def test_shadow() -> None:
    """T2: parity, schema, gates; what is displaced is archived, and comes back through a human only."""
    plan = planned("shadow", 4, head=ACTIVE)
    assert plan.after.slots.shadow == 4
    assert plan.states == {4: "shadow", 3: "archived"}
    assert refused("shadow", 3, head=ACTIVE) == "already"
    assert refused("shadow", 4, head=CANARY) == "canary_running"
    assert refused("shadow", 2, head=ACTIVE) == "state"
    assert refused("shadow", 4, head=ACTIVE, rules=changed(RULES, auto_shadow=False)) == "not_automatic"
    put_away = replace(ACTIVE, states={**ACTIVE.states, 4: "archived"})
    assert refused("shadow", 4, head=put_away) == "state"
    assert planned("shadow", 4, HUMAN, head=put_away).states[4] == "shadow"
    assert refused("shadow", 1, HUMAN, head=ACTIVE) == "state", "the previous one is its own control"


@pytest.mark.parametrize(
    ("facts", "code"),
    [
        ({"parity": ""}, "no_parity"),
        ({"parity": "1 margin mismatches, 0 flips in 9 rows"}, "no_parity"),
        ({"schema_hash": "ab"}, "schema"),
        ({"failed_gates": ("gate.calibration",)}, "gates"),
        ({"is_known": False}, "unknown_version"),
    ],
)
@pytest.mark.parametrize("transition", ["shadow", "canary", "active"])
def test_what_is_wrong_with_a_version_no_force_overrides(transition: Any, facts: dict[str, Any], code: str) -> None:
    """Neither evidence nor a human makes up for it."""
    head = {"shadow": ACTIVE, "canary": ACTIVE, "active": CANARY}[transition]
    version = 4 if transition == "shadow" else 3
    assert refused(transition, version, HUMAN, head=head, facts=changed(FIT, **facts), force=True) == code


def test_canary() -> None:
    """T3: a fresh verdict of the shadow trial, or a human who forces it."""
    plan = planned("canary", head=ACTIVE, evidence=verdict("shadow"), salt="abc")
    assert plan.after.canary == 3
    assert plan.after.rollout is not None
    assert (plan.after.rollout.canary_fraction, plan.after.rollout.salt) == (RULES.ramp[0], "abc")
    assert plan.after.rollout.epoch == ACTIVE.epoch + 1
    assert planned("canary", 3, HUMAN, head=ACTIVE, force=True, fraction=0.3).after.canary == 3
    assert refused("canary", 3, HUMAN, head=ACTIVE) == "no_evidence"
    assert refused("canary", 4, HUMAN, head=ACTIVE, force=True) == "state"
    assert refused("canary", head=CANARY, evidence=verdict("shadow")) == "already"
    assert refused("canary", 3, HUMAN, head=ACTIVE, force=True, fraction=1.5) == "fraction"
    assert refused("canary", 3, HUMAN, head=COOLING, force=True) == "cooldown"
    alone = replace(ACTIVE, slots=Slots(shadow=3))
    assert refused("canary", head=alone, evidence=verdict("shadow")) == "no_active"


@pytest.mark.parametrize(
    ("evidence", "code"),
    [
        (None, "no_evidence"),
        ({}, "no_evidence"),
        (verdict("canary"), "wrong_evidence"),
        (verdict("shadow", version=4), "wrong_evidence"),
        (verdict("shadow", decision="hold"), "not_proven"),
        (verdict("shadow", age_seconds=RULES.evidence_seconds + 1), "stale_evidence"),
        ({"trial": "shadow", "version": 3, "decision": "promote"}, "stale_evidence"),
    ],
)
def test_evidence_is_of_this_trial_and_version_fresh_and_clear(evidence: Any, code: str) -> None:
    """Stale evidence is no health."""
    assert refused("canary", head=ACTIVE, evidence=evidence) == code


def test_after_a_rollback_the_rollout_is_enabled_by_a_human() -> None:
    """T12: the cooldown is over, and so many clean verdicts in a row."""
    over = rolled_out(COOLING, cooldown_until=NOW)
    assert refused("canary", head=over, evidence=verdict("shadow")) == "disabled"
    clean = {"clean_evaluations": RULES.clean_evaluations}
    assert refused("enable", None, HUMAN, head=COOLING, evidence=clean, force=True) == "cooldown"
    assert refused("enable", None, SENSOR, head=over, evidence=clean) == "actor"
    assert refused("enable", None, HUMAN, head=over) == "no_evidence"
    assert refused("enable", None, HUMAN, head=ACTIVE, evidence=clean) == "already"
    plan = planned("enable", None, HUMAN, head=over, evidence=clean)
    assert plan.after.rollout is not None
    assert (plan.after.rollout.mode, plan.after.rollout.canary_fraction) == ("full", 0.0)


def test_ramp() -> None:
    """More takes time and a verdict that is not against it; less takes nothing."""
    less = planned("ramp", 3, HUMAN, fraction=0.05)
    assert less.direction == "down"
    assert planned("ramp", fraction=0.9, evidence=verdict("canary", decision="hold")).direction == "up"
    assert refused("ramp", fraction=0.9, evidence=verdict("canary", decision="roll_back")) == "not_proven"
    assert refused("ramp", fraction=0.5, evidence=verdict("canary")) == "already"
    assert refused("ramp", 4, fraction=0.9, evidence=verdict("canary")) == "not_running"
    assert refused("ramp", fraction=0.0) == "fraction"
    assert refused("ramp", head=ACTIVE, fraction=0.9) == "no_canary"
    young = rolled_out(CANARY, at=NOW - timedelta(hours=1))
    assert refused("ramp", head=young, fraction=0.9, evidence=verdict("canary")) == "too_early"
    salted = planned("ramp", fraction=0.9, evidence=verdict("canary"))
    assert salted.after.rollout is not None
    assert salted.after.rollout.salt == "s", "the same draw, so that whoever was the canary's stays the canary's"


def test_active() -> None:
    """T4: the canary passed, had a day, and the whole ramp; what it displaces is its control."""
    plan = planned("active", evidence=verdict("canary"))
    assert plan.after.slots == Slots(active=3, previous=2, shadow=2)
    assert plan.states == {3: "active", 2: "archived"}
    assert plan.after.active_history == (3, 2, 1)
    assert [event.event for event in plan.events] == ["PROMOTION", "MODE_SWITCH"]
    assert refused("active", evidence=verdict("canary", decision="hold")) == "not_proven"
    assert refused("active", head=ACTIVE, evidence=verdict("canary")) == "state"
    assert refused("active", 2, HUMAN) == "already"
    young = replace(CANARY, canary_since=NOW - timedelta(hours=23))
    assert refused("active", head=young, evidence=verdict("canary")) == "too_early"
    small = rolled_out(CANARY, canary_fraction=0.1)
    assert refused("active", head=small, evidence=verdict("canary")) == "ramp_unfinished"
    assert planned("active", 3, HUMAN, head=small, evidence=verdict("canary")).target == "active"
    assert refused("active", rules=changed(RULES, auto_promote=False), evidence=verdict("canary")) == "not_automatic"


def test_a_freeze_holds_promotions_and_a_human_may_pass_over_it() -> None:
    """Rollbacks know none."""
    frozen = changed(RULES, freeze=("Wed 10:00-Wed 14:00",))
    assert refused("active", rules=frozen, evidence=verdict("canary")) == "freeze"
    assert planned("active", 3, HUMAN, rules=frozen, force=True)
    assert planned("rollback", None, SENSOR, rules=frozen, subject="canary")


def test_the_first_activation() -> None:
    """There is nothing to hold a canary against; a sensor may not, and the version must have been entered."""
    empty = Head(epoch=1, states={4: "candidate"})
    assert planned("active", 4, PIPELINE, head=empty).after.slots.active == 4
    assert refused("active", 4, SENSOR, head=empty) == "actor"
    assert refused("active", 5, HUMAN, head=empty, force=True) == "state"
    assert refused("active", 4, HUMAN, head=ACTIVE, force=True) == "state", "the second goes the long way"


def test_reinstate() -> None:
    """T11: a human, new evidence, and only what was withdrawn or rejected."""
    back = replace(ACTIVE, states={**ACTIVE.states, 4: "rolled_back"})
    note = {"note": "the feed was broken"}
    assert planned("reinstate", 4, HUMAN, head=back, evidence=note).states == {4: "candidate"}
    assert refused("reinstate", 4, SENSOR, head=back, evidence=note) == "actor"
    assert refused("reinstate", 4, HUMAN, head=back) == "no_evidence"
    old = changed(FIT, is_new_evidence=False)
    assert refused("reinstate", 4, HUMAN, head=back, evidence=note, facts=old) == "no_evidence"
    assert refused("reinstate", 3, HUMAN, head=back, evidence=note) == "state"
    assert asked("shadow", 4, HUMAN, head=back, force=True) != planned("shadow", 4, HUMAN, head=ACTIVE)

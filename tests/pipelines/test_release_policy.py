from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bus.heartbeats import Heartbeat
from bus.messages import Trial
from config.release_sections import Release
from pipelines.registrar import Heard
from pipelines.release_policy import (
    Due,
    Standstill,
    due_promotion,
    due_withdrawal,
    in_words,
    next_share,
    silence,
)
from registry.states import Head, Slots
from tests.pipelines.verdicts import ACTIVE, AUTOMATIC, NOW, SALT, SHADOW, beat, canary_head, head, heard, rollout

CONTROLLED = Slots(active=SHADOW, previous=ACTIVE, shadow=ACTIVE)
ALIVE = beat("risk") | beat("ai_scorer")


def withdrawn(head_: Head, said: Mapping[Trial, Heard], release: Release = AUTOMATIC) -> Due:
    """The withdrawal that is due; there is one."""
    due = due_withdrawal(head_, said, release, NOW)
    assert isinstance(due, Due), due
    return due


def promoted(head_: Head, said: Mapping[Trial, Heard], release: Release = AUTOMATIC, ceiling: float = 1.0) -> Due:
    """The promotion that is due; there is one."""
    due = due_promotion(head_, said, release, ceiling, NOW)
    assert isinstance(due, Due), due
    return due


def standstill(head_: Head, said: Mapping[Trial, Heard], release: Release = AUTOMATIC, ceiling: float = 1.0) -> str:
    """Why no promotion is due."""
    due = due_promotion(head_, said, release, ceiling, NOW)
    assert isinstance(due, Standstill), due
    return due.text


def nothing_withdrawn(head_: Head, said: Mapping[Trial, Heard], release: Release = AUTOMATIC) -> str:
    """Why no withdrawal is due."""
    due = due_withdrawal(head_, said, release, NOW)
    assert isinstance(due, Standstill), due
    return due.text


def test_a_canary_that_risk_withdraws_is_rolled_back() -> None:
    """With the first breach as the reason, and a transaction of that canary alone."""
    due = withdrawn(canary_head(), heard("canary", "roll_back"))
    assert (due.verb, due.version, due.reason, due.expect_epoch) == ("rollback", SHADOW, "winrate_delta", 5)
    assert due.tx == f"verdict-canary-{SHADOW}-{SALT}"
    assert "8 points" in due.text


def test_a_verdict_said_again_is_the_same_transaction() -> None:
    """risk repeats itself every few seconds, with other times and numbers."""
    first = withdrawn(canary_head(), heard("canary", "roll_back"))
    again = withdrawn(canary_head(), heard("canary", "roll_back", age_seconds=0.1, numbers={"sample_canary": 701.0}))
    assert first.tx == again.tx


@pytest.mark.parametrize("changes", [{"salt": "salt of yesterday"}, {"version": 9}])
def test_a_verdict_on_another_canary_withdraws_nothing(changes: dict[str, Any]) -> None:
    """The salt tells two canaries of one version apart."""
    text = nothing_withdrawn(canary_head(), heard("canary", "roll_back", **changes))
    assert text.startswith("nothing to withdraw: canary version")


def test_the_active_version_goes_once_and_not_by_what_was_said_before_it_was_active() -> None:
    """A version that came back is not withdrawn by the verdict that withdrew it the first time."""
    due = withdrawn(head(), heard("active", "roll_back"))
    assert (due.verb, due.version, due.tx) == ("rollback", ACTIVE, f"verdict-active-{ACTIVE}-77")
    back = head(active_since=NOW - timedelta(minutes=1))
    nothing_withdrawn(back, heard("active", "roll_back", age_seconds=61))


def test_a_worse_shadow_is_rejected() -> None:
    """And not rolled back: it never traded."""
    due = withdrawn(head(), heard("shadow", "roll_back"))
    assert (due.verb, due.version) == ("reject", SHADOW)


@pytest.mark.parametrize(
    "standing", [canary_head(), head(slots=CONTROLLED), head(slots=Slots(active=3, shadow=SHADOW))]
)
def test_a_verdict_on_a_shadow_counts_only_while_it_is_one_beside_the_same_active(standing: Head) -> None:
    """Not for a canary, not for the control of a promotion, not against a version that is active no more."""
    nothing_withdrawn(standing, heard("shadow", "roll_back"))


def test_of_several_the_canary_goes_first() -> None:
    """It is the one that trades unproven."""
    due = withdrawn(canary_head(), heard("active", "roll_back") | heard("canary", "roll_back"))
    assert due.version == SHADOW


def test_an_old_verdict_withdraws_too() -> None:
    """Stale evidence is no health, but it may well be harm."""
    assert withdrawn(canary_head(), heard("canary", "roll_back", age_seconds=3_600)).verb == "rollback"


def test_nothing_goes_by_itself_where_a_person_wants_to() -> None:
    """release.auto_rollback."""
    release = Release(auto_rollback=False)
    assert "auto_rollback is off" in nothing_withdrawn(canary_head(), heard("canary", "roll_back"), release)


@pytest.mark.parametrize(
    ("standing", "said"),
    [
        (canary_head(), heard("canary", "hold", numbers={"sample_canary": 2_000.0})),
        (canary_head(), heard("canary", "hold", numbers={"inconclusive": 1.0})),
        (canary_head(days=7), heard("canary", "hold")),
        (canary_head(days=7), {}),
    ],
)
def test_a_canary_at_its_cap_goes_back_to_shadow(standing: Head, said: dict[Trial, Heard]) -> None:
    """By trades or by days, also when nothing was heard of it: never promoted by running out of time."""
    due = withdrawn(standing, said)
    assert (due.verb, due.version, due.tx) == ("inconclusive", SHADOW, f"inconclusive-{SHADOW}-{SALT}")


def test_a_canary_that_passed_is_not_inconclusive() -> None:
    """It waits for whoever promotes it."""
    nothing_withdrawn(canary_head(days=30), heard("canary", "promote"))


def test_a_candidate_enters_an_empty_shadow_slot() -> None:
    """The newest one."""
    empty = head(slots=Slots(active=ACTIVE), states={ACTIVE: "active", 3: "candidate", 4: "candidate"})
    due = promoted(empty, {})
    assert (due.verb, due.version, due.tx) == ("shadow", 4, "promote-shadow-4-5")
    assert "auto_shadow is off" in standstill(empty, {}, Release(auto_shadow=False))


def test_the_control_of_a_promotion_is_not_displaced_while_it_watches() -> None:
    """For release.watch_days; then a candidate takes the slot, or it is left."""
    states = {SHADOW: "active", ACTIVE: "archived", 3: "candidate"}
    watched = head(slots=CONTROLLED, states=states)
    assert "is watched beside version 1" in standstill(watched, {})
    over = head(slots=CONTROLLED, states=states, active_since=NOW - timedelta(days=8))
    assert promoted(over, {}).version == 3
    alone = head(slots=CONTROLLED, states={SHADOW: "active", ACTIVE: "archived"}, active_since=NOW - timedelta(days=8))
    due = promoted(alone, {})
    assert (due.verb, due.version) == ("archive", ACTIVE)


def test_a_shadow_with_enough_evidence_becomes_the_canary() -> None:
    """When the configured rollout leaves it a share at all."""
    due = promoted(head(), heard("shadow", "promote"))
    assert (due.verb, due.version, due.expect_epoch) == ("canary", SHADOW, 5)
    assert "no share" in standstill(head(), heard("shadow", "promote"), ceiling=0.0)


@pytest.mark.parametrize(
    ("said", "release", "why"),
    [
        (heard("shadow", "promote"), Release(), "auto_canary is off"),
        ({}, AUTOMATIC, "no fresh verdict"),
        (heard("shadow", "promote", age_seconds=16), AUTOMATIC, "no fresh verdict"),
        (heard("shadow", "hold"), AUTOMATIC, "does not make it the canary"),
        (heard("shadow", "promote", against=9), AUTOMATIC, "still speaks of"),
    ],
)
def test_a_shadow_stays_without_fresh_evidence_of_its_own(said: dict[Trial, Heard], release: Release, why: str) -> None:
    """The tick says which part is missing."""
    assert why in standstill(head(), said, release)


def test_a_canary_climbs_its_ramp_step_by_step_and_then_becomes_active() -> None:
    """10, 25, 50 %, six hours each, a day in all."""
    shares = [0.1]
    while isinstance(due := promoted(canary_head(shares[-1], hours=6), heard("canary", "promote")), Due):
        if due.verb == "active":
            break
        assert due.verb == "ramp"
        assert due.fraction is not None
        shares.append(due.fraction)
    assert shares == [0.1, 0.25, 0.5]


@pytest.mark.parametrize(
    ("standing", "said", "why"),
    [
        (canary_head(hours=5), heard("canary", "promote"), "for 5.0 of 6 hours"),
        (canary_head(hours=6), heard("canary", "roll_back"), "to be withdrawn: winrate_delta"),
        (canary_head(hours=6), heard("canary", "promote", age_seconds=16), "no fresh verdict"),
        (canary_head(hours=6), heard("canary", "promote", salt="of yesterday"), "still speaks of"),
        (canary_head(0.5, hours=6), heard("canary", "hold"), "does not promote it yet"),
        (canary_head(0.5, hours=6, days=0.9), heard("canary", "promote"), "it stays for 24"),
    ],
)
def test_a_canary_waits(standing: Head, said: dict[Trial, Heard], why: str) -> None:
    """For time on its step, for a whole day, for fresh evidence."""
    assert why in standstill(standing, said)


def test_the_share_rises_without_a_promotion_as_long_as_nothing_speaks_against_it() -> None:
    """More trade is how the evidence is had; only the last step needs the proof."""
    assert promoted(canary_head(hours=6), heard("canary", "hold")).verb == "ramp"
    nothing = heard("canary", "hold", numbers={"sample_canary": 0.0})
    assert "no trade of it was judged yet" in standstill(canary_head(hours=6), nothing)


def test_nothing_is_promoted_by_itself_where_a_person_wants_to() -> None:
    """Neither its share."""
    assert "auto_promote is off" in standstill(canary_head(hours=6), heard("canary", "promote"), Release())


def test_a_freeze_and_a_cooldown_stop_every_promotion_and_no_withdrawal() -> None:
    """Tuesday noon, and a quarter of an hour behind a rollback."""
    frozen = AUTOMATIC.model_copy(update={"freeze": ("Tue 11:00-Tue 13:00",)})
    assert standstill(head(), heard("shadow", "promote"), frozen) == "frozen: Tue 11:00-Tue 13:00"
    cooling = head(rollout=rollout(mode="disabled", cooldown_until=NOW + timedelta(minutes=1)))
    assert "cooldown until 12:01:00" in standstill(cooling, heard("shadow", "promote"))
    assert withdrawn(canary_head(), heard("canary", "roll_back"), frozen).verb == "rollback"


@given(st.lists(st.floats(0.01, 1.0), min_size=1, max_size=5, unique=True).map(sorted))
def test_a_ramp_is_climbed_step_by_step_and_ends(steps: list[float]) -> None:
    """Every step once, in order."""
    share, taken = 0.0, []
    while (higher := next_share(steps, share)) is not None:
        share = higher
        taken.append(share)
    assert taken == steps


def test_live_that_speaks_is_not_silent() -> None:
    """Both services alive, and a verdict on the active version."""
    assert silence(head(), heard("active", "hold"), ALIVE, AUTOMATIC, NOW) == ""


@pytest.mark.parametrize(
    ("beats", "said", "why"),
    [
        (beat("risk"), heard("active", "hold"), "ai_scorer: no heartbeat"),
        (ALIVE | beat("risk", age_seconds=16), heard("active", "hold"), "risk: its heartbeat is 16 s old"),
        (ALIVE | beat("risk", state="stopped"), heard("active", "hold"), "risk: it is stopped"),
        (ALIVE, heard("active", "hold", age_seconds=16), "no verdict on the active version for 16 s"),
        (ALIVE, {}, "no verdict on the active version yet"),
    ],
)
def test_a_silent_part_of_live_is_named(beats: dict[str, Heartbeat], said: dict[Trial, Heard], why: str) -> None:
    """A heartbeat, or the verdict that should come every few seconds."""
    assert why in silence(head(), said, beats, AUTOMATIC, NOW)


def test_a_version_that_has_just_become_active_is_given_time() -> None:
    """risk needs a moment to begin its trial; and nothing is missed while nothing is active."""
    new = head(active_since=NOW - timedelta(seconds=5))
    assert silence(new, {}, ALIVE, AUTOMATIC, NOW) == ""
    assert silence(Head(), {}, ALIVE, AUTOMATIC, NOW) == ""


def test_a_verdict_is_told_in_words_with_its_limits() -> None:
    """Trades and win rates of a canary, candidates and Brier score of the others."""
    canary = msgspec.structs.replace(
        heard("canary", "hold")["canary"].verdict,
        numbers={
            "sample_canary": 1_204.0, "winrate_canary": 0.4012, "winrate_baseline_active": 0.4498,
            "evidence_worse": 61.2, "evidence_not_worse": 0.02,
        },
        limits={"evidence_worse": 50.0, "evidence_not_worse": 20.0},
    )  # fmt: skip
    assert in_words(canary) == (
        "1,204 canary trades, win rate 0.401 against 0.450, evidence that it is worse 61.2 (50), "
        "evidence that it is no worse 0.02 (20)"
    )
    shadow = msgspec.structs.replace(canary, trial="shadow", numbers={"candidates": 2_155.0, "brier_gap": -0.0063})
    assert in_words(shadow) == "2,155 candidates, Brier -0.0063"
    assert in_words(msgspec.structs.replace(canary, numbers={})) == "nothing counted"

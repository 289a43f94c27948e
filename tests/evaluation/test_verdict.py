"""What a verdict says of given evidence, limit by limit."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.release_sections import Release
from evaluation.trials import ActiveEvidence, CanaryEvidence, ShadowEvidence
from evaluation.verdict import Drift, Evidence, Guards, Policy, Verdict, decide

_POLICY = Release(observe=()).policy()
_UNSEEN = {"winrate": 1.0, "markout": 1.0, "fill": 1.0, "latency": 1.0}
_SHADOW = ShadowEvidence(2_500, -0.001, 1.5, 25.0, 1.0, 1.0, 40, 0.0)
_CANARY = CanaryEvidence(
    candidates=10_000, canary_candidates=1_000, canary_trades=600, canary_wins=330, active_trades=5_400,
    active_wins=2_970, foreign=0, worse=1.0, not_worse=25.0, by_metric=_UNSEEN, sample_ratio=1.0, gap=0.0,
    gap_low=-0.05, gap_high=0.05,
)  # fmt: skip
_ACTIVE = ActiveEvidence(9_000, 9_000, 0.0, 10.0, 10.0)
_OVER = Drift("psi", "spread", 0.4, 0.3, 2_000.0, is_armed=True)


def _canary(**changes: Any) -> Evidence:
    return Evidence(replace(_CANARY, **changes))


def _gates(verdict: Verdict) -> list[str]:
    return [breach.gate for breach in verdict.breaches]


def test_good_evidence_promotes_a_shadow_and_a_canary_and_never_an_active_version() -> None:
    """The last has nowhere to go."""
    assert decide(_POLICY, Evidence(_SHADOW)).decision == "promote"
    assert decide(_POLICY, _canary()).decision == "promote"
    assert decide(_POLICY, Evidence(_ACTIVE)).decision == "hold"


@pytest.mark.parametrize(
    ("trades", "wins", "rolls_back"),
    [(500, 224, True), (499, 0, False), (500, 225, False), (500, 226, False)],
)
def test_the_runbook_s_rule_is_kept_word_for_word(trades: int, wins: int, rolls_back: bool) -> None:
    """From min_sample on, and where the canary's win rate is under the active route's less delta; not at it."""
    policy = replace(_POLICY, winrate_delta=0.0)
    found = _canary(canary_trades=trades, canary_wins=wins, active_trades=1_000, active_wins=450, not_worse=1.0)
    verdict = decide(policy, found)
    assert (_gates(verdict) == ["winrate_delta"]) is rolls_back
    assert verdict.decision == ("roll_back" if rolls_back else "hold")
    if rolls_back:
        assert verdict.breaches[0].value == pytest.approx(0.448)
        assert verdict.breaches[0].limit == pytest.approx(0.45)


def test_without_an_active_route_beside_it_no_win_rate_is_compared() -> None:
    """A canary that has all signals has nothing to be lower than."""
    assert _gates(decide(_POLICY, _canary(canary_wins=0, active_trades=0, active_wins=0))) == []


def test_the_label_bet_rolls_back_at_one_over_alpha() -> None:
    """And the budget it used is the share of that evidence."""
    verdict = decide(_POLICY, _canary(worse=50.0))
    assert (_gates(verdict), verdict.decision, verdict.budget_used) == (["winrate_seq"], "roll_back", 1.0)
    almost = decide(_POLICY, _canary(worse=49.0))
    assert almost.decision == "promote"
    assert almost.budget_used == pytest.approx(0.98)


@pytest.mark.parametrize(
    "changes",
    [
        {"canary_trades": 499},
        {"not_worse": 19.9},
        {"by_metric": _UNSEEN | {"markout": 50.0}},
        {"by_metric": _UNSEEN | {"fill": 50.0}},
        {"sample_ratio": 1_000.0},
    ],
)
def test_a_canary_is_promoted_by_all_of_its_evidence_or_not(changes: dict[str, Any]) -> None:
    """Too few trades, evidence that is short, an execution metric that is worse, or routing that is broken: hold."""
    verdict = decide(_POLICY, _canary(**changes))
    assert verdict.decision == "hold"
    assert not verdict.is_inconclusive


def test_a_canary_at_its_cap_is_inconclusive_and_never_promoted_for_it() -> None:
    """By trades or by time; also an empty one."""
    undecided = replace(_CANARY, not_worse=1.0)
    assert decide(_POLICY, Evidence(replace(undecided, canary_trades=2_000, canary_wins=1_100))).is_inconclusive
    assert decide(_POLICY, Evidence(undecided, elapsed_seconds=7 * 86_400.0)).is_inconclusive
    empty = _POLICY.canary_trial("salt").evidence()
    verdict = decide(_POLICY, Evidence(empty, elapsed_seconds=7 * 86_400.0))
    assert (verdict.decision, verdict.is_inconclusive) == ("hold", True)
    assert not decide(_POLICY, Evidence(_CANARY, elapsed_seconds=7 * 86_400.0)).is_inconclusive


def test_a_shadow_is_rejected_by_evidence_and_promoted_by_enough_of_it() -> None:
    """Worse rolls back whatever else it shows; few candidates, or little evidence, wait."""
    worse = decide(_POLICY, Evidence(replace(_SHADOW, worse=20.0)))
    assert (worse.decision, _gates(worse)) == ("roll_back", ["shadow_quality"])
    money = decide(_POLICY, Evidence(replace(_SHADOW, money_worse=20.0)))
    assert (money.decision, _gates(money)) == ("roll_back", ["shadow_money"])
    assert decide(_POLICY, Evidence(replace(_SHADOW, candidates=1_999))).decision == "hold"
    assert decide(_POLICY, Evidence(replace(_SHADOW, not_worse=19.0))).decision == "hold"


def test_drift_delays_a_shadow_and_withdraws_what_trades() -> None:
    """Over its line for drift_minutes; before that it only delays a promotion; unarmed it is nothing."""
    for drift, shadow, canary in (
        (_OVER, "hold", "roll_back"),
        (replace(_OVER, over_seconds=1_799.0), "hold", "hold"),
        (replace(_OVER, is_armed=False), "promote", "promote"),
        (replace(_OVER, value=0.3), "promote", "promote"),
    ):
        guards = Guards(drifts=(drift,))
        assert decide(_POLICY, Evidence(_SHADOW, guards)).decision == shadow
        assert decide(_POLICY, Evidence(_CANARY, guards)).decision == canary
    (breach,) = decide(_POLICY, Evidence(_ACTIVE, Guards(drifts=(_OVER,)))).breaches
    assert (breach.gate, breach.reason, breach.limit) == ("psi_feature", "psi_feature_spread", 0.3)


@pytest.mark.parametrize(
    ("gate", "guards", "harmless"),
    [
        ("onnx_parity_fail", Guards(parity_failures=1), Guards()),
        ("calibration", Guards(ece=0.06, ece_rows=1_000), Guards(ece=0.06, ece_rows=999)),
        ("throughput", Guards(entries_per_hour=151, previous_entries_p95=100), Guards(entries_per_hour=151)),
        ("throughput", Guards(entries_per_hour=1, previous_entries_p95=0), Guards(0, (), 150, 100)),
        ("markout", Guards(markout_bps=-2.1, markout_fills=100), Guards(markout_bps=-2.1, markout_fills=99)),
        ("fill_rate", Guards(fill_rate=0.04, fill_orders=100), Guards(fill_rate=0.04, fill_orders=99)),
        ("precision_halt", Guards(precision=0.2, precision_floor=0.25), Guards(precision=0.25, precision_floor=0.25)),
    ],
)
def test_each_hard_guard_withdraws_what_trades_and_only_watches_when_told(
    gate: str, guards: Guards, harmless: Guards
) -> None:
    """The gate decides, the same figures within the limit or from too few rows do not; observed, it decides nothing."""
    for found in (_CANARY, _ACTIVE):
        verdict = decide(_POLICY, Evidence(found, guards))
        assert (verdict.decision, _gates(verdict)) == ("roll_back", [gate])
        assert decide(_POLICY, Evidence(found, harmless)).breaches == ()
        watching = replace(_POLICY, observe=frozenset({gate}))
        observed = decide(watching, Evidence(found, guards))
        assert observed.decision == decide(_POLICY, Evidence(found)).decision
        assert [breach.gate for breach in observed.observed] == [gate]


def test_a_shadow_answers_for_its_own_parity_and_calibration_alone() -> None:
    """It trades nothing, so it has neither throughput nor markout."""
    bad = Guards(0, (), 999, 1, -50.0, 999, 0.0, 999, precision=0.0, precision_floor=0.5)
    assert decide(_POLICY, Evidence(_SHADOW, bad)).decision == "promote"
    assert _gates(decide(_POLICY, Evidence(_SHADOW, Guards(parity_failures=2)))) == ["onnx_parity_fail"]
    assert _gates(decide(_POLICY, Evidence(replace(_SHADOW, calibration=1e5)))) == ["calibration"]


def test_the_detector_and_the_calibration_of_an_active_version_send_it_back() -> None:
    """At the mean number of candidates between false alarms."""
    verdict = decide(_POLICY, Evidence(replace(_ACTIVE, detector=100_000.0)))
    assert (verdict.decision, _gates(verdict), verdict.budget_used) == ("roll_back", ["post_promotion"], 1.0)
    assert _gates(decide(_POLICY, Evidence(replace(_ACTIVE, calibration=100_000.0)))) == ["calibration"]


def test_a_verdict_shows_what_was_compared() -> None:
    """Every limit that decides has its number beside it, by the same name or the one the runbook uses."""
    canary = decide(_POLICY, _canary())
    assert canary.numbers["winrate_canary"] == pytest.approx(0.55)
    assert canary.numbers["winrate_baseline_active"] == pytest.approx(0.55)
    assert (canary.numbers["sample_canary"], canary.limits["sample_canary"]) == (600.0, 500.0)
    for found in (_SHADOW, _CANARY, _ACTIVE):
        verdict = decide(_POLICY, Evidence(found))
        evidences = {name for name in verdict.limits if name.startswith("evidence_")}
        assert evidences <= set(verdict.numbers)


@given(
    st.floats(0, 1e6), st.floats(0, 1e6), st.integers(0, 3_000), st.floats(0, 1), st.floats(0, 1),
    st.frozensets(st.sampled_from(["winrate_delta", "winrate_seq"])),
)  # fmt: skip
def test_no_breach_that_decides_is_ever_outvoted(
    worse: float, not_worse: float, trades: int, own: float, others: float, observe: frozenset[str]
) -> None:
    """Whatever the evidence: rolled back just where a deciding gate is broken, and each gate is told once."""
    policy: Policy = replace(_POLICY, observe=observe)
    found = _canary(
        worse=worse, not_worse=not_worse, canary_trades=trades, canary_wins=int(own * trades), active_trades=1_000,
        active_wins=int(others * 1_000),
    )  # fmt: skip
    verdict = decide(policy, found)
    assert (verdict.decision == "roll_back") == bool(verdict.breaches)
    assert not {breach.gate for breach in verdict.observed} - observe
    assert not {breach.gate for breach in verdict.breaches} & observe
    assert 0.0 <= verdict.budget_used <= 1.0
    assert not (verdict.is_inconclusive and verdict.decision != "hold")

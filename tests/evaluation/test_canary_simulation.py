"""The compiled canary is the trial's and the verdict's, float for float, and errs as seldom as promised."""

import numpy as np
import pytest

from config.release_sections import Release
from evaluation.canary_simulation import Limits, Scenario, draw, fold, last_gaps, simulate
from evaluation.verdict import Evidence, decide
from tests.evaluation.observations import SALT, observed

_POLICY = Release(min_sample=150, winrate_delta_pp=6.0, seq_min_sample=20, cap_trades=300).policy()
_LIMITS = (150, 0.06, 0.02, 0.05, 20)


@pytest.mark.parametrize("has_executions", [False, True])
@pytest.mark.parametrize(("worse", "seed"), [(0.0, 1), (0.08, 2), (0.15, 3), (-0.15, 4), (-0.12, 5)])
def test_compiled_and_scalar_agree_to_the_last_bit(worse: float, seed: int, has_executions: bool) -> None:
    """Evidence after the last trade, and the canary trade at which each rule decided."""
    scenario = Scenario(worse=worse, fraction=0.2, has_executions=has_executions)
    trades = draw(scenario, 300, seed)
    trial, first = _POLICY.canary_trial(SALT), {"winrate_delta": 0, "winrate_seq": 0, "roll_back": 0, "promote": 0}
    for seen in observed(trades, 0.2, has_executions=has_executions):
        trial.take(seen)
        verdict = decide(_POLICY, Evidence(trial.evidence()))
        said = {breach.gate for breach in verdict.breaches} | {verdict.decision}
        if first["roll_back"]:
            said.discard("promote")
        for each in said & set(first):
            first[each] = first[each] or trial.canary_trades
    ended = fold(trades.is_canary, trades.values, 0.2, has_executions, *_LIMITS)
    if has_executions:  # markouts are told in bps, so their last bit may be rounded otherwise
        assert ended[4:] == pytest.approx((trial.worse_peak, trial.not_worse.peak), rel=1e-9)
    else:
        assert ended[4:] == (trial.worse_peak, trial.not_worse.peak)
    assert ended[:3] == (first["winrate_delta"], first["winrate_seq"], first["roll_back"])
    assert ended[3] == first["promote"]


def test_the_same_seed_is_the_same_canaries() -> None:
    """And another seed is others."""
    runs = [simulate(Scenario(), Limits(cap_trades=100, min_sample=40), 50, seed).rolled_back for seed in (1, 1, 2)]
    assert (runs[0] == runs[1]).all()
    assert not (runs[0] == runs[2]).all()


def test_drawn_canaries_are_what_the_scenario_says() -> None:
    """Share, win rates and bursts."""
    trades = draw(Scenario(worse=0.1, fraction=0.2, regime=0.0), 20_000, 3)
    won = trades.values[:, 0]
    assert trades.is_canary.sum() == 20_000
    assert trades.is_canary.mean() == pytest.approx(0.2, abs=0.005)
    assert won[~trades.is_canary].mean() - won[trades.is_canary].mean() == pytest.approx(0.1, abs=0.02)
    neighbours = np.corrcoef(won[:-1], won[1:])[0, 1]
    assert neighbours > 0.15


def test_verdicts_on_canaries_err_as_seldom_as_promised() -> None:
    """Small seeded form of benchmarks.verdict_errors, by the limits of config."""
    policy = Release().policy()
    limits = Limits(
        policy.min_sample, policy.winrate_delta, policy.alpha, policy.alpha_promote, policy.seq_min_sample,
        policy.cap_trades,
    )  # fmt: skip
    assert limits == Limits()
    equal, worse, bad = (simulate(Scenario(worse=points), limits, 600, 1) for points in (0.0, 0.08, 0.15))
    assert equal.rate() <= 0.05
    assert (equal.promoted > 0).mean() >= 0.85
    assert worse.rate() >= 0.99
    assert worse.median() <= 400
    assert bad.median() <= 120


def test_a_canary_without_a_rollback_has_no_median() -> None:
    """Never is longer than any number of trades."""
    assert simulate(Scenario(worse=-0.2), Limits(cap_trades=60, min_sample=50), 20, 1).median() == np.inf


def test_last_gaps_tell_when_the_rule_could_last_fire() -> None:
    """The rule fires by min_sample on just where the last gap is not before it."""
    deltas = np.array([0.05, 0.1])
    last = last_gaps(Scenario(fraction=0.2), 300, deltas, 60, 7)
    for column, delta in enumerate(deltas.tolist()):
        limits = Limits(min_sample=120, delta=delta, cap_trades=300)
        fired = simulate(Scenario(fraction=0.2), limits, 60, 7).seed > 0
        assert (fired == (last[:, column] >= 120)).all()

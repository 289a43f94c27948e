"""Trials fold observations: what counts, what is left aside, and that a restart changes no float."""

import json
import math
from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.shadow_pairs import EQUAL, WORSE, draw
from evaluation import canary_simulation
from evaluation.canary_simulation import Scenario
from evaluation.errors import BadSample
from evaluation.trials import ActiveTrial, CanaryTrial, Executed, Judged, Routed, ShadowTrial
from tests.evaluation.observations import SALT, observed

_P = st.floats(0.0, 1.0)
_ROUTED = st.builds(
    Routed, st.sampled_from([SALT, "other"]), st.sampled_from([0.0, 0.1, 0.5, 1.0]), st.booleans(), st.booleans(),
    st.booleans(),
)  # fmt: skip
_EXECUTED = st.builds(
    Executed, st.sampled_from([SALT, "other"]), st.sampled_from([0.0, 0.1]), st.booleans(),
    st.sampled_from(["markout", "fill", "latency"]), st.floats(0.0, 1.0),
)  # fmt: skip
_JUDGED = st.builds(Judged, st.booleans(), _P, st.booleans(), st.one_of(st.none(), _P), st.booleans())


_PAIRED = st.builds(Judged, st.booleans(), _P, st.booleans(), _P, st.booleans())


def _canary() -> CanaryTrial:
    return CanaryTrial(SALT, 0.05, 5)


@given(st.lists(st.one_of(_ROUTED, _EXECUTED)), st.lists(st.one_of(_ROUTED, _EXECUTED)))
def test_a_canary_killed_anywhere_goes_on_float_for_float(
    before: list[Routed | Executed], after: list[Routed | Executed]
) -> None:
    """State through JSON and back, then the rest: the same trial as without a break."""
    whole, again = _canary(), _canary()
    for seen in before:
        whole.take(seen)
    again.restore(json.loads(json.dumps(whole.state())))
    for seen in after:
        whole.take(seen)
        again.take(seen)
    assert again == whole
    assert again.evidence() == whole.evidence()


def _goes_on(made: Callable[[], ShadowTrial | ActiveTrial], before: list[Judged], after: list[Judged]) -> None:
    whole, again = made(), made()
    for seen in before:
        whole.take(seen)
    again.restore(json.loads(json.dumps(whole.state())))
    for seen in after:
        whole.take(seen)
        again.take(seen)
    assert again == whole


@given(st.lists(_PAIRED), st.lists(_PAIRED))
def test_a_shadow_s_trial_goes_on_float_for_float(before: list[Judged], after: list[Judged]) -> None:
    """As the canary's does."""
    _goes_on(lambda: ShadowTrial(0.003, 0.05, 50, 20.0), before, after)


@given(st.lists(_JUDGED), st.lists(_JUDGED))
def test_an_active_version_s_trial_goes_on_float_for_float(before: list[Judged], after: list[Judged]) -> None:
    """As the canary's does, with and without a version beside it."""
    _goes_on(lambda: ActiveTrial(0.05), before, after)


@given(st.lists(st.one_of(_ROUTED, _EXECUTED)))
def test_only_this_canary_counts(rows: list[Routed | Executed]) -> None:
    """What another salt drew, or no draw at all, changes one counter and nothing else."""
    mixed, own = _canary(), _canary()
    for seen in rows:
        mixed.take(seen)
        if seen.salt == SALT and 0.0 < seen.fraction < 1.0:
            own.take(seen)
    assert replace(mixed.evidence(), foreign=0) == own.evidence()
    assert mixed.foreign == sum(seen.salt != SALT or not 0.0 < seen.fraction < 1.0 for seen in rows)


def test_a_rejected_candidate_counts_for_the_sample_ratio_alone() -> None:
    """It was routed, and traded by nobody."""
    trial = _canary()
    for _ in range(9):
        trial.take(Routed(SALT, 0.1, True, is_approved=False, has_won=True))
    found = trial.evidence()
    assert (found.candidates, found.canary_candidates, found.canary_trades, found.not_worse) == (9, 9, 0, 1.0)
    assert found.sample_ratio > 10.0


def test_an_unseen_metric_keeps_evidence_one() -> None:
    """Without orders the win rate brings at most 0.4 of its evidence, and the others their 0.6 of nothing."""
    trial = CanaryTrial(SALT, 0.05, 0)
    for seen in observed(canary_simulation.draw(Scenario(worse=0.2), 60, 1), 0.1):
        trial.take(seen)
    assert trial.winrate.worse.evidence > 1.0
    last = 0.4 * trial.winrate.worse.evidence + 0.6
    assert trial.evidence().worse >= last
    assert set(trial.evidence().by_metric) == {"winrate", "markout", "fill", "latency"}
    assert trial.evidence().by_metric["fill"] == 1.0


def test_the_label_bet_waits_for_its_sample() -> None:
    """However bad the first trades are, evidence counts from seq_min_sample canary trades on."""
    trial = CanaryTrial(SALT, 0.05, 50)
    for index in range(490):
        trial.take(Routed(SALT, 0.1, index % 10 == 0, is_approved=True, has_won=index % 10 != 0))
    assert (trial.canary_trades, trial.evidence().worse) == (49, 0.0)
    trial.take(Routed(SALT, 0.1, is_canary=True, is_approved=True, has_won=False))
    assert trial.evidence().worse > 50.0


def test_a_markout_that_is_worse_by_route_is_evidence() -> None:
    """A canary whose fills are run over, at the same win rate."""
    trial = CanaryTrial(SALT, 0.05, 0)
    for index in range(6_000):
        is_canary = index % 7 == 0
        trial.take(Executed(SALT, 1 / 7, is_canary, "markout", (-2.0 if is_canary else 0.5) + (index % 5 - 2)))
    assert trial.evidence().by_metric["markout"] > 1_000.0
    assert trial.evidence().by_metric["winrate"] == 1.0


@pytest.mark.parametrize(("metric", "value"), [("markout", math.nan), ("markout", math.inf), ("fill", 1.5)])
def test_a_value_that_is_none_is_refused_and_changes_nothing(metric: str, value: float) -> None:
    """One NaN would end the evidence for good."""
    trial = _canary()
    with pytest.raises(BadSample, match=metric):
        trial.take(Executed(SALT, 0.1, True, metric, value))  # type: ignore[arg-type]
    assert trial == _canary()


def test_scores_that_are_no_probabilities_are_refused_and_change_nothing() -> None:
    """By the shadow's trial and the active one's; a shadow also wants both judgements."""
    for bad in (math.nan, -0.1, 1.1):
        for made in (lambda: ShadowTrial(0.003, 0.05, 50, 20.0), lambda: ActiveTrial(0.05)):
            trial = made()
            with pytest.raises(BadSample, match="probabilities"):
                trial.take(Judged(True, 0.5, True, bad, True))
            assert trial == made()
    with pytest.raises(BadSample, match="both versions"):
        ShadowTrial(0.003, 0.05, 50, 20.0).take(Judged(True, 0.5, True))


def test_an_identical_shadow_is_never_worse_and_soon_not_worse() -> None:
    """Its differences are all 0: no evidence against it, and by the margin every candidate speaks for it."""
    trial = ShadowTrial(0.003, 0.05, 2_000, 20.0)
    for seen in draw(EQUAL, 1_500, 2).seen:
        trial.take(replace(seen, probability=seen.other_probability or 0.0, approves=seen.other_approves))
    found = trial.evidence()
    assert (found.worse, found.money_worse, found.disagreements, found.brier_gap) == (1.0, 1.0, 0, 0.0)
    assert found.not_worse > 20.0


def test_the_worse_shadow_wins_two_and_a_half_points_less() -> None:
    """What the benchmark calls 2.5 points worse is that, by each model's own choice of candidates."""
    active_wins, active, shadow_wins, shadow = draw(WORSE, 200_000, 1).winrate_gap()
    assert active_wins / active - shadow_wins / shadow == pytest.approx(0.025, abs=0.004)


def test_shadow_verdicts_err_as_seldom_as_promised() -> None:
    """Small seeded form of benchmarks.verdict_errors: 60 worse and 60 equal shadows, 2,000 candidates each."""
    found = {}
    for noise in (WORSE, EQUAL):
        found[noise] = 0
        for seed in range(60):
            trial = ShadowTrial(0.003, 0.05, 2_000, 20.0)
            for seen in draw(noise, 2_000, seed).seen:
                trial.take(seen)
            found[noise] += trial.worse_peak >= 20.0
    assert found[WORSE] >= 57
    assert found[EQUAL] <= 3


def test_an_active_version_that_breaks_is_found() -> None:
    """Against the version before: 3,000 equal candidates, then worse ones."""
    trial = ActiveTrial(0.05)
    for seen in draw(EQUAL, 3_000, 3).seen:
        trial.take(seen)
    assert trial.evidence().detector < 100_000.0
    for seen in draw(WORSE, 6_000, 4).seen:
        trial.take(seen)
    assert trial.evidence().detector >= 100_000.0
    assert trial.evidence().compared == 9_000


def test_an_active_version_alone_has_no_detector() -> None:
    """Without a version beside it only its calibration is watched."""
    trial = ActiveTrial(0.05)
    for seen in draw(EQUAL, 200, 3).seen:
        trial.take(replace(seen, other_probability=None))
    found = trial.evidence()
    assert (found.candidates, found.compared, found.detector) == (200, 0, 0.0)
    assert found.calibration > 0.0


def test_neighbours_that_share_one_outcome_are_one_piece_of_evidence() -> None:
    """Sixty candidates within a horizon are one draw of the market: all are counted, the bets are as with one of each.

    Two versions that are equal differ on neighbours in one way, so taking each as news would withdraw either of them.
    """
    shadow, alone = ShadowTrial(0.003, 0.05, 2_000, 20.0), ShadowTrial(0.003, 0.05, 2_000, 20.0)
    active, active_alone = ActiveTrial(0.05), ActiveTrial(0.05)
    for horizon in range(100):
        has_won = horizon % 2 == 0
        p, other = (0.55, 0.5) if horizon % 4 < 2 else (0.5, 0.55)
        for second in range(60):
            seen = Judged(has_won, p, True, other, False, second == 0)
            shadow.take(seen)
            active.take(seen)
            if seen.is_apart:
                alone.take(seen)
                active_alone.take(seen)
    assert (shadow.candidates, active.compared) == (6_000, 6_000)
    found, wanted = shadow.evidence(), alone.evidence()
    assert (found.worse, found.not_worse, found.money_worse) == (wanted.worse, wanted.not_worse, wanted.money_worse)
    assert active.evidence().detector == active_alone.evidence().detector < 1_000.0

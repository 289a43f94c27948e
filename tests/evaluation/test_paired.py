"""Bets on two models that judge the same candidates."""

import json
import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evaluation.paired import (
    BRIER_STAKES,
    ORDER_STAKES,
    CalibrationBet,
    EDetector,
    GateBet,
    HorizonBet,
    Ordering,
    PairedBet,
    Spread,
    brier_difference,
)

_P = st.floats(0.0, 1.0)
_GAINS = st.lists(st.floats(-1.0, 1.0), max_size=120)


@given(_P, _P, st.sampled_from([0.0, 1.0]))
def test_the_brier_difference_is_that_and_within_its_bound(p: float, other: float, y: float) -> None:
    """Against the plain formula; the bound holds for both labels."""
    difference, bound = brier_difference(p, other, y)
    assert difference == pytest.approx((p - y) ** 2 - (other - y) ** 2, abs=1e-12)
    assert abs(difference) <= bound + 1e-12
    assert bound == pytest.approx(max(abs(brier_difference(p, other, label)[0]) for label in (0.0, 1.0)))


@given(st.lists(st.tuples(_P, _P, st.booleans()), max_size=60))
def test_ordering_stays_within_its_bound_and_a_model_ties_with_itself(rows: list[tuple[float, float, bool]]) -> None:
    """The bound is told before the label; equal scores give 0."""
    ordering, itself = Ordering(), Ordering()
    for p, other, won in rows:
        gain, bound = ordering.take(p, other, float(won))
        assert abs(gain) <= bound + 1e-12
        assert itself.take(p, p, float(won)) == (0.0, 0.0)


def test_ordering_does_not_mind_a_shrunk_score() -> None:
    """A score drawn in to half its spread orders as before: after a while its gains are about 0."""
    rng = np.random.default_rng(1)
    ordering, scores = Ordering(), np.clip(rng.normal(0.5, 0.1, 4_000), 0.01, 0.99).tolist()
    gains = [ordering.take(0.5 + (p - 0.5) / 2, p, float(rng.random() < p))[0] for p in scores]
    assert abs(float(np.mean(gains[2_000:]))) < 2e-3


def test_spread_is_the_deviation_of_recent_scores() -> None:
    """After many scores a standard score has mean 0 and deviation 1."""
    rng = np.random.default_rng(2)
    spread = Spread()
    standard = [spread.standard(p) for p in rng.normal(0.6, 0.05, 5_000).tolist()][2_000:]
    assert abs(float(np.mean(standard))) < 0.1
    assert float(np.std(standard)) == pytest.approx(1.0, abs=0.05)


@given(_GAINS)
def test_wealth_stays_above_zero_and_finite(gains: list[float]) -> None:
    """Of every bet, for any gains within their bound."""
    bets = [PairedBet(BRIER_STAKES), HorizonBet(60, 1.88), PairedBet(ORDER_STAKES)]
    for gain in gains:
        for bet in bets:
            bet.take(gain, 1.0)
    assert all(0.0 < bet.evidence < float("inf") for bet in bets)


@given(_GAINS, _GAINS)
def test_restored_bets_go_on_float_for_float(before: list[float], after: list[float]) -> None:
    """State through JSON and back changes no bit of what follows."""
    makers = (lambda: PairedBet(BRIER_STAKES), lambda: HorizonBet(100, 1.88), lambda: EDetector(ORDER_STAKES))
    for made in makers:
        whole = made()
        for gain in before:
            whole.take(gain, 1.0)
        again = made()
        again.restore(json.loads(json.dumps(whole.state())))
        for gain in after:
            whole.take(gain, 1.0)
            again.take(gain, 1.0)
        assert again == whole


def test_a_horizon_bet_decides_at_its_horizon_as_a_fixed_test_would() -> None:
    """1,000 gains with a mean 3.5 standard errors over 0: nearly always at 20; with mean 0: seldom; none behind it."""
    rng = np.random.default_rng(3)
    reached = {0.0: 0, 3.5: 0}
    for errors in reached:
        for _ in range(150):
            bet, peak = HorizonBet(1_000, 1.88), 0.0
            for gain in np.clip(0.25 * (rng.normal(size=1_000) + errors / np.sqrt(1_000)), -1, 1).tolist():
                bet.take(gain, 1.0)
                peak = max(peak, bet.evidence)
            reached[errors] += peak >= 20.0
    assert reached[0.0] <= 11
    assert reached[3.5] >= 135
    before = bet.evidence
    bet.take(1.0, 1.0)
    assert bet.evidence == before


def test_the_detector_has_no_inertia() -> None:
    """After 20,000 good candidates a change is found as soon as after none."""
    rng = random.Random(4)
    delays = []
    for good in (0, 20_000):
        detector, after = EDetector(ORDER_STAKES), 0
        for _ in range(good):
            detector.take(rng.gauss(-0.05, 0.2), 2.0)
        assert detector.evidence < 1_000.0
        while detector.evidence < 100_000.0:
            detector.take(rng.gauss(0.1, 0.2), 2.0)
            after += 1
        delays.append(after)
    assert delays[1] < 2 * delays[0]


def test_the_gate_bet_counts_disagreements_alone() -> None:
    """Candidates that both take, or neither, are no rows; trades lost alone are evidence against."""
    rng = random.Random(5)
    gate = GateBet()
    for _ in range(2_000):
        gate.take(True, True, float(rng.random() < 0.6))
        gate.take(False, False, 1.0)
    assert (gate.rows, gate.worse_evidence, gate.better_evidence) == (0, 1.0, 1.0)
    for _ in range(600):
        gate.take(True, False, float(rng.random() < 0.4))
    assert gate.rows == 600
    assert gate.worse_peak > 20.0 > gate.better_peak


def test_calibration_is_watched_beyond_its_margin() -> None:
    """Scores 3 points too high are within a margin of 5; 12 points too high are found; an order turned round too."""
    rng = np.random.default_rng(6)
    p = np.clip(rng.normal(0.55, 0.15, 20_000), 0.02, 0.98)
    found = {}
    for name, truth in (("near", p - 0.03), ("far", p - 0.12), ("flat", 0.55 + (p - 0.55) * -0.2)):
        bet = CalibrationBet(0.05)
        for score, won in zip(p.tolist(), (rng.random(p.size) < truth).tolist(), strict=True):
            bet.take(score, float(won))
        found[name] = bet.peak
    assert found["near"] < 100_000.0 < min(found["far"], found["flat"])

"""The threshold sweep against a plain count, and the choice of tau."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evaluation.errors import BadRule, BadSample
from evaluation.intervals import wilson
from evaluation.thresholds import choose_tau, sweep

_PAIRS = st.lists(st.tuples(st.integers(0, 30), st.booleans()), min_size=1, max_size=120)


@given(_PAIRS)
def test_sweep_equals_a_plain_count(pairs: list[tuple[int, bool]]) -> None:
    """Each row of the table counts what p >= tau would take, at every distinct float32 score."""
    p = np.array([score / 30 for score, _ in pairs])
    y = np.array([won for _, won in pairs])
    narrow = p.astype(np.float32)
    table = sweep(p, y)
    assert table.tau.tolist() == np.unique(narrow).astype(float).tolist()
    for row, tau in enumerate(table.tau):
        taken = narrow >= tau
        assert table.rows[row] == taken.sum()
        assert table.share[row] == taken.mean()
        assert table.precision[row] == pytest.approx(y[taken].mean())
        assert table.wilson_low[row] == wilson(y[taken].sum(), taken.sum())[0]


@given(_PAIRS, st.floats(0.05, 1.0), st.integers(1, 40))
def test_choice_is_the_lowest_threshold_that_qualifies(
    pairs: list[tuple[int, bool]], target: float, min_samples: int
) -> None:
    """No lower threshold reaches the target with enough signals; None when no threshold does."""
    table = sweep([score / 30 for score, _ in pairs], [won for _, won in pairs])
    qualifies = [
        float(tau)
        for tau, rows, precision in zip(table.tau, table.rows, table.precision, strict=True)
        if precision >= target and rows >= min_samples
    ]
    choice = choose_tau(table, target, min_samples)
    assert (choice.tau if choice else None) == (min(qualifies) if qualifies else None)


def test_a_thinned_sweep_spreads_its_points_over_the_rows() -> None:
    """Fifty points of 10,000 scores start at the lowest and step by about 200 rows."""
    rng = np.random.default_rng(5)
    p = rng.random(10_000)
    table = sweep(p, rng.random(10_000) < p, points=50)
    assert len(table) == 50
    assert table.rows[0] == 10_000
    assert np.diff(table.rows).min() >= -210
    assert (np.diff(table.tau) > 0).all()


def test_a_thinned_sweep_is_a_subset_of_the_full_one() -> None:
    """Thinning drops rows of the table and changes none."""
    rng = np.random.default_rng(6)
    p = np.round(rng.random(500), 2)
    y = rng.random(500) < p
    full, thin = sweep(p, y), sweep(p, y, points=7)
    rows_at = dict(zip(full.tau.tolist(), full.rows.tolist(), strict=True))
    assert [rows_at[tau] for tau in thin.tau.tolist()] == thin.rows.tolist()


def test_tau_is_decided_in_float32() -> None:
    """A tau from float64 scores takes the same rows when the live float32 score is compared with it."""
    p = np.array([0.1, 0.7, 0.7 + 1e-12, 0.9])
    choice = choose_tau(sweep(p, [0, 1, 1, 1]), target_precision=1.0, min_samples=1)
    assert choice is not None
    assert choice.rows == 3
    assert choice.tau == float(np.float32(0.7))
    assert int((p.astype(np.float32) >= choice.tau).sum()) == choice.rows


def test_a_lucky_tail_is_not_chosen() -> None:
    """Two wins on top do not make a threshold when ten signals are wanted."""
    p = np.linspace(0.1, 0.9, 40)
    y = np.r_[np.zeros(38), np.ones(2)]
    assert choose_tau(sweep(p, y), target_precision=0.9, min_samples=10) is None
    assert choose_tau(sweep(p, y), target_precision=0.9, min_samples=2) is not None


def test_one_class_samples_have_an_answer() -> None:
    """All wins: everything is taken. All losses: nothing qualifies."""
    everything = choose_tau(sweep([0.2, 0.8], [1, 1]), 0.5, 1)
    assert everything is not None
    assert (everything.tau, everything.share) == (float(np.float32(0.2)), 1.0)
    assert choose_tau(sweep([0.2, 0.8], [0, 0]), 0.5, 1) is None


def test_bad_rules_and_samples_are_refused() -> None:
    """Targets outside (0, 1], no samples and no points are refused with the value found."""
    table = sweep([0.5], [1])
    for target in (0.0, 1.2, float("nan")):
        with pytest.raises(BadRule, match="target_precision"):
            choose_tau(table, target, 1)
    with pytest.raises(BadRule, match="min_samples must be 1 or more, was 0"):
        choose_tau(table, 0.5, 0)
    with pytest.raises(BadRule, match="points must be 1 or more, was 0"):
        sweep([0.5], [1], points=0)
    with pytest.raises(BadSample):
        sweep([], [])

"""One entry's barriers and gains, held to the compiled labels to the bit, and importable without numba."""

import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from market import label_kernel
from market.barriers import STOP, TARGET, TIMEOUT, BarrierRule, barrier_ticks, gains_bps
from market.events import BadRule
from market.labels import triple_barrier
from tests.market.test_labels import NO_BLACKOUT, SECOND, X
from tests.style_bar import ROOT

RULE = BarrierRule(tp_pct=0.01, sl_pct=0.01, horizon_seconds=10.0)
FEE = X.taker_fee_bps * 1e-4

prices = st.integers(min_value=2, max_value=60_000_000)
sides = st.sampled_from([1, -1])
shares = st.floats(min_value=1e-7, max_value=0.4)
rules = st.builds(BarrierRule, tp_pct=shares, sl_pct=shares, horizon_seconds=st.just(10.0), net_of_fees=st.booleans())


@given(prices, sides, rules)
def test_barriers_are_the_label_kernels(entry: int, side: int, rule: BarrierRule) -> None:
    """The same products, rounded the same way, for any price and share."""
    barriers = label_kernel.Barriers(*rule.factors(side, FEE), 0, 0)
    upper, lower = label_kernel._levels(side * entry, barriers)
    assert barrier_ticks(entry, side, rule, FEE) == (side * upper, side * lower)


@given(st.integers(min_value=1_000, max_value=2_000_000), sides, rules, st.integers(-20, 20))
def test_a_labelled_entry_ends_and_gains_as_its_barriers_say(
    entry: int, side: int, rule: BarrierRule, moved: int
) -> None:
    """Whatever price comes: it is target, stop or neither by the two prices, and both gains are equal to the bit."""
    target, stop = barrier_ticks(entry, side, rule, FEE)
    for price in (target, target - side, stop, stop + side, entry + moved):
        if price < 1:
            continue
        left = np.array([entry, price, price], np.int32)
        labels = triple_barrier(
            np.array([0, 1, 11], np.int64) * SECOND, left, left, np.array([0], np.int64), np.array([0], np.int64),
            np.array([side], np.int8), rule, X, NO_BLACKOUT,
        )  # fmt: skip
        beyond = side * price >= side * target
        wanted = TARGET if beyond else STOP if side * price <= side * stop else TIMEOUT
        assert labels.outcome[0] == wanted
        assert (float(labels.gross_bps[0]), float(labels.net_bps[0])) == gains_bps(entry, price, side, FEE)


def test_a_barrier_is_at_least_a_tick_away() -> None:
    """A share smaller than a tick still asks for one."""
    assert barrier_ticks(10, 1, replace(RULE, tp_pct=1e-9, sl_pct=1e-9), 0.0) == (11, 9)
    assert barrier_ticks(10, -1, replace(RULE, tp_pct=1e-9, sl_pct=1e-9), 0.0) == (9, 11)


def test_a_barrier_on_a_tick_stays_there() -> None:
    """10000 * 1.001 is a little more than 10010 in floats, and 10010 is meant."""
    assert barrier_ticks(10_000, 1, replace(RULE, tp_pct=0.001, sl_pct=0.001), 0.0) == (10_010, 9_990)


def test_fees_are_paid_on_both_prices() -> None:
    """1 % up at 5 bps a leg: 100 bps before fees, 5 and 5.05 less after."""
    gross, net = gains_bps(1_000, 1_010, 1, 5e-4)
    assert gross == pytest.approx(100.0)
    assert net == pytest.approx(100.0 - 5.0 - 5.05)


def test_the_rule_names_itself() -> None:
    """As cards write it."""
    assert RULE.id == "tp 0.01, sl 0.01, 10 s, before fees"
    assert RULE.horizon_ns == 10 * SECOND


def test_a_share_of_nothing_is_refused() -> None:
    """More of this in test_labels; the class lives here."""
    with pytest.raises(BadRule, match="sl_pct must be a share between 0 and 1, was 0"):
        replace(RULE, sl_pct=0.0)


def test_numba_stays_out() -> None:
    """Three live services import this and may not pay for a compiler."""
    look = "import sys, market.barriers, market.feature_spec, evaluation.calibration; print('numba' in sys.modules)"
    ran = subprocess.run([sys.executable, "-c", look], cwd=ROOT, capture_output=True, text=True, check=True)
    assert ran.stdout == "False\n"

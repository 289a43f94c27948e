"""The table of false rollbacks: what it says, between its lines too, and that it can be measured again."""

import math
import runpy
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evaluation import false_rollback_table as table
from evaluation.errors import BadRule
from evaluation.false_rollback import lookup, measure, write_table

_RATES = np.asarray(table.RATES)


def test_the_table_s_own_settings_are_its_own_rates() -> None:
    """At every knot."""
    for row, fraction in enumerate(table.FRACTIONS):
        for line, min_sample in enumerate(table.MIN_SAMPLES):
            for column, delta in enumerate(table.DELTAS):
                assert lookup(min_sample, delta, fraction) == pytest.approx(_RATES[row, line, column], abs=1e-12)


@given(st.integers(1, 5_000), st.floats(0.005, 0.5), st.floats(0.01, 0.99))
def test_a_longer_sample_and_a_wider_margin_never_cost_more(min_sample: int, delta: float, fraction: float) -> None:
    """Also between the lines and outside them."""
    rate = lookup(min_sample, delta, fraction)
    assert 0.0 <= rate <= 1.0
    assert lookup(min_sample * 2, delta, fraction) <= rate + 1e-12
    assert lookup(min_sample, delta * 1.5, fraction) <= rate + 1e-12


def test_the_runbook_s_settings_cost_what_was_measured() -> None:
    """500 trades and 5 points are within 5 %, 200 and 5 points are not; at half of the signals not even the first."""
    assert lookup(500, 0.05, 0.1) < 0.05 < lookup(200, 0.05, 0.1)
    assert lookup(500, 0.05, 0.5) > 0.05


def test_a_small_measurement_agrees_with_the_table() -> None:
    """Within five standard errors, and of the luck of bursts."""
    rates = measure([0.2], [200, 500], [0.03, 0.05], 300, 99)
    known = _RATES[table.FRACTIONS.index(0.2)]
    for line, min_sample in enumerate((200, 500)):
        for column, delta in enumerate((0.03, 0.05)):
            there = known[table.MIN_SAMPLES.index(min_sample), table.DELTAS.index(delta)]
            assert rates[0, line, column] == pytest.approx(there, abs=5 * math.sqrt(there * (1 - there) / 300))


def test_the_written_table_is_a_module_like_the_one_in_use(tmp_path: Path) -> None:
    """The same settings, rates in their shape, and no other names."""
    path = tmp_path / "table.py"
    write_table(path, canaries=2, seed=1)
    found = runpy.run_path(str(path))
    assert found["FRACTIONS"] == table.FRACTIONS
    assert np.asarray(found["RATES"]).shape == _RATES.shape
    assert (found["CANARIES"], found["SEED"]) == (2, 1)


@pytest.mark.parametrize(("min_sample", "delta", "fraction"), [(0, 0.05, 0.1), (50, 0.0, 0.1), (50, 0.05, 1.0)])
def test_settings_that_are_none_are_refused(min_sample: int, delta: float, fraction: float) -> None:
    """With the values found."""
    with pytest.raises(BadRule, match="found"):
        lookup(min_sample, delta, fraction)

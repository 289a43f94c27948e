"""Candidates found in an array and one by one are the same moments."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from market.candidates import CandidateGate, CandidateRule, select
from market.columns import BookColumns, TradeColumns
from market.events import BadRule
from market.feature_spec import COLUMN_NAMES, N_COLUMNS
from market.features import KernelState, interleave, run
from tests.market.streams import odd_markets, ordinary_market

_PRESSURE = COLUMN_NAMES.index("queue_imbalance_5")
_SPREAD = COLUMN_NAMES.index("spread_ticks")
_RULES = st.builds(
    CandidateRule,
    interval_ms=st.sampled_from([1, 100, 1_000, 60_000]),
    min_pressure=st.sampled_from([0.0, 0.1, 0.1 + 1e-9, 0.5]),
    max_spread_ticks=st.integers(0, 3),
    pressure_feature=st.sampled_from(["queue_imbalance_1", "queue_imbalance_5", "ofi_1_1s"]),
)


@given(odd_markets(), _RULES, st.data())
def test_the_gate_finds_what_select_finds(
    market: tuple[BookColumns, TradeColumns], rule: CandidateRule, data: st.DataObject
) -> None:
    """In one piece, in two pieces joined by last_bucket, and event by event through a gate that was restarted."""
    t_ns, out, valid = _rows(market)
    cut = data.draw(st.integers(0, len(t_ns)))
    index, side = select(rule, t_ns, out, valid)
    first, first_side = select(rule, t_ns[:cut], out[:cut], valid[:cut])
    last_bucket = rule.bucket(int(t_ns[first[-1]])) if len(first) else -1
    second, second_side = select(rule, t_ns[cut:], out[cut:], valid[cut:], last_bucket)
    assert [*first, *(second + cut)] == index.tolist()
    assert [*first_side, *second_side] == side.tolist()
    gate, steps = CandidateGate(rule), []
    for k in range(len(t_ns)):
        gate = CandidateGate(rule, gate.last_bucket) if k == cut else gate
        steps.append(gate.step(int(t_ns[k]), out[k], int(valid[k])))
    assert np.flatnonzero(steps).tolist() == index.tolist()
    assert [s for s in steps if s] == side.tolist()


def test_one_candidate_a_bucket_and_no_phase() -> None:
    """A process that starts late finds the same moments from its first whole bucket on."""
    t_ns, out, valid = _rows(ordinary_market(40_000, seed=2))
    rule = CandidateRule()
    index, side = select(rule, t_ns, out, valid)
    buckets = t_ns[index] // 1_000_000_000
    assert (np.diff(buckets) > 0).all()
    assert len(index) > 250
    assert set(side.tolist()) == {-1, 1}
    late = int(index[40]) - 3
    later, _ = select(rule, t_ns[late:], out[late:], valid[late:], last_bucket=int(buckets[39]))
    assert (later + late).tolist() == index[40:].tolist()


def test_the_first_event_that_fits_is_taken() -> None:
    """Neither an invalid row, nor a wide spread, nor a weak pressure; the side is the pressure's sign, 0 is long."""
    out = np.zeros((6, N_COLUMNS), np.float32)
    out[:, _SPREAD] = [1, 9, 1, 1, 1, 1]
    out[:, _PRESSURE] = [0.9, 0.9, 0.1, -0.3, 0.9, 0.0]
    valid = np.array([0, 1, 1, 1, 1, 1], np.uint8)
    t_ns = np.array([0, 1, 2, 3, 4, 1_000_000_000])
    index, side = select(CandidateRule(min_pressure=0.3 - 1e-6, max_spread_ticks=2), t_ns, out, valid)
    assert (index.tolist(), side.tolist()) == ([3], [-1])
    index, side = select(CandidateRule(max_spread_ticks=2), t_ns, out, valid)
    assert (index.tolist(), side.tolist()) == ([2, 5], [1, 1])
    assert (index.dtype, side.dtype) == (np.int64, np.int8)


def test_no_events_no_candidates() -> None:
    """An empty part of a day has none."""
    empty = np.empty((0, N_COLUMNS), np.float32)
    index, side = select(CandidateRule(), np.empty(0, np.int64), empty, np.empty(0, np.uint8))
    assert (len(index), len(side)) == (0, 0)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"interval_ms": 0}, "interval_ms must be 1 or more, was 0"),
        ({"min_pressure": -0.1}, "min_pressure must be 0 or more, was -0.1"),
        ({"min_pressure": float("nan")}, "min_pressure must be 0 or more, was nan"),
        ({"max_spread_ticks": -1}, "max_spread_ticks must be 0 or more, was -1"),
        ({"pressure_feature": "spread_bps"}, "must be one of .*queue_imbalance_5.*; was 'spread_bps'"),
    ],
)
def test_a_rule_that_cannot_be_is_refused(change: dict[str, object], message: str) -> None:
    """The message names the knob, its bound and the value found."""
    with pytest.raises(BadRule, match=message):
        CandidateRule(**change)


def test_the_id_tells_rules_apart() -> None:
    """Every knob is in it."""
    rules = [
        CandidateRule(),
        CandidateRule(interval_ms=500),
        CandidateRule(min_pressure=0.2),
        CandidateRule(max_spread_ticks=2),
        CandidateRule(pressure_feature="ofi_5_1s"),
    ]
    assert len({rule.id for rule in rules}) == len(rules)


def _rows(market: tuple[BookColumns, TradeColumns]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    events = interleave(*market)
    out, valid = np.empty((len(events), N_COLUMNS), np.float32), np.empty(len(events), np.uint8)
    run(KernelState.new(), events, out, valid)
    return np.ascontiguousarray(events[:, 0]), out, valid

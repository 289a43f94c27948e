"""The gate: a line crossed once warns, one crossed for long blocks, and only well below it all is well again."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evaluation.drift_gate import EXIT_SHARE, DriftGate, DriftView
from evaluation.drift_lines import DriftReport, FeatureDrift

MINUTE_NS = 60_000_000_000
DAY = 86_400.0
AT_NS = 10**18
OVER = FeatureDrift("x", 0.4, 0.1, 0.3, 0.2, 900.0, armed=True, state="block")
NEAR = replace(OVER, psi=0.25, state="warn")
CLEAR = replace(OVER, psi=0.01, state="ok")


def look(gate: DriftGate, found: FeatureDrift, minutes: float, span: float = DAY) -> DriftView:
    """One look so many minutes behind the first."""
    return gate.take(DriftReport(500, (found,)), AT_NS + round(minutes * MINUTE_NS), span, span)


def test_it_warns_at_once_and_blocks_when_it_stayed_over() -> None:
    """For half an hour of looks, from the first that was over."""
    gate = DriftGate(1_800.0)
    states = [look(gate, OVER, minutes).features[0].state for minutes in range(0, 31, 5)]
    assert states == ["warn"] * 6 + ["block"]
    view = look(gate, OVER, 31)
    assert view.features[0].over_since_ns == AT_NS
    assert [each.name for each in view.blocking] == ["x"]


def test_two_windows_that_share_no_row_block_before_a_longer_hold() -> None:
    """A window of ten minutes is over twice within twenty: no need to wait for thirty."""
    gate = DriftGate(1_800.0)
    assert look(gate, OVER, 0, span=600.0).features[0].state == "warn"
    assert look(gate, OVER, 9.9, span=600.0).features[0].state == "warn"
    assert look(gate, OVER, 10, span=600.0).features[0].state == "block"


def test_it_leaves_well_below_the_line_only() -> None:
    """Just under the line it is still over; from EXIT_SHARE of both lines on it begins anew."""
    gate = DriftGate(1_800.0)
    look(gate, OVER, 0)
    just_under = replace(OVER, psi=0.3 * EXIT_SHARE, state="warn")
    assert look(gate, just_under, 29).features[0].over_since_ns == AT_NS
    assert look(gate, just_under, 30).features[0].state == "block"
    by_ks = replace(CLEAR, ks=0.2 * EXIT_SHARE)
    assert look(gate, by_ks, 31).features[0].state == "block"
    left = look(gate, CLEAR, 32).features[0]
    assert (left.state, left.over_since_ns) == ("ok", 0)
    assert look(gate, OVER, 33).features[0].state == "warn"


def test_one_that_is_not_armed_warns_and_never_blocks() -> None:
    """And is named as unarmed; armed later, its time begins then."""
    gate = DriftGate(1_800.0)
    unarmed = replace(OVER, armed=False)
    for minutes in range(0, 121, 5):
        view = look(gate, unarmed, minutes)
        assert (view.features[0].state, view.blocking, view.unarmed) == ("warn", (), ("x",))
    assert look(gate, OVER, 121).features[0].state == "warn"
    assert look(gate, OVER, 151).features[0].state == "block"


def test_a_pause_between_looks_is_no_evidence() -> None:
    """A service that stood still for an hour has not seen the feature over its line for an hour."""
    gate = DriftGate(1_800.0)
    look(gate, OVER, 0)
    assert look(gate, OVER, 60).features[0].state == "warn"
    assert look(gate, OVER, 90).features[0].state == "block"


def test_a_gate_of_another_process_goes_on() -> None:
    """From what the first one remembered."""
    first = DriftGate(1_800.0)
    look(first, OVER, 0)
    second = DriftGate(1_800.0, first.looked_ns, dict(first.over_since))
    assert look(second, OVER, 30).features[0].state == "block"


@pytest.mark.parametrize(("psi", "ks", "by"), [(0.6, 0.2, "psi_feature"), (0.3, 0.4, "ks_feature")])
def test_the_gate_that_speaks_is_the_one_that_is_farther_over(psi: float, ks: float, by: str) -> None:
    """Each measured by its own line."""
    assert look(DriftGate(0.0), replace(OVER, psi=psi, ks=ks), 0).features[0].by == by


@given(st.lists(st.sampled_from([OVER, NEAR, CLEAR, replace(OVER, armed=False)]), max_size=60))
def test_a_block_has_its_half_hour_behind_it(course: list[FeatureDrift]) -> None:
    """Whatever the course: behind a block lies half an hour of looks that were armed and not clear, the first over."""
    gate = DriftGate(1_800.0)
    for k, found in enumerate(course):
        feature = look(gate, found, 5 * k).features[0]
        assert (feature.state == "ok") == (found is CLEAR)
        begin = max((j for j in range(k + 1) if course[j] is CLEAR or not course[j].armed), default=-1) + 1
        first_over = next((j for j in range(begin, k + 1) if course[j] is OVER), k + 1)
        assert bool(feature.over_since_ns) == (first_over <= k)
        assert (feature.state == "block") == (k - first_over >= 6)

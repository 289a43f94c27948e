"""The section that decides on releases: what it refuses, and the policy it comes to."""

from dataclasses import fields

import pytest
from pydantic import ValidationError

from config.release_sections import Release
from evaluation.verdict import Policy


def test_the_policy_is_in_shares_and_seconds() -> None:
    """Config speaks in points, minutes and days; the statistics do not."""
    policy = Release(winrate_delta_pp=8.0, cap_days=2.0, drift_minutes=5.0, observe=("fill_rate",)).policy()
    assert policy.winrate_delta == pytest.approx(0.08)
    assert policy.cap_seconds == 172_800.0
    assert policy.drift_seconds == 300.0
    assert policy.observe == {"fill_rate"}


def test_every_limit_of_the_policy_is_a_knob() -> None:
    """Changing any of the knobs of the same name changes the policy."""
    renamed = {"winrate_delta", "cap_seconds", "drift_seconds", "observe"}
    usual = Release()
    for name in {field.name for field in fields(Policy)} - renamed:
        value = getattr(usual, name)
        other = value * 2 if isinstance(value, int) else value * 0.9
        assert getattr(Release(**{name: other}).policy(), name) == other, name


@pytest.mark.parametrize("ramp", [(), (0.5, 0.1), (0.1, 0.1), (0.0, 0.5), (0.5, 1.1)])
def test_a_ramp_that_does_not_rise_is_refused(ramp: tuple[float, ...]) -> None:
    """With the shares it had."""
    with pytest.raises(ValidationError, match="must be shares that rise"):
        Release(ramp=ramp)


def test_an_unknown_gate_is_refused() -> None:
    """A gate that is only watched must be one there is."""
    with pytest.raises(ValidationError, match="observe"):
        Release(observe=("winrat_delta",))

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitoring.alert import duration, number

_SIZES = {"h": 3_600_000, "m": 60_000, "s": 1_000, "ms": 1}


@pytest.mark.parametrize(
    ("seconds", "told"), [(30.0, "30s"), (90.0, "90s"), (600.0, "10m"), (7_200.0, "2h"), (1.5, "1500ms"), (0.0, "0ms")]
)
def test_times_are_written_as_people_would(seconds: float, told: str) -> None:
    """In the largest unit that divides them."""
    assert duration(seconds) == told


@given(st.integers(min_value=1, max_value=10**10))
def test_a_time_is_read_back_to_the_millisecond(milliseconds: int) -> None:
    """Whatever it is."""
    found = re.fullmatch(r"(\d+)(h|m|s|ms)", duration(milliseconds / 1_000.0))
    assert found is not None
    assert int(found[1]) * _SIZES[found[2]] == milliseconds


@given(st.floats(min_value=1e-3, max_value=1e6))
def test_a_number_is_read_back(value: float) -> None:
    """To ten figures."""
    assert float(number(value)) == pytest.approx(value, rel=1e-9)

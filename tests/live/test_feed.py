from hypothesis import given
from hypothesis import strategies as st

from live.feed import Frame, Retiming

NS = st.integers(0, 2 * 10**18)


@given(NS, NS, NS)
def test_at_its_own_speed_a_recording_is_only_shifted(origin: int, begin: int, ns: int) -> None:
    """To the nanosecond, so that differences stay what they were."""
    assert Retiming(origin, begin)(ns) - ns == begin - origin


@given(NS, st.integers(0, 10**15), st.integers(0, 10**12), st.floats(0.1, 100.0))
def test_order_is_kept_at_any_speed(begin: int, passed: int, later: int, speed: float) -> None:
    """What came later still does, or at the same time."""
    retiming = Retiming(0, begin, speed)
    assert begin <= retiming(passed) <= retiming(passed + later)


def test_a_frame_speaks_for_itself_unless_told() -> None:
    """No owner, no repeat."""
    assert Frame(1, b"x")[2:] == ("", False)

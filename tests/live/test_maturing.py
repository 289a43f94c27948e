"""Outcomes come out in the order of their decisions, each when its horizon is over."""

from hypothesis import given
from hypothesis import strategies as st

from live.maturing import GRACE_NS, Maturing
from tests.live.bodies import T_NS, outcome

HORIZON_NS = 60_000_000_000


@given(st.permutations(range(20)))
def test_the_order_is_that_of_decisions(order: list[int]) -> None:
    """However they became known."""
    maturing = Maturing()
    for number in order:
        maturing.put(outcome(T_NS + number))
    found = list(maturing.ripe(T_NS + 9 + HORIZON_NS + GRACE_NS, HORIZON_NS))
    assert [each.t_ns - T_NS for each in found] == list(range(10))
    assert len(maturing) == 10


def test_what_is_known_late_counts_when_it_is_known() -> None:
    """Its market was silent; those behind it did not wait."""
    maturing = Maturing()
    maturing.put(outcome(T_NS + 5))
    now_ns = T_NS + 5 + HORIZON_NS + GRACE_NS
    assert [each.t_ns for each in maturing.ripe(now_ns, HORIZON_NS)] == [T_NS + 5]
    maturing.put(outcome(T_NS))
    assert [each.t_ns for each in maturing.ripe(now_ns, HORIZON_NS)] == [T_NS]

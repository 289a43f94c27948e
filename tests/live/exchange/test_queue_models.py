"""How places in queues move: by hand where hftbacktest's edges are copied, as properties elsewhere."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from live.exchange.queue_models import NAMES, Place, Power, RiskAverse, Through, Touch, queue_model

sizes = st.integers(0, 50).map(float)


def _place(ahead: float, printed: float = 0.0) -> Place:
    return Place(ahead, printed)


@pytest.mark.parametrize("name", NAMES)
def test_every_model_joins_behind_what_is_displayed_and_moves_on_by_prints(name: str) -> None:
    """The last place at first; a print of 3 takes 3 off."""
    model, place = queue_model(name), Place()
    model.join(place, 12.0)
    model.printed(place, 3.0)
    assert place.ahead == 9.0


def test_a_name_that_is_none_is_refused() -> None:
    """There is no default guess."""
    with pytest.raises(KeyError):
        queue_model("fifo")


def test_risk_averse_takes_cancellations_from_behind() -> None:
    """Ahead stays, until the level is smaller than it."""
    model, place = RiskAverse(), _place(6.0)
    model.changed(place, 10.0, 7.0)
    assert place.ahead == 6.0
    model.changed(place, 7.0, 2.0)
    assert place.ahead == 2.0


@pytest.mark.parametrize(("n", "left"), [(1.0, 4.0), (3.0, 5.0 - 2.0 * 0.125), (0.5, 5.0 - 2.0 * math.sqrt(0.5))])
def test_power_shares_a_cancellation_by_where_we_stand(n: float, left: float) -> None:
    """In the middle of 10, 2 canceled: (1/2)^n of them were ahead."""
    place = _place(5.0)
    Power(n).changed(place, 10.0, 8.0)
    assert place.ahead == pytest.approx(left)


def test_power_does_not_count_a_print_again_as_a_cancellation() -> None:
    """A print of 4 and then the level 4 smaller: nobody canceled."""
    model, place = Power(1.0), Place()
    model.join(place, 10.0)
    model.printed(place, 4.0)
    model.changed(place, 10.0, 6.0)
    assert (place.ahead, place.printed) == (6.0, 0.0)


def test_power_takes_what_those_behind_cannot_have_canceled_from_ahead() -> None:
    """9 of 10 ahead and 8 gone: 1 stood behind, so no more than 2 are left ahead."""
    place = _place(9.0)
    Power(3.0).changed(place, 10.0, 2.0)
    assert place.ahead == 2.0


def test_a_level_that_grew_leaves_the_place() -> None:
    """Newcomers stand behind."""
    place = _place(5.0)
    Power(3.0).changed(place, 10.0, 20.0)
    assert place.ahead == 5.0


def test_no_chance_at_all_reads_as_the_last_place() -> None:
    """An empty level that stays empty (0 of 0), and a negative share under a broken power, have no answer."""
    place = _place(0.0)
    Power(3.0).changed(place, 0.0, 0.0)
    assert place.ahead == 0.0
    place = _place(-0.25)
    Power(0.5).changed(place, 10.0, 8.0)
    assert place.ahead == 8.0


def test_an_infinite_chance_reads_as_certainty() -> None:
    """Something ahead of nothing: everything canceled was behind, and less than nothing is left."""
    place = _place(3.0)
    Power(3.0).changed(place, 0.0, 0.0)
    assert place.ahead == 0.0


def test_the_bounds_never_learn() -> None:
    """Touch is first whatever is displayed, Through is last whatever trades."""
    touch, through = Place(), Place()
    Touch().join(touch, 40.0)
    Through().join(through, 40.0)
    Touch().changed(touch, 40.0, 1.0)
    Through().changed(through, 40.0, 1.0)
    Touch().printed(touch, 2.0)
    Through().printed(through, 1e9)
    assert (touch.ahead, through.ahead) == (-2.0, math.inf)


@given(ahead=sizes, before=sizes, after=sizes, n=st.sampled_from((1.0, 3.0)))
def test_no_model_leaves_more_ahead_than_there_is_nor_more_than_risk_averse(
    ahead: float, before: float, after: float, n: float
) -> None:
    """One change of a level: power <= risk averse <= the level."""
    level = max(before, ahead)
    careful, likely = _place(ahead), _place(ahead)
    RiskAverse().changed(careful, level, after)
    Power(n).changed(likely, level, after)
    assert likely.ahead <= careful.ahead <= after or likely.ahead <= careful.ahead == ahead


@given(low=sizes, more=sizes, before=sizes, after=sizes, n=st.sampled_from((1.0, 3.0)))
def test_whoever_stood_behind_stays_behind(low: float, more: float, before: float, after: float, n: float) -> None:
    """A change of the level does not overtake."""
    high = low + more
    level = max(before, high)
    first, second = _place(low), _place(high)
    Power(n).changed(first, level, after)
    Power(n).changed(second, level, after)
    assert first.ahead <= second.ahead + 1e-9

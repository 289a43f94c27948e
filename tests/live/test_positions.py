"""Positions from reports equal positions from fills."""

from hypothesis import given
from hypothesis import strategies as st

from live.positions import MOST_ORDERS, Position, Positions
from tests.live.risk_market import report


@given(st.lists(st.tuples(st.sampled_from([1, -1]), st.integers(1, 9), st.integers(90, 110)), max_size=30))
def test_lots_are_the_sum_of_fills(fills: list[tuple[int, int, int]]) -> None:
    """And the entry price lies within the prices paid; flat has none."""
    position = Position()
    for side, lots, price in fills:
        position.fill(side, lots, price)
    assert position.lots == sum(side * lots for side, lots, _ in fills)
    assert (position.entry_ticks == 0.0) == (position.lots == 0)
    if position.lots:
        assert 90 <= position.entry_ticks <= 110


def test_adding_averages_and_turning_around_begins_anew() -> None:
    """What is closed keeps the price of what is left."""
    position = Position()
    position.fill(1, 1, 100)
    position.fill(1, 3, 104)
    assert (position.lots, position.entry_ticks) == (4, 103.0)
    position.fill(-1, 2, 200)
    assert (position.lots, position.entry_ticks) == (2, 103.0)
    position.fill(-1, 5, 110)
    assert (position.lots, position.entry_ticks) == (-3, 110)


def test_filled_lots_of_an_order_only_rise() -> None:
    """A report tells the sum so far: its rise is the fill. Real and paper are apart."""
    positions = Positions()
    assert positions.take(report("partial", 1, filled=2, leaves=3)) == 2
    assert positions.take(report("partial", 1, filled=2, leaves=3)) == 0
    assert positions.take(report("filled", 1, filled=5)) == 3
    assert positions.take(report("filled", 2, filled=1, is_real=True, side=-1)) == 1
    assert positions.take(report("canceled", 3)) == 0
    assert positions.held["BTCUSDT", False].lots == 5
    assert positions.held["BTCUSDT", True].lots == -1


def test_a_fill_told_behind_its_orders_end_adds_its_own_lots_alone() -> None:
    """The order was canceled with two lots filled; a third is told of later."""
    positions = Positions()
    assert positions.take(report("partial", 1, filled=2, leaves=3)) == 2
    assert positions.take(report("canceled", 1, filled=2)) == 0
    assert positions.take(report("partial", 1, filled=3)) == 1
    assert positions.held["BTCUSDT", False].lots == 3


def test_orders_are_forgotten_at_last() -> None:
    """Weeks of partly filled orders do not pile up."""
    positions = Positions()
    for number in range(3 * MOST_ORDERS):
        positions.take(report("partial", number, filled=1, leaves=1))
        positions.take(report("canceled", number, filled=1))
    assert len(positions._filled) == MOST_ORDERS


def test_what_was_held_is_held_again() -> None:
    """And an order in the middle of its fills goes on from there."""
    positions = Positions()
    positions.restore({("BTCUSDT", True): (5, 100.0)}, {"o1": 2})
    assert positions.take(report("filled", 1, filled=3, is_real=True, side=-1)) == 1
    assert positions.held["BTCUSDT", True] == Position(4, 100.0)

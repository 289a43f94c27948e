"""The deviation of one-second moves: sampled at whole seconds, never across a break."""

import math

import pytest

from live.moves import OneSecondMoves
from live.touches import BROKEN, WHOLE, Row
from market.events import NO_ASK_TICKS

S = 1_000_000_000


def row(second: float, mid: int, breaks: int = WHOLE) -> Row:
    """A touch of two ticks."""
    at = round(second * S)
    return Row(at, at, mid - 1, mid + 1, breaks, at)


def test_moves_are_taken_second_by_second() -> None:
    """Up and down by 10 bps each second: that is the deviation, whatever happens within a second."""
    moves = OneSecondMoves(seconds=30)
    for second in range(40):
        moves.see(row(second, 100_000 + 100 * (second % 2)))
        moves.see(row(second + 0.3, 200_000))
        moves.see(row(second + 0.6, 100_000 + 100 * (second % 2)))
    assert moves.bps == pytest.approx(10.0, rel=0.01)


def test_a_still_market_has_none() -> None:
    """Seconds without an update count as seconds in which nothing moved."""
    moves = OneSecondMoves()
    moves.see(row(0, 1_000))
    assert moves.bps is None
    moves.see(row(20, 1_000))
    assert moves.bps == 0.0


def test_one_jump_weighs_as_one_of_many() -> None:
    """A jump of 100 bps among nine still seconds."""
    moves = OneSecondMoves(seconds=10)
    moves.see(row(0, 10_000))
    moves.see(row(1, 10_000))
    moves.see(row(2, 10_100))
    moves.see(row(11, 10_100))
    assert moves.bps == pytest.approx(100.0 / math.sqrt(10))


def test_a_break_begins_anew_and_half_books_are_passed_over() -> None:
    """The move across a break is nobody's."""
    moves = OneSecondMoves(seconds=30)
    for second in range(20):
        moves.see(row(second, 10_000))
    moves.see(Row(20 * S, 20 * S, 9_999, NO_ASK_TICKS, WHOLE, 0))
    assert moves.bps == 0.0
    moves.see(row(21, 20_000, BROKEN))
    assert moves.bps is None
    moves.see(row(40, 20_000))
    assert moves.bps == 0.0

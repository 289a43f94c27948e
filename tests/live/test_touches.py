"""The history of best prices: time that does not run backwards, what breaks it, and what it remembers."""

import pytest

from live.touches import BROKEN, LOST, WHOLE, Row, Touches
from market.events import NO_ASK_TICKS, NO_BID_TICKS

SECOND = 1_000_000_000


def touches(most: int = 100) -> Touches:
    """Silences above a minute break it."""
    return Touches(60 * SECOND, most)


def test_time_is_held() -> None:
    """A venue's time that runs backwards is taken for the latest seen, as in labels."""
    of = touches()
    assert of.newest is None
    of.add(5, 1, 10, 11, resets=True)
    assert of.add(3, 2, 10, 12, resets=False) == Row(5, 2, 10, 12, WHOLE, 5)
    assert of.newest == Row(5, 2, 10, 12, WHOLE, 5)


def test_resets_silences_and_losses_break() -> None:
    """The worst of them stands before the row."""
    of = touches()
    of.add(0, 1, 10, 11, resets=False)
    assert of.add(1, 2, 10, 11, resets=True).breaks == BROKEN
    assert of.add(1 + 60 * SECOND, 3, 10, 11, resets=False).breaks == WHOLE
    assert of.add(2 + 120 * SECOND, 4, 10, 11, resets=False).breaks == BROKEN
    of.void(LOST)
    of.void(BROKEN)
    assert of.add(3 + 120 * SECOND, 5, 10, 11, resets=True).breaks == LOST
    assert of.add(4 + 120 * SECOND, 6, 10, 11, resets=False).breaks == WHOLE


def test_rows_behind_a_moment_need_the_row_before_it() -> None:
    """None before the first row; nothing behind the last."""
    of = touches()
    for k in range(3):
        of.add(k, 10 * k + 10, 10 + k, 11 + k, resets=False)
    assert of.behind(9) is None
    assert [row.bid_ticks for row in of.behind(10) or []] == [11, 12]
    assert of.behind(30) == []
    assert [row.before_ns for row in of.behind(10) or []] == [0, 1]


def test_a_missing_side_is_no_exit() -> None:
    """A long leaves at the bid, a short at the ask."""
    row = Row(0, 0, NO_BID_TICKS, 11, WHOLE, 0)
    assert (row.exit_ticks(1), row.exit_ticks(-1)) == (None, 11)
    assert Row(0, 0, 10, NO_ASK_TICKS, WHOLE, 0).exit_ticks(-1) is None


def test_moves_are_read_at_the_row_in_force() -> None:
    """From 100 to 101 is 100 bps up, and down for a short."""
    of = touches()
    of.add(0, 1, 99, 101, resets=False)
    of.add(10, 2, 100, 102, resets=False)
    of.add(30, 3, 200, 202, resets=False)
    assert of.moved_bps(5, 29, 1) == pytest.approx(100.0)
    assert of.moved_bps(5, 29, -1) == pytest.approx(-100.0)
    assert of.moved_bps(5, 29, 1, from_ticks=101.0) == pytest.approx(0.0)
    assert of.moved_bps(-1, 29, 1) is None


def test_nobody_looks_across_a_break_or_at_half_a_book() -> None:
    """Neither over it, nor at a moment within it."""
    of = touches()
    of.add(0, 1, 99, 101, resets=False)
    of.add(10, 2, 99, NO_ASK_TICKS, resets=False)
    of.add(20, 3, 99, 101, resets=True)
    of.add(30, 4, 99, 101, resets=False)
    assert of.moved_bps(5, 8, 1) == pytest.approx(0.0)
    assert of.moved_bps(5, 12, 1) is None
    assert of.moved_bps(5, 25, 1) is None
    assert of.moved_bps(20, 25, 1) == pytest.approx(0.0)
    assert of.moved_bps(10, 9, 1, from_ticks=1.0) is not None


def test_the_memory_is_bounded() -> None:
    """The newest are kept."""
    of = touches(most=10)
    for k in range(1_000):
        of.add(k, k, 10, 11, resets=False)
        assert len(of) <= 20
    assert of.behind(980) is None or len(of.behind(985) or []) == 14
    assert len(of.behind(990) or []) == 9

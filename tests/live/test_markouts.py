"""Markouts are answered when their horizon has passed, and never across what nobody saw."""

import math

import pytest

from live.markouts import HORIZONS_MS, Markouts
from live.touches import LOST, Touches

MS = 1_000_000


class Market:
    """One symbol at a tick of spread."""

    def __init__(self) -> None:
        self.touches = Touches(60_000 * MS)
        self.markouts: Markouts[str] = Markouts(self.touches)

    def row(self, ms: int, mid: int) -> dict[str, list[float]]:
        """Show a row; return what it answers."""
        row = self.touches.add(ms * MS, ms, mid - 1, mid + 1, resets=False)
        return dict(self.markouts.see(row))


def test_three_horizons_are_three_looks() -> None:
    """The mid in force 100, 500 and 1,000 ms behind the moment, in the direction of the trade."""
    market = Market()
    market.row(0, 1000)
    assert market.markouts.ask("long", 0, 1) == market.markouts.ask("short", 0, -1) == []
    assert market.row(100, 1001) == market.row(400, 1002) == {}
    assert market.row(501, 1005) == {}
    assert len(market.markouts) == 2
    answered = market.row(1_001, 2_000)
    assert answered["long"] == pytest.approx([10.0, 20.0, 50.0])
    assert answered["short"] == pytest.approx([-10.0, -20.0, -50.0])
    assert len(market.markouts) == 0


def test_a_row_at_the_horizon_itself_counts() -> None:
    """It is in force from its own time on."""
    market = Market()
    market.row(0, 1000)
    market.markouts.ask("a", 0, 1)
    for horizon in HORIZONS_MS:
        market.row(horizon, 1000 + horizon)
    assert market.row(1_001, 1000)["a"] == pytest.approx([1_000.0, 5_000.0, 10_000.0])


def test_a_question_told_late_is_answered_at_once() -> None:
    """A fill's report comes behind the rows; the history knows them."""
    market = Market()
    market.row(0, 1000)
    market.row(50, 1010)
    market.row(2_000, 1020)
    assert dict(market.markouts.ask("a", 10, 1)) == {"a": pytest.approx([100.0, 100.0, 100.0])}


def test_the_mid_to_count_from_may_be_given() -> None:
    """A candidate counts from its entry row."""
    market = Market()
    market.row(0, 1000)
    market.markouts.ask("a", 0, 1, 2_000.0)
    assert market.row(1_001, 1)["a"] == pytest.approx([-5_000.0] * 3)


def test_a_loss_between_gives_no_number() -> None:
    """What was known before it stays; what needs to look across is NaN."""
    market = Market()
    market.row(0, 1000)
    market.markouts.ask("a", 0, 1)
    market.row(150, 1001)
    market.touches.void(LOST)
    found = market.row(1_001, 1002)["a"]
    assert found[0] == pytest.approx(0.0)
    assert math.isnan(found[1]) and math.isnan(found[2])


def test_a_moment_before_the_history_gives_no_number() -> None:
    """Nobody knows the mid of then."""
    market = Market()
    market.row(5_000, 1000)
    assert all(math.isnan(value) for value in dict(market.markouts.ask("a", 10, 1))["a"])

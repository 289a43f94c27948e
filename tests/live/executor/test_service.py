"""The executor as a whole, on fake venues: the way of a signal, and every fault on the list that it must survive."""

from pathlib import Path

import pytest

from tests.live.executor.trading import ASK, BID, Trading


@pytest.fixture
def trading(tmp_path: Path) -> Trading:
    """An executor on paper, warmed up."""
    made = Trading(tmp_path)
    made.warm()
    return made


def test_an_approval_becomes_a_round_trip(trading: Trading) -> None:
    """Two rungs rest, fill, reach the target, and are closed with what they earned after fees."""
    trading.approve(1)
    first, second = trading.paper.places()
    assert (first.price_ticks, second.price_ticks) == (BID, BID - 1)
    assert first.size_lots + second.size_lots == 5
    assert [report.kind for report in trading.reports()] == ["accepted", "accepted"]
    trading.paper.fill(first.client_id)
    trading.paper.fill(second.client_id)
    trading.executor.tick()
    assert [report.kind for report in trading.reports()][2:] == ["filled", "filled"]
    trading.run(1, BID + 2_000, ASK + 2_000)
    closed = trading.reports("closed")
    assert len(closed) == 1
    assert closed[0].reason == "target"
    assert closed[0].net_quote > 0
    assert trading.paper.positions["BTCUSDT"] == 0
    assert trading.executor.status()["open_trips"] == 0

"""Surveys: sent at the start, now and then and on trouble; nothing begins before the first is done."""

from pathlib import Path

from live.exchange.protocol import Survey, Surveyed
from tests.live.executor.trading import Trading


def surveys(trading: Trading) -> int:
    """How many were sent."""
    return sum(isinstance(request, Survey) for request in trading.paper.requests)


def test_nothing_begins_before_the_venue_has_shown_what_is_ours(tmp_path: Path) -> None:
    """The warm-up gate waits for it, however long the book has been live."""
    trading = Trading(tmp_path)
    send = trading.paper.send
    trading.paper.send = lambda request: None if isinstance(request, Survey) else send(request)  # type: ignore[method-assign]
    trading.warm()
    trading.approve(1)
    assert trading.drops() == ["warmup"]
    trading.paper.send = send  # type: ignore[method-assign]
    trading.run(16)
    trading.approve(1)
    assert trading.drops() == ["warmup"]
    assert trading.executor.status()["reconciled"] == {"BTCUSDT:paper": True}


def test_surveys_come_now_and_then(tmp_path: Path) -> None:
    """Every five seconds, and one that is not answered again after fifteen."""
    trading = Trading(tmp_path)
    trading.run(0.5)
    assert surveys(trading) == 1
    trading.run(20)
    assert 4 <= surveys(trading) <= 5


def test_the_balance_of_a_survey_is_what_orders_are_sized_by(tmp_path: Path) -> None:
    """And the venue's own liquidation price is heard."""
    trading = Trading(tmp_path)
    trading.warm()
    trading.paper.balance = 70.0
    trading.run(6)
    trading.approve(1)
    assert sum(place.size_lots for place in trading.paper.places()) == 2


def test_the_venue_s_liquidation_price_closes_the_guard(tmp_path: Path) -> None:
    """Nearer than gates.near_liq_bps to the mark: nothing more is opened."""
    trading = Trading(tmp_path)
    trading.warm()
    trading.approve(1)
    for key in trading.paper.open():
        trading.paper.fill(key)
    trading.paper.liquidation = 99_000.0
    trading.run(6)
    trading.approve(1)
    assert trading.drops() == ["near_liq_guard"]
    assert "near_liq_guard{" in trading.parts.metrics.render()


def test_a_survey_that_crossed_with_a_fill_proves_nothing(tmp_path: Path) -> None:
    """Sent before, answered behind something of ours: neither a question nor a mismatch comes of it."""
    trading = Trading(tmp_path)
    trading.warm()
    trading.approve(1)
    for key in trading.paper.open():
        trading.paper.fill(key)
    trading.paper.mail.append(Surveyed("BTCUSDT", (), 0, 0.0, 0.0, 10_000.0))
    trading.executor.tick()
    trading.run(6)
    assert trading.events("ALERT") == []
    assert trading.executor.status()["positions"] == {"BTCUSDT:paper": 5}

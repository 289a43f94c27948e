"""Closing: why an entry is taken back and when a position is closed, also where market or venue are in the way."""

from pathlib import Path

import pytest

from tests.live.executor.trading import ASK, BID, Trading


@pytest.fixture
def trading(tmp_path: Path) -> Trading:
    """A warm executor that holds five lots on paper."""
    made = Trading(tmp_path)
    made.warm()
    made.approve(1)
    for key in made.paper.open():
        made.paper.fill(key)
    made.executor.tick()
    return made


def exits(trading: Trading) -> list[str]:
    """Ids of the exit orders."""
    return [place.client_id for place in trading.paper.places() if place.reduce_only]


def test_an_entry_lives_for_its_life(tmp_path: Path) -> None:
    """Canceled once it is older than ladder.life_ms, asked again only after the venue had its time."""
    trading = Trading(tmp_path)
    trading.warm()
    trading.approve(1)
    trading.run(3.5)
    assert trading.paper.cancels() == []
    trading.run(1)
    assert len(trading.paper.cancels()) == 2


def test_no_exit_goes_out_on_a_book_that_is_not_live(trading: Trading) -> None:
    """I4: behind the horizon, but the book has a gap: nothing; with the book back, at once."""
    trading.status("gap")
    for _ in range(70):
        trading.clock.advance(seconds=1)
        trading.executor.tick()
    assert exits(trading) == []
    trading.run(0.5)
    assert len(exits(trading)) == 1


def test_an_exit_that_begun_goes_on_when_the_price_comes_back(trading: Trading) -> None:
    """The stop was touched and its order missed: the position is closed all the same."""
    trading.paper.ioc_share = 0.0
    trading.run(0.5, BID - 2_000, ASK - 2_000)
    trading.paper.ioc_share = 1.0
    trading.run(1)
    assert trading.paper.positions["BTCUSDT"] == 0
    assert trading.reports("closed")[0].reason == "stop"


def test_a_refused_exit_waits_a_second(trading: Trading) -> None:
    """Neither a storm of orders nor a position forgotten."""
    trading.paper.faults.extend(["refuse"] * 3)
    trading.run(3, BID + 2_000, ASK + 2_000, each=0.1)
    assert len(exits(trading)) == 3
    trading.run(2, BID + 2_000, ASK + 2_000, each=0.1)
    assert trading.paper.positions["BTCUSDT"] == 0


def test_an_unknown_exit_is_resolved_before_the_next(trading: Trading) -> None:
    """It may have closed the position: no second one until that is known."""
    trading.paper.faults.append("lose")
    trading.paper.answers_queries = False
    trading.run(3, BID + 2_000, ASK + 2_000)
    assert len(exits(trading)) == 1
    trading.paper.answers_queries = True
    trading.run(3, BID + 2_000, ASK + 2_000)
    assert len(exits(trading)) == 1
    assert trading.reports("closed")[0].reason == "target"


def test_two_positions_of_a_symbol_close_one_by_one(trading: Trading) -> None:
    """Each by its own approval's barriers and horizon, never more than is held."""
    trading.run(10)
    trading.approve(1)
    for key in trading.paper.open():
        trading.paper.fill(key)
    trading.executor.tick()
    assert trading.paper.positions["BTCUSDT"] == 10
    trading.run(51)
    assert trading.paper.positions["BTCUSDT"] == 5
    trading.run(10)
    assert trading.paper.positions["BTCUSDT"] == 0
    assert len(trading.reports("closed")) == 2


def test_after_a_restart_positions_are_closed_by_their_rule(trading: Trading) -> None:
    """The journal has barrier and horizon: a restart neither forgets nor prolongs them."""
    trading.run(50)
    trading.restart()
    trading.run(8)
    assert exits(trading) == []
    trading.run(4)
    assert trading.paper.positions["BTCUSDT"] == 0


def test_a_stop_in_order_takes_back_what_rests(tmp_path: Path) -> None:
    """Entries are canceled, the venue is let go; positions stay for the next run."""
    trading = Trading(tmp_path)
    trading.warm()
    trading.approve(1)
    trading.stop()
    assert trading.paper.open() == []
    assert trading.paper.is_closed
    trading.start()
    assert trading.executor.status()["live_orders"] == 0
    trading.stop()

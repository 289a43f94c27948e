"""What a stranger's review found on the way of the money: orders sent twice, exits held up, restarts that forget."""

from pathlib import Path

import pytest

from live.exchange.protocol import Ended, Refused
from live.executor.ledger import NS_PER_DAY, Ledger
from live.executor.records import Money
from tests.live.executor.trading import BID, Trading


@pytest.fixture
def trading(tmp_path: Path) -> Trading:
    """A warm executor with real orders, one rung an entry."""
    made = Trading(tmp_path, {"ladder": {"rungs": 1, "life_ms": 600_000}}, real=True)
    made.warm()
    return made


def hold(trading: Trading) -> str:
    """Hold five lots at the real venue; returns the id of the entry."""
    trading.approve(1, route="full")
    (key,) = trading.venue.open()
    trading.venue.fill(key)
    trading.executor.tick()
    return key


def exits(trading: Trading) -> list[str]:
    """Ids of the exit orders sent for real."""
    return [place.client_id for place in trading.venue.places() if place.reduce_only]


def test_an_end_that_comes_twice_is_priced_again_once(trading: Trading) -> None:
    """The replacement of a post-only end has one id: it is sent once, and what it has become is not overwritten."""
    trading.approve(1, route="full")
    (key,) = trading.venue.open()
    trading.venue.orders[key].state = "canceled"
    end = Ended(key, "BTCUSDT", "canceled", 0, "EC_PostOnlyWillTakeLiquidity", 0)
    trading.venue.mail.append(end)
    trading.executor.tick()
    assert [place.client_id[-4:] for place in trading.venue.places()] == ["e0-0", "e0-1"]
    trading.venue.mail.append(end)
    trading.executor.tick()
    assert [place.client_id[-4:] for place in trading.venue.places()] == ["e0-0", "e0-1"]
    assert len(trading.reports("accepted")) == 2


def test_an_entry_that_our_own_budget_refused_does_not_hold_up_an_exit(trading: Trading) -> None:
    """The reserve is there for exits: they wait only where the venue itself said that everybody has to."""
    key = hold(trading)
    trading.venue.mail.append(Refused(key[:-1] + "9", "BTCUSDT", "rate_budget", 60.0))
    trading.run(1, BID + 2_000, BID + 2_010)
    assert len(exits(trading)) == 1
    trading.approve(1, route="full")
    assert trading.drops()[-1] == "venue_pause"


@pytest.mark.parametrize(("reason", "waits"), [("overload", False), ("rate_limit", True), ("banned", True)])
def test_exits_wait_for_a_rate_limit_and_a_ban_alone(trading: Trading, reason: str, *, waits: bool) -> None:
    """An overloaded venue lets reduce-only orders pass; to ask on behind a 429 makes a ban of it."""
    key = hold(trading)
    trading.venue.mail.append(Refused(key[:-1] + "9", "BTCUSDT", reason, 60.0))
    trading.run(1, BID + 2_000, BID + 2_010)
    assert len(exits(trading)) == (0 if waits else 1)


def test_a_real_position_is_flattened_behind_crit_although_our_market_is_gone(trading: Trading) -> None:
    """The usual cause of a CRIT is that we are blind: the last book, as far through it as may be, closes as well."""
    hold(trading)
    trading.status("stale")
    trading.clock.advance(seconds=15)
    trading.control("HALT", "CRIT", "stale_market")
    trading.executor.tick()
    (exit_order,) = [place for place in trading.venue.places() if place.reduce_only]
    assert exit_order.time_in_force == "IOC"
    assert 0 < BID - exit_order.price_ticks <= BID * trading.parts.settings.gates.fat_finger_bps * 1e-4
    assert trading.venue.positions["BTCUSDT"] == 0


def test_without_crit_a_gone_market_closes_nothing(trading: Trading) -> None:
    """A gap of a moment is no reason to sell at any price."""
    hold(trading)
    trading.status("gap")
    for _ in range(20):
        trading.clock.advance(seconds=1)
        trading.executor.tick()
    assert exits(trading) == []


def test_a_clock_set_back_over_midnight_gives_no_new_allowance(trading: Trading) -> None:
    """What was lost on a day that our clock now says is tomorrow still counts against the cap."""
    ledger = Ledger(trading.parts.symbols, 20)
    ledger.state.money["real"] = Money(day=11, by_route={"full": -150.0})
    assert ledger.day_profit(True, 11 * NS_PER_DAY) == -150.0
    assert ledger.day_profit(True, 11 * NS_PER_DAY - 1) == -150.0
    assert ledger.day_profit(True, 12 * NS_PER_DAY) == 0.0


def test_lifting_one_halt_does_not_bring_real_orders_back(trading: Trading) -> None:
    """A RESUME that names a guard, a symbol or a route is about that halt; real orders need one that names none."""
    trading.control("HALT", "CRIT", "pnl_guard")
    trading.control("HALT", "WARN", "volatility_halt", symbol="BTCUSDT")
    trading.run(120)
    trading.control("RESUME", "INFO", "volatility_halt", by="operator:ines", symbol="BTCUSDT")
    assert trading.executor.status()["mode"] == "paper"
    assert trading.executor.status()["halts"] == ["pnl_guard"]
    trading.control("RESUME", "INFO", "operator", by="operator:ines", symbol="BTCUSDT")
    assert trading.executor.status()["mode"] == "paper"
    trading.control("RESUME", "INFO", "pnl_guard", by="operator:ines")
    assert trading.executor.status()["mode"] == "real"

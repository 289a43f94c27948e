"""What a stranger's review found on the way of the money: orders sent twice, exits held up, restarts that forget."""

from pathlib import Path
from typing import Any

import pytest

from live.errors import BadApproval, StillOpen
from live.exchange.protocol import Ended, Refused, Trouble
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
    trading.clock.advance(seconds=60)
    for _ in range(40):
        trading.executor.tick()
        trading.clock.advance(seconds=0.05)
    assert exits(trading) == [], "a process that stood still waits like any other"
    for _ in range(40):
        trading.executor.tick()
        trading.clock.advance(seconds=0.05)
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


def test_trouble_in_the_same_words_is_told_once_a_minute_and_trips_each_time(trading: Trading) -> None:
    """A look that fails every second must not push halts out of what a restart reads again."""
    for _ in range(50):
        trading.venue.mail.append(Trouble("BTCUSDT", "look_no_reply", "WARN"))
        trading.run(1)
    assert len(trading.events("ALERT")) == 1
    trading.run(15)
    trading.venue.mail.append(Trouble("BTCUSDT", "look_no_reply", "WARN"))
    trading.executor.tick()
    assert len(trading.events("ALERT")) == 2
    for _ in range(2):
        trading.venue.mail.append(Trouble("BTCUSDT", "auth", "CRIT"))
        trading.run(10)
    assert trading.executor.status()["cooldown_seconds"] > 85
    assert [event.severity for event in trading.events("ALERT")] == ["WARN", "WARN", "CRIT"]


def test_a_crit_of_a_reason_nobody_listed_counts_as_other(trading: Trading) -> None:
    """Labels stay within monitoring.metrics, whoever speaks."""
    trading.control("ALERT", "CRIT", "a_reason_of_tomorrow")
    triggered = trading.parts.metrics.fail_safe_trigger_total
    assert trading.executor.status()["mode"] == "paper"
    assert triggered.labels("other")._value.get() == 1


@pytest.mark.parametrize(
    "wrong", [{"side": 0}, {"side": 2}, {"tp_pct": 0.0}, {"sl_pct": 1.0}, {"tp_pct": float("nan")}, {"horizon_ns": 0}]
)
def test_an_approval_that_makes_no_sense_is_refused_before_a_position_hangs_on_it(
    trading: Trading, wrong: dict[str, Any]
) -> None:
    """It is poison for the host to set aside; barriers that are none would end every later tick."""
    with pytest.raises(BadApproval):
        trading.approve(**{"route": "full", **wrong})
    assert trading.venue.places() == []
    trading.approve(1, route="full")
    assert len(trading.venue.places()) == 1


def test_a_symbol_that_was_traded_once_may_leave_when_nothing_of_it_is_open(tmp_path: Path) -> None:
    """Its records are read all the same; while something is open on it the start is refused, and says what to do."""
    both = Trading(tmp_path, {"ladder": {"rungs": 1}}, symbols=("BTCUSDT", "ETHUSDT"))
    both.warm()
    both.approve(1, symbol="ETHUSDT", bid_ticks=1, ask_ticks=2)
    for key in both.paper.open():
        both.paper.fill(key)
    both.executor.tick()
    both.kill()
    with pytest.raises(StillOpen, match="positions of ETHUSDT, which"):
        Trading(tmp_path)
    both.start()
    both.warm()
    both.run(61)
    assert both.reports("closed")
    both.kill()
    alone = Trading(tmp_path)
    assert alone.executor.status()["open_trips"] == 0


def test_who_stops_with_a_real_position_is_told_so(trading: Trading) -> None:
    """An order in peace takes entries back and closes nothing: a person has to know."""
    hold(trading)
    trading.stop()
    assert "5 lots of BTCUSDT" in trading.events("ALERT")[-1].text

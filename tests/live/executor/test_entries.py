"""Entries: what an approval becomes under balance, caps and depth; what is dropped, what is sent once more."""

from pathlib import Path

import pytest

from bus.streams import REPORTS
from live.exchange.protocol import Refused
from tests.live.executor.trading import BID, Trading


def warm(tmp_path: Path, sections: dict[str, dict[str, object]] | None = None, **how: object) -> Trading:
    """A warm executor."""
    made = Trading(tmp_path, sections, **how)  # type: ignore[arg-type]
    made.warm()
    return made


def test_a_poor_account_buys_what_it_can_or_nothing(tmp_path: Path) -> None:
    """Never inflated to the venue's least of 100: 3 x 80 buys two lots of 99.999, 3 x 60 one that is too small."""
    trading = warm(tmp_path)
    trading.paper.balance = 80.0
    trading.run(6)
    trading.approve(1)
    trading.paper.balance = 60.0
    trading.run(6)
    trading.approve(1)
    assert [place.size_lots for place in trading.paper.places()] == [2]
    assert trading.drops() == ["too_small"]


def test_a_short_is_sized_at_the_dearest_rung(tmp_path: Path) -> None:
    """Sells rest above the touch: the whole entry stays within the cap."""
    trading = warm(tmp_path, {"ladder": {"rungs": 3, "step_ticks": 500}})
    trading.approve(-1)
    value = sum(place.price_ticks * 0.1 * place.size_lots * 0.001 for place in trading.paper.places())
    assert 0 < value <= 500.0


def test_caps_hold_with_everything_filled(tmp_path: Path) -> None:
    """I6: approvals until the caps close; then nothing more, filled or not."""
    trading = warm(tmp_path, symbols=("BTCUSDT", "ETHUSDT"))
    for _ in range(12):
        trading.approve(1)
        for key in trading.paper.open():
            trading.paper.fill(key)
        trading.executor.tick()
    held = trading.paper.positions["BTCUSDT"]
    assert 15 < held <= 20
    assert set(trading.drops()) == {"exposure"}


def test_many_open_orders_close_the_gate(tmp_path: Path) -> None:
    """At most so many entries rest at once."""
    trading = warm(tmp_path, {"gates": {"max_open_orders": 3}})
    trading.approve(1)
    trading.approve(1)
    assert trading.drops() == ["open_notional"]


def test_the_other_way_waits_until_flat_and_cooled(tmp_path: Path) -> None:
    """flip_cooldown: while a position or entry is open, and for the configured time behind it."""
    trading = warm(tmp_path, {"gates": {"flip_cooldown_seconds": 5.0}})
    trading.approve(1)
    trading.approve(-1)
    for key in trading.paper.open():
        trading.paper.fill(key)
    trading.executor.tick()
    trading.run(1, BID + 2_000, BID + 2_010)
    assert trading.paper.positions["BTCUSDT"] == 0
    trading.approve(-1)
    trading.run(5, BID + 2_000, BID + 2_010)
    trading.approve(-1)
    assert trading.drops() == ["flip_cooldown", "flip_cooldown"]


@pytest.mark.parametrize(
    ("knob", "value", "gate"), [("daily_loss_cap", 1.5, "daily_loss_cap"), ("loss_streak", 2, "loss_streak")]
)
def test_losses_close_their_gates_over_restarts(tmp_path: Path, knob: str, value: float, gate: str) -> None:
    """Two stops: the day's cap, or the row, is full; the journal remembers it."""
    trading = warm(tmp_path, {"gates": {knob: value}})
    for _ in range(2):
        trading.approve(1)
        for key in trading.paper.open():
            trading.paper.fill(key)
        trading.executor.tick()
        trading.run(1, BID - 2_000, BID - 1_990)
        trading.run(1)
    trading.restart()
    trading.warm()
    trading.approve(1)
    assert trading.drops() == [gate]


def test_a_streak_s_pause_ends(tmp_path: Path) -> None:
    """After it entries go on, and the count begins anew."""
    trading = warm(tmp_path, {"gates": {"loss_streak": 1, "loss_streak_pause_seconds": 30.0}})
    trading.approve(1)
    for key in trading.paper.open():
        trading.paper.fill(key)
    trading.executor.tick()
    trading.run(1, BID - 2_000, BID - 1_990)
    trading.run(25)
    trading.approve(1)
    trading.run(6)
    trading.approve(1)
    assert trading.drops() == ["loss_streak"]
    assert len(trading.paper.open()) == 2


def test_what_is_sent_once_more_obeys_the_gates_and_the_ttl(tmp_path: Path) -> None:
    """Refused as post-only under a halt, or when the TTL is over: it is not sent again."""
    trading = warm(tmp_path, {"ladder": {"rungs": 1}})
    trading.paper.faults.extend(["silent", "silent"])
    trading.approve(1)
    key = trading.paper.places()[0].client_id
    trading.control("HALT", "WARN", "trade_rate")
    trading.paper.mail.append(Refused(key, "BTCUSDT", "post_only"))
    trading.run(1)
    trading.control("RESUME", "INFO", "trade_rate")
    trading.run(1)
    assert len(trading.paper.places()) == 1


def test_a_clock_set_back_renews_no_signal(tmp_path: Path) -> None:
    """Found by the simulation: an entry proven absent behind a restart was sent again with a signal of an hour ago."""
    trading = warm(tmp_path, {"ladder": {"rungs": 1}})
    trading.paper.faults.append("silent")
    trading.approve(1)
    key = trading.paper.places()[0].client_id
    trading.clock.advance(seconds=30.0)
    trading.clock.jump_wall(-3_600_000_000_000)
    trading.paper.mail.append(Refused(key, "BTCUSDT", "post_only"))
    trading.run(2)
    assert len(trading.paper.places()) == 1


def test_every_order_is_counted_in_its_bucket(tmp_path: Path) -> None:
    """exec_ladder_aggressiveness_total: nothing traded lately is low, much against a thin queue is high."""
    trading = warm(tmp_path, {"ladder": {"rungs": 1}, "gates": {"liquidity_alpha": 0.0}})
    trading.approve(1)
    for _ in range(50):
        trading.print(BID, 40_000, -1)
    trading.image(lots=2_000)
    trading.approve(1)
    text = trading.parts.metrics.render()
    assert 'exec_ladder_aggressiveness_total{bucket="low"} 1.0' in text
    assert 'exec_ladder_aggressiveness_total{bucket="high"} 1.0' in text


def test_drops_are_counted_by_gate_and_warmup_by_symbol(tmp_path: Path) -> None:
    """gate_drop_total and warmup_drop_total."""
    trading = Trading(tmp_path)
    trading.image()
    trading.approve(1)
    text = trading.parts.metrics.render()
    assert 'gate_drop_total{gate="warmup",symbol="BTCUSDT"} 1.0' in text
    assert 'warmup_drop_total{symbol="BTCUSDT"} 1.0' in text
    report = trading.reports("dropped")[0]
    assert (report.reason, report.client_id, report.id) == ("warmup", "", f"{report.approval_id}-dropped")


def test_an_approval_of_a_symbol_we_do_not_trade_is_passed_over(tmp_path: Path) -> None:
    """No report, no order, no fault."""
    trading = warm(tmp_path)
    trading.hand(trading.approval(1, symbol="ETHUSDT"))
    assert trading.reports() == []


def test_a_drop_that_was_told_is_not_judged_again_behind_a_crash(tmp_path: Path) -> None:
    """Found with kill -9 between the report and the acknowledgement: the second delivery was acted on as well."""
    trading = Trading(tmp_path)
    trading.image()
    approval = trading.approve(1, ttl_ms=500_000)
    (told,) = trading.reports("dropped")
    trading.restart()
    trading.give(REPORTS, told)
    trading.warm()
    trading.hand(approval)
    assert trading.reports() == [told]
    trading.approve(1)
    assert trading.reports("accepted") or trading.paper.places()


def test_a_drop_that_was_never_told_is_judged_behind_a_crash(tmp_path: Path) -> None:
    """The process died with the report unsaid: the redelivered approval is acted on, once."""
    trading = Trading(tmp_path)
    trading.image()
    approval = trading.approve(1, ttl_ms=500_000)
    trading.restart()
    trading.warm()
    trading.hand(approval)
    trading.hand(approval)
    assert len(trading.paper.places()) == trading.parts.settings.ladder.rungs

"""Halts and the mode: CRIT ends real orders at once, what holds survives restarts, and only a person goes back."""

import contextlib
from pathlib import Path

import pytest

from bus.messages import ControlEvent
from bus.streams import CONTROL
from live.exchange.protocol import KeepAlive, Trouble
from tests.live.executor.disks import FlakyFile
from tests.live.executor.trading import Killed, Trading

HOUR_NS = 3_600_000_000_000


@pytest.fixture
def trading(tmp_path: Path) -> Trading:
    """An executor with a real venue, warmed up."""
    made = Trading(tmp_path, real=True)
    made.warm()
    return made


def real(trading: Trading):  # type: ignore[no-untyped-def]
    """The real venue of a trading that has one."""
    assert trading.real is not None
    return trading.real


def test_routes_go_where_they_belong(trading: Trading) -> None:
    """Canary and full to the venue, paper to the paper exchange; reports say which."""
    for route in ("canary", "full", "paper"):
        trading.approve(1, route=route)
    assert len(real(trading).places()) == 4
    assert len(trading.paper.places()) == 2
    assert [(report.route, report.is_real) for report in trading.reports("accepted")][::2] == [
        ("canary", True),
        ("full", True),
        ("paper", False),
    ]


def test_crit_cancels_flattens_and_then_announces_paper(trading: Trading) -> None:
    """I7, fault 40: resting real entries canceled, positions closed reduce-only, the switch said behind that."""
    trading.approve(1, route="full")
    first, second = real(trading).places()
    real(trading).fill(first.client_id)
    trading.executor.tick()
    trading.control("HALT", "CRIT", "pnl_guard")
    assert real(trading).cancels() == [second.client_id]
    assert trading.events("MODE_SWITCH") == []
    trading.run(1)
    switch = trading.events("MODE_SWITCH")[0]
    assert (switch.source, switch.target, switch.reason) == ("real", "paper", "pnl_guard")
    assert real(trading).positions["BTCUSDT"] == 0
    assert all(place.reduce_only for place in real(trading).places()[2:])
    assert trading.reports("closed")[0].reason == "fail_safe"


def test_after_crit_nothing_real_but_reduce_only_until_a_person_resumes(trading: Trading) -> None:
    """The cooldown holds over restarts; its end alone changes nothing; an operator's RESUME does."""
    trading.control("ALERT", "CRIT", "model_error")
    trading.run(1)
    trading.approve(1, route="full")
    trading.restart()
    trading.warm()
    trading.approve(1, route="canary")
    trading.control("RESUME", "INFO", "operator", by="operator:ines")
    trading.run(60)
    trading.approve(1, route="canary")
    assert real(trading).places() == []
    trading.run(60)
    trading.approve(1, route="canary")
    assert real(trading).places() == []
    trading.control("RESUME", "INFO", "operator", by="operator:ines")
    trading.run(1)
    trading.approve(1, route="canary")
    assert len(real(trading).places()) == 2
    assert [event.target for event in trading.events("MODE_SWITCH")][-1] == "real"


def test_while_real_orders_are_taken_back_nothing_begins(trading: Trading) -> None:
    """An unknown real order keeps the switch open: approvals are dropped by the mode gate until it is resolved."""
    real(trading).faults.extend(["drop", "drop"])
    trading.approve(1, route="full")
    trading.control("ALERT", "CRIT", "model_error")
    trading.approve(1)
    assert trading.drops() == ["mode"]
    assert trading.events("MODE_SWITCH") == []
    trading.run(13)
    assert len(trading.events("MODE_SWITCH")) == 1
    trading.approve(1)
    assert len(trading.paper.places()) == 2


def test_without_flatten_a_position_waits_for_its_own_exit(tmp_path: Path) -> None:
    """fail_safe.flatten false: CRIT leaves positions to their barriers, which still close them at the venue."""
    trading = Trading(tmp_path, {"fail_safe": {"flatten": False}}, real=True)
    trading.warm()
    trading.approve(1, route="full")
    for place in real(trading).places():
        real(trading).fill(place.client_id)
    trading.executor.tick()
    trading.control("ALERT", "CRIT", "model_error")
    trading.run(5)
    assert real(trading).positions["BTCUSDT"] == 5
    trading.run(60)
    assert real(trading).positions["BTCUSDT"] == 0


def test_paper_mode_never_touches_the_real_venue(tmp_path: Path) -> None:
    """I10: exchange.mode paper with a real client handed in: not one request, whatever is approved."""
    trading = Trading(tmp_path, real=True)
    venue = real(trading)
    trading.stop()
    venue.requests.clear()
    trading.parts = type(trading.parts)(
        **{
            **{name: getattr(trading.parts, name) for name in trading.parts.__slots__},
            "settings": trading.parts.settings.model_copy(
                update={"exchange": trading.parts.settings.exchange.model_copy(update={"mode": "paper"})}
            ),
        }
    )
    trading.start()
    trading.warm()
    for route in ("canary", "full", "paper"):
        trading.approve(1, route=route)
    trading.control("ALERT", "CRIT", "model_error")
    trading.run(5)
    assert venue.requests == []
    assert len(trading.paper.places()) == 6


def test_a_halt_drops_and_cancels_in_its_scope_and_survives_a_restart(tmp_path: Path) -> None:
    """A halt of a symbol leaves the other alone; it is lifted by whom it belongs to."""
    trading = Trading(tmp_path, symbols=("BTCUSDT", "ETHUSDT"))
    trading.warm()
    trading.approve(1)
    trading.approve(1, symbol="ETHUSDT")
    trading.control("HALT", "WARN", "volatility_halt", symbol="BTCUSDT")
    assert {key.symbol for key in trading.paper.requests if type(key).__name__ == "Cancel"} == {"BTCUSDT"}
    trading.restart()
    trading.warm()
    trading.approve(1)
    trading.approve(1, symbol="ETHUSDT")
    assert trading.drops() == ["halted"]
    trading.control("RESUME", "INFO", "volatility_halt", symbol="ETHUSDT")
    trading.approve(1)
    assert trading.drops() == ["halted", "halted"]
    trading.control("RESUME", "INFO", "volatility_halt", symbol="BTCUSDT")
    trading.approve(1)
    assert trading.drops() == ["halted", "halted"]


def test_a_halt_of_a_route_leaves_the_others(trading: Trading) -> None:
    """The canary alone is halted."""
    trading.control("HALT", "WARN", "precision_halt", route="canary")
    trading.approve(1, route="canary")
    trading.approve(1, route="paper")
    assert trading.drops() == ["halted"]


def test_a_fence_takes_back_what_rests_of_the_canary_and_its_end_lets_it_trade_again(trading: Trading) -> None:
    """Risk withdraws the canary: its resting entries are canceled at once, the others rest on."""
    canary = trading.approve(1, route="canary")
    trading.run(0.5)
    other = trading.approve(1, route="paper")
    trading.run(0.5)
    assert {each.route for each in trading.reports("accepted")} == {"canary", "paper"}
    trading.control("HALT", "WARN", "winrate_seq", route="canary")
    trading.run(0.5)
    canceled = {each.approval_id for each in trading.reports("canceled")}
    assert canary.id in canceled
    assert other.id not in canceled
    trading.control("RESUME", "INFO", "winrate_seq", route="canary")
    trading.approve(1, route="canary")
    assert trading.drops() == []


def test_what_was_heard_is_not_heard_again(trading: Trading) -> None:
    """control:events is read from a while back at every start: an old CRIT begins no second cooldown."""
    trading.control("ALERT", "CRIT", "model_error", message_id="crit-1")
    trading.run(50)
    left = trading.executor.status()["cooldown_seconds"]
    trading.restart()
    trading.control("ALERT", "CRIT", "model_error", message_id="crit-1")
    assert trading.executor.status()["cooldown_seconds"] <= left


def test_a_crash_while_crit_is_heard_forgets_nothing(tmp_path: Path) -> None:
    """Found by the simulation: the event was on the journal as heard, and the fall to paper on no disk yet."""
    disk = FlakyFile()
    trading = Trading(tmp_path, real=True, journal_file=lambda: disk)
    trading.warm()

    def die() -> None:
        FlakyFile.sync(disk)
        raise Killed("synced")

    disk.sync = die  # type: ignore[method-assign]
    with pytest.raises(Killed):
        trading.control("ALERT", "CRIT", "model_error", message_id="crit-1")
    del disk.sync  # type: ignore[method-assign]
    trading.restart()
    trading.control("ALERT", "CRIT", "model_error", message_id="crit-1")
    assert trading.executor.status()["mode"] == "paper"


def test_crit_from_a_clock_behind_ours_counts(trading: Trading) -> None:
    """Found by the simulation: stamped an hour ago by a machine whose clock was set back, it was taken for history."""
    trading.clock.jump_wall(HOUR_NS)
    body = ControlEvent(
        "ALERT", "CRIT", "", "", "risk", "risk", trading.clock.wall_ns() - 3_600_000_000_000, "", "", ""
    )
    trading.give(CONTROL, body, message_id="crit-1")
    assert trading.executor.status()["mode"] == "paper"


def test_crit_of_before_a_long_stop_is_history(trading: Trading) -> None:
    """What a start reads again, from long before any cooldown or difference of clocks, begins none."""
    trading.restart()
    age_ns = 4 * 3_600_000_000_000
    body = ControlEvent("ALERT", "CRIT", "", "", "risk", "risk", trading.clock.wall_ns() - age_ns, "", "", "")
    trading.give(CONTROL, body, message_id="crit-1")
    assert trading.executor.status()["mode"] == "real"


def test_crit_that_was_said_while_nobody_listened_trips_whatever_the_clocks_say(trading: Trading) -> None:
    """An hour between the two clocks must not make it history (simulation, seed 20169)."""
    trading.restart()
    age_ns = 3_600_000_000_000
    body = ControlEvent("ALERT", "CRIT", "", "", "risk", "risk", trading.clock.wall_ns() - age_ns, "", "", "")
    trading.give(CONTROL, body, message_id="crit-2")
    assert trading.executor.status()["mode"] == "paper"


def test_a_person_may_ask_for_paper(trading: Trading) -> None:
    """MODE_SWITCH to paper by an operator acts as a trip; by anybody else it is only news."""
    trading.control("MODE_SWITCH", "INFO", "x", by="release", target="paper")
    assert trading.executor.status()["mode"] == "real"
    trading.control("MODE_SWITCH", "INFO", "x", by="operator", target="paper")
    assert trading.executor.status()["mode"] == "paper"


def test_trouble_of_the_venue_is_told_of_and_crit_trips(trading: Trading) -> None:
    """WARN is passed on; CRIT (a ban, a liquidation) is a reason to fall back."""
    real(trading).mail.append(Trouble("BTCUSDT", "stream cut", "WARN"))
    trading.executor.tick()
    assert trading.executor.status()["mode"] == "real"
    real(trading).mail.append(Trouble("BTCUSDT", "banned", "CRIT"))
    trading.run(1)
    assert trading.executor.status()["mode"] == "paper"
    assert [event.reason for event in trading.events("ALERT")] == ["venue_error", "venue_error"]


def test_the_dead_man_switch_is_held_while_orders_are_real(trading: Trading) -> None:
    """Renewed three times within its span, and let go once nothing real is alive behind a fall to paper."""
    trading.run(30)
    kept = [request for request in real(trading).requests if isinstance(request, KeepAlive)]
    assert len(kept) >= 3
    assert {request.timeout_ms for request in kept} == {30_000}
    trading.control("ALERT", "CRIT", "model_error")
    trading.run(12)
    count = len(real(trading).requests)
    trading.run(40)
    assert len(real(trading).requests) == count


def test_a_rate_limit_pauses_entries(trading: Trading) -> None:
    """Fault 30: nothing new until the venue's pause is over; cancels still go."""
    real(trading).faults.extend(["refuse", "refuse"])
    real(trading).pause_seconds = 10.0
    trading.approve(1, route="full")
    trading.approve(1, route="full")
    assert trading.drops() == ["venue_pause"]
    trading.run(11)
    trading.approve(1, route="full")
    assert trading.drops() == ["venue_pause"]


def test_metrics_say_mode_trips_and_switches(trading: Trading) -> None:
    """The runbook's counters move with what happened."""
    trading.control("ALERT", "CRIT", "model_error")
    trading.run(1)
    text = trading.parts.metrics.render()
    assert 'fail_safe_trigger_total{reason="model_error"} 1.0' in text
    assert 'mode_switch_total{from="real",to="paper"} 1.0' in text
    assert 'exchange_mode_info{mode="paper"} 1.0' in text


class DyingFile(FlakyFile):
    """A file at whose n-th write or sync the process dies, before or behind it."""

    deaths: int = -1

    def append(self, data: bytes) -> None:
        """Die, write, die."""
        self._die()
        super().append(data)
        self._die()

    def sync(self) -> None:
        """Die, sync, die."""
        self._die()
        super().sync()
        self._die()

    def _die(self) -> None:
        self.deaths -= 1
        if self.deaths == -1:
            raise Killed("at the disk")


@pytest.mark.parametrize("at", range(6))
def test_a_crit_is_not_forgotten_by_a_crash_while_it_is_heard(tmp_path: Path, at: int) -> None:
    """Killed before or behind any write that a CRIT leads to: told again after the restart, orders are paper."""
    file = DyingFile()
    trading = Trading(tmp_path, real=True, journal_file=lambda: file)
    file.deaths = at
    with contextlib.suppress(Killed):
        trading.control("ALERT", "CRIT", "model_error", message_id="crit-1")
    file.deaths = -1
    trading.restart()
    trading.control("ALERT", "CRIT", "model_error", message_id="crit-1")
    trading.run(1)
    assert trading.executor.status()["mode"] == "paper"

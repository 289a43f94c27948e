"""Real mode on a loopback exchange: a restart loop begins on paper, and CRIT ends real orders for good."""

import time
from pathlib import Path

from bus.messages import ControlEvent
from bus.publisher import Publisher
from bus.streams import CONTROL
from live.executor.records import Intent
from tests.fake_exchange.server import running
from tests.journeys.live.flow import controls
from tests.journeys.live.played import crit
from tests.journeys.live.processes import Process, Site, wait
from tests.journeys.played import journal
from tests.journeys.test_real_mode import KEYS, Trading, trading


def status(place: Site, executor: Process) -> dict[str, object]:
    """What an executor says of itself once it is ready."""
    wait(lambda: place.is_ready(executor), "the executor")
    beat = place.beat(executor)
    assert beat is not None
    return beat.status


def test_a_restart_loop_begins_on_paper(place: Site) -> None:
    """Fault 39: with one start allowed, the second begins on paper, and says so; a third shortens no cooldown."""
    with running(("BTCUSDT",), lambda: time.time_ns() // 1_000_000) as exchange:
        knobs = {
            "FEED_KIND": "binance", "EXCHANGE_MODE": "real", "EXCHANGE_VENUE": "binance",
            "EXCHANGE_REST_URL": exchange.rest_url, "FAIL_SAFE_MAX_RESTARTS": "1", **KEYS,
        }  # fmt: skip
        executor = place.start("executor", **knobs)
        found = status(place, executor)
        assert (found["mode"], found["cooldown_seconds"]) == ("real", 0.0)
        executor.kill()
        for number in (1, 2):
            executor = place.start("executor", **knobs)
            found = status(place, executor)
            wait(lambda number=number: len(switches(place)) == number, "the switch")  # type: ignore[misc]
            assert (found["mode"], found["needs_person"]) == ("paper", True)
            assert float(str(found["cooldown_seconds"])) > place.settings().fail_safe.cooldown_seconds - 60
            assert executor.end() == 0
        assert switches(place) == [("real", "paper", "restart_loop")] * 2
        # An end in order is a person's, and the window is over for him: the cooldown is not.
        patient = place.start("executor", **{**knobs, "FAIL_SAFE_MAX_RESTARTS": "1000"})
        found = status(place, patient)
        assert (found["mode"], found["needs_person"]) == ("paper", True)
        assert float(str(found["cooldown_seconds"])) > place.settings().fail_safe.cooldown_seconds - 120
        assert not any(method == "POST" and path.endswith("/order") for method, path, _ in exchange.state.log)


def switches(place: Site) -> list[tuple[str, str, str]]:
    """Every switch of the mode that was announced."""
    return [(each.source, each.target, each.reason) for each in controls(place) if each.event == "MODE_SWITCH"]


def test_crit_while_orders_rest(tmp_path: Path) -> None:
    """Fault 40: what rests is canceled, then the switch is announced; approvals trade on paper from then on."""
    with trading(tmp_path, "binance", "real") as found:
        found.acted_on(+1)
        resting = [order for order in found.account.orders if order.is_open]
        assert resting
        found.exchange.call(partly(found))
        call(found, crit())
        found.until(lambda: "MODE_SWITCH" in {event.event for event in controls(found.place)}, "the switch")
        assert not any(order.is_open for order in resting)
        found.until(lambda: found.account.position == 0, "a flat position")
        sent = len(found.account.orders)
        acted = found.acted_on(+1)
        assert len(found.account.orders) == sent
        assert not next(each for each in found.reports("accepted") if each.approval_id == acted).is_real
        told = switches(found.place)
        found.process.kill()
        assert all(order.reduce_only for order in found.account.orders if order not in resting)
        facts, _ = journal(tmp_path)
        intended = {each.client_id for each in facts if isinstance(each, Intent)}
    assert {order.client_id for order in found.account.orders} <= intended
    assert told == [("real", "paper", "operator")]


def call(found: Trading, event: ControlEvent) -> None:
    """Somebody says something on control:events."""
    publisher = Publisher(found.place.bus, "risk-played", time.time_ns)
    publisher.publish(CONTROL, event, message_id=f"played-{time.time_ns()}")
    publisher.flush()


async def partly(found: Trading) -> None:
    """The first order that rests is filled by a half."""
    order = next(order for order in found.account.orders if order.is_open)
    found.account.fill(order, str(order.size / 2))

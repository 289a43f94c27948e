"""The host while the bus is away, slow, or has lost what it held."""

import pytest

from bus.codec import decode
from bus.memory import MemoryBus
from bus.messages import ControlEvent
from bus.streams import APPROVED, CONTROL, REPORTS
from bus.streams import trade as trades
from live.errors import Fatal
from live.service import Subscription
from tests.live.hosting import Fake, Stage, approval, fake, halt, only, report, trade

TRADES = trades("BTCUSDT")
EVERYTHING = ("poll", "reclaim", "add", "ack", "last_id", "epoch", "put", "values", "depth", "dead_letter")


def take_away(bus: MemoryBus, times: int = 1_000) -> None:
    """Let no call of the bus succeed from now on."""
    for operation in EVERYTHING:
        bus.fail_next(operation, times)


def give_back(bus: MemoryBus) -> None:
    """The bus answers again."""
    bus._faults.clear()


def numbers(stage: Stage) -> list[str]:
    """The ids of the reports on the bus."""
    return [decode(entry).header.id for entry in stage.bus.recent(REPORTS, 10_000)]


def says_every_tick(service: Fake) -> None:
    """A report a tick."""
    service.out.publish(REPORTS, report(service.ticks), message_id=f"{service.ticks}")


def test_services_of_one_process_go_on_and_everything_is_on_the_streams_in_the_end() -> None:
    """In order, none missing, none twice."""
    stage = Stage()
    host = stage.host(fake("executor", on_tick=says_every_tick), fake("risk", reads=[Subscription(REPORTS, "risk")]))
    host.step()
    take_away(stage.bus)
    stage.turn(host, 3.0)
    told = len(only(host, "risk").taken)
    assert told > 60
    assert len(numbers(stage)) < told
    give_back(stage.bus)
    stage.turn(host, 2.0)
    assert numbers(stage) == [f"{each}" for each in range(1, only(host, "executor").ticks + 1)]
    assert [each.header.id for each in only(host, "risk").taken] == numbers(stage)
    assert stage.bus.depth(REPORTS, "risk").pending <= 256


@pytest.mark.parametrize("operation", ["add", "poll", "ack", "reclaim"])
def test_a_reply_that_is_lost_doubles_nothing(operation: str) -> None:
    """The same entries are given again; the bus knows them by their ids."""
    stage = Stage()
    host = stage.host(fake("executor", on_tick=says_every_tick), fake("risk", reads=[Subscription(REPORTS, "risk")]))
    for _ in range(5):
        stage.bus.fail_next(operation, reply_lost=True)
        stage.turn(host, 1.5)
    stage.turn(host, 6.0)
    assert numbers(stage) == [f"{each}" for each in range(1, only(host, "executor").ticks + 1)]
    assert [each.header.id for each in only(host, "risk").taken] == numbers(stage)


def test_the_executor_here_is_told_once_the_bus_has_been_away_for_too_long() -> None:
    """CRIT for the reason redis_error, which no stream records; and a warning for everybody when it is back."""
    stage = Stage()
    host = stage.host(fake("executor", reads=[Subscription(CONTROL)]))
    host.step()
    take_away(stage.bus)
    stage.turn(host, 4.5)
    assert only(host, "executor").bodies == []
    stage.turn(host, 2.5)
    (event,) = only(host, "executor").bodies
    assert isinstance(event, ControlEvent)
    assert (event.event, event.severity, event.reason) == ("ALERT", "CRIT", "redis_error")
    give_back(stage.bus)
    stage.turn(host, 2.0)
    recorded = [decode(entry).body for entry in stage.bus.recent(CONTROL, 10)]
    assert [(each.severity, each.reason) for each in recorded if isinstance(each, ControlEvent)] == [
        ("WARN", "redis_error")
    ]
    assert 'bus_incidents_total{kind="unavailable"} 1.0' in stage.metrics.render()


def test_a_short_outage_calls_no_crit() -> None:
    """Under redis.outage_seconds."""
    stage = Stage()
    host = stage.host(fake("executor", reads=[Subscription(CONTROL)]))
    take_away(stage.bus)
    stage.turn(host, 2.0)
    give_back(stage.bus)
    stage.turn(host, 2.0)
    events = [each for each in only(host, "executor").bodies if isinstance(each, ControlEvent)]
    assert [each.severity for each in events] == ["WARN"]


def test_a_server_that_lost_everything_is_written_to_again_and_groups_come_back() -> None:
    """Killed without persistence: what comes from then on is handled once."""
    stage = Stage()
    host = stage.host(fake("executor", on_tick=says_every_tick), name="a")
    reader = stage.host(fake("risk", reads=[Subscription(REPORTS, "risk")]), name="b")
    for _ in range(20):
        host.step()
        reader.step()
        stage.clock.advance(seconds=0.05)
    stage.bus.wipe()
    for _ in range(60):
        host.step()
        reader.step()
        stage.clock.advance(seconds=0.05)
    seen = [int(each.header.id) for each in only(reader, "risk").taken]
    assert seen == sorted(set(seen))
    assert seen[-1] >= only(host, "executor").ticks - 1


def test_the_first_message_of_a_stream_waits_unnumbered_while_the_bus_is_away() -> None:
    """Its first id cannot be had; the message is not lost."""
    stage = Stage()
    host = stage.host(fake("executor"))
    host.step()
    take_away(stage.bus)
    only(host, "executor").out.publish(REPORTS, report(), message_id="1")
    stage.turn(host, 1.0)
    give_back(stage.bus)
    stage.turn(host, 2.0)
    assert numbers(stage) == ["1"]


def test_more_than_may_wait_ends_the_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rather than dropping what others must know."""
    monkeypatch.setattr("live.outbox.MOST_DURABLE", 50)
    monkeypatch.setattr("live.outbox.MOST_MARKET", 0)
    stage = Stage()
    host = stage.host(fake("executor", on_tick=says_every_tick))
    host.step()
    take_away(stage.bus)
    with pytest.raises(Fatal, match="wait for the bus"):
        stage.turn(host, 10.0)


def test_an_approval_handled_while_the_bus_is_away_is_acknowledged_when_it_is_back() -> None:
    """Read before, answered during, acknowledged after."""
    stage = Stage()
    scorer = stage.host(fake("ai_scorer"), name="a")
    only(scorer, "ai_scorer").out.publish(APPROVED, approval(), message_id="a")
    scorer.step()

    def answers(service: Fake, received: object) -> None:
        take_away(stage.bus)
        service.out.publish(REPORTS, report(), message_id="1")

    host = stage.host(fake("executor", reads=[Subscription(APPROVED, "executor")], on_message=answers), name="b")
    stage.turn(host, 2.0)
    assert stage.bus._streams[APPROVED].groups["executor"].pending
    give_back(stage.bus)
    stage.turn(host, 2.0)
    assert stage.bus.depth(APPROVED, "executor").pending == 0
    assert numbers(stage) == ["1"]
    assert len(only(host, "executor").taken) == 1


def test_a_dead_letter_waits_for_the_bus() -> None:
    """It is set aside when the bus is back."""
    stage = Stage()

    def fails(service: Fake, received: object) -> None:
        take_away(stage.bus)
        raise ValueError("no")

    writer = stage.host(fake("executor"), name="a")
    only(writer, "executor").out.publish(REPORTS, report(), message_id="1")
    writer.step()
    host = stage.host(fake("risk", reads=[Subscription(REPORTS, "risk")], on_message=fails), name="b")
    stage.turn(host, 1.0)
    assert stage.bus.recent("dlq:" + REPORTS, 5) == [] if not stage.bus._faults else True
    give_back(stage.bus)
    stage.turn(host, 3.0)
    assert len(stage.bus.recent("dlq:" + REPORTS, 5)) == 1
    assert stage.bus.depth(REPORTS, "risk").pending == 0


def test_market_data_is_not_kept_for_ever() -> None:
    """Beyond twenty thousand the oldest goes, and is counted as lost by the hole in its numbers."""
    stage = Stage()

    def floods(service: Fake) -> None:
        stage.clock.advance(seconds=0.025)
        for _ in range(500):
            service.out.publish(TRADES, trade(), message_id="t")

    host = stage.host(fake("collector", on_tick=floods), fake("risk", reads=[Subscription(TRADES)]))
    host.step()
    take_away(stage.bus)
    stage.turn(host, 1.2)
    assert 19_000 < host.waiting <= 21_000
    give_back(stage.bus)
    stage.turn(host, 2.0)
    assert host.waiting == 0


def test_a_halt_said_while_the_bus_is_away_reaches_the_executor_here_at_once() -> None:
    """And everybody else when it is back."""
    stage = Stage()
    host = stage.host(fake("risk"), fake("executor", reads=[Subscription(CONTROL, "executor")]))
    host.step()
    take_away(stage.bus)
    only(host, "risk").out.publish(CONTROL, halt(), message_id="h")
    host.step()
    assert only(host, "executor").bodies == [halt()]
    give_back(stage.bus)
    stage.turn(host, 2.0)
    assert halt() in [decode(entry).body for entry in stage.bus.recent(CONTROL, 10)]
    assert only(host, "executor").bodies.count(halt()) == 1
    assert stage.bus.depth(CONTROL, "executor").pending == 0


def test_a_server_that_is_full_is_away_until_it_takes_something() -> None:
    """Fault 9: reading works and writing does not. One outage, told of as such, and not a new one with every try."""
    stage = Stage()
    host = stage.host(fake("executor", on_tick=says_every_tick, reads=[Subscription(CONTROL)]))
    for operation in ("add", "put", "dead_letter"):
        stage.bus.fail_next(operation, 1_000)
    stage.turn(host, 20.0)
    assert stage.metrics.bus_incidents_total.labels("unavailable")._value.get() == 1
    heard = [each for each in only(host, "executor").bodies if isinstance(each, ControlEvent)]
    assert [(each.severity, each.reason) for each in heard] == [("CRIT", "redis_error")]
    give_back(stage.bus)
    stage.turn(host, 2.0)
    assert numbers(stage) == [f"{each}" for each in range(1, only(host, "executor").ticks + 1)]

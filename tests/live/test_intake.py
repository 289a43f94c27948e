from typing import Any

import pytest
import structlog

from bus.codec import encode
from bus.errors import BusUnavailable
from bus.messages import ControlEvent
from bus.protocol import Group
from bus.streams import APPROVED, CONTROL, REPORTS, book, trade
from live.audience import audience_of
from live.handing import Delivery, Hosted
from live.intake import Intake
from live.measuring import Measures
from live.outbox import Pen
from live.service import Subscription
from live.settling import Settlement
from monitoring.scrape import Scrape
from tests.live.hosting import Fake, Stage, approval, fake, halt, only, report
from tests.live.hosting import trade as print_of

EXECUTOR = Subscription(APPROVED, group="executor")


class Gate:
    """An intake with one service behind it, and a host elsewhere that writes."""

    def __init__(self, *reads: Subscription, name: str = "executor") -> None:
        self.stage = stage = Stage()
        self.writer = stage.host(fake("ai_scorer"), fake("collector"), name="writer")
        pen = Pen(stage.bus, name, stage.clock, stage.clock)
        self.hosted = Hosted(Fake(name, pen.voice, reads), pen)
        self.settlement = Settlement(
            stage.bus, Measures(stage.metrics, stage.clock), stage.clock.mono_ns, lambda _: None
        )
        self.alerts: list[tuple[str, str]] = []
        self.intake = Intake(
            stage.bus, audience_of([(self.hosted, name, reads)], stage.bus), self.settlement, stage.clock,
            stage.metrics, structlog.wrap_logger(structlog.ReturnLogger(), processors=[]), self._alert,
            claim_seconds=5.0, max_deliveries=3, waker=None, perf=stage.clock.mono_ns,
        )  # fmt: skip

    def _alert(self, severity: str, reason: str, text: str) -> None:
        self.alerts.append((severity, reason))

    def write(self, stream: str, *bodies: Any, by: str = "ai_scorer") -> None:
        """Put messages on the bus."""
        for number, body in enumerate(bodies):
            only(self.writer, by).out.publish(stream, body, message_id=f"{number}")
        self.writer.step()

    def taken(self) -> list[Delivery]:
        """Everything that waits for the service."""
        return [self.intake.queue.take() for _ in range(len(self.intake.queue))]

    def settle(self) -> None:
        """Acknowledge what is finished."""
        self.settlement.settle([], self.intake.reader, lambda *_: None)
        self.intake.reader.flush()

    @property
    def pending(self) -> int:
        """What is not acknowledged."""
        return self.stage.bus.depth(APPROVED, "executor").pending


def test_what_is_new_is_put_before_the_service() -> None:
    """And acknowledged when it is finished."""
    gate = Gate(EXECUTOR)
    gate.write(APPROVED, approval(1), approval(2))
    gate.intake.poll(0)
    first, second = gate.taken()
    gate.intake.finish(first)
    gate.settle()
    assert gate.pending == 1
    gate.intake.finish(second)
    gate.settle()
    assert gate.pending == 0


def test_a_message_that_is_being_handled_is_not_taken_over_from_ourselves() -> None:
    """However long it takes."""
    gate = Gate(EXECUTOR)
    gate.write(APPROVED, approval())
    gate.intake.poll(0)
    assert len(gate.taken()) == 1
    gate.stage.clock.advance(seconds=60)
    gate.intake.poll(0)
    assert gate.taken() == []


def test_what_a_dead_process_left_is_taken_over_at_the_start() -> None:
    """Whatever its name was."""
    gate = Gate(EXECUTOR)
    gate.write(APPROVED, approval())
    gate.stage.bus.reader("somebody", {}, [Group(APPROVED, "executor")]).poll(0)
    gate.intake.recover()
    (delivery,) = gate.taken()
    assert delivery.received.deliveries == 2


def test_the_past_of_streams_that_are_handed_on_here_comes_in_one_order() -> None:
    """Books and prints as they were written, though they lie on two streams."""
    stage_reads = [Subscription(trade("BTCUSDT"), start="0"), Subscription(trade("ETHUSDT"), start="0")]
    stage = Stage()
    writer = stage.host(fake("collector"), name="writer")
    for number, symbol in enumerate(["BTCUSDT", "ETHUSDT", "ETHUSDT", "BTCUSDT"]):
        only(writer, "collector").out.publish(trade(symbol), print_of(number, symbol), message_id="t")
    writer.step()
    host = stage.host(fake("collector"), fake("recorder", reads=stage_reads), name="again")
    host.step()
    assert [each.trade_id for each in only(host, "recorder").bodies] == [0, 1, 2, 3]  # type: ignore[attr-defined]


def test_an_event_said_here_alone_goes_to_nobody_else() -> None:
    """No stream has it."""
    gate = Gate(Subscription(CONTROL, group="executor"))
    event = halt()
    gate.intake.tell_here(event, 5, 6)
    (delivery,) = gate.taken()
    assert (delivery.received.body, delivery.group) == (event, "")
    assert gate.stage.bus.recent(CONTROL, 5) == []


def test_a_peek_brings_control_forward_and_the_poll_does_not_bring_it_twice() -> None:
    """For one that follows and for one with a group."""
    gate = Gate(EXECUTOR, Subscription(CONTROL))
    gate.write(CONTROL, halt())
    gate.stage.clock.advance(seconds=0.01)
    gate.intake.peek()
    assert isinstance(gate.taken()[0].received.body, ControlEvent)
    gate.intake.poll(0)
    assert gate.taken() == []


@pytest.mark.parametrize("group", ["", "executor"])
def test_what_a_poll_has_brought_is_not_brought_by_a_peek(group: str) -> None:
    """The peek has a place of its own on the stream."""
    gate = Gate(EXECUTOR, Subscription(CONTROL, group=group))
    gate.write(CONTROL, halt())
    gate.intake.poll(0)
    assert len(gate.taken()) == 1
    gate.stage.clock.advance(seconds=0.01)
    gate.intake.peek()
    assert gate.taken() == []


def test_one_that_follows_and_one_with_a_group_each_get_it_once() -> None:
    """Whichever way brings it first."""
    for first in ("poll", "peek"):
        stage = Stage()
        both = [Subscription(CONTROL), Subscription(CONTROL, group="executor")]
        host = stage.host(fake("risk", reads=both[:1]), fake("executor", reads=both[1:]))
        writer = stage.host(fake("ai_scorer"), name="writer")
        only(writer, "ai_scorer").out.publish(CONTROL, halt(), message_id="h")
        writer.step()
        stage.clock.advance(seconds=0.01)
        intake = host._intake
        assert intake is not None
        if first == "peek":
            intake.peek()
        host.step()
        stage.clock.advance(seconds=0.01)
        intake.peek()
        host.step()
        assert [len(only(host, name).taken) for name in ("risk", "executor")] == [1, 1]
        assert stage.bus.depth(CONTROL, "executor").pending == 0


def test_a_peek_is_taken_at_most_every_millisecond_and_survives_a_lost_bus() -> None:
    """The next poll tells of it."""
    gate = Gate(Subscription(CONTROL))
    gate.stage.clock.advance(seconds=0.01)
    gate.stage.bus.fail_next("poll")
    gate.intake.peek()
    gate.write(CONTROL, halt())
    gate.intake.peek()
    assert gate.taken() == []
    gate.stage.clock.advance(seconds=0.01)
    gate.intake.peek()
    assert len(gate.taken()) == 1


@pytest.mark.parametrize(("stream", "alerts"), [(APPROVED, [("CRIT", "poison_message")]), (REPORTS, [])])
def test_noise_is_refused_and_told_of_where_money_is(stream: str, alerts: list[tuple[str, str]]) -> None:
    """It goes to the dead letters."""
    gate = Gate(Subscription(stream, group="executor"))
    gate.stage.bus.add([(stream, b"noise", "")])
    gate.intake.poll(0)
    gate.settle()
    assert gate.taken() == []
    assert gate.alerts == alerts
    assert gate.stage.bus.depth(stream, "executor").pending == 0
    assert Scrape(gate.stage.metrics.render()).total("messages_refused_total", reason="unreadable") == 1


def test_noise_on_a_stream_that_is_only_followed_is_counted() -> None:
    """There is nothing to acknowledge."""
    gate = Gate(Subscription(book("BTCUSDT")))
    gate.stage.bus.add([(book("BTCUSDT"), b"noise", "")])
    gate.intake.poll(0)
    assert gate.taken() == []
    assert gate.stage.bus.recent("dlq:" + book("BTCUSDT"), 5) == []
    assert Scrape(gate.stage.metrics.render()).total("messages_refused_total", reason="unreadable") == 1


def test_a_replaced_process_is_refused() -> None:
    """Its approvals are set aside; the CRIT tells of two scorers."""
    gate = Gate(EXECUTOR)
    zombie = Pen(gate.stage.bus, "ai_scorer", gate.stage.clock, gate.stage.clock)
    successor = Pen(gate.stage.bus, "ai_scorer", gate.stage.clock, gate.stage.clock)
    for number, pen in enumerate([successor, zombie]):
        gate.stage.clock.advance(seconds=0.01)
        pen.voice.publish(APPROVED, approval(number), message_id=f"{number}")
        (said,) = pen.voice.take()
        received = pen.number(said)
        gate.stage.bus.add([(APPROVED, encode(received.header, received.body), received.entry_id)])
    gate.intake.poll(0)
    (delivery,) = gate.taken()
    assert delivery.received.body == approval(0)
    assert gate.alerts == [("CRIT", "poison_message")]


def test_incidents_of_the_reader_are_counted_once_each() -> None:
    """A group that somebody removed comes back."""
    gate = Gate(EXECUTOR)
    gate.stage.bus.delete(APPROVED)
    for _ in range(3):
        gate.intake.poll(0)
    assert Scrape(gate.stage.metrics.render()).total("bus_incidents_total", kind="group_recreated") == 1


def test_closing_sends_the_last_acknowledgements() -> None:
    """And tells when it cannot."""
    gate = Gate(EXECUTOR)
    gate.write(APPROVED, approval())
    gate.intake.poll(0)
    gate.intake.finish(gate.taken()[0])
    gate.settlement.settle([], gate.intake.reader, lambda *_: None)
    gate.intake.close()
    assert gate.pending == 0
    gate = Gate(EXECUTOR)
    gate.write(APPROVED, approval(), report())
    gate.intake.poll(0)
    for delivery in gate.taken():
        gate.intake.finish(delivery)
    gate.settlement.settle([], gate.intake.reader, lambda *_: None)
    gate.stage.bus.fail_next("ack")
    with pytest.raises(BusUnavailable):
        gate.intake.close()

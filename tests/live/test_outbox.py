import pytest

from bus.codec import decode
from bus.errors import BadMessage, BusUnavailable, Fenced
from bus.memory import MemoryBus
from bus.messages import Header
from bus.streams import APPROVED, CONTROL, REPORTS
from bus.streams import trade as prints
from live.clock import ManualClock
from live.errors import Fatal
from live.outbox import MOST_DURABLE, Pen
from tests.live.hosting import approval, halt, report, trade
from tests.live.parts import START_NS


class Desk:
    """A bus with one pen on it."""

    def __init__(self, writer: str = "executor") -> None:
        self.clock = ManualClock(START_NS)
        self.bus = MemoryBus(lambda: self.clock.wall_ns() // 1_000_000)
        self.pen = Pen(self.bus, writer, self.clock, self.clock)

    def say(self, *numbers: int) -> None:
        """Say and number reports."""
        for number in numbers:
            self.pen.voice.publish(REPORTS, report(number), message_id=f"{number}")
        for each in self.pen.voice.take():
            self.pen.number(each)

    def write(self) -> None:
        """Write what is ready."""
        entries = self.pen.lay_ready()
        self.pen.written(self.bus.add(entries))

    @property
    def on_bus(self) -> list[str]:
        """The ids of the messages on the stream."""
        return [decode(entry).header.id for entry in self.bus.recent(REPORTS, 1_000)]


def test_what_is_said_is_numbered_without_a_hole_and_written_in_one_go() -> None:
    """In order."""
    desk = Desk()
    desk.say(1, 2, 3)
    assert desk.on_bus == []
    assert desk.pen.waiting == 3
    desk.write()
    assert desk.on_bus == ["1", "2", "3"]
    assert desk.pen.waiting == 0
    assert [decode(entry).header.seq for entry in desk.bus.recent(REPORTS, 9)] == [1, 2, 3]


def test_a_write_that_failed_is_given_again_with_what_came_since() -> None:
    """Whether it was carried out or not."""
    for reply_lost in (True, False):
        desk = Desk()
        desk.say(1, 2)
        desk.bus.fail_next("add", reply_lost=reply_lost)
        with pytest.raises(BusUnavailable):
            desk.write()
        desk.say(3)
        desk.write()
        assert desk.on_bus == ["1", "2", "3"]


def test_what_a_killed_server_has_lost_comes_before_what_waits() -> None:
    """In the order of the ids, each once."""
    desk = Desk()
    desk.say(1, 2)
    desk.write()
    desk.say(3)
    desk.bus.fail_next("add")
    with pytest.raises(BusUnavailable):
        desk.write()
    desk.bus.flush()
    desk.bus.restart()
    desk.bus.next_epoch("nobody")
    desk.say(4)
    desk.write()
    assert desk.on_bus == ["1", "2", "3", "4"]


def test_a_control_event_learns_its_id_when_it_is_written() -> None:
    """The server numbers it, several write that stream."""
    desk = Desk()
    for number in (1, 2):
        desk.pen.voice.publish(CONTROL, halt(number), message_id=f"{number}")
        (said,) = desk.pen.voice.take()
        received = desk.pen.number(said)
        assert received.entry_id == ""
        desk.pen.tell_id(received, [f"waits for {number}"])
    ids = desk.bus.add(desk.pen.lay_ready())
    assert desk.pen.written(ids) == [(ids[0], ["waits for 1"]), (ids[1], ["waits for 2"])]


def test_times_not_given_are_those_of_the_message_that_led_to_it() -> None:
    """Given ones stay."""
    desk = Desk()
    voice = desk.pen.voice
    voice.cause = Header(1, "candidate", "x", 1, 1, 11, 22, 33, "c")
    voice.publish(APPROVED, approval(), message_id="a")
    voice.publish(APPROVED, approval(), message_id="b", exchange_ns=1, received_ns=2)
    assert [(each.exchange_ns, each.received_ns) for each in voice.take()] == [(11, 22), (1, 2)]
    assert voice.take() == ()


def test_what_could_not_be_numbered_goes_back_before_what_was_said_since() -> None:
    """Order is kept."""
    voice = Desk().pen.voice
    for number in (1, 2):
        voice.publish(REPORTS, report(number), message_id=f"{number}")
    said = voice.take()
    voice.publish(REPORTS, report(3), message_id="3")
    voice.give_back(said)
    assert [each.message_id for each in voice.take()] == ["1", "2", "3"]


def test_a_message_too_large_is_refused_and_leaves_no_hole() -> None:
    """The next one has its number."""
    desk = Desk()
    desk.pen.voice.publish(CONTROL, halt(), message_id="x" * 2_000_000)
    (said,) = desk.pen.voice.take()
    with pytest.raises(BadMessage):
        desk.pen.number(said)
    desk.say(1)
    desk.write()
    assert decode(desk.bus.recent(REPORTS, 1)[0]).header.seq == 1


def test_a_pen_that_was_taken_over_finds_out() -> None:
    """A second later at the latest."""
    desk = Desk()
    Pen(desk.bus, "executor", desk.clock, desk.clock)
    desk.say(1)
    desk.clock.advance(seconds=2)
    with pytest.raises(Fenced):
        desk.write()


def test_who_may_not_be_dropped_waits_up_to_a_bound_and_then_the_process_ends() -> None:
    """Reports alone fill it: a bus away for days must not take the memory with it. Market data never ends it."""
    desk = Desk()
    desk.say(*range(MOST_DURABLE))
    with pytest.raises(Fatal, match="mend the bus"):
        desk.say(MOST_DURABLE)
    said = trade(1)
    desk.pen.voice.publish(prints("BTCUSDT"), said, message_id="m")
    (market,) = desk.pen.voice.take()
    assert desk.pen.number(market).body is said

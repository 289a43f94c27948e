import pytest
from prometheus_client import CollectorRegistry

from bus.codec import decode, decode_dead
from bus.errors import BusError, BusUnavailable, Fenced
from bus.memory import MemoryBus
from bus.protocol import Entry, Group
from bus.streams import APPROVED, REPORTS, dead_letters
from live.clock import ManualClock
from live.measuring import Measures
from live.outbox import Pen
from live.settling import Settlement
from monitoring.metrics import Metrics
from monitoring.scrape import Scrape
from tests.live.hosting import approval, report
from tests.live.parts import START_NS


class Table:
    """A settlement with two pens, and a reader that was given one approval."""

    def __init__(self) -> None:
        self.clock = ManualClock(START_NS)
        self.bus = MemoryBus(lambda: self.clock.wall_ns() // 1_000_000)
        self.metrics = Metrics(CollectorRegistry())
        measures = Measures(self.metrics, self.clock)
        self.settlement = Settlement(self.bus, measures, self.clock.mono_ns, lambda _: None)
        self.pens = [Pen(self.bus, name, self.clock, self.clock) for name in ("ai_scorer", "executor")]
        self.bus.add([(APPROVED, b"approval", "1-0")])
        self.reader = self.bus.reader("live", {}, [Group(APPROVED, "executor")])
        (self.entry,) = self.reader.poll(0)

    def say(self) -> None:
        """Each pen says something."""
        for pen, stream, body in zip(self.pens, (APPROVED, REPORTS), (approval(), report()), strict=True):
            pen.voice.publish(stream, body, message_id="m")
            for each in pen.voice.take():
                self.settlement.said(pen.number(each), 0, urgent=True)

    def settle(self) -> None:
        """Settle."""
        self.settlement.settle(self.pens, self.reader, lambda *_: None)
        self.reader.flush()

    @property
    def pending(self) -> int:
        """What is not acknowledged."""
        return self.bus.depth(APPROVED, "executor").pending


def test_everything_is_written_in_one_round_trip_and_then_acknowledged() -> None:
    """Whoever said it."""
    table = Table()
    table.say()
    table.settlement.finished(table.entry)
    assert table.settlement.is_pressing
    table.settle()
    assert (len(table.bus.recent(APPROVED, 9)), len(table.bus.recent(REPORTS, 9)), table.pending) == (2, 1, 0)
    assert not table.settlement.is_pressing
    assert table.settlement.since_ns is None


def test_nothing_is_acknowledged_while_its_answer_is_not_on_the_bus() -> None:
    """It is with the next settling."""
    table = Table()
    table.say()
    table.settlement.finished(table.entry)
    table.bus.fail_next("add")
    with pytest.raises(BusUnavailable):
        table.settle()
    table.reader.flush()
    assert table.pending == 1
    table.settle()
    assert table.pending == 0


def test_what_is_set_aside_is_acknowledged_by_that_and_waits_for_the_bus() -> None:
    """Each once."""
    table = Table()
    table.settlement.set_aside(table.entry, "never")
    table.bus.fail_next("dead_letter")
    with pytest.raises(BusUnavailable):
        table.settle()
    table.settle()
    table.settle()
    (dead,) = [decode_dead(entry) for entry in table.bus.recent(dead_letters(APPROVED), 9)]
    assert (dead.data, dead.error, dead.group) == (b"approval", "never", "executor")
    assert table.pending == 0


def test_approvals_are_timed_when_they_are_on_the_bus() -> None:
    """Not when they were said."""
    table = Table()
    table.say()
    table.clock.advance(seconds=0.25)
    table.settle()
    table.settle()
    shown = Scrape(table.metrics.render())
    assert shown.total("tick_to_approval_seconds_count") == 1
    assert shown.total("tick_to_approval_seconds_sum") == pytest.approx(0.25)


def test_a_stream_that_somebody_else_has_written_to_means_we_were_replaced() -> None:
    """Where the epoch says so; else it is an error that ends the process."""
    table = Table()
    table.say()
    table.bus.add([(REPORTS, b"zombie", f"{START_NS // 1_000_000 + 5_000}-0")])
    with pytest.raises(BusError, match="exec:reports"):
        table.settle()
    table.bus.next_epoch("executor")
    with pytest.raises(Fenced, match="executor is spoken for"):
        table.settle()


def test_an_entry_the_bus_has_not_shown_is_made_of_its_message() -> None:
    """The same bytes."""
    table = Table()
    table.say()
    table.settle()
    on_bus = table.bus.recent(REPORTS, 1)[0]
    again = table.settlement.entry_of(decode(on_bus), on_bus.id, "risk")
    assert again == Entry(REPORTS, on_bus.id, on_bus.data, 0, "risk")

"""Messages are numbered and written once, in order, through outages, restarts and clocks that step back."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bus.codec import decode
from bus.errors import BadMessage, BusError, BusUnavailable, Fenced
from bus.ids import parse
from bus.memory import MemoryBus
from bus.messages import Received
from bus.publisher import Publisher
from tests.bus.samples import alert, trade

S, MARKET = "sig:candidates", "md:{X}:trade"


class Wall:
    """Nanoseconds that a test turns."""

    def __init__(self) -> None:
        self.ns = 1_000_000_000_000

    def __call__(self) -> int:
        """Return the time."""
        return self.ns

    def ms(self) -> int:
        """Return the time as the bus wants it."""
        return self.ns // 1_000_000


@pytest.fixture
def wall() -> Wall:
    """Time."""
    return Wall()


@pytest.fixture
def bus(wall: Wall) -> MemoryBus:
    """An empty bus."""
    return MemoryBus(wall.ms)


def held(bus: MemoryBus, stream: str) -> list[Received]:
    """Every message on a stream."""
    return [decode(entry) for entry in bus.recent(stream, 1_000_000)]


def say(publisher: Publisher, stream: str, count: int = 1, writer: str = "") -> list[Received]:
    """Publish prints without writing them."""
    return [publisher.publish(stream, trade(n), message_id=f"m{n}", writer=writer) for n in range(count)]


def test_what_is_returned_is_what_is_on_the_stream(bus: MemoryBus, wall: Wall) -> None:
    """So a host may hand it on within the process; nothing is written before flush."""
    publisher = Publisher(bus, "engine", wall)
    said = publisher.publish(S, trade(), message_id="m", exchange_ns=7, received_ns=8)
    assert held(bus, S) == []
    publisher.flush()
    (received,) = held(bus, S)
    assert received._replace(deliveries=1) == said
    assert received.header.writer == "engine"
    assert (received.header.exchange_ns, received.header.received_ns, received.header.published_ns) == (7, 8, wall.ns)
    assert received.header.epoch == publisher.epoch == bus.epoch("engine")


def test_numbers_run_by_stream_or_by_the_writer_named(bus: MemoryBus, wall: Wall) -> None:
    """A symbol's books and prints are one sequence over two streams."""
    publisher = Publisher(bus, "collector", wall)
    say(publisher, S, 2)
    say(publisher, "md:{X}:book", 2, "collector:X")
    say(publisher, MARKET, 2, "collector:X")
    say(publisher, "exec:reports", 1)
    publisher.flush()
    seqs = {stream: [each.header.seq for each in held(bus, stream)] for stream in bus.names()}
    assert seqs == {S: [1, 2], "md:{X}:book": [1, 2], MARKET: [3, 4], "exec:reports": [1]}
    assert {each.header.writer for each in held(bus, MARKET)} == {"collector:X"}


@given(st.lists(st.integers(-5_000_000_000, 5_000_000_000), max_size=30))
def test_ids_rise_whatever_the_clock_does(steps: list[int]) -> None:
    """Also backwards, and past what the stream already held."""
    wall = Wall()
    bus = MemoryBus(wall.ms)
    bus.add([(S, b"x", "1000500-3")])
    publisher = Publisher(bus, "engine", wall)
    for step in steps:
        wall.ns = max(0, wall.ns + step)
        say(publisher, S)
        publisher.flush()
    ids = [parse(entry.id) for entry in bus.recent(S, 100)]
    assert ids == sorted(set(ids))
    assert len(ids) == len(steps) + 1


def test_control_is_numbered_by_the_server(bus: MemoryBus, wall: Wall) -> None:
    """Several services write it."""
    one, two = Publisher(bus, "risk", wall), Publisher(bus, "executor", wall)
    for publisher in (one, two, one):
        publisher.publish("control:events", alert(), message_id="m")
        publisher.flush()
    assert [(each.header.writer, each.header.seq) for each in held(bus, "control:events")] == [
        ("risk", 1), ("executor", 1), ("risk", 2),
    ]  # fmt: skip


@given(st.lists(st.sampled_from(["say", "flush", "fail", "lose"]), max_size=40))
def test_nothing_is_lost_doubled_or_reordered_by_outages(acts: list[str]) -> None:
    """Whatever fails, and whether or not the server had done it."""
    wall = Wall()
    bus = MemoryBus(wall.ms)
    publisher = Publisher(bus, "engine", wall)
    said = 0
    for act in acts:
        if act == "say":
            publisher.publish(S, trade(said), message_id=str(said))
            said += 1
        elif act == "flush":
            try:
                publisher.flush()
            except BusUnavailable:
                continue
        else:
            bus.fail_next("add", reply_lost=act == "lose")
    while publisher.waiting:
        try:
            publisher.flush()
        except BusUnavailable:
            continue
    assert [each.header.id for each in held(bus, S)] == [str(n) for n in range(said)]


def test_market_data_gives_way_and_durable_messages_do_not(bus: MemoryBus, wall: Wall) -> None:
    """The oldest prints are dropped and counted, their numbers stay a hole; a durable message is refused."""
    publisher = Publisher(bus, "collector", wall, market_limit=3, durable_limit=2)
    say(publisher, S, 1)
    say(publisher, MARKET, 5)
    say(publisher, S, 1)
    with pytest.raises(BusUnavailable, match="2 messages of collector wait"):
        say(publisher, S, 1)
    assert publisher.dropped == {MARKET: 2}
    assert publisher.waiting == 5
    publisher.flush()
    assert [each.header.seq for each in held(bus, MARKET)] == [3, 4, 5]
    assert [each.header.seq for each in held(bus, S)] == [1, 2]
    say(publisher, S, 2)
    assert publisher.waiting == 2


def test_a_newer_process_ends_the_older_one(bus: MemoryBus, wall: Wall) -> None:
    """Within a second, and for good; its successor goes on."""
    old = Publisher(bus, "executor", wall)
    new = Publisher(bus, "executor", wall)
    wall.ns += 1_000_000_000
    say(old, S)
    with pytest.raises(Fenced, match=f"epoch {new.epoch}, ours is {old.epoch}"):
        old.flush()
    say(new, S)
    new.flush()
    assert [each.header.epoch for each in held(bus, S)] == [new.epoch]
    with pytest.raises(Fenced):
        old.flush()


def test_a_clock_that_steps_back_does_not_stop_the_fence(bus: MemoryBus, wall: Wall) -> None:
    """A step either way asks at once."""
    old = Publisher(bus, "executor", wall)
    Publisher(bus, "executor", wall)
    wall.ns -= 3_600_000_000_000
    with pytest.raises(Fenced):
        old.flush()


def test_an_older_process_is_fenced_as_soon_as_the_newer_has_written(bus: MemoryBus, wall: Wall) -> None:
    """Its ids are refused by the stream, within the second as well."""
    old = Publisher(bus, "executor", wall)
    say(old, S)
    new = Publisher(bus, "executor", wall)
    wall.ns += 10_000_000
    say(new, S)
    new.flush()
    with pytest.raises(Fenced):
        old.flush()


def test_a_stranger_on_our_stream_is_an_error(bus: MemoryBus, wall: Wall) -> None:
    """Not taken for an outage, and nothing is doubled."""
    publisher = Publisher(bus, "executor", wall)
    say(publisher, S)
    bus.add([(S, b"x", "9999999999999-0")])
    with pytest.raises(BusError, match="second writer"):
        publisher.flush()


def test_a_message_too_large_takes_no_number(bus: MemoryBus, wall: Wall) -> None:
    """It is refused to the one who said it; the next one is numbered as if it had not been."""
    publisher = Publisher(bus, "executor", wall)
    with pytest.raises(BadMessage):
        publisher.publish(S, alert("x" * 2_000_000), message_id="m")
    say(publisher, S)
    publisher.flush()
    assert [each.header.seq for each in held(bus, S)] == [1]


def test_a_server_that_lost_everything_does_not_fence(bus: MemoryBus, wall: Wall) -> None:
    """Without an epoch there nobody newer has spoken, and a later start still outranks."""
    publisher = Publisher(bus, "executor", wall)
    bus.wipe()
    wall.ns += 2_000_000_000
    say(publisher, S)
    publisher.flush()
    assert Publisher(bus, "executor", wall).epoch > publisher.epoch


@given(st.lists(st.one_of(st.just("say"), st.just("tick"), st.integers(0, 6)), max_size=40), st.booleans())
def test_a_server_that_loses_its_newest_entries_gets_them_again(acts: list[str | int], control: bool) -> None:
    """However many of the last seconds' it forgets, and however often."""
    wall = Wall()
    bus = MemoryBus(wall.ms)
    publisher = Publisher(bus, "engine", wall)
    said = 0
    for act in acts:
        if act == "say":
            for stream in (S, "control:events" if control else "exec:reports"):
                publisher.publish(stream, alert(str(said)), message_id=str(said))
            said += 1
        elif act == "tick":
            wall.ns += 400_000_000
        elif isinstance(act, int) and wall.ns - 1_000_000_000_000 < 5_000_000_000:
            bus.restart(lose=act)
        publisher.flush()
    for stream in bus.names():
        assert sorted(int(each.header.id) for each in held(bus, stream)) == list(range(said))


def test_what_was_consumed_and_trimmed_is_not_given_again(bus: MemoryBus, wall: Wall) -> None:
    """The stream still knows its last id."""
    publisher = Publisher(bus, "engine", wall)
    say(publisher, S, 3)
    publisher.flush()
    bus.trim(S, "9999999999999-0")
    bus.restart()
    publisher.flush()
    assert held(bus, S) == []
    assert publisher.restored == 0


def test_nothing_is_kept_for_longer_than_the_server_needs(bus: MemoryBus, wall: Wall) -> None:
    """What was said long ago is the server's alone; market data is not kept at all."""
    publisher = Publisher(bus, "engine", wall)
    say(publisher, S, 3)
    say(publisher, MARKET, 3)
    publisher.flush()
    wall.ns += 5_000_000_000
    say(publisher, S, 1)
    publisher.flush()
    bus.wipe()
    publisher.flush()
    assert [each.header.seq for each in held(bus, S)] == [4]
    assert held(bus, MARKET) == []

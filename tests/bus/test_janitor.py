"""Streams stay short, and nothing that somebody still has to read is ever trimmed."""

from hypothesis import given
from hypothesis import strategies as st

from bus.ids import parse
from bus.janitor import Janitor
from bus.memory import MemoryBus
from bus.memory_reader import MemoryReader
from bus.protocol import Group
from bus.streams import REPORTS

S, MARKET = "sig:approved", "md:{X}:book"
DAY_MS = 86_400_000


def bus_with(stream: str, *milliseconds: int) -> MemoryBus:
    """A bus whose stream has entries at these times."""
    bus = MemoryBus(lambda: 0)
    bus.add([(stream, b"", f"{ms}-0") for ms in milliseconds])
    return bus


def left(bus: MemoryBus, stream: str) -> list[int]:
    """The times of what is left."""
    return [parse(entry.id)[0] for entry in bus.recent(stream, 1_000)]


@given(st.data())
def test_nothing_unread_is_ever_trimmed(data: st.DataObject) -> None:
    """Whatever two groups have read and acknowledged, in whatever order: what is missing still comes."""
    count = data.draw(st.integers(1, 30))
    bus = bus_with(S, *range(1, count + 1))
    readers = [bus.reader("a", {}, [Group(S, name)]) for name in "gh"]
    janitor = Janitor(bus, [], 0, durable=[S])
    acked: dict[MemoryReader, set[int]] = {reader: set() for reader in readers}
    for reader in data.draw(st.lists(st.sampled_from(readers), max_size=4)):
        entries = reader.poll(0)
        for entry in data.draw(st.lists(st.sampled_from(entries), unique=True)) if entries else []:
            reader.ack(entry)
            acked[reader].add(parse(entry.id)[0])
        reader.flush()
        janitor.sweep()
        missing = set(range(1, count + 1)) - set.intersection(*acked.values())
        assert missing <= set(left(bus, S))
    for reader, had in acked.items():
        found = {parse(entry.id)[0] for entry in [*reader.poll(0), *reader.reclaim(0)]}
        assert found == set(range(1, count + 1)) - had


def test_what_every_group_has_acknowledged_goes() -> None:
    """And how much went is told."""
    bus = bus_with(S, 1, 2, 3)
    readers = [bus.reader("a", {}, [Group(S, name)]) for name in "gh"]
    janitor = Janitor(bus, [], 0, durable=[S])
    for reader in readers:
        assert janitor.sweep() == {}
        for entry in reader.poll(0)[:2]:
            reader.ack(entry)
        reader.flush()
    assert janitor.sweep() == {S: 2}
    assert left(bus, S) == [3]


def test_a_stream_nobody_has_a_group_on_is_kept_for_a_day() -> None:
    """By its own ids; then it would only grow."""
    bus = bus_with(S, 1, DAY_MS, DAY_MS + 1, DAY_MS + 2)
    Janitor(bus, [], 0, durable=[S]).sweep()
    assert left(bus, S) == [DAY_MS, DAY_MS + 1, DAY_MS + 2]


def test_market_data_goes_by_age_in_its_own_time() -> None:
    """A replay of an old day is kept as long as today's market."""
    bus = bus_with(MARKET, 1_000, 5_000, 10_000, 15_000)
    Janitor(bus, [MARKET], 10_000, durable=[]).sweep()
    assert left(bus, MARKET) == [5_000, 10_000, 15_000]


def test_a_group_on_market_data_is_not_overtaken() -> None:
    """However old what it has not read is."""
    bus = bus_with(MARKET, 1_000, 5_000, 15_000)
    reader = bus.reader("a", {}, [Group(MARKET, "g")])
    janitor = Janitor(bus, [MARKET], 10_000, durable=[])
    assert janitor.sweep() == {}
    for entry in reader.poll(0):
        reader.ack(entry)
    reader.flush()
    assert janitor.sweep() == {MARKET: 1}


def test_ids_that_wait_for_the_clock_do_not_fill_the_server() -> None:
    """Their milliseconds stand still, so no age would ever let them go."""
    bus = MemoryBus(lambda: 0)
    bus.add([(MARKET, b"", "9000-0"), (MARKET, b"", "9000-2000000")])
    Janitor(bus, [MARKET], 10_000, durable=[]).sweep()
    assert [entry.id for entry in bus.recent(MARKET, 9)] == ["9000-2000000"]


def test_streams_that_are_not_there_are_none_of_its_business() -> None:
    """At the very start there is nothing."""
    assert Janitor(MemoryBus(lambda: 0), [MARKET], 10_000).sweep() == {}


def test_what_every_group_has_may_be_kept_for_a_while() -> None:
    """People look back on it, and a restarted service sees what it said."""
    now = [1_000_000]
    bus = MemoryBus(lambda: now[0])
    reader = bus.reader("c", {}, [Group(REPORTS, "risk")])
    for ms in (1_000, 50_000, 61_000):
        bus.add([(REPORTS, b"x", f"{ms}-0")])
    for entry in reader.poll(0):
        reader.ack(entry)
    reader.flush()
    janitor = Janitor(bus, [], 0, durable=[REPORTS], durable_ms=60_000)
    assert janitor.sweep() == {}
    bus.add([(REPORTS, b"x", "70000-0")])
    assert janitor.sweep() == {REPORTS: 1}
    assert [entry.id for entry in bus.recent(REPORTS, 10)] == ["50000-0", "61000-0", "70000-0"]

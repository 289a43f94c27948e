"""The bus in memory: groups, acknowledgements, recovery and planned faults. Equality with a server: test_equality."""

import select
from collections.abc import Callable

import pytest

from bus.codec import decode_dead
from bus.errors import BusError, BusUnavailable
from bus.memory import MemoryBus
from bus.protocol import Depth, Entry, Group, Reader
from bus.wake import Wake

S = "sig:candidates"


class Turned:
    """Milliseconds that a test turns."""

    def __init__(self) -> None:
        self.now = 1_000_000

    def __call__(self) -> int:
        """Return the time."""
        return self.now


@pytest.fixture
def now() -> Turned:
    """Time."""
    return Turned()


@pytest.fixture
def bus(now: Turned) -> MemoryBus:
    """An empty bus."""
    return MemoryBus(now)


def fill(bus: MemoryBus, first: int, last: int, stream: str = S) -> None:
    """Add entries whose data are their numbers."""
    bus.add([(stream, str(n).encode(), f"{n}-0") for n in range(first, last + 1)])


def numbers(entries: list[Entry]) -> list[int]:
    """The numbers of entries of `fill`."""
    return [int(entry.data) for entry in entries]


def take(reader: Reader) -> list[int]:
    """Poll and acknowledge everything."""
    entries = reader.poll(0)
    for entry in entries:
        reader.ack(entry)
    return numbers(entries)


def test_a_group_delivers_each_entry_once_and_a_tail_follows(bus: MemoryBus) -> None:
    """From the group's start; `$` sees only what comes later."""
    fill(bus, 1, 2)
    grouped, tail = bus.reader("a", {}, [Group(S, "g")]), bus.reader("b", {S: "$"}, [])
    fill(bus, 3, 3)
    assert take(grouped) == [1, 2, 3]
    assert grouped.poll(0) == []
    assert [(entry.id, entry.deliveries, entry.group) for entry in tail.poll(0)] == [("3-0", 0, "")]


def test_two_consumers_share_a_group_and_two_groups_do_not(bus: MemoryBus) -> None:
    """One reader may hold two groups of one stream; entries say which they belong to."""
    fill(bus, 1, 2)
    both = bus.reader("a", {}, [Group(S, "g"), Group(S, "h")])
    assert [(each.data, each.group) for each in both.poll(0)] == [(b"1", "g"), (b"2", "g"), (b"1", "h"), (b"2", "h")]
    assert bus.reader("b", {}, [Group(S, "g")]).poll(0) == []


def test_control_comes_first(bus: MemoryBus) -> None:
    """Whatever else waits."""
    fill(bus, 1, 2)
    bus.add([("control:events", b"3", "")])
    reader = bus.reader("a", {S: "0"}, [Group("control:events", "g")])
    assert numbers(reader.poll(0)) == [3, 1, 2]


def test_a_consumer_that_died_gets_its_own_entries_first(bus: MemoryBus) -> None:
    """By its name, with the next delivery count; entries acknowledged in time are not among them."""
    fill(bus, 1, 3)
    died = bus.reader("a", {}, [Group(S, "g")])
    died.ack(died.poll(0)[0])
    died.flush()
    fill(bus, 4, 4)
    heir = bus.reader("a", {}, [Group(S, "g")])
    assert [(entry.data, entry.deliveries) for entry in heir.poll(0)] == [(b"2", 2), (b"3", 2)]
    assert numbers(heir.poll(0)) == [4]


def test_another_consumer_claims_after_the_idle_time(bus: MemoryBus, now: Turned) -> None:
    """Not before, and trimmed entries are counted, not handed out."""
    fill(bus, 1, 3)
    bus.reader("a", {}, [Group(S, "g")]).poll(0)
    other = bus.reader("b", {}, [Group(S, "g")])
    now.now += 4_999
    assert other.reclaim(5_000) == []
    now.now += 1
    bus.trim(S, "2-0")
    assert [(entry.data, entry.deliveries) for entry in other.reclaim(5_000)] == [(b"2", 2), (b"3", 2)]
    assert other.incidents() == {"trimmed_unread": 1}


def test_an_entry_that_failed_is_claimed_again_and_counted(bus: MemoryBus, now: Turned) -> None:
    """Three tries, then the dead letters, with its history."""
    fill(bus, 1, 1)
    reader = bus.reader("a", {}, [Group(S, "g")])
    tries = reader.poll(0)
    while tries[-1].deliveries < 3:
        now.now += 10
        tries += reader.reclaim(10)
    bus.dead_letter(tries[-1], "g", "poison")
    letter = decode_dead(bus.recent(f"dlq:{S}", 5)[0])
    assert (letter.entry_id, letter.group, letter.deliveries, letter.error) == ("1-0", "g", 3, "poison")
    assert bus.depth(S, "g") == Depth(lag=0, pending=0, length=1, lost=0)


def test_a_repeated_write_counts_once_and_a_lower_id_is_refused(bus: MemoryBus) -> None:
    """The same id with the same data is a retry, with other data or below the end it is a second writer."""
    fill(bus, 1, 3)
    assert bus.add([(S, b"2", "2-0"), (S, b"3", "3-0")]) == ["2-0", "3-0"]
    assert len(bus.recent(S, 10)) == 3
    for data, entry_id in ((b"x", "3-0"), (b"x", "2-5"), (b"x", "0-0")):
        with pytest.raises(BusError, match="second writer"):
            bus.add([(S, data, entry_id)])


def test_a_lost_reply_changes_nothing_for_a_writer_that_repeats(bus: MemoryBus) -> None:
    """The entries are there once."""
    bus.fail_next("add", reply_lost=True)
    with pytest.raises(BusUnavailable):
        fill(bus, 1, 3)
    fill(bus, 1, 3)
    assert numbers(bus.recent(S, 10)) == [1, 2, 3]


def test_a_failed_write_writes_nothing(bus: MemoryBus) -> None:
    """And as often as was planned."""
    bus.fail_next("add", times=2)
    for _ in range(2):
        with pytest.raises(BusUnavailable):
            fill(bus, 1, 1)
    assert bus.recent(S, 10) == []
    fill(bus, 1, 1)


def test_a_delivery_whose_reply_was_lost_is_made_again(bus: MemoryBus) -> None:
    """The group counts it as delivered, so the reader asks for its own entries."""
    reader = bus.reader("a", {"md:{X}:book": "0"}, [Group(S, "g")])
    fill(bus, 1, 2)
    fill(bus, 7, 7, "md:{X}:book")
    bus.fail_next("poll", reply_lost=True)
    with pytest.raises(BusUnavailable):
        reader.poll(0)
    assert [(entry.data, entry.deliveries) for entry in reader.poll(0)] == [(b"1", 2), (b"2", 2)]
    assert numbers(reader.poll(0)) == [7]


def test_entries_with_the_handlers_are_not_given_again_on_a_new_connection(bus: MemoryBus) -> None:
    """What failed here waits for its idle time as ever."""
    reader = bus.reader("a", {}, [Group(S, "g")])
    fill(bus, 1, 2)
    first, _ = reader.poll(0)
    reader.ack(first)
    bus.restart()
    with pytest.raises(BusUnavailable):
        reader.poll(0)
    assert reader.poll(0) == []
    assert reader.incidents() == {"server_restarted": 1}
    assert bus.depth(S, "g").pending == 1


@pytest.mark.parametrize("lose", [MemoryBus.wipe, MemoryBus.flush, lambda bus: bus.delete(S)])
def test_a_lost_group_goes_on_where_the_consumer_was(bus: MemoryBus, lose: Callable[[MemoryBus], None]) -> None:
    """Neither at the end nor from the start: behind what was acknowledged, for writers whose ids go on."""
    reader = bus.reader("a", {}, [Group(S, "g", "$")])
    fill(bus, 1, 3)
    entries = reader.poll(0)
    for entry in entries[:2]:
        reader.ack(entry)
    lose(bus)
    bus.add([(S, b"3", "3-0"), (S, b"4", "4-0")])
    found: list[int] = []
    while not found:
        try:
            found = take(reader)
        except BusUnavailable:
            continue
    assert found == [3, 4]
    assert reader.incidents()["group_recreated"] == 1


@pytest.mark.parametrize("groups", [[Group(S, "g")], []])
def test_a_wiped_stream_with_lower_ids_is_read_from_its_start(bus: MemoryBus, groups: list[Group]) -> None:
    """Ids that begin anew would otherwise lie behind the cursor for ever."""
    reader = bus.reader("a", {} if groups else {S: "0"}, groups)
    fill(bus, 50_000, 50_002)
    for entry in reader.poll(0):
        if entry.group:
            reader.ack(entry)
    bus.wipe()
    fill(bus, 1, 2)
    with pytest.raises(BusUnavailable):
        reader.poll(0)
    assert numbers(reader.poll(0)) == [1, 2]


def test_trimming_unread_entries_shows_as_loss(bus: MemoryBus) -> None:
    """Nine hundred entries went before they were read, one was left."""
    reader = bus.reader("a", {}, [Group(S, "g")])
    fill(bus, 1, 10)
    take(reader)
    fill(bus, 11, 20)
    bus.trim(S, "20-0")
    assert bus.depth(S, "g") == Depth(lag=1, pending=10, length=1, lost=9)
    assert take(reader) == [20]
    assert bus.depth(S, "g").lost == 9
    fill(bus, 21, 23)
    bus.trim(S, "23-0")
    assert bus.depth(S, "g").lost == 11


def test_trimmable_is_what_every_group_has_acknowledged(bus: MemoryBus) -> None:
    """The slowest group decides; without a group nothing may go."""
    fill(bus, 1, 5)
    assert bus.trimmable(S) == "0-0"
    fast, slow = bus.reader("a", {}, [Group(S, "g")]), bus.reader("b", {}, [Group(S, "h")])
    take(fast)
    fast.flush()
    assert bus.trimmable(S) == "0-1"
    first, second, *_ = slow.poll(0)
    slow.ack(first)
    slow.ack(second)
    slow.flush()
    assert bus.trimmable(S) == "3-0"
    assert bus.trim(S, "3-0") == 2


def test_epochs_rise_even_when_the_server_forgot_them(bus: MemoryBus, now: Turned) -> None:
    """They begin at the time, so a later start outranks every earlier one."""
    assert bus.epoch("w") == 0
    first, second = bus.next_epoch("w"), bus.next_epoch("w")
    now.now += 60_000
    bus.wipe()
    third = bus.next_epoch("w")
    assert first < second < third == bus.epoch("w")


def test_values_expire(bus: MemoryBus, now: Turned) -> None:
    """Heartbeats are there for as long as was said, and found by prefix."""
    bus.put("beat:a", b"1", 100)
    bus.put("beat:b", b"2", 300)
    bus.put("other", b"3", 300)
    now.now += 100
    assert bus.values("beat:") == {"beat:b": b"2"}


def test_a_full_bus_refuses_writes_and_goes_on_reading(now: Turned) -> None:
    """As a server without memory does."""
    bus = MemoryBus(now, max_entries=2)
    reader = bus.reader("a", {}, [Group(S, "g")])
    fill(bus, 1, 2)
    with pytest.raises(BusUnavailable, match="2 of 2"):
        fill(bus, 3, 3)
    assert take(reader) == [1, 2]


def test_a_poll_clears_its_waker(bus: MemoryBus) -> None:
    """So that a host on memory does not spin."""
    with Wake() as wake:
        wake.wake()
        bus.reader("a", {}, [], wake).poll(50)
        assert not select.select([wake], [], [], 0)[0]

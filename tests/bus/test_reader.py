"""A consumer on a real server: nothing missed, nothing taken for data that is none, whatever happens to the server."""

import select
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bus.client import RedisBus, open_bus
from bus.errors import BusUnavailable
from bus.protocol import Entry, Group
from bus.reader import RedisReader
from bus.wake import Wake
from tests.bus.proxy import Proxy
from tests.bus.servers import NO_FILE, RealServer, needs_redis, real_server

pytestmark = needs_redis
S, CONTROL, MARKET = "sig:candidates", "control:events", "md:{X}:book"
LONG = 10_000


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealServer]:
    """One server for the tests that do it no harm."""
    with real_server(tmp_path_factory.mktemp("redis")) as server:
        yield server


@pytest.fixture
def bus(shared: RealServer) -> Iterator[RedisBus]:
    """A bus on an empty server."""
    bus = open_bus(shared.url)
    bus.ask(("FLUSHALL",))
    yield bus
    bus.close()


def fill(bus: RedisBus, first: int, last: int, stream: str = S) -> None:
    """Add entries whose data are their numbers, again while the server is away."""
    while True:
        try:
            bus.add([(stream, str(n).encode(), f"{n}-0") for n in range(first, last + 1)])
            return
        except BusUnavailable:
            continue


def numbers(entries: list[Entry]) -> list[int]:
    """The numbers of entries of `fill`."""
    return [int(entry.data) for entry in entries]


def take(reader: RedisReader, count: int) -> list[int]:
    """Poll and acknowledge until there are so many, through broken connections."""
    found: list[Entry] = []
    while len(found) < count:
        try:
            new = reader.poll(LONG)
        except BusUnavailable:
            continue
        for entry in new:
            if entry.group:
                reader.ack(entry)
        found += new
    return numbers(found)


def test_a_wait_ends_with_what_comes(bus: RedisBus) -> None:
    """From any connection: tails, and groups of several names."""
    reader = bus.reader("a", {MARKET: "$"}, [Group(S, "g"), Group(CONTROL, "h")])
    for n, stream in enumerate((MARKET, S, CONTROL, S, MARKET), start=1):
        assert reader.poll(0) == []
        timer = threading.Timer(0.01, fill, (bus, n, n, stream))
        timer.start()
        assert take(reader, 1) == [n]
        timer.join()
    reader.close()


def test_a_read_stays_open_between_polls(bus: RedisBus, shared: RealServer) -> None:
    """Many short polls send one read; what comes in between is its answer."""
    reader = bus.reader("a", {MARKET: "$"}, [Group(S, "g")])
    reader.poll(1)
    calls = bus.facts()["total_commands_processed"]
    for _ in range(50):
        assert reader.poll(1) == []
    assert int(bus.facts()["total_commands_processed"]) - int(calls) <= 2
    fill(bus, 1, 1)
    assert take(reader, 1) == [1]
    reader.close()


def test_control_is_first_among_what_waits(bus: RedisBus) -> None:
    """Also within the connection that it shares with others."""
    reader = bus.reader("a", {MARKET: "0"}, [Group(S, "g"), Group(CONTROL, "g")])
    fill(bus, 1, 2)
    fill(bus, 3, 3, MARKET)
    fill(bus, 4, 4, CONTROL)
    assert numbers(reader.poll(0)) == [4, 3, 1, 2]
    reader.close()


def test_a_waker_ends_a_wait(bus: RedisBus) -> None:
    """From another thread, once; the read stays open."""
    with Wake() as wake:
        reader = bus.reader("a", {}, [Group(S, "g")], wake)
        timer = threading.Timer(0.01, wake.wake)
        timer.start()
        assert reader.poll(60_000) == []
        timer.join()
        assert not select.select([wake], [], [], 0)[0]
        fill(bus, 1, 1)
        assert take(reader, 1) == [1]
        reader.close()


def test_acknowledgements_ride_with_the_next_read(bus: RedisBus) -> None:
    """Nothing is sent before; a poll or a flush sends them."""
    reader = bus.reader("a", {}, [Group(S, "g")])
    fill(bus, 1, 2)
    first, second = reader.poll(0)
    reader.ack(first)
    assert bus.depth(S, "g").pending == 2
    reader.poll(0)
    assert bus.depth(S, "g").pending == 1
    reader.poll(1)
    reader.ack(second)
    reader.poll(1)
    assert bus.depth(S, "g").pending == 0
    reader.close()


@pytest.mark.parametrize("block", [0, LONG])
def test_a_delivery_whose_reply_was_lost_is_made_again(bus: RedisBus, shared: RealServer, block: int) -> None:
    """The server counts it as delivered; the reader asks for its own entries behind the new connection."""
    with Proxy(shared.path) as proxy, RedisBus(proxy.url) as through:
        reader = through.reader("a", {}, [Group(S, "g")])
        fill(bus, 1, 3)
        proxy.lose_reply(b"XREADGROUP")
        with pytest.raises(BusUnavailable):
            reader.poll(block)
        assert bus.depth(S, "g").pending == 3
        assert take(reader, 3) == [1, 2, 3]
        reader.flush()
        assert bus.depth(S, "g") == (0, 0, 3, 0)
        reader.close()


def test_acknowledgements_under_way_are_sent_again(bus: RedisBus, shared: RealServer) -> None:
    """They may not have arrived when the connection broke."""
    with Proxy(shared.path) as proxy, RedisBus(proxy.url) as through:
        reader = through.reader("a", {}, [Group(S, "g")])
        fill(bus, 1, 1)
        assert take(reader, 1) == [1]
        proxy.go_silent()
        reader.poll(1)
        proxy.heal()
        with pytest.raises(BusUnavailable):
            reader.poll(LONG)
        fill(bus, 2, 2)
        assert take(reader, 1) == [2]
        assert numbers(bus.reader("b", {}, [Group(S, "g")]).reclaim(0)) == [2]
        reader.close()


def test_a_half_open_connection_is_noticed(bus: RedisBus, shared: RealServer) -> None:
    """Nobody closed it, but the server owes the answer to a read."""
    with Proxy(shared.path) as proxy, RedisBus(proxy.url, timeout=0.5, block_ms=10) as through:
        reader = through.reader("a", {MARKET: "0"}, [])
        reader.poll(1)
        proxy.go_silent()
        with pytest.raises(BusUnavailable, match="silent for"):
            while True:
                reader.poll(5)
        proxy.heal()
        fill(bus, 1, 1, MARKET)
        assert take(reader, 1) == [1]
        reader.close()


def test_cuts_lose_nothing(bus: RedisBus, shared: RealServer) -> None:
    """Every entry is handled; repeats are possible, holes are not."""
    with Proxy(shared.path) as proxy, RedisBus(proxy.url) as through:
        grouped, tail = through.reader("a", {}, [Group(S, "g")]), through.reader("b", {S: "0"}, [])
        seen: dict[RedisReader, list[int]] = {grouped: [], tail: []}
        for n in range(1, 200, 10):
            fill(bus, n, n + 9)
            if n % 3 == 0:
                proxy.lose_reply(b"XREAD")
            if n % 7 == 0:
                proxy.cut()
            for reader, found in seen.items():
                found.extend(take(reader, 1))
        for reader, found in seen.items():
            while set(found) != set(range(1, 201)):
                found.extend(take(reader, 1))
        assert seen[tail] == list(range(1, 201))


def wipe(server: RealServer, bus: RedisBus) -> None:
    """Kill -9 without a file."""
    server.kill()
    server.start()


@pytest.mark.parametrize("lose", [wipe, lambda _, bus: bus.ask(("FLUSHALL",)), lambda _, bus: bus.ask(("DEL", S))])
@pytest.mark.parametrize("waiting", [True, False])
def test_a_lost_group_goes_on_where_the_consumer_was(
    tmp_path: Path, lose: Callable[[RealServer, RedisBus], None], waiting: bool
) -> None:
    """Under a read that waits or not: behind what was acknowledged, never at the end, and never in a loop."""
    with real_server(tmp_path, *NO_FILE) as server, open_bus(server.url) as bus:
        reader = bus.reader("a", {}, [Group(S, "g", "$")])
        fill(bus, 1, 3)
        for entry in reader.poll(0)[:2]:
            reader.ack(entry)
        if waiting:
            assert reader.poll(1) == []
        lose(server, bus)
        fill(bus, 3, 5)
        assert take(reader, 3) == [3, 4, 5]
        assert reader.incidents()["group_recreated"] == 1
        assert reader.incidents().get("server_restarted", 0) == (lose is wipe)
        reader.flush()
        assert bus.depth(S, "g") == (0, 0, 3, 0)
        reader.close()


def test_a_tail_reads_a_server_that_forgot_from_the_start(tmp_path: Path) -> None:
    """Ids that begin anew would lie behind its cursor for ever."""
    with real_server(tmp_path, *NO_FILE) as server, open_bus(server.url) as bus:
        reader = bus.reader("a", {S: "0"}, [])
        fill(bus, 50_000, 50_001)
        assert take(reader, 2) == [50_000, 50_001]
        wipe(server, bus)
        fill(bus, 1, 2)
        assert take(reader, 2) == [1, 2]
        reader.close()


def test_a_restart_with_a_file_is_an_incident_and_no_loss(tmp_path: Path) -> None:
    """Entries with the handlers are not given again; they wait for their idle time as ever."""
    with real_server(tmp_path) as server, open_bus(server.url) as bus:
        reader = bus.reader("a", {}, [Group(S, "g")])
        fill(bus, 1, 2)
        first, _ = reader.poll(0)
        reader.ack(first)
        server.kill()
        server.start()
        fill(bus, 3, 3)
        assert take(reader, 1) == [3]
        assert dict(reader.incidents()) == {"server_restarted": 1}
        assert numbers(reader.reclaim(0)) == [2]
        reader.close()


def test_trimmed_entries_are_never_data(bus: RedisBus) -> None:
    """Delivered, not acknowledged, trimmed: counted by whoever asks for them, and off the list."""
    fill(bus, 1, 4)
    bus.reader("a", {}, [Group(S, "g")]).poll(0)
    bus.ask(("XTRIM", S, "MINID", "3-0"))
    heir = bus.reader("a", {}, [Group(S, "g")])
    assert [(entry.data, entry.deliveries) for entry in heir.poll(0)] == [(b"3", 2), (b"4", 2)]
    assert dict(heir.incidents()) == {"trimmed_unread": 2}
    bus.ask(("XTRIM", S, "MINID", "4-0"))
    other = bus.reader("b", {}, [Group(S, "g")])
    assert [(entry.data, entry.deliveries) for entry in other.reclaim(0)] == [(b"4", 3)]
    assert dict(other.incidents()) == {"trimmed_unread": 1}
    assert bus.depth(S, "g").pending == 1


def test_many_left_entries_come_all_at_once(bus: RedisBus) -> None:
    """More than one page of them, of own and of others."""
    fill(bus, 1, 1_700)
    died = bus.reader("a", {}, [Group(S, "g")])
    while died.poll(0):
        pass
    died.close()
    heir, other = (bus.reader(name, {}, [Group(S, "g")]) for name in "ab")
    assert numbers(heir.poll(0)) == list(range(1, 1_701))
    claimed = other.reclaim(0)
    assert numbers(claimed) == list(range(1, 1_701))
    assert {entry.deliveries for entry in claimed} == {3}


def test_between_two_tries_a_poll_waits_for_the_waker(tmp_path: Path) -> None:
    """While the server is away polls neither spin nor hold up the threads of the service."""
    with real_server(tmp_path) as server, open_bus(server.url) as bus, Wake() as wake:
        reader = bus.reader("a", {S: "0"}, [], wake)
        server.kill()
        failures = 0
        while failures < 4:
            try:
                reader.poll(LONG)
            except BusUnavailable:
                failures += 1
        assert not reader.connected
        wake.wake()
        assert reader.poll(LONG) == []
        assert not select.select([wake], [], [], 0)[0]
        server.start()
        fill(bus, 1, 1)
        assert take(reader, 1) == [1]
        reader.close()


def test_nothing_stays_open(tmp_path: Path) -> None:
    """Connections are as many as lanes, and gone when the reader is."""
    with real_server(tmp_path) as server, open_bus(server.url) as bus:
        before = int(bus.facts()["connected_clients"])
        reader = bus.reader("a", {MARKET: "0"}, [Group(S, "g"), Group(CONTROL, "g"), Group(S, "h")])
        assert int(bus.facts()["connected_clients"]) == before + 3
        reader.poll(1)
        reader.close()
        while int(bus.facts()["connected_clients"]) > before:
            pass


def test_a_server_that_speaks_nonsense_is_unavailable() -> None:
    """Something else listens there."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]

        def answer() -> None:
            client, _ = listener.accept()
            client.recv(100)
            client.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
            client.recv(100)
            client.close()

        thread = threading.Thread(target=answer)
        thread.start()
        with pytest.raises(BusUnavailable):
            open_bus(f"redis://127.0.0.1:{port}/0")
        thread.join()

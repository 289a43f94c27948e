"""The bus on a real server: what it answers, what it refuses, and nothing lost or doubled when the server fails."""

import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from bus.client import RedisBus, open_bus
from bus.codec import decode, decode_dead
from bus.errors import BusError, BusNotFound, BusUnavailable, NotDurable
from bus.ids import parse
from bus.janitor import Janitor
from bus.protocol import Depth, Entry, Group
from bus.publisher import Publisher
from bus.reader import RedisReader
from tests.bus.proxy import Proxy
from tests.bus.samples import alert, trade
from tests.bus.servers import RealServer, needs_redis, real_server

pytestmark = needs_redis
S = "sig:candidates"


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


@pytest.fixture
def proxy(shared: RealServer) -> Iterator[Proxy]:
    """The shared server through a proxy."""
    with Proxy(shared.path) as between:
        yield between


def fill(bus: RedisBus, first: int, last: int, stream: str = S) -> None:
    """Add entries whose data are their numbers."""
    bus.add([(stream, str(n).encode(), f"{n}-0") for n in range(first, last + 1)])


def numbers(entries: list[Entry]) -> list[int]:
    """The numbers of entries of `fill`."""
    return [int(entry.data) for entry in entries]


def test_a_server_that_keeps_everything_has_no_warnings(shared: RealServer) -> None:
    """Ours does; one without a file, or that may evict, is told of, and refused where durability was asked for."""
    with open_bus(shared.url, durable=True) as bus:
        assert bus.checks() == []
        bus.ask(("CONFIG", "SET", "maxmemory-policy", "allkeys-lru"))
        bus.ask(("CONFIG", "SET", "appendonly", "no"))
        file, policy = bus.checks()
        assert "append-only" in file
        assert "was allkeys-lru" in policy
        with pytest.raises(NotDurable, match="append-only"):
            open_bus(shared.url, durable=True)
        bus.ask(("CONFIG", "SET", "appendonly", "yes"))
        bus.ask(("CONFIG", "SET", "maxmemory-policy", "noeviction"))


def test_values_are_found_by_prefix_and_expire(bus: RedisBus) -> None:
    """A prefix is taken as it stands, with the letters of patterns in it."""
    bus.put("beat:[*:a", b"1", 60_000)
    bus.put("beat:x:b", b"2", 60_000)
    assert bus.values("beat:[*") == {"beat:[*:a": b"1"}
    assert bus.values("beat:") == {"beat:[*:a": b"1", "beat:x:b": b"2"}
    assert bus.values("none") == {}
    bus.put("beat:x:b", b"2", 1)
    while "beat:x:b" in bus.values("beat:"):
        pass


def test_epochs_outrank_those_a_server_has_forgotten(bus: RedisBus) -> None:
    """The first is the server's time in seconds."""
    assert bus.epoch("w") == 0
    first, second = bus.next_epoch("w"), bus.next_epoch("w")
    assert second == first + 1 == bus.epoch("w")
    seconds = int(bus.ask(("TIME",))[0])
    assert abs(first - seconds) < 60


def test_foreign_entries_are_no_messages(bus: RedisBus) -> None:
    """Somebody's redis-cli wrote other fields: empty data, which no codec takes for a message."""
    bus.ask(("XADD", S, "1-0", "text", "hello"))
    bus.ask(("XADD", S, "2-0", "d", "x", "more", "y"))
    reader = bus.reader("a", {}, [Group(S, "g")])
    assert [entry.data for entry in reader.poll(0)] == [b"", b""]
    reader.close()
    assert [entry.data for entry in bus.reader("a", {}, [Group(S, "g")]).poll(0)] == [b"", b""]


def test_a_key_of_another_type_is_an_error_and_no_outage(bus: RedisBus) -> None:
    """It names the stream and what the server says."""
    bus.put(S, b"x", 60_000)
    with pytest.raises(BusError, match="WRONGTYPE") as refused:
        fill(bus, 1, 1)
    assert not isinstance(refused.value, BusUnavailable)


@pytest.mark.parametrize("url", ["http://x", "localhost:6379", ""])
def test_no_address_is_said_to_be_none(url: str) -> None:
    """Before anything is connected."""
    with pytest.raises(BusNotFound, match="no address"):
        open_bus(url)


def test_a_password_is_never_shown() -> None:
    """Nobody listens there, and the error is still fit for a log."""
    with pytest.raises(BusUnavailable) as refused:
        open_bus("redis://me:secret@127.0.0.1:1/0")
    assert "secret" not in str(refused.value)
    assert "redis://127.0.0.1:1/0" in str(refused.value)


def test_a_server_that_does_not_know_us_is_no_outage(tmp_path: Path) -> None:
    """Trying again would not help."""
    with real_server(tmp_path) as server, open_bus(server.url) as bus:
        bus.ask(("CONFIG", "SET", "requirepass", "right"))
        with pytest.raises(BusError, match="NOAUTH") as refused:
            open_bus(server.url)
        assert not isinstance(refused.value, BusUnavailable)
        wrong = server.url.replace("unix://", "unix://:wrong@")
        with pytest.raises(BusError, match="does not let us in") as refused:
            open_bus(wrong)
        assert "wrong" not in str(refused.value)
        open_bus(server.url.replace("unix://", "unix://:right@"), durable=True).close()


def test_a_batch_whose_reply_is_lost_is_written_once(bus: RedisBus, proxy: Proxy) -> None:
    """The caller gives it again, through a client that repeats nothing on its own."""
    with RedisBus(proxy.url) as through:
        proxy.lose_reply(b"XADD")
        with pytest.raises(BusUnavailable):
            fill(through, 1, 3)
        assert proxy.lost.wait(10)
        fill(through, 1, 3)
        fill(through, 3, 4)
    assert numbers(bus.recent(S, 100)) == [1, 2, 3, 4]


def test_what_was_read_and_trimmed_before_the_retry_counts_as_written(bus: RedisBus, proxy: Proxy) -> None:
    """Its reply was lost; everybody had it; the janitor took it. For anybody else such an id is refused."""
    with RedisBus(proxy.url) as through:
        proxy.lose_reply(b"XADD")
        with pytest.raises(BusUnavailable):
            fill(through, 1, 3)
        assert proxy.lost.wait(10)
        bus.ask(("XTRIM", S, "MINID", "3-0"))
        fill(through, 1, 4)
        with pytest.raises(BusError, match="second writer"):
            fill(through, 1, 1)
    assert numbers(bus.recent(S, 100)) == [3, 4]


def test_a_publisher_goes_through_cuts_without_loss(bus: RedisBus, proxy: Proxy) -> None:
    """Every third batch loses its reply, every fifth its connection beforehand."""
    with RedisBus(proxy.url) as through:
        publisher = Publisher(through, "engine", lambda: 1_000_000_000_000)
        for n in range(40):
            if n % 3 == 0:
                proxy.lose_reply(b"XADD")
            elif n % 5 == 0:
                proxy.cut()
            publisher.publish(S, trade(n), message_id=str(n))
            while publisher.waiting:
                try:
                    publisher.flush()
                except BusUnavailable:
                    continue
    assert [decode(entry).header.id for entry in bus.recent(S, 100)] == [str(n) for n in range(40)]


def test_a_server_that_died_is_refused_at_once_after_the_first_try(tmp_path: Path) -> None:
    """A dead address does not hold up a caller that asks often; the answer says when the next try is."""
    with real_server(tmp_path) as server:
        bus = open_bus(server.url)
        server.kill()
        with pytest.raises(BusUnavailable):
            bus.last_id(S)
        with pytest.raises(BusUnavailable, match="next try is in"):
            bus.last_id(S)
        bus.close()


def test_kill_9_with_a_file_loses_nothing(tmp_path: Path) -> None:
    """All that was acknowledged to the writer is back, what was pending is pending, the rest is delivered once."""
    with real_server(tmp_path) as server, open_bus(server.url) as bus:
        for first in range(1, 5_001, 100):
            fill(bus, first, first + 99)
        reader = bus.reader("a", {}, [Group(S, "g")])
        taken = reader.poll(0)
        for entry in taken[:100]:
            reader.ack(entry)
        reader.flush()
        server.write_down()
        server.kill()
        server.start()
        bus.close()
        assert len(bus.recent(S, 10_000)) == 5_000
        assert bus.depth(S, "g") == Depth(lag=4_500, pending=400, length=5_000, lost=0)
        heir = bus.reader("a", {}, [Group(S, "g")])
        left = heir.poll(0)
        while entries := heir.poll(0):
            left += entries
        assert numbers(left) == list(range(101, 5_001))
        assert {entry.deliveries for entry in left[:400]} == {2}
        heir.close()


def test_what_the_server_lost_of_the_last_seconds_is_given_again(tmp_path: Path) -> None:
    """Kill -9 before it wrote its file: the publisher still has the messages and their ids; nobody sees a hole."""
    with real_server(tmp_path) as server, open_bus(server.url) as bus:
        publisher = Publisher(bus, "engine", time.time_ns)
        reader, tail = bus.reader("a", {}, [Group(S, "g")]), bus.reader("b", {S: "0"}, [])
        heard: dict[RedisReader, list[str]] = {reader: [], tail: []}

        def hear() -> None:
            for each, ids in heard.items():
                try:
                    entries = each.poll(0)
                except BusUnavailable:
                    continue
                for entry in entries:
                    ids.append(decode(entry).header.id)
                    if entry.group:
                        each.ack(entry)

        def say(first: int, last: int) -> None:
            for n in range(first, last):
                publisher.publish(S, trade(n), message_id=str(n))
                publisher.publish("control:events", alert(str(n)), message_id=str(n))
            while publisher.waiting:
                with suppress(BusUnavailable):
                    publisher.flush()

        say(0, 50)
        hear()
        for first in range(50, 100, 10):
            say(first, first + 10)
        server.write_down()
        server.kill()
        server.forget_last(8_000)
        server.start()
        lost = 100 - len(bus.recent(S, 1_000))
        assert 0 < lost < 50
        say(100, 120)
        while len(heard[reader]) < 120 or len(heard[tail]) < 120:
            hear()
        wanted = [str(n) for n in range(120)]
        assert heard == {reader: wanted, tail: wanted}
        assert sorted(decode(entry).header.id for entry in bus.recent("control:events", 1_000)) == sorted(wanted)
        assert publisher.restored >= lost


def test_a_full_server_refuses_writers_and_serves_readers(tmp_path: Path) -> None:
    """Control stays readable and can be acknowledged; a batch is refused as a whole, and goes in once there is room."""
    with real_server(tmp_path, "--maxmemory", "3mb") as server, open_bus(server.url) as bus:
        reader = bus.reader("a", {}, [Group("control:events", "g"), Group(S, "g")])
        bus.add([("control:events", b"0", "")])
        size = b"1" * 4_000
        top = 0
        with pytest.raises(BusUnavailable, match="OOM"):
            while True:
                bus.add([(S, size, f"{top + 1}-0"), (S, size, f"{top + 2}-0")])
                top += 2
        assert parse(bus.last_id(S)) == (top, 0)
        (event, *rest) = reader.poll(1_000) + reader.poll(0)
        assert event.stream == "control:events"
        for entry in (event, *rest):
            reader.ack(entry)
        while entries := reader.poll(0):
            for entry in entries:
                reader.ack(entry)
        reader.flush()
        assert bus.depth(S, "g").pending == bus.depth(S, "g").lag == 0
        Janitor(bus, [], 0).sweep()
        bus.add([(S, size, f"{top + 1}-0"), (S, size, f"{top + 2}-0")])
        reader.close()


def test_a_paused_server_loses_nothing(tmp_path: Path) -> None:
    """SIGSTOP: the writer is told, gives the same batch again, and it is there once."""
    with real_server(tmp_path) as server:
        with open_bus(server.url) as patient:
            fill(patient, 1, 1)
        bus = RedisBus(server.url, timeout=0.1)
        server.pause()
        for _ in range(3):
            with pytest.raises(BusUnavailable):
                fill(bus, 2, 4)
        server.resume()
        while True:
            try:
                fill(bus, 2, 4)
                break
            except BusUnavailable:
                continue
        bus.close()
        with open_bus(server.url) as patient:
            assert numbers(patient.recent(S, 10)) == [1, 2, 3, 4]


def test_poison_is_set_aside_and_the_stream_moves_on(bus: RedisBus) -> None:
    """Three tries, then the dead letters, in one step with the acknowledgement."""
    fill(bus, 1, 2)
    reader = bus.reader("a", {}, [Group(S, "g")])
    poison, fine = reader.poll(0)
    reader.ack(fine)
    while poison.deliveries < 3:
        (poison,) = reader.reclaim(0)
    bus.dead_letter(poison, "g", "ValueError: no")
    assert reader.reclaim(0) == []
    letter = decode_dead(bus.recent(f"dlq:{S}", 1)[0])
    assert (letter.entry_id, letter.deliveries, letter.error, letter.data) == ("1-0", 3, "ValueError: no", b"1")
    assert bus.depth(S, "g") == Depth(lag=0, pending=0, length=2, lost=0)
    reader.close()


def test_loss_shows_in_the_depth(bus: RedisBus) -> None:
    """Nine hundred unread entries were trimmed by somebody's MAXLEN; lag alone would not tell."""
    fill(bus, 1, 50)
    reader = bus.reader("a", {}, [Group(S, "g")])
    for entry in reader.poll(0):
        reader.ack(entry)
    fill(bus, 51, 1_000)
    bus.ask(("XTRIM", S, "MAXLEN", 50))
    reader.flush()
    assert bus.depth(S, "g") == Depth(lag=50, pending=0, length=50, lost=900)
    assert numbers(reader.poll(0))[0] == 951
    fill(bus, 1_001, 1_003)
    assert bus.depth(S, "g") == Depth(lag=3, pending=50, length=53, lost=900)
    bus.ask(("XTRIM", S, "MAXLEN", 1))
    assert bus.depth(S, "g") == Depth(lag=1, pending=50, length=1, lost=902)
    reader.close()


def test_a_long_way_behind_is_as_long_as_the_server_says(bus: RedisBus) -> None:
    """Beyond a thousand entries nothing is counted one by one."""
    reader = bus.reader("a", {}, [Group(S, "g")])
    fill(bus, 1, 2_500)
    reader.poll(0)
    assert bus.depth(S, "g") == Depth(lag=2_000, pending=500, length=2_500, lost=0)
    reader.close()


def test_a_group_made_in_the_middle_knows_how_far_it_is_behind(bus: RedisBus) -> None:
    """The server does not; the entries ahead are counted."""
    fill(bus, 1, 30)
    bus.reader("a", {}, [Group(S, "g", "10-0")]).close()
    assert bus.depth(S, "g")[:3] == (20, 0, 30)


def test_threads_may_share_the_connection(bus: RedisBus) -> None:
    """Each gets the replies to what it asked."""
    fill(bus, 1, 1)
    wrong: list[str] = []

    def ask(n: int) -> None:
        for _ in range(200):
            bus.put(f"k:{n}", str(n).encode(), 60_000)
            if bus.ask(("GET", f"k:{n}")) != str(n).encode() or bus.last_id(S) != "1-0":
                wrong.append(str(n))

    threads = [threading.Thread(target=ask, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []

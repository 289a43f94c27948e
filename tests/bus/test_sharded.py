"""Market data on several real servers, everything else at home: one bus to whoever uses it."""

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from bus import streams
from bus.client import RedisBus
from bus.errors import BusUnavailable
from bus.protocol import Entry, Group, Reader
from bus.sharded import ShardedBus
from bus.streams import CANDIDATES, CONTROL, shard_of
from bus.wake import Wake
from tests.bus.servers import RealServer, needs_redis
from tests.journeys.waiting import until

pytestmark = needs_redis
SYMBOLS = ("BTCUSDT", "ETHUSDT", "SOLUSDT", "XRPUSDT")
LEFT = next(each for each in SYMBOLS if shard_of(each, 2) == 0)
RIGHT = next(each for each in SYMBOLS if shard_of(each, 2) == 1)


class Stack:
    """Three servers and a bus over them."""

    def __init__(self, folder: Path) -> None:
        self.home, self.left, self.right = (RealServer(folder / name) for name in ("home", "left", "right"))
        self.bus = self.open(SYMBOLS)

    def open(self, symbols: tuple[str, ...]) -> ShardedBus:
        """A bus as a process with these symbols has it."""
        return ShardedBus(
            RedisBus(self.home.url), [self.left.url, self.right.url], symbols, lambda url: RedisBus(url, 0.5)
        )

    def close(self) -> None:
        """End everything."""
        self.bus.close()
        for each in (self.home, self.left, self.right):
            each.stop()


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Three servers for all tests."""
    stack = Stack(tmp_path_factory.mktemp("sharded"))
    yield stack
    stack.close()


@pytest.fixture
def stack(servers: Stack) -> Stack:
    """The servers, emptied."""
    for each in (servers.home, servers.left, servers.right):
        with RedisBus(each.url) as bus:
            bus.ask(("FLUSHALL",))
    return servers


def names(entries: list[Entry]) -> list[tuple[str, bytes]]:
    """Stream and data of entries."""
    return [(entry.stream, entry.data) for entry in entries]


def gathered(reader: Reader, count: int) -> list[Entry]:
    """Poll until so many entries have come; a server that is on its way back is asked again."""
    found: list[Entry] = []

    def enough() -> list[Entry] | None:
        try:
            found.extend(reader.poll(20))
        except BusUnavailable:
            return None
        return found if len(found) >= count else None

    return until(enough, 10, f"{count} entries", 0.02)


def test_a_symbols_market_lies_on_its_server_and_the_rest_at_home(stack: Stack) -> None:
    """Ids come back in the order of the entries, whatever server wrote them."""
    book, trade = streams.book(LEFT), streams.trade(RIGHT)
    written = stack.bus.add([(CANDIDATES, b"c", "3-0"), (book, b"b", "1-0"), (trade, b"t", "2-0")])
    assert written == ["3-0", "1-0", "2-0"]
    for url, held in ((stack.home.url, CANDIDATES), (stack.left.url, book), (stack.right.url, trade)):
        with RedisBus(url) as bus:
            assert [stream for stream in (CANDIDATES, book, trade) if bus.last_id(stream) != "0-0"] == [held]
    assert stack.bus.last_id(trade) == "2-0"
    assert names(stack.bus.recent(book, 5)) == [(book, b"b")]


def test_a_reader_gets_what_all_servers_hold_control_first(stack: Stack) -> None:
    """Tails and groups of several servers through one poll; an acknowledgement goes where its entry came from."""
    book, trade = streams.book(LEFT), streams.trade(RIGHT)
    reader = stack.bus.reader("c", {book: "0", CONTROL: "0"}, [Group(trade, "g"), Group(CANDIDATES, "g")])
    stack.bus.add([(book, b"b", "1-0"), (trade, b"t", "1-0"), (CANDIDATES, b"c", "1-0"), (CONTROL, b"x", "")])
    found = gathered(reader, 4)
    assert sorted(names(found)) == sorted([(CONTROL, b"x"), (book, b"b"), (trade, b"t"), (CANDIDATES, b"c")])
    for entry in found:
        if entry.group:
            reader.ack(entry)
    reader.flush()
    assert stack.bus.depth(trade, "g").pending == 0
    assert stack.bus.depth(CANDIDATES, "g").pending == 0
    assert reader.reclaim(0) == []
    reader.close()


def test_control_overtakes_what_is_there_with_it(stack: Stack) -> None:
    """In one poll that does not wait, a halt comes before the market of every server."""
    reader = stack.bus.reader("c", {streams.book(RIGHT): "0", CANDIDATES: "0", CONTROL: "0"}, [])
    stack.bus.add([(streams.book(RIGHT), b"b", "1-0"), (CANDIDATES, b"c", "1-0"), (CONTROL, b"x", "")])
    assert names(reader.poll(0))[0] == (CONTROL, b"x")
    reader.close()


@pytest.mark.parametrize("stream", [streams.book(LEFT), streams.book(RIGHT), CANDIDATES])
def test_a_poll_that_waits_is_ended_by_any_server(stack: Stack, stream: str) -> None:
    """What comes to one server while all are waited for comes at once, not at the end of the time-out."""
    reader = stack.bus.reader("c", {streams.book(LEFT): "$", streams.book(RIGHT): "$", CANDIDATES: "$"}, [])
    with stack.open(SYMBOLS) as other:
        thread = threading.Thread(target=other.add, args=([(stream, b"new", "9-0")],))
        thread.start()
        found = reader.poll(20_000)
        thread.join()
    assert names(found) == [(stream, b"new")]
    reader.close()


def test_a_waker_ends_a_poll_over_several_servers(stack: Stack) -> None:
    """As it does on one."""
    with Wake() as waker:
        reader = stack.bus.reader("c", {streams.book(LEFT): "$", CANDIDATES: "$"}, [], waker)
        thread = threading.Thread(target=waker.wake)
        thread.start()
        assert reader.poll(20_000) == []
        thread.join()
        reader.close()


def test_a_market_server_that_is_away_is_a_bus_that_is_away(stack: Stack) -> None:
    """Nothing is lost: what the others gave meanwhile comes later, and the same entries may be added again."""
    left, right = streams.book(LEFT), streams.book(RIGHT)
    reader = stack.bus.reader("c", {left: "0", right: "0", CANDIDATES: "0"}, [])
    stack.right.kill()
    try:
        entries = [(left, b"l", "1-0"), (right, b"r", "1-0"), (CANDIDATES, b"c", "1-0")]
        with pytest.raises(BusUnavailable):
            stack.bus.add(entries)
        assert stack.bus.last_id(CANDIDATES) == "0-0", "what follows from the market waits for the market"
        with pytest.raises(BusUnavailable):
            stack.bus.put("probe", b"", 1_000)
        with pytest.raises(BusUnavailable):
            reader.poll(0)
    finally:
        stack.right.start()

    def written() -> list[str] | None:
        try:
            return stack.bus.add(entries)
        except BusUnavailable:
            return None

    assert until(written, 10, "the server that came back", 0.02) == ["1-0", "1-0", "1-0"]
    found = gathered(reader, 3)
    assert sorted(names(found)) == sorted([(left, b"l"), (right, b"r"), (CANDIDATES, b"c")])
    assert reader.incidents()["server_restarted"] == 1
    reader.close()


def test_a_process_asks_only_the_servers_of_its_symbols(stack: Stack) -> None:
    """A collector of one share goes on while another share's server is away."""
    stack.right.kill()
    try:
        with stack.open((LEFT,)) as bus:
            assert bus.add([(streams.book(LEFT), b"l", "5-0")]) == ["5-0"]
            assert bus.checks() == []
            bus.put("hb:x", b"1", 10_000)
            assert bus.values("hb:") == {"hb:x": b"1"}
    finally:
        stack.right.start()


def test_epochs_of_any_name_outrank_those_taken_a_second_before(stack: Stack) -> None:
    """A share that is cut anew is spoken for under another name; its messages must still be the newer ones."""
    before = stack.bus.next_epoch("collector:1")
    with RedisBus(stack.home.url) as home:
        home.ask(("SET", "epoch:collector", 7))
        seconds = int(home.ask(("TIME",))[0])
    assert stack.bus.next_epoch("collector") > seconds >= before - 1
    assert stack.bus.epoch("collector") == stack.bus.next_epoch("collector") - 1

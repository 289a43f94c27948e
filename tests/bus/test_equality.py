"""The bus in memory does what a real Redis does: the same commands on both, by a Hypothesis state machine."""

import tempfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, multiple, rule

from bus.client import RedisBus, open_bus
from bus.codec import decode_dead
from bus.errors import BusError, BusUnavailable
from bus.ids import after, write
from bus.memory import MemoryBus
from bus.memory_reader import MemoryReader
from bus.protocol import Entry, Group
from bus.reader import RedisReader
from tests.bus.servers import RealServer, needs_redis

CANDIDATES, TRADES, CONTROL = STREAMS = ("sig:candidates", "md:{X}:trade", "control:events")
GROUPS = st.lists(
    st.builds(Group, st.sampled_from(STREAMS), st.sampled_from("gh"), st.sampled_from(["0", "$"])),
    max_size=3, unique_by=lambda group: (group.stream, group.name),
)  # fmt: skip
TAILS = st.dictionaries(st.sampled_from(STREAMS), st.sampled_from(["0", "$"]), max_size=2)


class Pair(NamedTuple):
    """One consumer on either bus."""

    model: MemoryReader
    real: RedisReader


class Shared:
    """One server for all examples; it starts with the first."""

    server: RealServer | None = None

    @classmethod
    def get(cls) -> RealServer:
        """Return it, emptied."""
        if cls.server is None:
            cls.folder = tempfile.TemporaryDirectory()
            cls.server = RealServer(Path(cls.folder.name))
        return cls.server

    @classmethod
    def stop(cls) -> None:
        """End it."""
        if cls.server is not None:
            cls.server.stop()
            cls.server = None
            cls.folder.cleanup()


def outcome(call: Callable[[], Any]) -> Any:
    """What a call gave, or the kind of its refusal."""
    try:
        return call()
    except BusError as refused:
        return type(refused)


class TwoBuses(RuleBasedStateMachine):
    """Whatever is asked of both is answered alike."""

    readers: "Bundle[Pair]" = Bundle("readers")
    entries: "Bundle[tuple[Pair, Entry]]" = Bundle("entries")

    def __init__(self) -> None:
        super().__init__()
        self.server = Shared.get()
        self.model = MemoryBus(lambda: 1_000_000)
        self.real: RedisBus = open_bus(self.server.url)
        self.real.ask(("FLUSHALL",))
        self.top = (5, 0)
        self.pairs: list[Pair] = []
        self.lost: Counter[tuple[str, str]] = Counter()

    def teardown(self) -> None:
        """Give the connections back."""
        for pair in self.pairs:
            pair.real.close()
        self.real.close()

    @rule(places=st.lists(st.tuples(st.sampled_from(STREAMS), st.integers(0, 2)), min_size=1, max_size=5))
    def add(self, places: list[tuple[str, int]]) -> None:
        """Entries with ids of the writer, the numbers skipping some."""
        batch = []
        for stream, skip in places:
            self.top = (self.top[0] + (skip == 2), self.top[1] + skip + 1)
            batch.append((stream, b"%d-%d" % self.top, write(self.top)))
        assert self.model.add(batch) == self.real.add(batch)

    @rule(stream=st.sampled_from(STREAMS), back=st.integers(0, 6), same=st.booleans())
    def add_again(self, stream: str, back: int, same: bool) -> None:
        """A retry, or a second writer."""
        held = self.model.recent(stream, back + 1)
        if held:
            batch = [(stream, held[0].data if same else b"other", held[0].id)]
            assert outcome(lambda: self.model.add(batch)) == outcome(lambda: self.real.add(batch))

    @rule(target=readers, consumer=st.sampled_from("ab"), tails=TAILS, groups=GROUPS)
    def open(self, consumer: str, tails: dict[str, str], groups: list[Group]) -> Any:
        """Any mixture of tails and groups."""
        if len(self.pairs) >= 4 or not (tails or groups):
            return multiple()
        pair = Pair(self.model.reader(consumer, tails, groups), self.real.reader(consumer, tails, groups))
        self.pairs.append(pair)
        return pair

    @rule(target=entries, pair=readers)
    def poll(self, pair: Pair) -> Any:
        """What is new, in the same order and with the same counts."""
        return multiple(*self.polled(pair))

    def polled(self, pair: Pair) -> list[tuple[Pair, Entry]]:
        """Poll both and return what must be acknowledged."""
        found = pair.model.poll(0)
        assert pair.real.poll(0) == found
        return [(pair, entry) for entry in found if entry.group]

    @rule(item=consumes(entries))
    def ack(self, item: tuple[Pair, Entry]) -> None:
        """Sent later."""
        for reader in item[0]:
            reader.ack(item[1])

    @rule(pair=readers)
    def flush(self, pair: Pair) -> None:
        """Sent now."""
        for reader in pair:
            reader.flush()

    @rule(target=entries, pair=readers, idle=st.sampled_from([0, 1_000_000]))
    def reclaim(self, pair: Pair, idle: int) -> Any:
        """From anybody, at once or never."""
        found = pair.model.reclaim(idle)
        assert pair.real.reclaim(idle) == found
        return multiple(*((pair, entry) for entry in found))

    @rule(item=consumes(entries))
    def dead_letter(self, item: tuple[Pair, Entry]) -> None:
        """Aside and acknowledged."""
        _, entry = item
        for bus in (self.model, self.real):
            bus.dead_letter(entry, entry.group, "poison")
        aside = f"dlq:{entry.stream}"
        found, wanted = (list(map(decode_dead, bus.recent(aside, 9))) for bus in (self.real, self.model))
        assert found == wanted

    @rule(stream=st.sampled_from(STREAMS), keep=st.integers(0, 4))
    def trim(self, stream: str, keep: int) -> None:
        """Exactly, also what nobody has read."""
        held = self.model.recent(stream, keep)
        lowest = held[0].id if held else write(after(self.top))
        assert self.real.ask(("XTRIM", stream, "MINID", lowest)) == self.model.trim(stream, lowest)

    @rule(stream=st.sampled_from(STREAMS))
    def trim_what_all_have(self, stream: str) -> None:
        """What the janitor does; the server may leave some of it."""
        lowest = self.model.trimmable(stream)
        assert self.real.trimmable(stream) == lowest
        assert self.real.ask(("XTRIM", stream, "MINID", lowest)) == self.model.trim(stream, lowest)

    @rule(stream=st.sampled_from(STREAMS))
    def delete(self, stream: str) -> None:
        """With its groups, under readers that wait on it."""
        self.model.delete(stream)
        self.real.ask(("DEL", stream))

    @rule()
    def empty(self) -> None:
        """Everything at once."""
        self.model.flush()
        self.real.ask(("FLUSHALL",))

    @rule(
        target=entries, pair=readers, stream=st.sampled_from(STREAMS), act=st.sampled_from(["add", "delete", "empty"])
    )
    def wait_on_the_server(self, pair: Pair, stream: str, act: str) -> Any:
        """A read that stays open: what comes then is its answer, and a poll that does not wait ends it."""
        given = self.polled(pair)
        if not given:
            assert pair.real.poll(1) == []
        if act == "add":
            self.add([(stream, 0), (stream, 1)])
        elif act == "delete":
            self.delete(stream)
        else:
            self.empty()
        return multiple(*given, *self.polled(pair))

    @rule(target=entries, keeps=st.booleans())
    def restart(self, keeps: bool) -> Any:
        """Kill -9, with and without its file; every reader loses its connection once."""
        given = [item for pair in self.pairs for item in self.polled(pair)]
        if not keeps:
            self.empty()
        self.model.restart()
        self.server.write_down()
        self.server.kill()
        self.server.start()
        for pair in self.pairs:
            for reader in pair:
                with pytest.raises(BusUnavailable):
                    reader.poll(0)
            found, again = pair.model.poll(0), pair.real.poll(0)
            while not pair.real.connected:
                again = pair.real.poll(0)
            assert again == found
            given += [(pair, entry) for entry in found if entry.group]
        return multiple(*given)

    @invariant()
    def all_is_alike(self) -> None:
        """Depths, ends, contents, incidents."""
        for stream in STREAMS:
            assert self.real.last_id(stream) == self.model.last_id(stream)
            assert self.real.recent(stream, 9) == self.model.recent(stream, 9)
            assert self.real.trimmable(stream) == self.model.trimmable(stream)
            for group in "gh":
                real, model = self.real.depth(stream, group), self.model.depth(stream, group)
                assert real[:3] == model[:3], (stream, group)
                assert real.lost <= max(model.lost, self.lost[stream, group])
                self.lost[stream, group] = max(model.lost, self.lost[stream, group])
        for pair in self.pairs:
            assert dict(pair.real.incidents()) == dict(pair.model.incidents())


@needs_redis
def test_memory_does_what_the_server_does() -> None:
    """Any sequence of commands, restarts and losses included."""
    run: Any = TwoBuses.TestCase()
    run.settings = settings(max_examples=30, stateful_step_count=30)
    try:
        run.runTest()
    finally:
        Shared.stop()

"""A bus in this process: what Redis would do, for tests and the simulator, with faults on request.

Held equal to a real server by a Hypothesis state machine (tests/bus/test_equality.py).
"""

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Self

from bus import streams
from bus.codec import encode_dead
from bus.errors import BusError, BusUnavailable
from bus.ids import parse, write
from bus.memory_reader import MemoryReader
from bus.memory_stream import MemoryStream
from bus.protocol import Depth, Entry, Group, Waker


class MemoryBus:
    """Streams in memory. Not for several threads; a poll never waits.

    `now_ms` tells milliseconds since the epoch, for idle times, values that expire and ids the server gives.
    With `max_entries` a write beyond it is refused like a full server's.
    """

    def __init__(self, now_ms: Callable[[], int], max_entries: int | None = None) -> None:
        self.now_ms = now_ms
        self.run_id = 0
        """Rises whenever the server was restarted."""
        self._max_entries = max_entries
        self._streams: dict[str, MemoryStream] = {}
        self._epochs: dict[str, int] = {}
        self._values: dict[str, tuple[bytes, int]] = {}
        self._order: deque[str] = deque(maxlen=10_000)
        self._faults: dict[str, deque[bool]] = {}

    def add(self, entries: Sequence[tuple[str, bytes, str]]) -> list[str]:
        """As Bus.add."""
        lost = self.fault("add")
        if self._max_entries is not None and self.length + len(entries) > self._max_entries:
            raise BusUnavailable(f"the server is full: {self.length} of {self._max_entries} entries")
        ids = []
        refused: BusError | None = None
        for name, data, entry_id in entries:
            stream = self.stream(name)
            try:
                ids.append(stream.add(parse(entry_id) if entry_id else stream.next_key(self.now_ms()), data))
                self._order.append(name)
            except BusError as lower:
                refused = refused or lower  # the others are written all the same
        if refused:
            raise refused
        self._lose(lost, "add")
        return ids

    def reader(
        self, consumer: str, tails: Mapping[str, str], groups: Sequence[Group], waker: Waker | None = None
    ) -> MemoryReader:
        """As Bus.reader; its polls clear the waker and never wait."""
        self._lose(self.fault("reader"), "reader")
        return MemoryReader(self, consumer, tails, groups, waker)

    def last_id(self, stream: str) -> str:
        """As Bus.last_id."""
        self._lose(self.fault("last_id"), "last_id")
        held = self._streams.get(stream)
        return write(held.last) if held is not None else "0-0"

    def recent(self, stream: str, count: int) -> list[Entry]:
        """As Bus.recent."""
        self._lose(self.fault("recent"), "recent")
        held = self._streams.get(stream)
        return held.newest(count) if held is not None else []

    def depth(self, stream: str, group: str) -> Depth:
        """As Bus.depth."""
        self._lose(self.fault("depth"), "depth")
        held = self._streams.get(stream)
        return held.depth(group) if held is not None else Depth(0, 0, 0, 0)

    def trim(self, stream: str, min_id: str) -> int:
        """As Bus.trim; exactly, where a server leaves a few more."""
        lost = self.fault("trim")
        held = self._streams.get(stream)
        gone = held.trim(parse(min_id)) if held is not None else 0
        self._lose(lost, "trim")
        return gone

    def trimmable(self, stream: str) -> str:
        """As Bus.trimmable."""
        self._lose(self.fault("trimmable"), "trimmable")
        held = self._streams.get(stream)
        return write(held.needed()) if held is not None else "0-0"

    def dead_letter(self, entry: Entry, group: str, error: str) -> None:
        """As Bus.dead_letter."""
        lost = self.fault("dead_letter")
        aside = self.stream(streams.dead_letters(entry.stream))
        aside.add(aside.next_key(self.now_ms()), encode_dead(entry, group, error))
        held = self._streams.get(entry.stream)
        if held is not None and group in held.groups:
            held.groups[group].pending.pop(parse(entry.id), None)
        self._lose(lost, "dead_letter")

    def next_epoch(self, writer: str) -> int:
        """As Bus.next_epoch."""
        lost = self.fault("next_epoch")
        self._epochs[writer] = max(self._epochs.get(writer, 0), self.now_ms() // 1_000) + 1
        self._lose(lost, "next_epoch")
        return self._epochs[writer]

    def epoch(self, writer: str) -> int:
        """As Bus.epoch."""
        self._lose(self.fault("epoch"), "epoch")
        return self._epochs.get(writer, 0)

    def generation(self) -> int:
        """As Bus.generation."""
        self._lose(self.fault("generation"), "generation")
        return self.run_id

    def put(self, key: str, value: bytes, ttl_ms: int) -> None:
        """As Bus.put."""
        lost = self.fault("put")
        self._values[key] = (value, self.now_ms() + ttl_ms)
        self._lose(lost, "put")

    def values(self, prefix: str) -> dict[str, bytes]:
        """As Bus.values."""
        self._lose(self.fault("values"), "values")
        now = self.now_ms()
        self._values = {key: held for key, held in self._values.items() if held[1] > now}
        return {key: value for key, (value, _) in sorted(self._values.items()) if key.startswith(prefix)}

    def checks(self) -> list[str]:
        """Nothing to warn of."""
        return []

    def close(self) -> None:
        """Nothing to give up."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    # What follows is not the protocol's: the inside that readers work on, and faults.

    def stream(self, name: str) -> MemoryStream:
        """Return a stream, made when it is not there."""
        held = self._streams.get(name)
        if held is None:
            held = self._streams[name] = MemoryStream(name)
        return held

    def existing(self, name: str) -> MemoryStream | None:
        """Return a stream if it is there."""
        return self._streams.get(name)

    @property
    def length(self) -> int:
        """Entries held in all streams."""
        return sum(map(len, self._streams.values()))

    def names(self) -> list[str]:
        """The streams there are."""
        return sorted(self._streams)

    def wipe(self) -> None:
        """The server was killed and kept nothing: streams, groups, epochs are gone; readers lose their connection."""
        self.flush()
        self.restart()

    def restart(self, lose: int = 0) -> None:
        """The server was killed and started again: readers lose their connection.

        It kept everything but the newest `lose` entries over all streams, as one does whose disk was slow.
        """
        self.run_id += 1
        for _ in range(min(lose, len(self._order))):
            held = self._streams.get(self._order.pop())
            if held is not None:
                held.forget_newest()

    def flush(self) -> None:
        """Somebody emptied the server, which goes on running (FLUSHALL)."""
        self._streams.clear()
        self._epochs.clear()
        self._values.clear()

    def delete(self, stream: str) -> None:
        """Somebody removed a stream with its groups (DEL)."""
        self._streams.pop(stream, None)

    def fail_next(self, operation: str, times: int = 1, *, reply_lost: bool = False) -> None:
        """Let the next calls of an operation (a method's name; poll, ack and reclaim of readers) raise BusUnavailable.

        With `reply_lost` the server does what was asked first. Calls queue up behind earlier ones.
        """
        self._faults.setdefault(operation, deque()).extend([reply_lost] * times)

    def fault(self, operation: str) -> bool:
        """Raise when the next call of an operation shall fail; return whether its reply shall be lost."""
        if not self._faults:
            return False
        waiting = self._faults.get(operation)
        if not waiting:
            return False
        if waiting.popleft():
            return True
        raise BusUnavailable(f"{operation}: the server did not answer (planned)")

    def _lose(self, lost: bool, operation: str) -> None:
        if lost:
            raise BusUnavailable(f"{operation}: the reply was lost (planned)")

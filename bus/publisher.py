"""The one door by which a service speaks: messages are numbered, stamped with an epoch, and written in batches.

Entry ids come from here and not from the server, so a batch whose reply was lost is simply given again. Ids rise even
when the clock does not: they go on behind what the stream held when it was first written to.

A server with an append-only file that is fsynced every second answers before it has written while an fsync runs
(measured: kill -9 then costs what came last). So durable messages of the last seconds are kept here, and behind every
new connection those that the stream lacks are given again, under the same ids.
"""

from collections import Counter, deque
from collections.abc import Callable, Mapping
from itertools import islice
from typing import NamedTuple

from bus.codec import encode, kind_of
from bus.errors import BusError, BusUnavailable, Fenced
from bus.ids import Key, after, parse, write
from bus.messages import VERSION, Header, Message, Received
from bus.protocol import Bus
from bus.streams import CONTROL, is_market

_BATCH = 1_000
_FENCE_EVERY_NS = 1_000_000_000
_KEEP_NS = 5_000_000_000
"""The server puts a write off for two seconds at most."""
_CONTROL_LOOKED_AT = 1_000


class _Waiting(NamedTuple):
    stream: str
    data: bytes
    id: str


class Publisher:
    """Numbers and writes what one service says. Not for several threads.

    `bus` is written to; `writer` is the service's name, of which this process takes the next epoch; `wall` tells
    nanoseconds since the epoch, `machine` those of the machine where a replay turns `wall`. While the server is away
    messages wait here: of market data the newest `market_limit` (older ones are dropped and counted in `dropped`), of
    everything else up to `durable_limit`, beyond which `publish`
    raises. Raises BusUnavailable when the epoch cannot be had.
    """

    def __init__(
        self,
        bus: Bus,
        writer: str,
        wall: Callable[[], int],
        *,
        market_limit: int = 20_000,
        durable_limit: int = 100_000,
        machine: Callable[[], int] | None = None,
    ) -> None:
        self._bus = bus
        self.writer = writer
        self._wall = wall
        self._machine = machine or wall
        self._limits = {True: market_limit, False: durable_limit}
        self._counts = {True: 0, False: 0}
        self._waiting: deque[_Waiting] = deque()
        self._sequences: dict[tuple[str, str], int] = {}
        self._top: Key = (0, 0)
        self._known: set[str] = set()
        self._dropped: Counter[str] = Counter()
        self._kept: deque[tuple[int, _Waiting]] = deque()
        self.restored = 0
        """Messages given again because the server had lost them."""
        self._generation = bus.generation()
        self.epoch = bus.next_epoch(writer)
        self._checked_ns = self._machine()

    def publish(
        self,
        stream: str,
        body: Message,
        *,
        message_id: str,
        exchange_ns: int = 0,
        received_ns: int = 0,
        writer: str = "",
    ) -> Received:
        """Put a message behind those that wait and return it as a consumer would get it (its entry id may be empty).

        Numbers run per stream; under another `writer` they run over all streams that it writes. Written by `flush`.
        Raises BadMessage for one too large, BusUnavailable when too many wait (nothing is numbered then).
        """
        market = is_market(stream)
        if self._counts[market] >= self._limits[market]:
            self._make_room(stream, market)
        entry_id = self._next_id(stream)
        key = (writer, "") if writer else ("", stream)
        seq = self._sequences.get(key, 0) + 1
        name = writer or self.writer
        header = Header(
            VERSION, kind_of(body), name, self.epoch, seq, exchange_ns, received_ns, self._wall(), message_id
        )
        self._waiting.append(_Waiting(stream, encode(header, body), entry_id))
        self._sequences[key] = seq
        self._counts[market] += 1
        return Received(stream, entry_id, header, body, 1)

    def flush(self) -> None:
        """Write everything that waits, in order.

        Raises BusUnavailable, what was not written waits on; Fenced when a newer process has our name, for good;
        BusError when somebody else has written to a stream of ours.
        """
        if not 0 <= self._machine() - self._checked_ns < _FENCE_EVERY_NS:
            self.check()
        if self._bus.generation() != self._generation:
            self._restore()
        waiting = self._waiting
        while waiting:
            batch = list(islice(waiting, _BATCH))
            try:
                self._bus.add(batch)
            except BusUnavailable:
                raise
            except BusError:
                self.check()
                raise
            for _ in batch:
                self._keep(waiting.popleft())
        self._forget()

    @property
    def waiting(self) -> int:
        """Messages that are not written yet."""
        return len(self._waiting)

    @property
    def has_room(self) -> bool:
        """Whether one more message that may not be dropped can wait."""
        return self._counts[False] < self._limits[False]

    @property
    def dropped(self) -> Mapping[str, int]:
        """Market messages dropped since the start, by stream; whoever reads sees the holes in their numbers."""
        return self._dropped

    def _keep(self, written: _Waiting) -> None:
        market = is_market(written.stream)
        self._counts[market] -= 1
        if not market:
            self._kept.append((self._machine(), written))

    def _forget(self) -> None:
        """Let go of what the server has had long enough to write down."""
        kept, now = self._kept, self._machine()
        while kept and not 0 <= now - kept[0][0] < _KEEP_NS:
            kept.popleft()

    def _restore(self) -> None:
        """Give again what the server has lost of the last seconds. Raises BusUnavailable; nothing is forgotten then."""
        generation = self._bus.generation()
        lasts: dict[str, Key] = {}
        said = {entry.data for entry in self._bus.recent(CONTROL, _CONTROL_LOOKED_AT)} if self._kept else set()
        missing = []
        for _, written in self._kept:
            if written.stream not in lasts:
                lasts[written.stream] = parse(self._bus.last_id(written.stream))
            there = parse(written.id) <= lasts[written.stream] if written.id else written.data in said
            if not there:
                missing.append(written)
        for first in range(0, len(missing), _BATCH):
            self._bus.add(missing[first : first + _BATCH])
        self.restored += len(missing)
        self._generation = generation

    def check(self) -> None:
        """Ask whether the name is still ours, as `flush` does once a second. Raises Fenced, BusUnavailable."""
        holder = self._bus.epoch(self.writer)
        if holder > self.epoch:
            raise Fenced(
                f"{self.writer} is spoken for by epoch {holder}, ours is {self.epoch}: a newer process has started; "
                "this one must end"
            )
        self._checked_ns = self._machine()

    def _next_id(self, stream: str) -> str:
        if stream == CONTROL:
            return ""  # several write it: only the server can number them
        if stream not in self._known:
            self._top = max(self._top, parse(self._bus.last_id(stream)))
            self._known.add(stream)
        self._top = max((self._wall() // 1_000_000, 0), after(self._top))
        return write(self._top)

    def _make_room(self, stream: str, market: bool) -> None:
        if not market:
            raise BusUnavailable(
                f"{self._counts[False]} messages of {self.writer} wait for the server, the limit is "
                f"{self._limits[False]}; {stream} takes no more until they are written"
            )
        at = next(index for index, each in enumerate(self._waiting) if is_market(each.stream))
        self._dropped[self._waiting[at].stream] += 1
        del self._waiting[at]
        self._counts[True] -= 1

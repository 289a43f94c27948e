"""What services say on its way to the bus: collected while a handler runs, numbered, and written in one round trip."""

from collections.abc import Sequence
from typing import Any, NamedTuple, cast

from bus.codec import decode
from bus.ids import ZERO, parse
from bus.messages import Header, Message, Received
from bus.protocol import Bus, Entry
from bus.publisher import Publisher
from bus.streams import CONTROL, is_market
from live.clock import Clock
from live.errors import Fatal

MOST_DURABLE = 100_000
"""Messages of one service that may wait for the bus, market data apart: hours of candidates, scores and reports."""
MOST_MARKET = 20_000
"""Market data that may wait; older than that is dropped, and its readers see the hole in the numbers."""


Write = tuple[str, bytes, str]
"""Stream, data, id."""
_BEHIND = (2**64, 0)


class Said(NamedTuple):
    """One call of `publish`."""

    stream: str
    body: Message
    message_id: str
    exchange_ns: int
    received_ns: int
    writer: str


class Voice:
    """The Output a service is handed. What it says stays here until its handler has returned."""

    def __init__(self) -> None:
        self._said: list[Said] = []
        self.cause: Header | None = None
        """Of the message being handled: what is said meanwhile has its market times, where none are given."""

    def publish(
        self,
        stream: str,
        body: Message,
        *,
        message_id: str,
        exchange_ns: int = 0,
        received_ns: int = 0,
        writer: str = "",
    ) -> None:
        """Append a message."""
        if self.cause:
            exchange_ns, received_ns = exchange_ns or self.cause.exchange_ns, received_ns or self.cause.received_ns
        self._said.append(Said(stream, body, message_id, exchange_ns, received_ns, writer))

    def take(self) -> Sequence[Said]:
        """Return what was said since the last call."""
        if not self._said:
            return ()
        said, self._said = self._said, []
        return said

    def give_back(self, said: Sequence[Said]) -> None:
        """Put back what could not be numbered yet, before everything said since."""
        self._said[:0] = said


class _Drawer:
    """Stands in for the bus before a publisher: what it writes is laid together, everything else passes through."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        self.entries: list[Write] = []
        self._last = ZERO
        self.next_epoch, self.epoch, self.generation = bus.next_epoch, bus.epoch, bus.generation
        self.last_id, self.recent = bus.last_id, bus.recent

    def add(self, entries: Sequence[Write]) -> list[str]:
        """Keep entries until the host writes them, in the order of their ids.

        A publisher gives entries again that a restarted server has lost: they go before those that wait, which may be
        among them.
        """
        keys = [parse(entry_id) for _, _, entry_id in entries if entry_id]
        self.entries.extend((stream, data, entry_id) for stream, data, entry_id in entries)
        if keys and keys[0] <= self._last:
            once = dict.fromkeys(self.entries)
            self.entries = sorted(once, key=lambda entry: parse(entry[2]) if entry[2] else _BEHIND)
        self._last = max(self._last, *keys) if keys else self._last
        return [entry_id for _, _, entry_id in entries]


class Pen:
    """Numbers what one writer says and lays it ready. Raises BusUnavailable when the writer's epoch cannot be had."""

    def __init__(self, bus: Bus, writer: str, clock: Clock, machine: Clock) -> None:
        self.voice = Voice()
        self._drawer = _Drawer(bus)
        self._publisher = Publisher(
            cast("Bus", self._drawer),  # a publisher uses no more of a bus than a drawer has
            writer,
            clock.wall_ns,
            market_limit=MOST_MARKET,
            durable_limit=MOST_DURABLE,
            machine=machine.wall_ns,
        )
        self._unnumbered: dict[int, Sequence[Any]] = {}

    @property
    def writer(self) -> str:
        """The name it writes under."""
        return self._publisher.writer

    @property
    def epoch(self) -> int:
        """The epoch this process speaks under."""
        return self._publisher.epoch

    @property
    def waiting(self) -> int:
        """Messages that are not on the bus."""
        return self._publisher.waiting + len(self._drawer.entries)

    @property
    def dropped(self) -> int:
        """Market data given up because the bus was away for too long."""
        return sum(self._publisher.dropped.values())

    def number(self, said: Said) -> Received:
        """Give a message its place.

        Raises BusUnavailable when the first id of a stream cannot be had, BadMessage for one too large, and Fatal when
        more wait than may.
        """
        if not (is_market(said.stream) or self._publisher.has_room):
            raise Fatal(
                f"{self._publisher.writer}: {self._publisher.waiting} messages wait for the bus and no more may; mend "
                "the bus and start again (what was traded is in the executor's journal)"
            )
        return self._publisher.publish(
            said.stream,
            said.body,
            message_id=said.message_id,
            exchange_ns=said.exchange_ns,
            received_ns=said.received_ns,
            writer=said.writer,
        )

    def tell_id(self, received: Received, waiting: Sequence[Any]) -> None:
        """Ask for the id that the server will give a control event: `written` returns it with `waiting`."""
        self._unnumbered[received.header.seq] = waiting

    def check(self) -> None:
        """Ask whether the name is still ours, before a write has to. Raises Fenced, BusUnavailable."""
        self._publisher.check()

    def lay_ready(self) -> list[Write]:
        """Return everything that is to be written, in order; it stays until `written`.

        Raises BusUnavailable, and Fenced when a newer process speaks under this name.
        """
        if self._publisher.waiting or self._drawer.entries:
            self._publisher.flush()
        return self._drawer.entries

    def written(self, ids: Sequence[str]) -> list[tuple[str, Sequence[Any]]]:
        """Forget the first entries, which now stand under these ids; returns the ids that were asked for."""
        told = []
        for (stream, data, _), entry_id in zip(self._drawer.entries, ids, strict=False):
            if stream == CONTROL:
                seq = decode(Entry(stream, entry_id, data, 1)).header.seq
                told.append((entry_id, self._unnumbered.pop(seq, ())))
        del self._drawer.entries[: len(ids)]
        return told

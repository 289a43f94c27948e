"""One bus over several servers: market data of a symbol on the server its name hashes to, everything else at home.

    bus = ShardedBus("redis://home", ["redis://market-0", "redis://market-1"], symbols)

Market data is nearly all there is to carry and is kept by age; what must not be lost (candidates, orders, outcomes,
control) stays on one server, with its order. A server of market data that is away is a bus that is away: who cannot
see a market must not trade in it.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Self

from bus.client import TIMEOUT_SECONDS, RedisBus
from bus.protocol import Depth, Entry, Group, Waker
from bus.reader import RedisReader
from bus.sharded_reader import ShardedReader
from bus.streams import is_market, shard_of, symbol_of

_HOME = -1

Connect = Callable[[str], RedisBus]


def _connected(url: str) -> RedisBus:
    return RedisBus(url, TIMEOUT_SECONDS)


class ShardedBus:
    """See bus.protocol.Bus. `symbols` are those whose streams this process may touch: other servers are not asked.

    `connect` opens a server by its URL. Nothing is connected before the first call.
    """

    def __init__(
        self, home: RedisBus, market_urls: Sequence[str], symbols: Iterable[str], connect: Connect = _connected
    ) -> None:
        self._home = home
        self._count = len(market_urls)
        wanted = sorted({shard_of(symbol, self._count) for symbol in symbols})
        self._buses: dict[int, RedisBus] = {_HOME: home} | {place: connect(market_urls[place]) for place in wanted}
        self.url = home.url

    def add(self, entries: Sequence[tuple[str, bytes, str]]) -> list[str]:
        """As Bus.add, market data first: what follows from it is never there without it.

        Servers are written one after another. When one is away, those before it have written all they were given;
        market ids are the writer's own, so the same entries may be given again.
        """
        placed: dict[int, list[int]] = {}
        for index, (stream, _, _) in enumerate(entries):
            placed.setdefault(self._place(stream), []).append(index)
        written = [""] * len(entries)
        for place in sorted(placed, key=lambda each: (each == _HOME, each)):
            indexes = placed[place]
            for index, entry_id in zip(indexes, self._buses[place].add([entries[i] for i in indexes]), strict=True):
                written[index] = entry_id
        return written

    def reader(
        self, consumer: str, tails: Mapping[str, str], groups: Sequence[Group], waker: Waker | None = None
    ) -> ShardedReader | RedisReader:
        """As Bus.reader: a reader on every server that has one of these streams."""
        places = {self._place(stream) for stream in [*tails, *(group.stream for group in groups)]}
        if places <= {_HOME}:
            return self._home.reader(consumer, tails, groups, waker)
        readers = {
            place: self._buses[place].reader(
                consumer,
                {stream: start for stream, start in tails.items() if self._place(stream) == place},
                [group for group in groups if self._place(group.stream) == place],
            )
            for place in sorted(places)
        }
        return ShardedReader(readers, self._place, waker)

    def last_id(self, stream: str) -> str:
        """As Bus.last_id."""
        return self._of(stream).last_id(stream)

    def recent(self, stream: str, count: int) -> list[Entry]:
        """As Bus.recent."""
        return self._of(stream).recent(stream, count)

    def depth(self, stream: str, group: str) -> Depth:
        """As Bus.depth."""
        return self._of(stream).depth(stream, group)

    def trim(self, stream: str, min_id: str) -> int:
        """As Bus.trim."""
        return self._of(stream).trim(stream, min_id)

    def trimmable(self, stream: str) -> str:
        """As Bus.trimmable."""
        return self._of(stream).trimmable(stream)

    def dead_letter(self, entry: Entry, group: str, error: str) -> None:
        """As Bus.dead_letter, on the entry's own server."""
        self._of(entry.stream).dead_letter(entry, group, error)

    def next_epoch(self, writer: str) -> int:
        """As Bus.next_epoch, at home."""
        return self._home.next_epoch(writer)

    def epoch(self, writer: str) -> int:
        """As Bus.epoch, at home."""
        return self._home.epoch(writer)

    def generation(self) -> int:
        """As Bus.generation, of home: what is given again behind a restart lies there alone."""
        return self._home.generation()

    def put(self, key: str, value: bytes, ttl_ms: int) -> None:
        """As Bus.put, on every server: so a host that asks whether its bus is back asks all of them."""
        for each in self._buses.values():
            each.put(key, value, ttl_ms)

    def values(self, prefix: str) -> dict[str, bytes]:
        """As Bus.values, at home."""
        return self._home.values(prefix)

    def checks(self) -> list[str]:
        """As RedisBus.checks, of every server."""
        return [text for each in self._buses.values() for text in each.checks()]

    def close(self) -> None:
        """As Bus.close, home included."""
        for each in self._buses.values():
            each.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def _of(self, stream: str) -> RedisBus:
        return self._buses[self._place(stream)]

    def _place(self, stream: str) -> int:
        return shard_of(symbol_of(stream), self._count) if is_market(stream) else _HOME

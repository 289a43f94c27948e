"""Which symbols an instance of a service takes, and what it is called, where several share the market between them.

The collector with its recorder and the signal engine can run once for each share of the symbols (`shard.index` of
`shard.count`). An instance is named on the bus, in its heartbeats and by its folder: `collector` has the first share,
`collector:1` the second. Everything else runs once and sees every symbol.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from bus.streams import candidates_shard, is_market, shard_of, symbol_of
from config.settings import Settings
from live.errors import LiveError
from live.handing import COLLECTOR, SIGNAL_ENGINE, writer_of
from market.symbols import Symbol

SHARED: Final = (COLLECTOR, "recorder", SIGNAL_ENGINE)
"""The services that run once a share."""


@dataclass(frozen=True, slots=True)
class Shards:
    """The share of this process, `index` of `count`."""

    index: int
    count: int

    @classmethod
    def of(cls, settings: Settings) -> "Shards":
        """As configured."""
        return cls(settings.shard.index, settings.shard.count)

    def instance(self, service: str) -> str:
        """What a service of this process is called."""
        return named(service, self.index) if service in SHARED else service

    def symbols(self, service: str, symbols: Mapping[str, Symbol]) -> Mapping[str, Symbol]:
        """The symbols a service of this process takes.

        Raises LiveError when its share is empty, or the first is: whoever has that one also records scores and outcomes
        for all, and takes what was read off the streams.
        """
        if service not in SHARED or self.count == 1:
            return symbols
        if 0 not in _shares(symbols, self.count):
            raise LiveError(
                f"{self.instance(service)}: none of market.symbols hashes to share 0 of {self.count} "
                f"({self._spread(symbols)}), so nobody would record or trim what is of all symbols; choose another "
                "shard.count"
            )
        share = {name: symbol for name, symbol in symbols.items() if shard_of(name, self.count) == self.index}
        if not share:
            raise LiveError(
                f"{self.instance(service)}: none of market.symbols hashes to share {self.index} of {self.count} "
                f"({self._spread(symbols)}); lower shard.count, and start one instance a share that has symbols"
            )
        return share

    def writer_of(self, stream: str) -> str | None:
        """As handing.writer_of, by instance."""
        if is_market(stream):
            return named(COLLECTOR, shard_of(symbol_of(stream), self.count))
        shard = candidates_shard(stream)
        return writer_of(stream) if shard is None else named(SIGNAL_ENGINE, shard)

    def _spread(self, symbols: Mapping[str, Symbol]) -> str:
        return ", ".join(f"{name} is in {shard_of(name, self.count)}" for name in symbols)


def instances(services: Sequence[str], settings: Settings) -> tuple[str, ...]:
    """What services of a stack are called when all that is configured runs: the shared ones once a share."""
    count = settings.shard.count
    shares = _shares(settings.market.symbols, count) if count > 1 else [0]
    return tuple(named(each, index) for each in services for index in (shares if each in SHARED else [0]))


def _shares(symbols: Iterable[str], count: int) -> list[int]:
    return sorted({shard_of(name, count) for name in symbols})


def named(service: str, index: int) -> str:
    """What the instance of a service is called that takes a share."""
    return f"{service}:{index}" if index else service

"""Keeps the streams short: of durable ones only what every group has acknowledged goes, of market data what is old."""

from collections.abc import Iterable, Mapping

from bus.ids import ZERO, Key, parse, write
from bus.protocol import Bus
from bus.streams import DURABLE

_DAY_MS = 86_400_000
_MOST_IN_A_MILLISECOND = 1_000_000
"""While ids wait for a clock that is behind them their milliseconds stand still, and only their numbers rise."""


class Janitor:
    """Trims streams; `sweep` is called now and then.

    `market` streams keep `market_ms` behind their newest entry, by the ids, so a replay at any speed is kept as long
    in its own time. `durable` streams keep what a group has not acknowledged, and `durable_ms` behind their newest
    entry for people and restarts to look back on; while nobody has a group on one, it keeps `unclaimed_ms`. A group on
    a market stream is never overtaken either.
    """

    def __init__(
        self,
        bus: Bus,
        market: Iterable[str],
        market_ms: int,
        *,
        durable: Iterable[str] = DURABLE,
        durable_ms: int = 0,
        unclaimed_ms: int = _DAY_MS,
    ) -> None:
        self._bus = bus
        self._ages: Mapping[str, int] = dict.fromkeys(market, market_ms)
        self._durable = tuple(durable)
        self._durable_ms = durable_ms
        self._unclaimed_ms = unclaimed_ms

    def sweep(self) -> dict[str, int]:
        """Trim every stream once and return how many entries went, by stream. Raises BusUnavailable."""
        gone = {name: self._cut(name, self._aged(name, age_ms, grouped=True)) for name, age_ms in self._ages.items()}
        for name in self._durable:
            needed = parse(self._bus.trimmable(name))
            aged = self._aged(name, self._unclaimed_ms if needed == ZERO else self._durable_ms)
            gone[name] = self._cut(name, aged if needed == ZERO else min(needed, aged))
        return {name: count for name, count in gone.items() if count}

    def _aged(self, stream: str, age_ms: int, *, grouped: bool = False) -> Key:
        """Return the lowest id that is young enough, or that a group still needs."""
        ms, number = parse(self._bus.last_id(stream))
        cut = (ms - age_ms, 0) if age_ms else (ms, number + 1)
        if number > _MOST_IN_A_MILLISECOND:
            cut = max(cut, (ms, number - _MOST_IN_A_MILLISECOND))
        needed = parse(self._bus.trimmable(stream)) if grouped else ZERO
        return cut if needed == ZERO else min(cut, needed)

    def _cut(self, stream: str, lowest: Key) -> int:
        return self._bus.trim(stream, write(lowest)) if lowest > ZERO else 0

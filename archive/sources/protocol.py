"""The one door to recorded market data: a kind of recording, where it lies, and what we know of its instruments."""

from collections.abc import Callable, Mapping
from datetime import date
from pathlib import Path
from typing import Protocol

from archive.errors import SourceError
from archive.sources.binance_spot_diff import BinanceSpotDiffSource
from archive.sources.binance_vision import BinanceVisionSource
from archive.sources.binance_ws import BinanceWsSource
from archive.sources.bitstamp_l3 import BitstampL3Source
from archive.sources.day import DayOfMarket
from archive.sources.hyperliquid import HyperliquidSource
from archive.sources.standx import StandxSource
from archive.sources.tardis import TardisSource
from market.symbols import Symbol, SymbolTable


class Source(Protocol):
    """A recording of one or more instruments."""

    @property
    def name(self) -> str:
        """The kind of recording, as `open_source` calls it."""
        ...

    def symbols(self) -> tuple[Symbol, ...]:
        """Return the instruments of the symbol table that it holds."""
        ...

    def days(self, symbol: Symbol) -> tuple[date, ...]:
        """Return the UTC days for which it has files, in order."""
        ...

    def read_day(self, symbol: Symbol, day: date) -> DayOfMarket:
        """Return one UTC day, with everything dropped or changed counted in `defects`.

        Raises SourceError when a file is missing, truncated or of another layout, BadReference when a price is off the
        symbol's tick.
        """
        ...


_KINDS: Mapping[str, Callable[[Path, SymbolTable], Source]] = {
    source.name: source
    for source in (
        BinanceSpotDiffSource,
        BinanceVisionSource,
        BinanceWsSource,
        BitstampL3Source,
        HyperliquidSource,
        StandxSource,
        TardisSource,
    )
}
KINDS = tuple(_KINDS)
"""The kinds of recording that can be opened."""


def open_source(kind: str, path: str | Path, table: SymbolTable) -> Source:
    """Open a recording of a kind at a path; raises SourceError for an unknown kind or a path that holds none."""
    if kind not in _KINDS:
        raise SourceError(f"{path}: unknown kind of recording {kind!r}; known are {', '.join(KINDS)}")
    return _KINDS[kind](Path(path), table)

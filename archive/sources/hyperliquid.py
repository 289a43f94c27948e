"""Hyperliquid CSV: `orderbooks_COIN.csv.gz` (20-level snapshots) and `trades_COIN.csv.gz`, one recording a folder.

`prices_COIN.csv.gz`, the changes of the best bid and offer, is left out: it has no depth to make a row of. Known
defects of these recordings, and what is done: the stream stalls for up to 18 s (counted); the first trades are older
than the first book (kept and counted); after a reconnection the venue sends its last trades and book again (dropped
and counted).
"""

import re
from datetime import date
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from archive.errors import SourceError
from archive.sources.day import DayBounds, DayOfMarket, Defect, Defects, days_of
from archive.sources.delimited import Records, read_csv
from archive.sources.instruments import known
from archive.sources.ladders import (
    Place,
    RawTrades,
    count_where,
    first_of_each,
    positive,
    to_ladder,
    to_trades,
    well_formed,
)
from archive.sources.reading import files_in
from archive.sources.settling import settle
from market.columns import BookColumns, TradeColumns
from market.events import LEVELS, NO_ASK_TICKS, NO_BID_TICKS
from market.symbols import Symbol, SymbolTable

_NAME = re.compile(r"orderbooks_(.+)\.csv\.gz")
_TIMES = {"timestamp": "float", "exchange_timestamp": "int"}
_SIDES = ("bid_price", "bid_size", "ask_price", "ask_size")
_BOOK_COLUMNS = _TIMES | {"sequence": "int"} | {f"{s}_{k}": "float" for s in _SIDES for k in range(LEVELS)}
_TRADE_COLUMNS = _TIMES | {"price": "float", "size": "float", "side": "text", "trade_id": "int"}


class HyperliquidSource:
    """A folder with the files of one recording."""

    name = "hyperliquid"

    def __init__(self, path: Path, table: SymbolTable) -> None:
        self._path = path
        self._table = table
        files = files_in(path, "orderbooks_*.csv.gz", "Hyperliquid order books")
        self._books = {match[1]: file for file in files if (match := _NAME.fullmatch(file.name))}

    def symbols(self) -> tuple[Symbol, ...]:
        """Return the instruments of the table that have files here."""
        return known(self._table, "hyperliquid", self._books, {"perp"})

    def days(self, symbol: Symbol) -> tuple[date, ...]:
        """Return the days of the symbol's book rows; reads their times."""
        times = read_csv(self._book_file(symbol), {"exchange_timestamp": "int"}, Defects())["exchange_timestamp"]
        return days_of(times * 1_000_000)

    def read_day(self, symbol: Symbol, day: date) -> DayOfMarket:
        """Return the symbol's day; empty when the recording does not touch it.

        Raises SourceError when a file cannot be read, BadReference when a price is off the tick.
        """
        bounds, defects = DayBounds.of(day), Defects()
        snapshots = _snapshots(self._book_file(symbol), symbol, defects)
        prints = _prints(self._path / f"trades_{symbol.venue_symbol}.csv.gz", symbol, bounds, defects)
        return settle(snapshots, prints, bounds, defects, drop_repeats=True)

    def _book_file(self, symbol: Symbol) -> Path:
        if symbol.venue_symbol not in self._books:
            found = ", ".join(sorted(self._books))
            raise SourceError(f"{self._path}: no order books of {symbol.venue_symbol}, found {found}; ask for those")
        return self._books[symbol.venue_symbol]


def _snapshots(path: Path, symbol: Symbol, defects: Defects) -> BookColumns:
    records = read_csv(path, _BOOK_COLUMNS, defects)
    sides = [np.stack([records[f"{side}_{k}"] for k in range(LEVELS)], axis=1) for side in _SIDES]
    good = _timed(records) & well_formed(*sides)
    count_where(~good, Defect.MALFORMED, Place(path, records.lines), defects)
    records = records.where(good)
    bid_prices, bid_sizes, ask_prices, ask_sizes = (side[good] for side in sides)
    place = Place(path, records.lines)
    return BookColumns(
        *_times(records),
        records["sequence"],
        np.zeros(len(records), np.uint8),
        *to_ladder(symbol, bid_prices, bid_sizes, NO_BID_TICKS, place),
        *to_ladder(symbol, ask_prices, ask_sizes, NO_ASK_TICKS, place),
    )


def _prints(path: Path, symbol: Symbol, bounds: DayBounds, defects: Defects) -> TradeColumns:
    records = read_csv(path, _TRADE_COLUMNS, defects)
    buys, sells = records["side"] == "buy", records["side"] == "sell"
    good = _timed(records) & positive(records["price"]) & positive(records["size"]) & (buys | sells)
    place = Place(path, records.lines)
    count_where(~good, Defect.MALFORMED, place, defects)
    exchange_ns, local_ns = _times(records)
    again = good & ~first_of_each(records["trade_id"])
    count_where(
        again & (exchange_ns >= bounds.start_ns) & (exchange_ns < bounds.stop_ns), Defect.DUPLICATES, place, defects
    )
    kept = good & ~again
    aggressor = np.where(buys, 1, -1)
    raw = RawTrades(exchange_ns, local_ns, records["trade_id"], records["price"], records["size"], aggressor)
    return to_trades(symbol, raw.where(kept), Place(path, records.lines[kept]))


def _timed(records: Records) -> NDArray[np.bool_]:
    return positive(records["timestamp"]) & (records["exchange_timestamp"] > 0)


def _times(records: Records) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return exchange and local ns; the local clock is a float of seconds, exact to the microsecond it was taken to."""
    microseconds = np.rint(np.nan_to_num(records["timestamp"]) * 1e6).astype(np.int64)
    return records["exchange_timestamp"] * 1_000_000, microseconds * 1_000

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
from archive.sources.day import DayBounds, DayOfMarket, Defect, Defects, days_of, event_time
from archive.sources.instruments import known
from archive.sources.ladders import Place, count_where, positive, to_ladder, to_lots, to_ticks, well_formed
from archive.sources.reading import Records, files_in, read_csv
from archive.sources.settling import count_book_times, settle_book, settle_trades
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
        book, rows = settle_book(snapshots, bounds, defects, drop_repeats=True)
        trades, trade_rows = settle_trades(prints, bounds, defects)
        day_book = book.slice(rows.start, rows.stop)
        day_trades = trades.slice(trade_rows.start, trade_rows.stop)
        count_book_times(day_book, bounds, defects)
        early = event_time(day_trades.exchange_ns) < (book.exchange_ns[0] if len(book) else 0)
        defects.count(Defect.TRADES_BEFORE_BOOK, np.count_nonzero(early))
        return DayOfMarket(day_book, day_trades, defects.counts, first_seen=defects.first_seen)

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
    first = np.zeros(len(records), bool)
    first[np.unique(records["trade_id"], return_index=True)[1]] = True
    exchange_ns, local_ns = _times(records)
    of_day = (exchange_ns >= bounds.start_ns) & (exchange_ns < bounds.stop_ns)
    count_where(good & ~first & of_day, Defect.DUPLICATES, place, defects)
    kept = good & first
    place = Place(path, records.lines[kept])
    return TradeColumns(
        exchange_ns[kept],
        local_ns[kept],
        records["trade_id"][kept],
        to_ticks(symbol, records["price"][kept], place),
        to_lots(symbol, records["size"][kept], place),
        np.where(buys, 1, -1).astype(np.int8)[kept],
        np.zeros(np.count_nonzero(kept), np.uint8),
    )


def _timed(records: Records) -> NDArray[np.bool_]:
    return positive(records["timestamp"]) & (records["exchange_timestamp"] > 0)


def _times(records: Records) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return exchange and local ns; the local clock is a float of seconds, exact to the microsecond it was taken to."""
    microseconds = np.rint(np.nan_to_num(records["timestamp"]) * 1e6).astype(np.int64)
    return records["exchange_timestamp"] * 1_000_000, microseconds * 1_000

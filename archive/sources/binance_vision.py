"""Binance's published day files: `SYMBOL-KIND-DATE.zip`, each with one CSV, as under data.binance.vision.

A folder of one market (spot, USD-M or COIN-M), however deep. Books come from `bookTicker` files (futures only, up to
2024): they know the touch alone, so levels 2 to 10 are missing. `bookDepth` files hold sums within percentages of the
mid, which are no levels, and are left out. Trades come from `aggTrades`, or from `trades` on days without. Files have a
header or, on spot and before 2022, none; times are milliseconds, on spot since 2025 microseconds. There is no local
clock: `local_ns` is the exchange's transaction time.
"""

import re
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from archive.errors import SourceError
from archive.sources.day import DayBounds, DayOfMarket, Defect, Defects, neighbour
from archive.sources.delimited import read_csv
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
from archive.sources.settling import settle, take_book
from market.columns import BookColumns, TradeColumns
from market.events import NO_ASK_TICKS, NO_BID_TICKS
from market.symbols import Symbol, SymbolTable

_NAME = re.compile(r"([A-Z0-9_]+)-(bookTicker|aggTrades|trades)-(\d{4}-\d{2}-\d{2})\.zip")
_MARKETS = {"spot": "spot", "um": "perp", "cm": "inverse"}
_TICKER = ("best_bid_price", "best_bid_qty", "best_ask_price", "best_ask_qty")
_TICKER_NAMES = ("update_id", *_TICKER, "transaction_time", "event_time")
_AGG_NAMES: tuple[str, ...] = (
    "agg_trade_id",
    "price",
    "quantity",
    "first_trade_id",
    "last_trade_id",
    "transact_time",
    "is_buyer_maker",
    "is_best_match",
)
_TRADE_NAMES: tuple[str, ...] = ("id", "price", "qty", "quote_qty", "time", "is_buyer_maker", "is_best_match")
_MICROSECONDS_FROM = 10**14
_MARGIN_NS = 60_000_000_000


class BinanceVisionSource:
    """A folder of such day files."""

    name = "binance_vision"

    def __init__(self, path: Path, table: SymbolTable) -> None:
        self._path = path
        self._table = table
        self._files: dict[tuple[str, date], dict[str, Path]] = {}
        for file in files_in(path, "**/*.zip", "Binance day files"):
            if match := _NAME.fullmatch(file.name):
                self._files.setdefault((match[1], date.fromisoformat(match[3])), {})[match[2]] = file

    def symbols(self) -> tuple[Symbol, ...]:
        """Return the instruments of the table that have files here; the folder's path may tell the market."""
        told = {market for part, market in _MARKETS.items() if any(part in f.parts for f in self._every_file())}
        return known(self._table, "binance", {name for name, _ in self._files}, told or set(_MARKETS.values()))

    def days(self, symbol: Symbol) -> tuple[date, ...]:
        """Return the days that have a file of the symbol."""
        return tuple(sorted(day for name, day in self._files if name == symbol.venue_symbol))

    def read_day(self, symbol: Symbol, day: date) -> DayOfMarket:
        """Return the symbol's day; its neighbours' files are looked through for rows of it.

        Raises SourceError when the day has no file or one cannot be read, BadReference when a price is off the tick.
        """
        if (symbol.venue_symbol, day) not in self._files:
            found = ", ".join(map(str, self.days(symbol))) or "none of it"
            raise SourceError(f"{self._path}: no day file of {symbol.name} on {day}; found {found}; ask for those")
        bounds, defects = DayBounds.of(day), Defects()
        books, trades = [], []
        for each in (neighbour(day, distance) for distance in (-1, 0, 1)):
            files = self._files.get((symbol.venue_symbol, each), {})
            # What is malformed next door is counted with the day it lies in.
            counts = defects if each == day else Defects()
            books += [_tickers(file, symbol, bounds, counts) for file in _chosen(files, "bookTicker")]
            trades += [_prints(file, symbol, bounds, counts) for file in _chosen(files, "aggTrades", "trades")]
        if "bookTicker" not in self._files[symbol.venue_symbol, day]:
            defects.count(Defect.MISSING_FILES, 1, f"{symbol.venue_symbol}-bookTicker-{day}.zip")
        book = _by_update(BookColumns.concat(books), bounds, defects)
        is_last = neighbour(day, 1) not in self.days(symbol)
        settled = settle(book, TradeColumns.concat(trades), bounds, defects, is_last=is_last)
        defects.count(Defect.TRADE_ID_GAPS, np.count_nonzero(np.diff(settled.trades.trade_id) > 1))
        return settled

    def _every_file(self) -> Iterator[Path]:
        return (file for files in self._files.values() for file in files.values())


def _chosen(files: dict[str, Path], *kinds: str) -> list[Path]:
    """The file of the first kind that is there."""
    return [files[kind] for kind in kinds if kind in files][:1]


def _tickers(path: Path, symbol: Symbol, bounds: DayBounds, defects: Defects) -> BookColumns:
    wanted = {"update_id": "int", "transaction_time": "int"} | dict.fromkeys(_TICKER, "float")
    records = read_csv(path, wanted, defects, names=_TICKER_NAMES)
    sides = [records[name][:, None] for name in _TICKER]
    good = well_formed(*sides) & (records["transaction_time"] > 0)
    count_where(~good, Defect.MALFORMED, Place(path, records.lines), defects)
    near = good & bounds.hold(_ns(records["transaction_time"]), _MARGIN_NS)
    bid_prices, bid_sizes, ask_prices, ask_sizes = (side[near] for side in sides)
    records = records.where(near)
    ns, place = _ns(records["transaction_time"]), Place(path, records.lines)
    return BookColumns(
        ns,
        ns.copy(),
        records["update_id"],
        np.zeros(len(records), np.uint8),
        *to_ladder(symbol, bid_prices, bid_sizes, NO_BID_TICKS, place),
        *to_ladder(symbol, ask_prices, ask_sizes, NO_ASK_TICKS, place),
    )


def _prints(path: Path, symbol: Symbol, bounds: DayBounds, defects: Defects) -> TradeColumns:
    names = _AGG_NAMES if "-aggTrades-" in path.name else _TRADE_NAMES
    number, size, time = (names[0], names[2], "transact_time" if names is _AGG_NAMES else "time")
    wanted = {number: "int", "price": "float", size: "float", time: "int", "is_buyer_maker": "text"}
    records = read_csv(path, wanted, defects, names=names)
    sells, buys = (np.isin(records["is_buyer_maker"], words) for words in (("true", "True"), ("false", "False")))
    good = positive(records["price"]) & positive(records[size]) & (records[time] > 0) & (sells | buys)
    count_where(~good, Defect.MALFORMED, Place(path, records.lines), defects)
    again = good & ~first_of_each(records[number])
    count_where(again, Defect.DUPLICATES, Place(path, records.lines), defects)
    ns = _ns(records[time])
    near = good & ~again & bounds.hold(ns, _MARGIN_NS)
    raw = RawTrades(ns, ns.copy(), records[number], records["price"], records[size], np.where(sells, -1, 1))
    return to_trades(symbol, raw.where(near), Place(path, records.lines[near]))


def _ns(times: NDArray[np.int64]) -> NDArray[np.int64]:
    """Milliseconds or microseconds, told apart by their size (1e14 µs is the year 1973, 1e14 ms the year 5138)."""
    return np.where(times >= _MICROSECONDS_FROM, times * 1_000, times * 1_000_000)


def _by_update(book: BookColumns, bounds: DayBounds, defects: Defects) -> BookColumns:
    """Put rows in order of update id: some of the published files are not."""
    late = book.sequence < np.maximum.accumulate(book.sequence)
    defects.count(Defect.OUT_OF_ORDER, np.count_nonzero(late & bounds.hold(book.exchange_ns)))
    return take_book(book, np.argsort(book.sequence, kind="stable"))

"""StandX hourly parquet: 20-level book snapshots and trades, one file of each an hour of exchange time.

Known defects of these recordings, and what is done: every book row is stored twice (one kept); nearly half the books
are locked, because the feed cuts prices down to 0.1 while trades print at 0.01 (kept and flagged); every trade says
SELL (the aggressor is inferred instead); trades are stored by exchange time, not by arrival (put in order of arrival).
StandX numbers neither books nor trades: `sequence` is 0, `trade_id` the place of the trade in its day.
"""

import re
from datetime import date, datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from archive.errors import SourceError
from archive.sources.aggressors import infer, published_step
from archive.sources.day import DayBounds, DayOfMarket, Defect, Defects
from archive.sources.ladders import Floats, Place, count_where, positive, to_ladder, to_lots, to_ticks, well_formed
from archive.sources.reading import files_in, read_parquet
from archive.sources.settling import count_book_times, settle_book, settle_trades
from market.columns import TRADE_INFERRED, BookColumns, TradeColumns
from market.events import LEVELS, NO_ASK_TICKS, NO_BID_TICKS
from market.symbols import Symbol, SymbolTable

_NAME = re.compile(r"orderbook_(.+)_(\d{4}-\d{2}-\d{2})_(\d{2})\.parquet")
_LADDERS = ("bid_prices", "bid_quantities", "ask_prices", "ask_quantities")
_TIMES = {"timestamp": "timestamp[", "received_at": "timestamp["}
_BOOK_COLUMNS = _TIMES | dict.fromkeys(_LADDERS, "list<") | {"is_valid": "bool"}
_TRADE_COLUMNS = _TIMES | {"price": "double", "quantity": "double"}


class StandxSource:
    """A folder of `orderbook_SYMBOL_DATE_HOUR.parquet` and `trades_SYMBOL_DATE_HOUR.parquet`."""

    name = "standx"

    def __init__(self, path: Path, table: SymbolTable) -> None:
        self._path = path
        self._known = {s.venue_symbol: s for s in table.values() if s.venue == "standx"}
        self._hours: dict[str, set[datetime]] = {}
        for file in files_in(path, "orderbook_*_*_*.parquet", "StandX hours"):
            if match := _NAME.fullmatch(file.name):
                hour = datetime.fromisoformat(f"{match[2]}T{match[3]}:00:00+00:00")
                self._hours.setdefault(match[1], set()).add(hour)

    def symbols(self) -> tuple[Symbol, ...]:
        """Return the instruments of the table that have files here."""
        return tuple(self._known[name] for name in sorted(self._hours) if name in self._known)

    def days(self, symbol: Symbol) -> tuple[date, ...]:
        """Return the UTC days of which there is at least one hour."""
        return tuple(sorted({hour.date() for hour in self._hours.get(symbol.venue_symbol, ())}))

    def read_day(self, symbol: Symbol, day: date) -> DayOfMarket:
        """Return the symbol's day; the hour before it and the hour after it are read too.

        Raises SourceError when there is no hour of the day or a file cannot be read, BadReference when a price is off
        the tick.
        """
        defects, bounds = Defects(), DayBounds.of(day)
        hours = self._hours_around(symbol, day, defects)
        # What is malformed next door is counted with the day it lies in.
        counts = {hour: defects if hour.date() == day else Defects() for hour in hours}
        snapshots = [_book_hour(self._file("orderbook", symbol, hour), symbol, counts[hour]) for hour in hours]
        prints = [self._trade_hour(symbol, hour, counts[hour]) for hour in hours]
        book, book_rows = settle_book(BookColumns.concat(snapshots), bounds, defects, drop_repeats=True)
        trades, trade_rows = settle_trades(TradeColumns.concat(prints), bounds, defects)
        trades.aggressor[:] = infer(trades, book, published_step(book))
        rows = book.slice(book_rows.start, book_rows.stop)
        count_book_times(rows, bounds, defects)
        named = _numbered(trades.slice(trade_rows.start, trade_rows.stop), defects)
        return DayOfMarket(rows, named, defects.counts, first_seen=defects.first_seen)

    def _hours_around(self, symbol: Symbol, day: date, defects: Defects) -> list[datetime]:
        there = self._hours.get(symbol.venue_symbol, set())
        midnight = datetime.fromisoformat(f"{day}T00:00:00+00:00")
        wanted = [midnight + timedelta(hours=h) for h in range(24)]
        missing = [hour for hour in wanted if hour not in there]
        if len(missing) == len(wanted):
            days = ", ".join(str(d) for d in self.days(symbol)) or "no day"
            raise SourceError(f"{self._path}: no hour of {symbol.name} on {day}; found {days}; ask for one of those")
        if missing:
            defects.count(Defect.MISSING_FILES, len(missing), str(self._file("orderbook", symbol, missing[0])))
        around = [midnight - timedelta(hours=1), *wanted, midnight + timedelta(hours=24)]
        return [hour for hour in around if hour in there]

    def _file(self, kind: str, symbol: Symbol, hour: datetime) -> Path:
        return self._path / f"{kind}_{symbol.venue_symbol}_{hour:%Y-%m-%d_%H}.parquet"

    def _trade_hour(self, symbol: Symbol, hour: datetime, defects: Defects) -> TradeColumns:
        path = self._file("trades", symbol, hour)
        if not path.exists():
            defects.count(Defect.MISSING_FILES, 1, str(path))
            return TradeColumns.empty()
        return _trade_hour(path, symbol, defects)


def _book_hour(path: Path, symbol: Symbol, defects: Defects) -> BookColumns:
    table = read_parquet(path, _BOOK_COLUMNS)
    exchange_ns, local_ns, whole = _times(table)
    sides = [_levels(table[name]) for name in _LADDERS]
    good = whole & well_formed(*sides)
    for name in _LADDERS:
        good &= table[name].is_valid().to_numpy()
    valid = table["is_valid"].fill_null(False).to_numpy()
    every = Place(path, np.arange(len(good)))
    count_where(~good, Defect.MALFORMED, every, defects)
    count_where(good & ~valid, Defect.FLAGGED_INVALID, every, defects)
    rows = np.flatnonzero(good & valid)
    place = Place(path, rows)
    bid_prices, bid_sizes, ask_prices, ask_sizes = (side[rows] for side in sides)
    return BookColumns(
        exchange_ns[rows],
        local_ns[rows],
        np.zeros(len(rows), np.int64),
        np.zeros(len(rows), np.uint8),
        *to_ladder(symbol, bid_prices, bid_sizes, NO_BID_TICKS, place),
        *to_ladder(symbol, ask_prices, ask_sizes, NO_ASK_TICKS, place),
    )


def _trade_hour(path: Path, symbol: Symbol, defects: Defects) -> TradeColumns:
    table = read_parquet(path, _TRADE_COLUMNS)
    exchange_ns, local_ns, whole = _times(table)
    prices, sizes = (table[name].to_numpy() for name in ("price", "quantity"))
    good = whole & positive(prices) & positive(sizes)
    count_where(~good, Defect.MALFORMED, Place(path, np.arange(len(good))), defects)
    rows = np.flatnonzero(good)
    place = Place(path, rows)
    return TradeColumns(
        exchange_ns[rows],
        local_ns[rows],
        np.zeros(len(rows), np.int64),
        to_ticks(symbol, prices[rows], place),
        to_lots(symbol, sizes[rows], place),
        np.zeros(len(rows), np.int8),
        np.full(len(rows), TRADE_INFERRED, np.uint8),
    )


def _times(table: pa.Table) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.bool_]]:
    """Return exchange and local ns int64[n], and where both are there."""
    columns = [table[name] for name in _TIMES]
    exchange_ns, local_ns = (
        column.cast(pa.timestamp("ns", "UTC")).cast(pa.int64()).fill_null(0).to_numpy() for column in columns
    )
    return exchange_ns, local_ns, (exchange_ns > 0) & (local_ns > 0)


def _levels(column: pa.ChunkedArray) -> Floats:
    """Return lists as float64[n, LEVELS], NaN where a list is shorter."""
    lists = column.combine_chunks()
    offsets, values = lists.offsets.to_numpy(), lists.values.to_numpy(zero_copy_only=False)
    if len(values) and np.all(np.diff(offsets) == offsets[1] - offsets[0]) and offsets[1] - offsets[0] >= LEVELS:
        whole = values[offsets[0] : offsets[-1]].reshape(len(lists), -1)
        return np.ascontiguousarray(whole[:, :LEVELS], np.float64)
    place = offsets[:-1, None] + np.arange(LEVELS)
    padded = np.append(np.asarray(values, np.float64), np.nan)
    return padded[np.where(place < offsets[1:, None], place, len(values))]


def _numbered(trades: TradeColumns, defects: Defects) -> TradeColumns:
    trades.trade_id[:] = np.arange(len(trades))
    defects.count(Defect.AGGRESSOR_INFERRED, np.count_nonzero(trades.aggressor))
    defects.count(Defect.AGGRESSOR_UNKNOWN, np.count_nonzero(trades.aggressor == 0))
    return trades

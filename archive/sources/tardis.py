"""Tardis-style CSV day files: `EXCHANGE_TYPE_DATE_SYMBOL.csv.gz`, times in microseconds.

Books come from `incremental_book_L2` (levels with their new absolute amount, replayed) or, on days without, from
`book_snapshot_5` or `_25` (one row a book); trades from `trades`. Files are cut by the local clock, so a day's
neighbours are read too. A group of `is_snapshot` rows replaces the book: at the start of a file that follows the one
before within a minute it is the recorder's daily snapshot, anywhere else a reconnection, and the row carries
BOOK_RESET. Levels are not numbered: `sequence` is 0.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import date
from itertools import chain, pairwise
from pathlib import Path
from typing import NamedTuple
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from archive.errors import SourceError
from archive.sources.day import DayBounds, DayOfMarket, Defect, Defects, neighbour
from archive.sources.delimited import Records, read_csv
from archive.sources.instruments import known
from archive.sources.ladders import (
    Place,
    RawTrades,
    count_where,
    positive,
    to_ladder,
    to_lots,
    to_ticks,
    to_trades,
    well_formed,
)
from archive.sources.reading import files_in
from archive.sources.replay import Replay
from archive.sources.settling import settle
from market.columns import BookColumns, TradeColumns
from market.events import LEVELS, NO_ASK_TICKS, NO_BID_TICKS, BookDelta, BookSnapshot, Level
from market.sequence import SequenceRule
from market.symbols import Symbol, SymbolTable

_NAME = re.compile(r"([a-z0-9-]+)_(incremental_book_L2|book_snapshot_\d+|trades)_(\d{4}-\d{2}-\d{2})_([^.]+)\.csv\.gz")
_EXCHANGES = {
    "binance": ("binance", "spot"),
    "binance-futures": ("binance", "perp"),
    "binance-delivery": ("binance", "inverse"),
    "bybit": ("bybit", "perp"),
    "bitstamp": ("bitstamp", "spot"),
    "hyperliquid": ("hyperliquid", "perp"),
}
_DELTAS = "incremental_book_L2"
_SNAPSHOTS = "book_snapshot_"
_TIMES = {"timestamp": "int", "local_timestamp": "int"}
_DELTA_COLUMNS = _TIMES | {"is_snapshot": "text", "side": "text", "price": "float", "amount": "float"}
_TRADE_COLUMNS = _TIMES | {"id": "text", "side": "text", "price": "float", "amount": "float"}
_AGGRESSORS = {"buy": 1, "sell": -1, "unknown": 0}
_NS_PER_US = 1_000
_DAILY_SNAPSHOT_NS = 60_000_000_000


class TardisSource:
    """A folder of such day files."""

    name = "tardis"

    def __init__(self, path: Path, table: SymbolTable) -> None:
        self._path = path
        self._table = table
        self._files: dict[tuple[str, str, str], dict[date, dict[str, Path]]] = {}
        for file in files_in(path, "**/*.csv.gz", "Tardis day files"):
            match = _NAME.fullmatch(file.name)
            if match and match[1] in _EXCHANGES:
                key = (*_EXCHANGES[match[1]], match[4].upper())
                self._files.setdefault(key, {}).setdefault(date.fromisoformat(match[3]), {})[match[2]] = file

    def symbols(self) -> tuple[Symbol, ...]:
        """Return the instruments of the table that have files here."""
        spelled = {symbol.venue_symbol.upper(): symbol.venue_symbol for symbol in self._table.values()}
        return tuple(
            symbol
            for venue, market, name in sorted(self._files)
            for symbol in known(self._table, venue, {spelled.get(name, name)}, {market})
        )

    def days(self, symbol: Symbol) -> tuple[date, ...]:
        """Return the days that have a file of the symbol."""
        return tuple(sorted(self._files_of(symbol)))

    def read_day(self, symbol: Symbol, day: date) -> DayOfMarket:
        """Return the symbol's day; its neighbours' files are looked through for rows of it.

        Raises SourceError when the day has no file or one cannot be read, BadReference when a price is off the tick.
        """
        files = self._files_of(symbol)
        if day not in files:
            found = ", ".join(map(str, self.days(symbol))) or "none of it"
            raise SourceError(f"{self._path}: no day file of {symbol.name} on {day}; found {found}; ask for those")
        bounds, is_last = DayBounds.of(day), neighbour(day, 1) not in files
        near = [each for each in (neighbour(day, k) for k in (-1, 0, 1)) if each in files]
        replay = Replay(symbol, SequenceRule.BYBIT, bounds)
        # What is malformed next door is counted with the day it lies in.
        defects = {each: replay.day_defects if each == day else Defects() for each in near}
        kind = _book_kind(files[day])
        parts = [(files[each][kind], defects[each]) for each in near if kind in files[each]]
        prints = [_prints(files[each]["trades"], symbol, defects[each]) for each in near if "trades" in files[each]]
        trades = TradeColumns.concat(prints)
        if kind == _DELTAS:
            _replay((_messages(path, symbol, counts) for path, counts in parts), symbol, replay)
            return replay.finish(trades, is_last=is_last)
        if not kind:
            replay.day_defects.count(Defect.MISSING_FILES, 1, f"{_DELTAS} of {symbol.venue_symbol} on {day}")
        book = BookColumns.concat([_snapshots(path, symbol, counts) for path, counts in parts])
        return settle(book, trades, bounds, replay.day_defects, drop_repeats=True, is_last=is_last)

    def _files_of(self, symbol: Symbol) -> dict[date, dict[str, Path]]:
        return self._files.get((symbol.venue, symbol.market, symbol.venue_symbol.upper()), {})


class _Message(NamedTuple):
    """What one message of the venue said: rows that share both times."""

    opens_file: bool
    replaces: bool
    exchange_ns: int
    local_ns: int
    bids: tuple[Level, ...]
    asks: tuple[Level, ...]


def _book_kind(files: Mapping[str, Path]) -> str:
    """The type to take the book from: deltas, else the deepest snapshots, else none."""
    if _DELTAS in files:
        return _DELTAS
    depths = [int(kind.removeprefix(_SNAPSHOTS)) for kind in files if kind.startswith(_SNAPSHOTS)]
    return f"{_SNAPSHOTS}{max(depths)}" if depths else ""


def _replay(files: Iterable[Iterator[_Message]], symbol: Symbol, replay: Replay) -> None:
    last_ns = 0
    # The venue's numbers are not in the files; counting messages satisfies the rule of contiguous ones.
    for number, message in enumerate(chain.from_iterable(files), 2):
        times = (message.exchange_ns, message.local_ns)
        if message.replaces:
            seamless = message.opens_file and message.local_ns - last_ns < _DAILY_SNAPSHOT_NS
            sides = (tuple((p, lots) for p, lots in dict(side).items() if lots) for side in message[-2:])
            replay.update(BookSnapshot(symbol.name, number, *times, *sides), seamless=seamless)
        else:
            replay.update(BookDelta(symbol.name, number, number, None, *times, message.bids, message.asks))
        last_ns = message.local_ns
        if replay.is_past_day:
            return


def _messages(path: Path, symbol: Symbol, defects: Defects) -> Iterator[_Message]:
    records = read_csv(path, _DELTA_COLUMNS, defects)
    good = positive(records["price"]) & (records["amount"] >= 0) & (records["amount"] < np.inf) & _timed(records)
    good &= np.isin(records["side"], ("bid", "ask")) & np.isin(records["is_snapshot"], ("true", "false"))
    count_where(~good, Defect.MALFORMED, Place(path, records.lines), defects)
    records = records.where(good)
    place = Place(path, records.lines)
    ticks = to_ticks(symbol, records["price"], place).tolist()
    lots = to_lots(symbol, records["amount"], place).tolist()
    is_bid = (records["side"] == "bid").tolist()
    replaces = records["is_snapshot"] == "true"
    exchange_ns, local_ns = _times(records)
    changed = (np.diff(exchange_ns) != 0) | (np.diff(local_ns) != 0) | (np.diff(replaces.astype(np.int8)) != 0)
    starts = [0, *(np.flatnonzero(changed) + 1).tolist()] if len(records) else []
    for start, stop in pairwise([*starts, len(records)]):
        rows = range(start, stop)
        yield _Message(
            start == 0,
            bool(replaces[start]),
            int(exchange_ns[start]),
            int(local_ns[start]),
            tuple((ticks[row], lots[row]) for row in rows if is_bid[row]),
            tuple((ticks[row], lots[row]) for row in rows if not is_bid[row]),
        )


def _snapshots(path: Path, symbol: Symbol, defects: Defects) -> BookColumns:
    match = _NAME.fullmatch(path.name)
    assert match is not None, "only files of this name are listed"  # noqa: S101
    levels = range(min(LEVELS, int(match[2].removeprefix(_SNAPSHOTS))))
    names = [[f"{side}[{k}].{what}" for k in levels] for side in ("bids", "asks") for what in ("price", "amount")]
    records = read_csv(path, _TIMES | dict.fromkeys(chain(*names), "float"), defects)
    sides = [np.stack([records[name] for name in columns], axis=1) for columns in names]
    good = well_formed(*sides) & _timed(records)
    count_where(~good, Defect.MALFORMED, Place(path, records.lines), defects)
    records = records.where(good)
    bid_prices, bid_sizes, ask_prices, ask_sizes = (side[good] for side in sides)
    place = Place(path, records.lines)
    return BookColumns(
        *_times(records),
        np.zeros(len(records), np.int64),
        np.zeros(len(records), np.uint8),
        *to_ladder(symbol, bid_prices, bid_sizes, NO_BID_TICKS, place),
        *to_ladder(symbol, ask_prices, ask_sizes, NO_ASK_TICKS, place),
    )


def _prints(path: Path, symbol: Symbol, defects: Defects) -> TradeColumns:
    records = read_csv(path, _TRADE_COLUMNS, defects)
    known_side = np.isin(records["side"], list(_AGGRESSORS))
    ids = np.array([_trade_id(text) for text in records["id"]], np.int64)
    good = positive(records["price"]) & positive(records["amount"]) & _timed(records) & known_side & (ids >= 0)
    count_where(~good, Defect.MALFORMED, Place(path, records.lines), defects)
    count_where(good & (records["side"] == "unknown"), Defect.AGGRESSOR_UNKNOWN, Place(path, records.lines), defects)
    records = records.where(good)
    raw = RawTrades(
        *_times(records),
        ids[good],
        records["price"],
        records["amount"],
        np.array([_AGGRESSORS[side] for side in records["side"]], np.int8),
    )
    return to_trades(symbol, raw, Place(path, records.lines))


def _trade_id(text: str) -> int:
    """Return the venue's number, or the first 63 bits of its UUID, as `market.wire` does; -1 for neither."""
    if text.isdecimal() and len(text) <= 18:
        return int(text)
    try:
        return UUID(text).int >> 65
    except ValueError:
        return -1


def _timed(records: Records) -> NDArray[np.bool_]:
    return np.asarray((records["timestamp"] > 0) & (records["local_timestamp"] > 0))


def _times(records: Records) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    return records["timestamp"] * _NS_PER_US, records["local_timestamp"] * _NS_PER_US

"""Bitstamp order-by-order CSV: `orders.csv.gz` with every order's life, `trades.csv`, and `meta.json` naming the pair.

Orders are summed to price levels, and a row is made for each distinct exchange millisecond, when its events are all
in: between them a book may be crossed by an order that is about to trade. File order is the exchange's; the local clock
is not in order and is held. Known defects, and what is done: a few deletions are lost, so an order that is long gone
crosses the book for good: of the two orders that touch, the older is removed and counted as a zombie; market orders
stand at price 0 (dropped and counted); the recorder deletes every order when it stops (no row is made of that).
"""

from collections.abc import Iterable, Iterator
from datetime import date
from itertools import groupby
from operator import attrgetter
from pathlib import Path
from typing import NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from archive.errors import SourceError
from archive.sources.day import DayBounds, DayOfMarket, Defect, Defects, days_of
from archive.sources.delimited import read_csv
from archive.sources.instruments import known
from archive.sources.ladders import Floats, Place, RawTrades, count_where, positive, to_ticks, to_trades
from archive.sources.orders import ASK, BID, Orders
from archive.sources.reading import existing, opened
from archive.sources.replay import Replay
from market.columns import TradeColumns
from market.events import BadReference, BookDelta, BookSnapshot, Level
from market.sequence import SequenceRule
from market.symbols import Symbol, SymbolTable

_TIMES = {"timestamp": "int", "exchange_timestamp": "int"}
_ORDERS = _TIMES | {"id": "int", "price": "float", "volume": "float", "action": "text", "direction": "text"}
_TRADES = _TIMES | {"trade_id": "int", "price": "float", "amount": "float", "side": "text"}
_NS_PER_MS = 1_000_000
_SIDES = {"bid": BID, "ask": ASK}


class BitstampL3Source:
    """A folder with the three files of one recording."""

    name = "bitstamp_l3"

    def __init__(self, path: Path, table: SymbolTable) -> None:
        self._orders = existing(path / "orders.csv.gz", "the order events of a Bitstamp recording")
        self._trades = path / "trades.csv"
        self._pair = _pair(path / "meta.json")
        self._table = table

    def symbols(self) -> tuple[Symbol, ...]:
        """Return the instrument of the recording, when the table has it."""
        return known(self._table, "bitstamp", {self._pair}, {"spot"})

    def days(self, symbol: Symbol) -> tuple[date, ...]:
        """Return the days of the recording; reads the times of its events."""
        if symbol.venue_symbol != self._pair:
            return ()
        return days_of(read_csv(self._orders, _TIMES, Defects())["exchange_timestamp"] * _NS_PER_MS)

    def read_day(self, symbol: Symbol, day: date) -> DayOfMarket:
        """Return the symbol's day; empty when the recording does not touch it.

        Raises SourceError for another pair or a file that cannot be read, BadReference when a price is off the tick.
        """
        if symbol.venue_symbol != self._pair:
            raise SourceError(f"{self._orders}: is a recording of {self._pair}, not of {symbol.venue_symbol}")
        # The venue numbers no update; counting them ourselves satisfies the rule of contiguous numbers.
        replay = Replay(symbol, SequenceRule.BYBIT, DayBounds.of(day))
        events = _order_events(self._orders, symbol, replay.day_defects)
        for update in _updates(events, symbol, self._orders, replay):
            replay.update(update)
        return replay.finish(_trades(self._trades, symbol, replay.day_defects))


class _Event(NamedTuple):
    line: int
    exchange_ns: int
    local_ns: int
    order_id: int
    side: int
    price_ticks: int
    size_lots: int
    action: str


def _updates(
    events: Iterable[_Event], symbol: Symbol, path: Path, replay: Replay
) -> Iterator[BookDelta | BookSnapshot]:
    """Yield what each millisecond changed, the first as a snapshot."""
    orders, number = Orders(), 0
    for exchange_ns, batch in groupby(events, key=attrgetter("exchange_ns")):
        size, last = _apply(batch, orders, path, replay)
        for zombie in orders.bury_zombies():
            replay.defects.count(Defect.ZOMBIES, 1, f"{path}, row {last.line}: order {zombie}")
        bids, asks = orders.changes()
        if not orders:
            replay.defects.count(Defect.RECORDER_STOP, size, f"{path}, row {last.line}")
        elif number:
            number += 1
            yield BookDelta(symbol.name, number, number, None, exchange_ns, last.local_ns, bids, asks)
        else:
            number = 1
            yield BookSnapshot(symbol.name, number, exchange_ns, last.local_ns, *map(_alive, (bids, asks)))


def _apply(batch: Iterator[_Event], orders: Orders, path: Path, replay: Replay) -> tuple[int, _Event]:
    """Apply the events of one millisecond; return how many they were and the last of them."""
    events = list(batch)
    for event in events:
        if event.action == "created":
            orders.create(event.order_id, event.side, event.price_ticks, event.size_lots)
            continue
        if event.action == "changed":
            found = orders.change(event.order_id, event.size_lots)
        else:
            found = orders.delete(event.order_id)
        if not found:
            replay.defects.count(Defect.UNKNOWN_ORDERS, 1, f"{path}, row {event.line}: order {event.order_id}")
    return len(events), events[-1]


def _alive(levels: tuple[Level, ...]) -> tuple[Level, ...]:
    return tuple(level for level in levels if level[1])


def _order_events(path: Path, symbol: Symbol, defects: Defects) -> Iterator[_Event]:
    records = read_csv(path, _ORDERS, defects)
    good = (records["price"] >= 0) & (records["price"] < np.inf) & (records["volume"] >= 0)
    good &= np.isin(records["action"], ("created", "changed", "deleted")) & np.isin(records["direction"], list(_SIDES))
    good &= (records["exchange_timestamp"] > 0) & (records["timestamp"] > 0)
    place = Place(path, records.lines)
    count_where(~good, Defect.MALFORMED, place, defects)
    count_where(good & (records["price"] == 0), Defect.NO_PRICE, place, defects)
    records = records.where(good & (records["price"] > 0))
    place = Place(path, records.lines)
    columns = (
        records.lines,
        records["exchange_timestamp"] * _NS_PER_MS,
        records["timestamp"] * _NS_PER_MS,
        records["id"],
        np.where(records["direction"] == "bid", BID, ASK),
        to_ticks(symbol, records["price"], place),
        _whole_lots(symbol, records["volume"], place),
        records["action"],
    )
    return map(_Event, *(column.tolist() for column in columns))


def _whole_lots(symbol: Symbol, volumes: Floats, place: Place) -> NDArray[np.int64]:
    """Return lots int64[n]: an order far from the touch may be larger than a stored level can be."""
    distinct, first, of_row = np.unique(volumes, return_index=True, return_inverse=True)
    lots = np.zeros(len(distinct), np.int64)
    for k, volume in enumerate(distinct.tolist()):
        try:
            lots[k] = symbol.size_to_lots(volume)
        except BadReference as error:
            raise BadReference(f"{place.path}, row {place.rows[first[k]]}: {error}") from error
    return lots[of_row]


def _trades(path: Path, symbol: Symbol, defects: Defects) -> TradeColumns:
    records = read_csv(path, _TRADES, defects)
    good = positive(records["price"]) & positive(records["amount"]) & np.isin(records["side"], ("buy", "sell"))
    good &= (records["exchange_timestamp"] > 0) & (records["timestamp"] > 0)
    count_where(~good, Defect.MALFORMED, Place(path, records.lines), defects)
    records = records.where(good)
    raw = RawTrades(
        records["exchange_timestamp"] * _NS_PER_MS,
        records["timestamp"] * _NS_PER_MS,
        records["trade_id"],
        records["price"],
        records["amount"],
        np.where(records["side"] == "buy", 1, -1),
    )
    return to_trades(symbol, raw, Place(path, records.lines))


def _pair(path: Path) -> str:
    with opened(path) as stream:
        text = stream.read()
    try:
        return msgspec.json.decode(text, type=_Meta).pair
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise SourceError(f"{path}: wanted a JSON object with a `pair`, found {error}; fetch it again") from error


class _Meta(msgspec.Struct):
    pair: str

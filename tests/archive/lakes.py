"""Small books and trades at known times, for the tests of the lake and of the gap scan."""

from collections.abc import Sequence
from datetime import date

import numpy as np
from numpy.typing import NDArray

from archive.layout import book_arrays, day_bounds_ns, empty_book, empty_trades
from archive.partition import Partition
from archive.store import Lake
from market.columns import BOOK_RESET, BookColumns, TradeColumns

DAY = date(2026, 1, 6)
NEXT_DAY = date(2026, 1, 7)
START_NS = day_bounds_ns(DAY)[0]
SECOND_NS = 1_000_000_000


def book_at(times_ns: Sequence[int] | NDArray[np.int64], *, seed: int = 0, breaks: Sequence[int] = ()) -> BookColumns:
    """Return a book row at each time, random in every other column; rows listed in `breaks` carry BOOK_RESET."""
    rng = np.random.default_rng(seed)
    book = empty_book(len(times_ns))
    for array in book_arrays(book).values():
        array[:] = rng.integers(0, 100, array.shape)
    book.exchange_ns[:] = times_ns
    book.local_ns[:] = np.maximum.accumulate(np.asarray(times_ns, np.int64))
    book.flags[:] = 0
    book.flags[[0, *breaks] if len(book) else []] = BOOK_RESET
    return book


def trades_at(times_ns: Sequence[int] | NDArray[np.int64], *, seed: int = 0) -> TradeColumns:
    """Return a trade at each time, random in every other column."""
    rng = np.random.default_rng(seed)
    trades = empty_trades(len(times_ns))
    trades.exchange_ns[:] = times_ns
    trades.local_ns[:] = np.maximum.accumulate(np.asarray(times_ns, np.int64))
    trades.trade_id[:] = np.arange(len(times_ns))
    trades.price_ticks[:] = rng.integers(1, 2**31 - 1, len(times_ns))
    trades.size_lots[:] = rng.integers(1, 1_000, len(times_ns))
    trades.aggressor[:] = rng.integers(-1, 2, len(times_ns))
    trades.flags[:] = 0
    return trades


def steady_ns(day: date = DAY, *, every_seconds: float = 30) -> NDArray[np.int64]:
    """Return times all through a day, the first at its first nanosecond, without a gap over the step."""
    start_ns, end_ns = day_bounds_ns(day)
    return np.arange(start_ns, end_ns, int(every_seconds * SECOND_NS), dtype=np.int64)


def put_book(lake: Lake, symbol: str, day: date, times_ns: Sequence[int] | NDArray[np.int64]) -> Partition:
    """Write a book partition with rows at these times."""
    return lake.write_book(symbol, day, book_at(times_ns), source="test", allow_empty=True)


def same(left: BookColumns | TradeColumns, right: BookColumns | TradeColumns) -> bool:
    """Tell whether two column sets hold the same bits."""
    return all(np.array_equal(getattr(left, name), getattr(right, name)) for name in type(left)._layout())

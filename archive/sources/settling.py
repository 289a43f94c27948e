"""The last step of every importer: rows in order of arrival, flagged, counted, and cut to the day.

Importers read a little more than the day; only rows of the day are counted.
"""

import numpy as np
from numpy.typing import NDArray

from archive.sources.day import (
    LONG_STALL_NS,
    SILENCE_NS,
    STALL_NS,
    DayBounds,
    DayOfMarket,
    Defect,
    Defects,
    SequenceBreak,
    event_time,
)
from market.columns import BOOK_LOCKED, BOOK_ONE_SIDED, BOOK_RESET, BookColumns, TradeColumns
from market.events import NO_ASK_TICKS, NO_BID_TICKS

Mask = NDArray[np.bool_]
Rows = NDArray[np.int64]


def settle(
    book: BookColumns,
    trades: TradeColumns,
    bounds: DayBounds,
    defects: Defects,
    *,
    breaks: tuple[SequenceBreak, ...] = (),
    drop_repeats: bool = False,
    is_last: bool = False,
) -> DayOfMarket:
    """Settle both tables, cut them to the day and return it.

    `is_last` says that no later recording will bring the rows past midnight, so they are counted here.
    """
    every_book, rows = settle_book(book, bounds, defects, drop_repeats=drop_repeats)
    every_trade, prints = settle_trades(trades, bounds, defects)
    day_book, day_trades = every_book.slice(rows.start, rows.stop), every_trade.slice(prints.start, prints.stop)
    if is_last:
        for table in (every_book, every_trade):
            later = event_time(table.exchange_ns) >= bounds.stop_ns
            defects.count(Defect.ROWS_OF_NEXT_DAY, np.count_nonzero(later))
    early = day_trades.exchange_ns < (every_book.exchange_ns[0] if len(every_book) else 0)
    defects.count(Defect.TRADES_BEFORE_BOOK, np.count_nonzero(early))
    count_book_times(day_book, bounds, defects)
    return DayOfMarket(day_book, day_trades, defects.counts, breaks, defects.first_seen)


def settle_book(
    book: BookColumns, bounds: DayBounds, defects: Defects, *, drop_repeats: bool = False
) -> tuple[BookColumns, slice]:
    """Drop crossed rows, hold the local clock, set the flags.

    BOOK_RESET already set stays; the very first row gets it, and so does the row after a crossed one. With
    `drop_repeats` rows equal in time and levels to the one before go too, as whole-book snapshots stored twice. Returns
    the rows and which of them are the day's.
    """
    inside = bounds.hold(event_time(book.exchange_ns))
    repeated = _repeated(book) if drop_repeats else np.zeros(len(book), bool)
    crossed = (book.bid_ticks[0] > book.ask_ticks[0]) & ~repeated
    defects.count(Defect.DUPLICATES, np.count_nonzero(repeated & inside))
    defects.count(Defect.CROSSED, np.count_nonzero(crossed & inside))
    kept = np.flatnonzero(~(repeated | crossed))
    rows, inside = take_book(book, kept), inside[kept]
    dropped_resets = np.cumsum(crossed | (repeated & (book.flags & BOOK_RESET > 0)))[kept]
    reset = (np.diff(dropped_resets, prepend=0) > 0) | (rows.flags & BOOK_RESET > 0)
    reset[:1] = True
    _flag(rows, reset, inside, defects)
    _hold_local_clock(rows, inside, defects)
    return rows, _day_rows(inside)


def settle_trades(trades: TradeColumns, bounds: DayBounds, defects: Defects) -> tuple[TradeColumns, slice]:
    """Put trades in order of arrival and count what moved; return them and which of them are the day's."""
    order = np.argsort(trades.local_ns, kind="stable")
    rows = take_trades(trades, order)
    late = trades.local_ns < np.maximum.accumulate(trades.local_ns)
    inside = bounds.hold(event_time(rows.exchange_ns))
    defects.count(Defect.OUT_OF_ORDER, np.count_nonzero(late[order] & inside))
    _count_exchange_clock(rows.exchange_ns, inside, defects)
    return rows, _day_rows(inside)


def count_book_times(book: BookColumns, bounds: DayBounds, defects: Defects) -> None:
    """Count the day's book silences, the seconds it does not cover, and how far the local clock lies behind."""
    if not len(book):
        return
    ns = event_time(book.exchange_ns)
    silence = np.diff(ns)
    stall, long, gap = (silence >= limit for limit in (STALL_NS, LONG_STALL_NS, SILENCE_NS))
    for kind, found in ((Defect.STALLS, stall & ~long), (Defect.LONG_STALLS, long & ~gap), (Defect.SILENCES, gap)):
        first = int(np.argmax(found)) if len(found) else 0
        where = f"{silence[first] / 1e9:.3f} s after exchange_ns {ns[first]}" if found.any() else ""
        defects.count(kind, np.count_nonzero(found), where)
    uncovered_ns = (ns[0] - bounds.start_ns) + (bounds.stop_ns - ns[-1])
    if uncovered_ns >= SILENCE_NS:
        defects.count(Defect.UNCOVERED_SECONDS, int(uncovered_ns // 1_000_000_000))
    skew_ms = int(np.rint(np.median(book.local_ns - book.exchange_ns) / 1e6))
    if skew_ms < 0:
        defects.count(Defect.LOCAL_CLOCK_SKEW_MS, skew_ms)


def take_book(book: BookColumns, rows: Rows) -> BookColumns:
    """Return the named rows as columns of their own."""
    return BookColumns(
        book.exchange_ns[rows],
        book.local_ns[rows],
        book.sequence[rows],
        book.flags[rows],
        np.take(book.bid_ticks, rows, axis=1),
        np.take(book.bid_lots, rows, axis=1),
        np.take(book.ask_ticks, rows, axis=1),
        np.take(book.ask_lots, rows, axis=1),
    )


def take_trades(trades: TradeColumns, rows: Rows) -> TradeColumns:
    """Return the named rows as columns of their own."""
    return TradeColumns(
        trades.exchange_ns[rows],
        trades.local_ns[rows],
        trades.trade_id[rows],
        trades.price_ticks[rows],
        trades.size_lots[rows],
        trades.aggressor[rows],
        trades.flags[rows],
    )


def _flag(rows: BookColumns, reset: Mask, inside: Mask, defects: Defects) -> None:
    locked = rows.bid_ticks[0] == rows.ask_ticks[0]
    one_sided = (rows.bid_ticks[0] == NO_BID_TICKS) | (rows.ask_ticks[0] == NO_ASK_TICKS)
    defects.count(Defect.LOCKED, np.count_nonzero(locked & inside))
    defects.count(Defect.ONE_SIDED, np.count_nonzero(one_sided & inside))
    rows.flags[:] = BOOK_RESET * reset | BOOK_LOCKED * locked | BOOK_ONE_SIDED * one_sided
    _count_exchange_clock(rows.exchange_ns, inside, defects)


def _hold_local_clock(rows: BookColumns, inside: Mask, defects: Defects) -> None:
    held = np.maximum.accumulate(rows.local_ns)
    defects.count(Defect.LOCAL_CLOCK_BACKWARDS, np.count_nonzero((held > rows.local_ns) & inside))
    rows.local_ns[:] = held


def _count_exchange_clock(exchange_ns: Rows, inside: Mask, defects: Defects) -> None:
    back = exchange_ns < event_time(exchange_ns)
    defects.count(Defect.EXCHANGE_CLOCK_BACKWARDS, np.count_nonzero(back & inside))


def _repeated(book: BookColumns) -> Mask:
    """Rows equal in exchange time and in every level to the row before them."""
    same = np.flatnonzero(np.diff(book.exchange_ns) == 0) + 1
    for ladder in (book.bid_ticks, book.bid_lots, book.ask_ticks, book.ask_lots):
        same = same[(ladder[:, same] == ladder[:, same - 1]).all(axis=0)]
    repeated = np.zeros(len(book), bool)
    repeated[same] = True
    return repeated


def _day_rows(inside: Mask) -> slice:
    rows = np.flatnonzero(inside)
    return slice(int(rows[0]), int(rows[-1]) + 1) if len(rows) else slice(0, 0)

"""Settling: repeats, crossings, flags, clocks, silences; and that days together hold every row once."""

from datetime import timedelta

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from archive.sources.day import DayBounds, Defects
from archive.sources.settling import settle, settle_book
from market.columns import BOOK_LOCKED, BOOK_RESET, BookColumns, TradeColumns
from tests.archive.sources.made import DAY, at, book_of, crossed_book, trades_of

BOUNDS = DayBounds.of(DAY)

_MOMENTS = st.lists(st.integers(-100_000, 100_000), min_size=1, max_size=30)


def test_a_reset_is_not_lost_with_the_row_that_carried_it() -> None:
    """When a row that starts anew is dropped, the next one starts anew."""
    book = BookColumns.concat([book_of([(at(1), at(1), 10, 11)]), crossed_book(at(2), 12, 11)])
    book = BookColumns.concat([book, crossed_book(at(2), 12, 11), book_of([(at(3), at(3), 10, 10)])])
    rows, day = settle_book(book, BOUNDS, defects := Defects(), drop_repeats=True)
    assert rows.exchange_ns.tolist() == [at(1), at(3)]
    assert rows.flags.tolist() == [BOOK_RESET, BOOK_RESET | BOOK_LOCKED]
    assert day == slice(0, 2)
    assert defects.counts["crossed"] == 1
    assert defects.counts["duplicates"] == 1


def test_repeats_stay_unless_asked_to_go() -> None:
    """An update that changed only what lies deeper than ten levels is no repeat."""
    book = book_of([(at(1), at(1), 10, 11), (at(1), at(2), 10, 11)])
    assert len(settle_book(book, BOUNDS, Defects())[0]) == 2
    assert len(settle_book(book, BOUNDS, Defects(), drop_repeats=True)[0]) == 1


def test_an_empty_day_is_no_error() -> None:
    """No row, no trade, no defect."""
    day = settle(BookColumns.empty(), TradeColumns.empty(), BOUNDS, Defects())
    assert (len(day.book), len(day.trades), day.defects) == (0, 0, {})


@given(_MOMENTS, _MOMENTS)
def test_days_together_hold_every_row_once_in_order(book_ms: list[int], trade_ms: list[int]) -> None:
    """Whatever the exchange's clock does around midnight, no row is lost, told twice or out of order of arrival."""
    book = book_of([(at(ms / 1_000), at(k), 10, 11) for k, ms in enumerate(book_ms)])
    trades = trades_of([(at(ms / 1_000), at(k), 10) for k, ms in enumerate(trade_ms)])
    days = [settle(book.slice(0, len(book)), trades, DayBounds.of(DAY + timedelta(days=d)), Defects()) for d in (-1, 0)]
    assert np.concatenate([day.book.local_ns for day in days]).tolist() == book.local_ns.tolist()
    assert np.concatenate([day.trades.trade_id for day in days]).tolist() == trades.trade_id.tolist()
    assert sum(int((day.book.flags & BOOK_RESET).sum()) for day in days) == 1


def test_the_local_clock_is_held_for_books_and_sorted_for_trades() -> None:
    """Books keep their order, since each builds on the one before; trades take the order of arrival."""
    book = book_of([(at(1), at(5), 10, 11), (at(2), at(6), 10, 11)])
    book.local_ns[1] = at(4)
    trades = trades_of([(at(1), at(9), 10), (at(2), at(8), 11)])
    day = settle(book, trades, BOUNDS, Defects())
    assert day.book.local_ns.tolist() == [at(5), at(5)]
    assert day.trades.price_ticks.tolist() == [11, 10]
    assert (day.defects["local_clock_backwards"], day.defects["out_of_order"]) == (1, 1)

"""Columns keep their shape, and builders keep arrival order and drop what must not be stored."""

from collections.abc import Callable
from dataclasses import dataclass, fields, replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from market.columns import (
    BOOK_LOCKED,
    BOOK_ONE_SIDED,
    BOOK_RESET,
    TRADE_INFERRED,
    BookBuilder,
    BookColumns,
    TradeBuilder,
    TradeColumns,
)
from market.events import LEVELS, NO_ASK_TICKS, NO_BID_TICKS, BadEvent, Level, Trade
from tests.market.streams import odd_markets


@dataclass
class Ladders:
    """A book that is only its levels."""

    bids: list[Level]
    asks: list[Level]
    sequence: int = 5
    exchange_ns: int = 7

    def top(self, n: int) -> tuple[list[Level], list[Level]]:
        return self.bids[:n], self.asks[:n]


def test_a_book_becomes_a_row() -> None:
    """The touch is level 0, missing levels have no lots and prices beyond every real one."""
    builder = BookBuilder()
    assert builder.append(Ladders([(100, 3), (98, 4)], [(101, 5)]), local_ns=9)
    book = builder.finish()
    assert (len(book), len(builder)) == (1, 1)
    assert (book.exchange_ns[0], book.local_ns[0], book.sequence[0], book.flags[0]) == (7, 9, 5, BOOK_RESET)
    assert book.bid_ticks[:, 0].tolist() == [100, 98] + [NO_BID_TICKS] * 8
    assert book.bid_lots[:, 0].tolist() == [3, 4] + [0] * 8
    assert book.ask_ticks[:, 0].tolist() == [101] + [NO_ASK_TICKS] * 9
    assert book.ask_lots[:, 0].tolist() == [5] + [0] * 9


def test_only_the_best_levels_are_kept() -> None:
    """A deeper book is cut at ten."""
    builder = BookBuilder()
    builder.append_levels(0, 0, 1, [(100 - k, k + 1) for k in range(15)], [(101 + k, k + 1) for k in range(15)])
    book = builder.finish()
    assert book.bid_lots[:, 0].tolist() == book.ask_lots[:, 0].tolist() == list(range(1, LEVELS + 1))


def test_a_crossed_book_is_dropped_and_the_next_row_is_a_reset() -> None:
    """Locked is kept and flagged; crossed is counted."""
    builder = BookBuilder()
    ask = [(101, 1)]
    kept = [builder.append(Ladders([(bid, 1)], ask), local_ns=k) for k, bid in enumerate([100, 101, 102, 100, 100])]
    assert kept == [True, True, False, True, True]
    assert builder.crossed == 1
    assert builder.finish().flags.tolist() == [BOOK_RESET, BOOK_LOCKED, BOOK_RESET, 0]


def test_a_reset_asked_for_lands_on_the_row_or_the_next_one_kept() -> None:
    """A resync whose first book is crossed marks the first one that is not."""
    builder = BookBuilder()
    builder.append(Ladders([(100, 1)], [(101, 1)]), 0)
    builder.append(Ladders([(100, 1)], [(101, 1)]), 1, reset=True)
    builder.append(Ladders([(105, 1)], [(101, 1)]), 2, reset=True)
    builder.append(Ladders([], [(101, 1)]), 3)
    assert builder.finish().flags.tolist() == [BOOK_RESET, BOOK_RESET, BOOK_RESET | BOOK_ONE_SIDED]


def test_a_local_clock_that_goes_back_is_held() -> None:
    """Arrival order is what local_ns tells, so it never decreases; how often it was held is counted."""
    books, trades = BookBuilder(), TradeBuilder()
    for ns in (5, 3, 4, 6):
        books.append(Ladders([(100, 1)], [(101, 1)]), ns)
        trades.append(replace(_TRADE, local_ns=ns))
    assert books.finish().local_ns.tolist() == trades.finish().local_ns.tolist() == [5, 5, 5, 6]
    assert books.clamped == trades.clamped == 2


def test_a_trade_becomes_a_row() -> None:
    """Every field is kept; an inferred aggressor is marked."""
    builder = TradeBuilder()
    builder.append(_TRADE)
    builder.append(_TRADE, inferred=True)
    trades = builder.finish()
    assert (len(trades), len(builder)) == (2, 2)
    found = [getattr(trades, f.name)[0] for f in fields(TradeColumns)]
    assert found == [7, 9, 42, 100, 6, -1, 0]
    assert trades.flags.tolist() == [0, TRADE_INFERRED]


@pytest.mark.parametrize(
    "append",
    [
        lambda: BookBuilder().append_levels(7, 9, 5, [(100, 2**31)], [(101, 1)]),
        lambda: TradeBuilder().append(replace(_TRADE, size_lots=2**31)),
    ],
)
def test_a_number_beyond_int32_is_refused(append: Callable[[], object]) -> None:
    """The message names what it was and the remedy."""
    with pytest.raises(BadEvent, match=r"2147483648.*beyond\s+int32.*larger"):
        append()


def test_a_refused_row_leaves_the_builder_as_it_was() -> None:
    """Nothing is half added."""
    builder = BookBuilder()
    with pytest.raises(BadEvent):
        builder.append_levels(7, 9, 5, [(100, 1)], [(101, 2**40)])
    builder.append_levels(8, 10, 6, [(100, 1)], [(101, 2)])
    book = builder.finish()
    assert (len(book), book.flags[0], book.ask_lots[0, 0]) == (1, BOOK_RESET, 2)


@given(odd_markets(), st.data())
def test_slices_join_to_the_whole(market: tuple[BookColumns, TradeColumns], data: st.DataObject) -> None:
    """Cut anywhere, the parts are columns again and concat gives every value back."""
    for table in market:
        cut = data.draw(st.integers(0, len(table)))
        parts = [table.slice(0, cut), table.slice(cut, len(table))]
        assert [len(part) for part in parts] == [cut, len(table) - cut]
        joined = type(table).concat(parts)
        for f in fields(table):
            assert getattr(joined, f.name).tobytes() == getattr(table, f.name).tobytes()


@pytest.mark.parametrize("kind", [BookColumns, TradeColumns])
def test_no_rows_are_columns_too(kind: type[BookColumns] | type[TradeColumns]) -> None:
    """empty, concat of nothing and an unused builder agree."""
    builder = BookBuilder() if kind is BookColumns else TradeBuilder()
    assert len(kind.empty()) == len(kind.concat([])) == len(builder.finish()) == 0


@pytest.mark.parametrize(
    "change",
    [
        {"local_ns": np.zeros(3, np.int64)},
        {"flags": np.zeros(2, np.int64)},
        {"bid_ticks": np.zeros((2, LEVELS), np.int32)},
        {"ask_lots": np.zeros((LEVELS, 4), np.int32)[:, ::2]},
    ],
)
def test_columns_of_another_form_are_refused(change: dict[str, np.ndarray]) -> None:
    """The message names the column, the form wanted and the form found."""
    builder = BookBuilder()
    builder.append(Ladders([(100, 1)], [(101, 1)]), 1)
    builder.append(Ladders([(100, 1)], [(101, 1)]), 2)
    (name,) = change
    with pytest.raises(BadEvent, match=rf"BookColumns\.{name} must be (u?int\d+)\[.*\], C-contiguous, was"):
        replace(builder.finish(), **change)


_TRADE = Trade("BTCUSDT", 42, 7, 9, 100, 6, -1)

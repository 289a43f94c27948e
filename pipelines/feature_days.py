"""One day of features: the live kernel run over a recorded day, kept at the moments that are candidates.

A day starts from the tail of the day before, so that midnight is not special. The kernel passes over the day in
pieces of one row group: memory is bounded by a piece, whatever the day or the number of days.
"""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from archive.errors import MissingPartition
from archive.store import Lake
from market.candidates import CandidateRule, select
from market.columns import BookColumns, TradeColumns
from market.events import NO_ASK_TICKS, NO_BID_TICKS
from market.features import (
    CONTEXT_NAMES,
    EVENT_WIDTH,
    FEATURE_NAMES,
    TAIL_NS,
    KernelState,
    interleave,
    run,
)
from pipelines.checks import Finding
from pipelines.partitions import Cell

Columns = dict[str, NDArray[np.generic]]
_COLUMN_NAMES = (*FEATURE_NAMES, *CONTEXT_NAMES)
_KIND_BOOK = 0


def examine(at: Cell, columns: Columns, min_rows: int) -> list[Finding]:
    """What the blocking checks ask of one day's rows: enough of them, and every value finite."""
    rows = len(columns["t_ns"])
    broken = [name for name in FEATURE_NAMES if not np.isfinite(columns[name]).all()]
    return [
        Finding("feature_rows", at.key, rows >= min_rows, f"{rows} candidates, at least {min_rows} wanted"),
        Finding("features_finite", at.key, not broken, f"not finite: {', '.join(broken) or 'none'}"),
    ]


def compute_day(lake: Lake, at: Cell, rule: CandidateRule) -> Columns:
    """Run the kernel over one day and keep the rows where the candidate rule says so.

    Returns the columns of the FEATURES table: t_ns, local_ns, book_row int64[m], side int8[m], bid_ticks and
    ask_ticks int32[m], and one float32[m] for each kernel column.

    Raises:
        MissingPartition: the day itself is not in the lake. A missing day before only shortens the warm-up.
    """
    walk = _Walk(rule)
    walk.feed(*_tail(lake, at))
    walk.begin_day()
    for book, trades in _pieces(lake, at):
        walk.feed(book, trades)
    return walk.columns()


class _Walk:
    """One walk of the kernel along a stream of pieces, gathering the candidate rows of the day."""

    def __init__(self, rule: CandidateRule) -> None:
        self._rule = rule
        self._state = KernelState.new()
        self._last_ns: int | None = None
        self._last_bucket = -1
        self._book_rows = 0
        self._touch = np.array([[NO_BID_TICKS], [NO_ASK_TICKS]], np.int32)
        self._parts: list[Columns] = []

    def feed(self, book: BookColumns, trades: TradeColumns) -> None:
        """Pass the kernel over the next piece of the stream, whose rows arrived after all before it."""
        events = interleave(book, trades, after_ns=self._last_ns)
        if not len(events):
            return
        out = np.empty((len(events), len(_COLUMN_NAMES)), np.float32)
        valid = np.empty(len(events), np.uint8)
        run(self._state, events, out, valid)
        index, side = select(self._rule, np.ascontiguousarray(events[:, 0]), out, valid, self._last_bucket)
        self._keep(events, out, (index, side), book, trades)
        self._last_ns = int(events[-1, 0])
        if len(index):
            self._last_bucket = self._rule.bucket(int(events[index[-1], 0]))

    def begin_day(self) -> None:
        """Forget the candidates of the warm-up; the kernel's state, the touch and the rule's clock go on."""
        self._parts.clear()
        self._book_rows = 0

    def columns(self) -> Columns:
        """The gathered rows in the layout of the FEATURES table; no rows when no piece held an event."""
        if not self._parts:
            nothing = np.empty((0, EVENT_WIDTH), np.int64), np.empty((0, len(_COLUMN_NAMES)), np.float32)
            empty = np.empty(0, np.int64), np.empty(0, np.int8)
            self._keep(*nothing, empty, BookColumns.empty(), TradeColumns.empty())
        return {name: np.concatenate([part[name] for part in self._parts]) for name in self._parts[0]}

    def _keep(
        self,
        events: NDArray[np.int64],
        out: NDArray[np.float32],
        chosen: tuple[NDArray[np.int64], NDArray[np.int8]],
        book: BookColumns,
        trades: TradeColumns,
    ) -> None:
        """Keep the candidates, each with the touch of the last book row at or before it, maybe of an earlier piece."""
        index, side = chosen
        is_book = events[:, 1] == _KIND_BOOK
        seen = np.cumsum(is_book)[index]
        touch = np.concatenate([self._touch, np.stack([book.bid_ticks[0], book.ask_ticks[0]])], axis=1)
        arrived = np.empty(len(events), np.int64)
        arrived[is_book], arrived[~is_book] = book.local_ns, trades.local_ns
        part: Columns = {
            "t_ns": events[index, 0],
            "local_ns": arrived[index],
            "book_row": self._book_rows + seen - 1,
            "side": side,
            "bid_ticks": touch[0, seen],
            "ask_ticks": touch[1, seen],
        }
        part.update({name: out[index, column] for column, name in enumerate(_COLUMN_NAMES)})
        self._parts.append(part)
        self._touch = touch[:, -1:]
        self._book_rows += len(book)


def _tail(lake: Lake, at: Cell) -> tuple[BookColumns, TradeColumns]:
    """The end of the day before, long enough for every average to forget what came before it."""
    start_ns = at.start_ns - TAIL_NS
    try:
        book = lake.read_book_between(at.symbol, start_ns, at.start_ns)
        return book, lake.read_trades_between(at.symbol, start_ns, at.start_ns)
    except MissingPartition:
        return BookColumns.empty(), TradeColumns.empty()


def _pieces(lake: Lake, at: Cell) -> Iterator[tuple[BookColumns, TradeColumns]]:
    """The day in arrival order, a row group of books at a time with the trades that came up to its last row."""
    trades = lake.read_trades(at.symbol, at.day)
    taken = 0
    for book in lake.iter_book_batches(at.symbol, at.day):
        # A trade that arrived together with the last book row sorts before it, so it belongs to this piece.
        upto = int(np.searchsorted(trades.local_ns, book.local_ns[-1], side="right"))
        yield book, trades.slice(taken, upto)
        taken = upto
    if taken < len(trades):
        yield BookColumns.empty(), trades.slice(taken, len(trades))

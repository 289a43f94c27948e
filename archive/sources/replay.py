"""Replaying a recorded stream of book updates and trades through an `OrderBook` into a day of columns.

A book needs what came before: importers feed the stream from the last snapshot on, possibly days earlier, and this
module keeps only the day's rows and counts only the day's defects.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from archive.sources.day import DayBounds, DayOfMarket, Defect, Defects, SequenceBreak
from archive.sources.settling import settle
from market.book import BookState, OrderBook
from market.columns import BookBuilder, TradeBuilder, TradeColumns
from market.events import LEVELS, BadEvent, BadReference, BookDelta, BookSnapshot, Trade
from market.sequence import SequenceRule
from market.symbols import Symbol

_PAST_DAY_NS = 60_000_000_000


class Replay:
    """One symbol's stream, in order of arrival, on its way to one day of columns.

    A row is the book after one update; its `sequence` is 0 where the venue numbers nothing. The updates kept while a
    snapshot was awaited make one row together, at the moment the snapshot arrived: nobody could have known them before.
    """

    def __init__(self, symbol: Symbol, rule: SequenceRule, bounds: DayBounds) -> None:
        self._book = OrderBook(symbol, rule)
        self._numbered = rule.joins_snapshot
        self._bounds = bounds
        self._rows = BookBuilder()
        self._trades = TradeBuilder()
        self.day_defects = Defects()
        self._elsewhere = Defects()
        self._breaks: list[SequenceBreak] = []
        self._clock_ns = 0
        self._waiting = 0
        self._last_trade_id = -1

    @property
    def defects(self) -> Defects:
        """Where to count what is wrong at this point of the stream; before its first time is known, with the day."""
        start_ns, stop_ns = self._bounds
        return self.day_defects if not self._clock_ns or start_ns <= self._clock_ns < stop_ns else self._elsewhere

    @property
    def is_past_day(self) -> bool:
        """Whether the stream is so far behind the day that no row of it can follow."""
        return self._clock_ns >= self._bounds.stop_ns + _PAST_DAY_NS

    def update(self, event: BookDelta | BookSnapshot, *, seamless: bool = False) -> None:
        """Take in a book update or a snapshot.

        A venue that numbers its updates needs the snapshot only while the book is not live; elsewhere it replaces the
        book and the row carries BOOK_RESET, unless it is `seamless`: known to follow what came before.
        """
        book, was_live = self._book, self._book.state is BookState.LIVE
        replaces = isinstance(event, BookSnapshot)
        if replaces and was_live and self._numbered:
            return
        if not (replaces and self._numbered):
            self._tick(event.exchange_ns)
        counts, was = book.counts, (book.counts.stale, book.counts.discarded, book.counts.gaps)
        book.apply(event)
        stale, discarded, gaps = counts.stale - was[0], counts.discarded - was[1], counts.gaps - was[2]
        if stale or discarded or gaps:
            self.defects.count(Defect.BEFORE_SNAPSHOT, stale)
            self.defects.count(Defect.UNSYNCED, discarded)
            self._note_breaks(gaps)
        if book.state is not BookState.LIVE:
            self._waiting += 0 if replaces else 1 - stale - discarded
        elif not (was_live and stale):
            self._waiting = 0
            self._append(event.local_ns, reset=not was_live or (replaces and not seamless))

    def trade(self, trade: Trade) -> None:
        """Take in a trade of a venue that numbers them without a hole; jumps are counted, repeats dropped."""
        self._tick(trade.exchange_ns)
        if self._follows(trade.trade_id):
            clamped = self._trades.clamped
            self._trades.append(trade)
            self.defects.count(Defect.LOCAL_CLOCK_BACKWARDS, self._trades.clamped - clamped)

    def skip_trade(self, trade_id: int) -> None:
        """Count a numbered print that did not meet the book."""
        if self._follows(trade_id):
            self.defects.count(Defect.NOT_MARKET, 1, f"trade {trade_id}")

    def finish(self, trades: TradeColumns | None = None, *, is_last: bool = False) -> DayOfMarket:
        """Return the day, with these trades where they did not come in the stream.

        `is_last` says that no later recording will bring the rows past midnight, so they are counted here.
        """
        self.day_defects.count(Defect.UNSYNCED, self._waiting)
        prints = self._trades.finish() if trades is None else trades
        breaks = tuple(self._breaks)
        return settle(self._rows.finish(), prints, self._bounds, self.day_defects, breaks=breaks, is_last=is_last)

    def _tick(self, exchange_ns: int) -> None:
        if self._clock_ns < self._bounds.start_ns <= exchange_ns:
            self._waiting = 0
        self._clock_ns = max(self._clock_ns, exchange_ns)

    def _follows(self, trade_id: int) -> bool:
        """Whether a contiguous id is new; counts repeats and jumps."""
        last, self._last_trade_id = self._last_trade_id, max(trade_id, self._last_trade_id)
        if trade_id <= last:
            self.defects.count(Defect.DUPLICATES, 1, f"trade {trade_id} after {last}")
        elif 0 <= last < trade_id - 1:
            self.defects.count(Defect.TRADE_ID_GAPS, 1, f"trade {trade_id} after {last}")
        return trade_id > last

    def _append(self, local_ns: int, *, reset: bool) -> None:
        book, rows = self._book, self._rows
        clamped = rows.clamped
        sequence = book.sequence if self._numbered else 0
        if not rows.append_levels(book.exchange_ns, local_ns, sequence, *book.top(LEVELS), reset=reset):
            self.defects.count(Defect.CROSSED, 1, f"update {book.sequence} at exchange_ns {book.exchange_ns}")
        if rows.clamped > clamped:
            self.defects.count(Defect.LOCAL_CLOCK_BACKWARDS)

    def _note_breaks(self, n: int) -> None:
        defects = self.defects
        for gap in self._book.gaps[-n:] if n else ():
            where = f"expected {gap.expected}, seen {gap.seen} at exchange_ns {gap.exchange_ns}"
            defects.count(Defect.SEQUENCE_BREAKS, 1, where)
            if defects is self.day_defects:
                self._breaks.append(SequenceBreak(gap.expected, gap.seen, gap.exchange_ns))


@contextmanager
def tolerated(path: Path, place: str, replay: Replay) -> Iterator[None]:
    """Count a BadEvent inside the block as malformed at this place; add file and place to a BadReference."""
    try:
        yield
    except BadEvent as error:
        replay.defects.count(Defect.MALFORMED, 1, f"{path}, {place}: {error}")
    except BadReference as error:
        raise BadReference(f"{path}, {place}: {error}") from error

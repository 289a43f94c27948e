"""A collector that replays days of the lake: the rows are told as they were stored, without a venue's frames.

Recordings that were imported as whole books (StandX, Hyperliquid) have no frames to replay, and their sequence was
checked when they were imported. At speed 0 the rows turn the clock; else they are moved so that the first arrives now.
"""

import heapq
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any, Literal

from archive.errors import MissingPartition
from archive.layout import day_of
from archive.store import Lake
from bus import streams
from bus.messages import BookImage, BookStatus, MarketTrade, MarkPrice, Received
from live.clock import Clock, ManualClock
from live.errors import FeedRefused
from live.feed import Retiming
from live.mid_marks import MidMarks
from live.pacer import Pacer
from live.service import Parts, Subscription
from market.columns import BOOK_RESET

Row = BookImage | MarketTrade
_MOST_ROWS = 512
_MOST_MARKET_NS = 50_000_000
_NS_PER_MINUTE = 60_000_000_000


class LakeCollector:
    """Stands in for the collector where feed.kind is lake. `feed.start` is a time in a day that the lake holds."""

    name = "collector"

    def __init__(self, parts: Parts, lake: Lake | None = None) -> None:
        self._parts = parts
        self._clock = parts.clock
        self._lake = lake or Lake(parts.settings.paths.lake)
        self._names = parts.settings.market.symbols
        self._turned = parts.clock if isinstance(parts.clock, ManualClock) else None
        self._marks = MidMarks(parts.symbols)
        self._pacer: Pacer | None = None
        self._retiming: Retiming | None = None
        self._rows: Iterator[Row] = iter(())
        self._next: Row | None = None
        self._end_ns = 0
        self._numbers = dict.fromkeys(self._names, 0)
        self._last_ns = dict.fromkeys(self._names, 0)
        self._live: set[str] = set()

    def subscriptions(self) -> Sequence[Subscription]:
        """It reads nothing but the lake."""
        return ()

    def start(self) -> None:
        """Open the days. Raises FeedRefused when the lake holds none of them."""
        start_ns = lake_start_ns(self._parts.settings.feed.start)
        minutes = self._parts.settings.feed.minutes
        self._end_ns = start_ns + round(minutes * _NS_PER_MINUTE) if minutes else 2**63 - 1
        self._rows = heapq.merge(
            *(_rows_of(self._lake, name, start_ns, self._end_ns) for name in self._names), key=lambda row: row.local_ns
        )
        self._next = next(self._rows, None)
        if self._next is None:
            raise FeedRefused(f"feed.start: the lake holds no row of {', '.join(self._names)} from there on")
        if self._turned is None:
            speed = self._parts.settings.feed.speed or 1.0
            self._retiming = Retiming(self._next.local_ns, self._clock.wall_ns(), speed)
            self._pacer = Pacer(self._clock, self._parts.wake)

    def handle(self, received: Received) -> None:
        """Nothing is subscribed to."""

    def tick(self) -> None:
        """Tell the rows that are due, at most 512 of them and 50 ms of the market."""
        limit_ns: int | None = None
        for _ in range(_MOST_ROWS):
            if self._next is None:
                return
            at_ns = self._moved(self._next.local_ns)
            if self._turned is not None:
                if limit_ns is not None and at_ns > limit_ns:
                    break
                self._turned.advance_to(at_ns)
                limit_ns = limit_ns or at_ns + _MOST_MARKET_NS
            elif at_ns > self._clock.wall_ns():
                if self._pacer:
                    self._pacer.wake_at(at_ns)
                return
            self._tell(self._next)
            self._next = next(self._rows, None)
        self._parts.wake()

    def status(self) -> Mapping[str, Any]:
        """Return `ready`, `finished` and how many rows each symbol has told."""
        return {
            "ready": len(self._live) == len(self._names),
            "feed": "lake",
            "finished": self._next is None,
            "rows": dict(self._numbers),
            "books": {name: {"state": "live" if name in self._live else "syncing"} for name in self._names},
        }

    def stop(self) -> None:
        """End the replay."""
        self._next = None
        if self._pacer:
            self._pacer.stop()

    def _moved(self, ns: int) -> int:
        return ns if self._retiming is None else self._retiming(ns)

    def _tell(self, row: Row) -> None:
        name = row.symbol
        # Rows that arrived together get times a nanosecond apart: readers order by them.
        local_ns = self._last_ns[name] = max(self._moved(row.local_ns), self._last_ns[name] + 1)
        exchange_ns = self._moved(row.exchange_ns)
        if isinstance(row, MarketTrade):
            told = MarketTrade(
                name, row.trade_id, exchange_ns, local_ns, row.price_ticks, row.size_lots, row.aggressor
            )  # fmt: skip
            self._publish(streams.trade(name), told)
            self._parts.metrics.market_events_total.labels(name, "trade").inc()
            return
        is_first = name not in self._live
        if is_first or row.flags & BOOK_RESET:
            if not is_first:
                self._status(name, "gap", "reset", local_ns)
            self._live.add(name)
            self._status(name, "live", "joined", local_ns)
        image = BookImage(
            name, exchange_ns, local_ns, row.sequence, row.flags | (BOOK_RESET if is_first else 0),
            row.bid_ticks, row.bid_lots, row.ask_ticks, row.ask_lots,
        )  # fmt: skip
        self._publish(streams.book(name), image)
        self._parts.metrics.market_events_total.labels(name, "book").inc()
        mark = self._marks.next(image)
        if mark is not None:
            self._publish_mark(mark)

    def _status(self, name: str, state: Literal["live", "gap"], reason: str, local_ns: int) -> None:
        self._publish(streams.book(name), BookStatus(name, state, reason, 0, 0, local_ns))
        self._parts.log.info("book_status", symbol=name, state=state, reason=reason)

    def _publish(self, stream: str, body: BookImage | BookStatus | MarketTrade) -> None:
        name = body.symbol
        self._numbers[name] += 1
        self._parts.out.publish(
            stream,
            body,
            message_id=f"{name}-{self._numbers[name]}",
            exchange_ns=0 if isinstance(body, BookStatus) else body.exchange_ns,
            received_ns=body.local_ns,
            writer=f"collector:{name}",
        )

    def _publish_mark(self, mark: MarkPrice) -> None:
        self._parts.out.publish(
            streams.mark(mark.symbol),
            mark,
            message_id=f"{mark.symbol}-mark-{mark.local_ns}",
            exchange_ns=mark.exchange_ns,
            received_ns=mark.local_ns,
            writer=f"collector:{mark.symbol}:mark",
        )


def lake_start_ns(start: str) -> int:
    """Return feed.start in nanoseconds; raises FeedRefused when it is no time of the past."""
    try:
        moment = datetime.fromisoformat(start)
    except ValueError as error:
        raise FeedRefused(
            f"feed.start must be a time in the lake, like 2026-01-07T00:00:00, when feed.kind is lake; was {start!r}"
        ) from error
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return round(moment.timestamp()) * 1_000_000_000


def first_row_ns(root: str, names: Sequence[str], clock: Clock, start: str) -> int:
    """Return when the first row arrived, for a ManualClock to begin at (the clock's own time when there is none)."""
    start_ns = lake_start_ns(start)
    first = [next(_rows_of(Lake(root), name, start_ns, 2**63 - 1), None) for name in names]
    return min((row.local_ns for row in first if row), default=clock.wall_ns())


def _rows_of(lake: Lake, name: str, start_ns: int, end_ns: int) -> Iterator[Row]:
    """A symbol's rows from a time on, in the order of the lake: by arrival, prints before books."""
    day = day_of(start_ns)
    while True:
        try:
            both: tuple[Iterator[Row], Iterator[Row]] = _trades(lake, name, day), _books(lake, name, day)
            for row in heapq.merge(*both, key=lambda each: each.local_ns):
                if row.exchange_ns >= end_ns:
                    return
                if row.exchange_ns >= start_ns:
                    yield row
        except MissingPartition:
            return
        day += timedelta(days=1)


def _trades(lake: Lake, name: str, day: date) -> Iterator[MarketTrade]:
    rows = lake.read_trades(name, day)
    columns = (rows.trade_id, rows.exchange_ns, rows.local_ns, rows.price_ticks, rows.size_lots, rows.aggressor)
    for row in zip(*(column.tolist() for column in columns), strict=True):
        yield MarketTrade(name, *row)


def _books(lake: Lake, name: str, day: date) -> Iterator[BookImage]:
    for rows in lake.iter_book_batches(name, day):
        heads = (rows.exchange_ns, rows.local_ns, rows.sequence, rows.flags)
        ladders = (rows.bid_ticks, rows.bid_lots, rows.ask_ticks, rows.ask_lots)
        columns = (*(head.tolist() for head in heads), *(ladder.T.tolist() for ladder in ladders))
        for row in zip(*columns, strict=True):
            yield BookImage(name, *row)

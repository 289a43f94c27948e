"""What an importer returns: one UTC day of a market, and an account of everything it dropped or changed.

A row belongs to the UTC day of its event time, which is `exchange_ns` made monotone in arrival order. Recordings are
cut into files by other clocks (a recorder's midnight, an exchange's hour), so importers read the neighbours too and
cut here.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from market.columns import BookColumns, TradeColumns

STALL_NS = 5_000_000_000
LONG_STALL_NS = 10_000_000_000
SILENCE_NS = 60_000_000_000


class Defect(StrEnum):
    """Names of what an importer counts. Rows unless the name says otherwise."""

    MALFORMED = "malformed"
    """Unparsable or impossible (NaN, negative, unsorted levels); dropped."""
    UNKNOWN_KEYS = "unknown_keys"
    """Frames with keys we do not know; the keys are ignored, the rows kept."""
    UNKNOWN_FRAMES = "unknown_frames"
    """Frames of a kind we have no use for; dropped."""
    DUPLICATES = "duplicates"
    """The same row stored again; dropped."""
    CROSSED = "crossed"
    """Best bid above best ask; dropped, the next row carries BOOK_RESET."""
    LOCKED = "locked"
    """Best bid equals best ask; kept, flagged BOOK_LOCKED."""
    ONE_SIDED = "one_sided"
    """One side empty; kept, flagged BOOK_ONE_SIDED."""
    FLAGGED_INVALID = "flagged_invalid"
    """The recorder itself marked the row invalid; dropped."""
    OUT_OF_ORDER = "out_of_order"
    """Stored behind a row that arrived later; moved to the order of arrival."""
    LOCAL_CLOCK_BACKWARDS = "local_clock_backwards"
    """The recorder's clock went back; local_ns held at its latest value."""
    LOCAL_CLOCK_SKEW_MS = "local_clock_skew_ms"
    """Milliseconds, the median of local minus exchange time; reported when negative, never corrected."""
    EXCHANGE_CLOCK_BACKWARDS = "exchange_clock_backwards"
    """Exchange time below an earlier row's; kept as recorded, readers make it monotone."""
    AGGRESSOR_INFERRED = "aggressor_inferred"
    """The source does not name the aggressor; inferred, flagged TRADE_INFERRED."""
    AGGRESSOR_UNKNOWN = "aggressor_unknown"
    """Neither named nor inferable; kept as 0."""
    NOT_MARKET = "trades_not_market"
    """Insurance fund and auto-deleveraging prints, which take no liquidity; dropped."""
    NO_PRICE = "no_price"
    """Order events without a limit price (market orders); dropped."""
    ZOMBIES = "zombie_orders"
    """Orders whose deletion was lost, found by a crossed book; removed."""
    UNKNOWN_ORDERS = "unknown_orders"
    """Changes or deletions of orders never seen; ignored."""
    RECORDER_STOP = "recorder_stop"
    """Order events by which a recorder clears its books when it stops; no row is made of them."""
    BEFORE_SNAPSHOT = "before_snapshot"
    """Book updates older than the snapshot they are applied to; dropped, as the venue asks."""
    UNSYNCED = "unsynced"
    """Book updates that arrived while no snapshot could place them; dropped."""
    SEQUENCE_BREAKS = "sequence_breaks"
    """Breaks in the venue's numbering of book updates; each is listed in `breaks`."""
    TRADE_ID_GAPS = "trade_id_gaps"
    """Jumps in the venue's contiguous trade numbers: trades the recorder lost."""
    TRADES_BEFORE_BOOK = "trades_before_book"
    """Trades older than the first book row; kept."""
    ROWS_OF_NEXT_DAY = "rows_of_next_day"
    """Rows past midnight in the last file of a recording: they belong to a day that has no file of its own."""
    MISSING_FILES = "missing_files"
    """Files of the day that the recording should have and has not."""
    STALLS = "stalls_5s_to_10s"
    """Book silences of 5 to 10 s."""
    LONG_STALLS = "stalls_10s_to_60s"
    """Book silences of 10 to 60 s."""
    SILENCES = "silences_over_60s"
    """Book silences of 60 s or more."""
    UNCOVERED_SECONDS = "uncovered_seconds"
    """Seconds of the day before its first and after its last book row."""


class SequenceBreak(NamedTuple):
    """A break in the venue's numbering: the number that had to follow, the one that came, and when."""

    expected: int
    seen: int
    exchange_ns: int


class Defects:
    """Counts by kind, with the place of the first of each."""

    def __init__(self) -> None:
        self.counts: dict[str, int] = {}
        self.first_seen: dict[str, str] = {}

    def count(self, kind: Defect, n: int | np.integer[Any] = 1, where: str = "") -> None:
        """Add n of a kind; nothing is noted for 0. `where` names the first of them."""
        if not n:
            return
        self.counts[kind.value] = self.counts.get(kind.value, 0) + int(n)
        if where:
            self.first_seen.setdefault(kind.value, where)


@dataclass(frozen=True, slots=True)
class DayOfMarket:
    """One symbol's UTC day: its rows, and what was found wrong with them.

    `defects` counts by `Defect` name; `first_seen` says where the first of a kind stands (file and row or line).
    """

    book: BookColumns
    trades: TradeColumns
    defects: Mapping[str, int] = field(default_factory=dict)
    breaks: tuple[SequenceBreak, ...] = ()
    first_seen: Mapping[str, str] = field(default_factory=dict)


class DayBounds(NamedTuple):
    """First nanosecond of a UTC day and of the next one."""

    start_ns: int
    stop_ns: int

    @classmethod
    def of(cls, day: date) -> "DayBounds":
        """Return the bounds of a day."""
        start, stop = (int(datetime(d.year, d.month, d.day, tzinfo=UTC).timestamp()) for d in (day, neighbour(day, 1)))
        return cls(start * 1_000_000_000, stop * 1_000_000_000)

    def hold(self, ns: NDArray[np.int64], margin_ns: int = 0) -> NDArray[np.bool_]:
        """Return bool[n], which times int64[n] lie in the day or within a margin of it."""
        return np.asarray((ns >= self.start_ns - margin_ns) & (ns < self.stop_ns + margin_ns))


def event_time(exchange_ns: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return exchange times int64[n] made monotone in arrival order."""
    return np.maximum.accumulate(exchange_ns)


def days_of(exchange_ns: NDArray[np.int64]) -> tuple[date, ...]:
    """Return the UTC days of exchange times int64[n] in arrival order."""
    days = np.unique(event_time(exchange_ns) // (86_400 * 1_000_000_000)) if len(exchange_ns) else ()
    return tuple(datetime.fromtimestamp(int(day) * 86_400, UTC).date() for day in days)


def neighbour(day: date, distance: int) -> date:
    """Return the day that lies `distance` days later."""
    return day + timedelta(days=distance)

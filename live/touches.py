"""The best prices of one symbol over the last minutes, as rows: what barriers and markouts are read from.

Time is the venue's, held so that it never runs backwards, as in the pipelines' labels; `local_ns` tells which rows came
behind a candidate. A row that breaks begins a stretch nobody may look across: between it and the row before, the
market was not seen.
"""

from array import array
from bisect import bisect_right
from typing import NamedTuple

from market.events import NO_ASK_TICKS, NO_BID_TICKS

WHOLE, BROKEN, LOST = 0, 1, 2
"""What stands between a row and the one before: nothing; a resync or silence, as labels know them; lost messages."""

MOST_ROWS = 20_000


class Row(NamedTuple):
    """The touch after one update. `breaks` is WHOLE, BROKEN or LOST; `before_ns` the time of the row before."""

    t_ns: int
    local_ns: int
    bid_ticks: int
    ask_ticks: int
    breaks: int
    before_ns: int

    def exit_ticks(self, side: int) -> int | None:
        """What a position of `side` can be closed at, None when nobody stands there."""
        ticks = self.bid_ticks if side > 0 else self.ask_ticks
        return None if ticks in (NO_BID_TICKS, NO_ASK_TICKS) else ticks


class Touches:
    """At least the newest `most` rows (when there were as many), at most twice as many."""

    def __init__(self, gap_ns: int, most: int = MOST_ROWS) -> None:
        self._gap_ns = gap_ns
        self._most = most
        self._t_ns, self._local_ns = array("q"), array("q")
        self._bids, self._asks = array("q"), array("q")
        self._breaks, self._eras = array("b"), array("q")
        self._pending = WHOLE

    def __len__(self) -> int:
        return len(self._t_ns)

    @property
    def newest(self) -> Row | None:
        """The last row."""
        return self._row(len(self) - 1) if self._t_ns else None

    def void(self, breaks: int) -> None:
        """The market was not seen for a while: the next row breaks."""
        self._pending = max(self._pending, breaks)

    def add(self, exchange_ns: int, local_ns: int, bid_ticks: int, ask_ticks: int, *, resets: bool) -> Row:
        """Take a row and return it as kept."""
        before_ns, era = (self._t_ns[-1], self._eras[-1]) if self._t_ns else (exchange_ns, 0)
        t_ns = exchange_ns if exchange_ns > before_ns else before_ns
        breaks = self._pending
        if breaks == WHOLE and (resets or t_ns - before_ns > self._gap_ns):
            breaks = BROKEN
        era += breaks != WHOLE
        self._pending = WHOLE
        if len(self._t_ns) >= 2 * self._most:
            for column in (self._local_ns, self._bids, self._asks, self._breaks, self._eras, self._t_ns):
                del column[: -self._most]
        self._local_ns.append(local_ns)
        self._bids.append(bid_ticks)
        self._asks.append(ask_ticks)
        self._breaks.append(breaks)
        self._eras.append(era)
        self._t_ns.append(t_ns)
        return Row(t_ns, local_ns, bid_ticks, ask_ticks, breaks, before_ns)

    def behind(self, local_ns: int) -> list[Row] | None:
        """The rows that came behind a local time; None when the row in force then is not known (any more)."""
        first = bisect_right(self._local_ns, local_ns)
        return [self._row(index) for index in range(first, len(self))] if first else None

    def moved_bps(self, t_ns: int, later_ns: int, side: int, from_ticks: float | None = None) -> float | None:
        """How far the mid went from `t_ns` to `later_ns` in the direction of `side`, in basis points.

        `from_ticks` is the mid to count from, else the one in force at `t_ns`. None when a moment is not known, has no
        mid, or the market was not seen all the way from the one to the other. Ask once a row behind `later_ns` is here.
        """
        first, last = bisect_right(self._t_ns, t_ns) - 1, bisect_right(self._t_ns, later_ns) - 1
        if first < 0 or self._eras[first] != self._eras[min(last + 1, len(self) - 1)]:
            return None
        start = self._mid(first) if from_ticks is None else from_ticks
        end = self._mid(last)
        return None if start is None or end is None else side * (end - start) / start * 1e4

    def _mid(self, index: int) -> float | None:
        bid, ask = self._bids[index], self._asks[index]
        return None if bid == NO_BID_TICKS or ask == NO_ASK_TICKS else (bid + ask) / 2

    def _row(self, index: int) -> Row:
        before_ns = self._t_ns[max(index - 1, 0)]
        return Row(
            self._t_ns[index], self._local_ns[index], self._bids[index], self._asks[index], self._breaks[index],
            before_ns,
        )  # fmt: skip

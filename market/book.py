"""The order book of one instrument, kept from a venue's updates, which knows whether it may be trusted.

    SYNCING --snapshot joined--> LIVE --update missing--> GAP --snapshot--> SYNCING

A book is read only while LIVE; reading it in another state raises SequenceGap. Updates that arrive while a snapshot is
awaited are kept and replayed behind it. A crossed book (best bid above best ask) can come out of a healthy sequence
and is the caller's to drop; a locked one (equal) is legal.
"""

from bisect import bisect_left, insort
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from typing import Literal

from market.events import (
    NO_ASK_TICKS,
    NO_BID_TICKS,
    BadEvent,
    BookDelta,
    BookSnapshot,
    Level,
    SequenceGap,
)
from market.sequence import Gap, SequenceRule, Verdict, gap, judge_first, judge_next
from market.symbols import Symbol

_GAPS_KEPT = 1_024


class BookState(Enum):
    """SYNCING: waits for a snapshot, or for the update that joins it. LIVE: complete. GAP: an update is missing."""

    SYNCING = "syncing"
    LIVE = "live"
    GAP = "gap"


@dataclass(slots=True)
class BookCounts:
    """What became of the events of one book since it was made."""

    applied: int = 0
    stale: int = 0
    gaps: int = 0
    snapshots_too_old: int = 0
    discarded: int = 0


class OrderBook:
    """Bids and asks in ticks and lots; `apply` events in the order of their arrival.

    `buffer_limit` bounds the updates kept while a snapshot is awaited; beyond it the oldest are discarded and counted,
    and only a snapshot newer than they are can then mend the book.
    """

    def __init__(self, symbol: Symbol, rule: SequenceRule, buffer_limit: int = 10_000) -> None:
        self.symbol = symbol
        self.rule = rule
        self.state = BookState.SYNCING
        self.counts = BookCounts()
        self.sequence = 0
        self.exchange_ns = 0
        self.local_ns = 0
        self._bids = _Ladder(sign=1)
        self._asks = _Ladder(sign=-1)
        self._has_snapshot = False
        self._buffer: deque[BookDelta] = deque()
        self._buffer_limit = buffer_limit
        self._gaps: deque[Gap] = deque(maxlen=_GAPS_KEPT)

    def apply(self, event: BookDelta | BookSnapshot) -> BookState:
        """Take in one event and return the state after it.

        Raises BadEvent for an event of another symbol, or an update where the venue sends only whole books; a missing
        update raises nothing: the state becomes GAP and `gaps` remembers it.
        """
        if event.symbol != self.symbol.name:
            raise BadEvent(f"{self.symbol.name}: got an event of {event.symbol!r}; route events by symbol")
        if isinstance(event, BookDelta):
            self._apply_delta(event)
        else:
            self._apply_snapshot(event)
        return self.state

    @property
    def needs_snapshot(self) -> bool:
        """Whether only a (newer) snapshot can make the book LIVE."""
        return not self._has_snapshot

    @property
    def gaps(self) -> tuple[Gap, ...]:
        """The latest breaks of the sequence, oldest first (1,024 are kept; `counts.gaps` counts all)."""
        return tuple(self._gaps)

    def best(self) -> tuple[int, int, int, int]:
        """Return bid ticks, bid lots, ask ticks, ask lots; an empty side is NO_BID_TICKS or NO_ASK_TICKS, 0 lots."""
        self._require_live()
        bid_ticks, bid_lots = self._bids.best(NO_BID_TICKS)
        ask_ticks, ask_lots = self._asks.best(NO_ASK_TICKS)
        return bid_ticks, bid_lots, ask_ticks, ask_lots

    def top(self, n: int) -> tuple[list[Level], list[Level]]:
        """Return the best n bids and the best n asks, each from the touch outwards, fewer when the side has fewer."""
        self._require_live()
        return self._bids.top(n), self._asks.top(n)

    def depth(self, side: Literal["bid", "ask"], n: int) -> int:
        """Return the lots in the best n levels of one side."""
        self._require_live()
        ladder = self._bids if side == "bid" else self._asks
        return sum(size_lots for _, size_lots in ladder.top(n))

    @property
    def is_crossed(self) -> bool:
        """Whether the best bid is above the best ask, which no venue's matching allows."""
        bid_ticks, _, ask_ticks, _ = self.best()
        return bid_ticks > ask_ticks

    @property
    def is_locked(self) -> bool:
        """Whether the best bid equals the best ask."""
        bid_ticks, _, ask_ticks, _ = self.best()
        return bid_ticks == ask_ticks

    def _apply_snapshot(self, snapshot: BookSnapshot) -> None:
        # A snapshot asked for earlier may arrive behind updates that are newer. On Bybit it comes in the stream
        # itself and always counts; on a broken book it counts too, since ids may have started anew.
        if self.state is BookState.LIVE and self.rule is not SequenceRule.BYBIT and snapshot.sequence < self.sequence:
            self.counts.stale += 1
            return
        self._replace(snapshot)
        if self.rule.joins_snapshot:
            self.state = BookState.SYNCING
            waiting, self._buffer = self._buffer, deque()
            for delta in waiting:
                self._apply_delta(delta)

    def _apply_delta(self, delta: BookDelta) -> None:
        verdict = self._judge(delta)
        if verdict is Verdict.APPLY:
            self._bids.change(delta.bids)
            self._asks.change(delta.asks)
            self._advance(delta)
        elif verdict is Verdict.REPLACE:
            self._replace(delta)
        elif verdict is Verdict.STALE:
            self.counts.stale += 1
        else:
            self._keep(delta)

    def _judge(self, delta: BookDelta) -> Verdict:
        """Decide about an update, and fall out of step with the venue when one is missing."""
        if self.rule is SequenceRule.SNAPSHOT_ONLY:
            raise BadEvent(f"{self.symbol.name}: got an update, but this venue sends whole books only")
        if self.state is BookState.LIVE:
            verdict = judge_next(self.rule, self.sequence, delta)
            if verdict is Verdict.BREAK:
                self.counts.gaps += 1
                self._gaps.append(gap(self.rule, self.sequence, delta))
                self.state = BookState.GAP
                self._has_snapshot = False
            return verdict
        if self._has_snapshot:
            verdict = judge_first(self.rule, self.sequence, delta)
            if verdict is Verdict.BREAK:
                self.counts.snapshots_too_old += 1
                self._has_snapshot = False
            return verdict
        restarts = self.rule is SequenceRule.BYBIT and delta.sequence == 1
        return Verdict.REPLACE if restarts else Verdict.BREAK

    def _keep(self, delta: BookDelta) -> None:
        """Keep an update for the snapshot to come, where one can be joined to it."""
        self._buffer.append(delta)
        if len(self._buffer) > (self._buffer_limit if self.rule.joins_snapshot else 0):
            self._buffer.popleft()
            self.counts.discarded += 1

    def _replace(self, event: BookDelta | BookSnapshot) -> None:
        self._bids.replace(event.bids)
        self._asks.replace(event.asks)
        self._has_snapshot = True
        self._advance(event)

    def _advance(self, event: BookDelta | BookSnapshot) -> None:
        self.sequence = event.sequence
        self.exchange_ns = event.exchange_ns
        self.local_ns = event.local_ns
        self.state = BookState.LIVE
        self.counts.applied += 1

    def _require_live(self) -> None:
        if self.state is not BookState.LIVE:
            last = f"last break {self._gaps[-1]}" if self._gaps else "no break so far"
            raise SequenceGap(
                f"{self.symbol.name}: the book is {self.state.value} behind update {self.sequence} ({last}); "
                "apply a snapshot and the updates behind it before reading"
            )


class _Ladder:
    """One side: sizes by price, and the prices sorted so that the best is last whichever side it is.

    Most changes happen near the touch, that is near the end of the list, so an insertion moves few elements however
    deep the book is.
    """

    __slots__ = ("_keys", "_lots", "_sign")

    def __init__(self, sign: int) -> None:
        self._sign = sign
        self._lots: dict[int, int] = {}
        self._keys: list[int] = []

    def replace(self, levels: Iterable[Level]) -> None:
        self._lots = {price_ticks: size_lots for price_ticks, size_lots in levels if size_lots}
        self._keys = sorted(self._sign * price_ticks for price_ticks in self._lots)

    def change(self, levels: Iterable[Level]) -> None:
        lots, keys, sign = self._lots, self._keys, self._sign
        for price_ticks, size_lots in levels:
            if size_lots:
                if price_ticks not in lots:
                    insort(keys, sign * price_ticks)
                lots[price_ticks] = size_lots
            elif price_ticks in lots:
                del lots[price_ticks]
                del keys[bisect_left(keys, sign * price_ticks)]

    def best(self, nothing_ticks: int) -> Level:
        if not self._keys:
            return nothing_ticks, 0
        price_ticks = self._sign * self._keys[-1]
        return price_ticks, self._lots[price_ticks]

    def top(self, n: int) -> list[Level]:
        lots, sign = self._lots, self._sign
        return [(sign * key, lots[sign * key]) for key in self._keys[: -n - 1 : -1]]

"""One symbol's book, kept from what the venue sends, and told to everybody else only while it is certain.

Every update's number is checked (OrderBook), on every venue, all the time. What goes out: the best ten levels after
each update while the book is live; a BookStatus whenever that changes; prints, each once. No clock and no socket in
here: the caller hands the time in (`mono_ns`) and gets wishes out (`ask`).

    syncing --joined--> live <--fresh-- stale (silent, disconnected, crossed)
                         |  \\--crossed too long, wrong against bookTicker--> gap
                         +--update missing--> gap --snapshot--> live          halted: the grid changed, or delisted
"""

from collections.abc import Callable
from typing import Literal

from bus.messages import BookImage, BookStatus, MarketTrade
from live.backoff import Backoff
from live.feed import Retiming
from live.proven_range import ProvenRange, Renewal
from live.ticker_check import TickerCheck
from live.trade_tape import TradeTape
from market.book import BookState, OrderBook
from market.columns import BOOK_LOCKED, BOOK_ONE_SIDED, BOOK_RESET
from market.events import LEVELS, NO_ASK_TICKS, NO_BID_TICKS, BookDelta, BookSnapshot, BookTicker, Level, Trade
from market.sequence import SequenceRule
from market.symbols import Symbol

State = Literal["syncing", "live", "gap", "stale", "halted"]
STATES: tuple[State, ...] = ("syncing", "live", "gap", "stale", "halted")

_CROSSED_NS = 1_000_000_000
_INT32_MAX = 2**31 - 1


class BookKeeper:
    """The state machine of one symbol.

    `say` gets what is to be published, in order; `ask` is called with a reason whenever a snapshot is needed. A
    snapshot that does not come within `answer_ns` is asked for again. With `renews` the book is renewed before it
    leaves the prices its snapshot told of (a replay has no snapshot to ask for). Counts are totals since the start.
    """

    def __init__(
        self,
        symbol: Symbol,
        rule: SequenceRule,
        say: Callable[[BookImage | BookStatus | MarketTrade], None],
        ask: Callable[[str], None],
        backoff: Backoff,
        *,
        answer_ns: int,
        steady_ns: int,
        retiming: Retiming | None = None,
        renews: bool = False,
    ) -> None:
        self.symbol = symbol
        self.state: State = "syncing"
        self.tape = TradeTape(contiguous=rule is not SequenceRule.BYBIT)
        self.ticker = TickerCheck()
        self.gaps = self.crossed = self.updates = self.trades = 0
        self.book_mono_ns = self.trade_mono_ns = self.heard_mono_ns = -1
        self.image: BookImage | None = None
        self._rule = rule
        self._say = say
        self._ask = ask
        self._backoff = backoff
        self._answer_ns = answer_ns
        self._steady_ns = steady_ns
        self._retiming = retiming
        self._book = OrderBook(symbol, rule)
        self._range = ProvenRange() if renews and rule.joins_snapshot else None
        self._next_range = ProvenRange()
        self._renewal = Renewal(symbol, rule)
        self._reset = True
        self._last_ns = 0
        self._old_in_a_row = 0
        self._live_since: int | None = None
        self._crossed_since: int | None = None
        self._ask_at: int | None = None
        self._ask_reason = "start"
        self._asked_at: int | None = None

    def start(self, local_ns: int, mono_ns: int) -> None:
        """Say that nothing is known yet. From now on silence counts."""
        self.book_mono_ns = self.heard_mono_ns = mono_ns
        self._say(BookStatus(self.symbol.name, "syncing", "start", 0, 0, local_ns))

    def on_book(self, event: BookDelta | BookSnapshot, mono_ns: int, *, is_repeat: bool = False) -> None:
        """Take in an update or a snapshot. `is_repeat`: it came over a second socket and may be known."""
        if self.state == "halted":
            return
        book, counts = self._book, self._book.counts
        was_live, is_snapshot = book.state is BookState.LIVE, isinstance(event, BookSnapshot)
        known = is_repeat and event.sequence <= book.sequence
        self._renewal.apply(event)
        if isinstance(event, BookSnapshot) and was_live and (self._rule.joins_snapshot or known):
            self._next_range.note(event)
            return
        stale, gaps, too_old = counts.stale, counts.gaps, counts.snapshots_too_old
        book.apply(event)
        if was_live and counts.stale > stale:
            self._old_in_a_row += 1
            return
        self.book_mono_ns = self.heard_mono_ns = mono_ns
        self._old_in_a_row = 0
        if isinstance(event, BookSnapshot):
            self._asked_at = None
            if self._range is not None:
                self._range.note(event)
        if counts.gaps > gaps:
            self._fall("gap", mono_ns, event.local_ns)
        elif book.state is BookState.LIVE:
            restarts = self._rule is SequenceRule.BYBIT and event.sequence == 1
            self.updates += 1
            self._show(event.local_ns, mono_ns, reset=not was_live or is_snapshot or restarts)
        elif counts.snapshots_too_old > too_old:
            self._want("snapshot_too_old", mono_ns)
        elif book.needs_snapshot and self._ask_at is None and self._asked_at is None:
            self._want(self._ask_reason, mono_ns)

    def on_trade(self, trade: Trade, mono_ns: int) -> None:
        """Take in a print; one that was seen before is dropped."""
        if self.state == "halted" or not self.tape.is_new(trade.trade_id):
            return
        if trade.size_lots > _INT32_MAX:
            self.halt("beyond_int32", trade.local_ns)
            return
        self.trade_mono_ns = mono_ns
        self.trades += 1
        self._say(
            MarketTrade(
                self.symbol.name,
                trade.trade_id,
                trade.exchange_ns if self._retiming is None else self._retiming(trade.exchange_ns),
                self._stamp(trade.local_ns),
                trade.price_ticks,
                trade.size_lots,
                trade.aggressor,
            )
        )

    def on_ticker(self, ticker: BookTicker, mono_ns: int) -> None:
        """Compare the venue's own best bid and ask with ours at the same update; a wrong book is given up."""
        if self.state != "halted" and not self.ticker.ticker(ticker):
            self._resync("ticker_mismatch", mono_ns, ticker.local_ns)

    def on_snapshot_failed(self, reason: str, pause_seconds: float, mono_ns: int) -> None:
        """Ask again later, for the snapshot will not come."""
        self._asked_at = None
        if self._book.needs_snapshot and self.state != "halted":
            self._want(reason, mono_ns, pause_seconds)

    def on_down(self, reason: str, local_ns: int) -> None:
        """The socket is gone. The book is kept: if the next update follows, nothing was missed."""
        self.ticker.forget()
        if self.state == "live":
            self._move("stale", reason, local_ns)

    def on_up(self, mono_ns: int) -> None:
        """A socket for the symbol is there: silence counts from here."""
        self.heard_mono_ns = mono_ns

    def on_silence(self, local_ns: int, mono_ns: int) -> None:
        """Nothing new came for too long: whatever we know may be wrong by now."""
        if self._old_in_a_row and self.state in {"live", "stale"}:
            # The venue speaks, and all of it looks old: its numbers have begun anew.
            self.tape.restart()
            self._resync("numbers_restarted", mono_ns, local_ns)
        elif self.state == "live":
            self._move("stale", "silence", local_ns)

    def on_time(self, local_ns: int, mono_ns: int) -> None:
        """Do what has become due."""
        if self.state == "halted":
            return
        if self._crossed_since is not None and mono_ns - self._crossed_since > _CROSSED_NS:
            self._resync("crossed", mono_ns, local_ns)
        if self._asked_at is not None and mono_ns - self._asked_at > self._answer_ns:
            self._asked_at = None
            if self._book.needs_snapshot:
                self._want("no_answer", mono_ns)
        if self._ask_at is not None and mono_ns >= self._ask_at:
            self._ask_now(mono_ns)
        if self._live_since is not None and mono_ns - self._live_since > self._steady_ns:
            self._backoff.reset()
            self._live_since = None

    def halt(self, reason: str, local_ns: int) -> bool:
        """Give the symbol up until a restart; return whether it was not given up before."""
        if self.state == "halted":
            return False
        self._ask_at = self._asked_at = self._crossed_since = None
        self._move("halted", reason, local_ns)
        return True

    def _show(self, local_ns: int, mono_ns: int, *, reset: bool) -> None:
        """Tell the book as it stands, unless it cannot be."""
        if self._range is not None and not self._is_proven(local_ns, mono_ns):
            return
        bids, asks = self._book.top(LEVELS)
        self._reset |= reset
        if bids and asks and bids[0][0] > asks[0][0]:
            self._cross(local_ns, mono_ns)
            return
        self._crossed_since = None
        image = self._image(bids, asks, local_ns)
        if image is None:
            self.halt("beyond_int32", local_ns)
            return
        if not self.ticker.book(self._book.sequence, image):
            self._resync("ticker_mismatch", mono_ns, local_ns)
            return
        if self.state != "live":
            self._ask_at, self._live_since = None, mono_ns
            self._move("live", "joined" if self._reset else "fresh", local_ns)
        self._reset = False
        self._last_ns, self.image = image.local_ns, image
        self._say(image)

    def _image(self, bids: list[Level], asks: list[Level], local_ns: int) -> BookImage | None:
        """Return what goes out; None when a size is beyond what the lake stores."""
        flags = self._reset * BOOK_RESET
        if not bids or not asks:
            flags |= BOOK_ONE_SIDED
        elif bids[0][0] == asks[0][0]:
            flags |= BOOK_LOCKED
        bid_ticks, bid_lots = [level[0] for level in bids], [level[1] for level in bids]
        ask_ticks, ask_lots = [level[0] for level in asks], [level[1] for level in asks]
        if max(bid_lots, default=0) > _INT32_MAX or max(ask_lots, default=0) > _INT32_MAX:
            return None
        if len(bids) < LEVELS:
            bid_ticks += [NO_BID_TICKS] * (LEVELS - len(bids))
            bid_lots += [0] * (LEVELS - len(bids))
        if len(asks) < LEVELS:
            ask_ticks += [NO_ASK_TICKS] * (LEVELS - len(asks))
            ask_lots += [0] * (LEVELS - len(asks))
        exchange_ns = self._book.exchange_ns
        if self._retiming is not None:
            exchange_ns = self._retiming(exchange_ns)
        # The stamp is taken only when the image goes out, see _show.
        stamp = max(local_ns, self._last_ns + 1)
        return BookImage(
            self.symbol.name, exchange_ns, stamp, self._book.sequence, flags, bid_ticks, bid_lots, ask_ticks, ask_lots
        )

    def _is_proven(self, local_ns: int, mono_ns: int) -> bool:
        """Renew a book that nears the end of its snapshot; give one up that has passed it."""
        if renewed := self._renewal.ready(self._book.sequence):
            self._book, self._range, self._next_range = renewed, self._next_range, ProvenRange()
        verdict = self._range.judge(*self._book.top(LEVELS)) if self._range is not None else "inside"
        if verdict == "near" and self._renewal.begin(mono_ns):
            self._ask("near_range_end")
        elif verdict == "beyond":
            self._resync("beyond_range", mono_ns, local_ns)
            return False
        return True

    def _cross(self, local_ns: int, mono_ns: int) -> None:
        """A crossed book is nobody's to see; the next image behind it starts windows anew, as in the lake."""
        self.crossed += 1
        self._reset = True
        if self._crossed_since is None:
            self._crossed_since = mono_ns
            self._move("stale", "crossed", local_ns)
        elif mono_ns - self._crossed_since > _CROSSED_NS:
            self._resync("crossed", mono_ns, local_ns)

    def _resync(self, reason: str, mono_ns: int, local_ns: int) -> None:
        """Throw the book away: its numbers are in order, and it is wrong all the same."""
        self._book = OrderBook(self.symbol, self._rule)
        self._fall(reason, mono_ns, local_ns)

    def _fall(self, reason: str, mono_ns: int, local_ns: int) -> None:
        """Out of step with the venue."""
        expected = seen = 0
        if reason == "gap":
            self.gaps += 1
            last = self._book.gaps[-1]
            expected, seen = last.expected, last.seen
        self._crossed_since = self._live_since = None
        self.ticker.forget()
        self._renewal.drop()
        self._reset = True
        self.state = "gap"
        self._say(BookStatus(self.symbol.name, "gap", reason, expected, seen, local_ns))
        self._asked_at = None
        self._want(reason, mono_ns)

    def _want(self, reason: str, mono_ns: int, pause_seconds: float = 0.0) -> None:
        self._ask_reason = reason
        wait = max(pause_seconds, self._backoff.next_seconds())
        self._ask_at = mono_ns + round(wait * 1e9)
        if wait == 0.0:
            self._ask_now(mono_ns)

    def _ask_now(self, mono_ns: int) -> None:
        self._ask_at, self._asked_at = None, mono_ns
        self._ask(self._ask_reason)

    def _move(self, state: State, reason: str, local_ns: int) -> None:
        if self.state == "live":
            self._live_since = None
        self.state = state
        self._say(BookStatus(self.symbol.name, state, reason, 0, 0, local_ns))

    def _stamp(self, local_ns: int) -> int:
        """Our receive times rise strictly over books and prints together: a tie or a step back is moved by 1 ns."""
        self._last_ns = max(local_ns, self._last_ns + 1)
        return self._last_ns

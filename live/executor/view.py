"""The market as the gates see it: one symbol's book, marks, prints and their ages. No I/O; times are handed in."""

from collections import deque
from dataclasses import dataclass, field

from bus.messages import BookImage, BookStatus, MarketTrade, MarkPrice
from live.executor.exits import Touch
from live.executor.ladder import Side
from live.moves import OneSecondMoves
from live.touches import WHOLE, Row
from market.columns import BOOK_RESET
from market.events import LEVELS, NO_ASK_TICKS, NO_BID_TICKS

PRINTS_NS = 30_000_000_000
MOST_PRINTS = 4_096
_NS_PER_SECOND = 1_000_000_000


@dataclass(slots=True)
class MarketView:
    """What is known of one symbol. `recover_ns` is how long depth must have been normal after it was gone.

    Ages are the larger of what the wall clock makes of the message's own time and what the monotonic clock has counted
    since it came: so neither a message that was late nor a process that stood still looks fresh.
    """

    symbol: str
    recover_ns: int = 0
    state: str = "unknown"
    image: BookImage | None = None
    mark: MarkPrice | None = None
    _image_mono_ns: int = 0
    _mark_mono_ns: int = 0
    _live_since_ns: int | None = None
    _bad_until_ns: int = -(2**62)
    _moves: OneSecondMoves = field(default_factory=OneSecondMoves)
    _breaks: int = WHOLE
    _prints: "deque[tuple[int, int, int, int]]" = field(default_factory=lambda: deque(maxlen=MOST_PRINTS))

    def on_book(self, image: BookImage, mono_ns: int) -> None:
        """See a book: only certain ones are published, so it makes the symbol live."""
        if image.flags & BOOK_RESET or self.state not in ("live", "unknown") or self._live_since_ns is None:
            self._live_since_ns = mono_ns
            self._breaks = 1
        self.state = "live"
        self.image, self._image_mono_ns = image, mono_ns
        bid, ask = image.bid_ticks[0], image.ask_ticks[0]
        self._moves.see(Row(image.exchange_ns, image.local_ns, bid, ask, self._breaks, image.exchange_ns))
        self._breaks = WHOLE
        if bid == NO_BID_TICKS or ask == NO_ASK_TICKS or not (image.bid_lots[0] and image.ask_lots[0]):
            self.disturb(mono_ns)

    def on_status(self, status: BookStatus, mono_ns: int) -> None:
        """See the collector's word on the book; anything but live ends what was certain."""
        if status.state == "live":
            if self.state != "live":
                self._live_since_ns = mono_ns if self._live_since_ns is None else self._live_since_ns
            self.state = "live"
            return
        self.void(status.state)
        if status.state in ("stale", "halted"):
            self.disturb(mono_ns)

    def on_trade(self, trade: MarketTrade, mono_ns: int) -> None:
        """See a print."""
        self._prints.append((mono_ns, trade.price_ticks, trade.size_lots, trade.aggressor))

    def on_mark(self, mark: MarkPrice, mono_ns: int) -> None:
        """See a mark price."""
        self.mark, self._mark_mono_ns = mark, mono_ns

    def void(self, state: str) -> None:
        """The book is not certain any more: warm-up begins anew."""
        self.state, self._live_since_ns, self._breaks = state, None, 1

    def disturb(self, mono_ns: int) -> None:
        """Depth was gone or the market stale: normal depth is asked for from now on, for as long as configured."""
        self._bad_until_ns = mono_ns + self.recover_ns

    def live_seconds(self, mono_ns: int) -> float | None:
        """For how long the book has been live, None while it is not."""
        if self.state != "live" or self._live_since_ns is None:
            return None
        return (mono_ns - self._live_since_ns) / _NS_PER_SECOND

    def recovering_seconds(self, mono_ns: int) -> float:
        """How long depth must still be normal before anything new."""
        return max(0, self._bad_until_ns - mono_ns) / _NS_PER_SECOND

    def book_age_ms(self, mono_ns: int, wall_ns: int) -> float:
        """Age of the newest book; infinite without one. A book from more than a second ahead is as good as none."""
        if self.image is None:
            return float("inf")
        return _age_ms(mono_ns - self._image_mono_ns, wall_ns - self.image.local_ns)

    def mark_age_ms(self, mono_ns: int, wall_ns: int) -> float:
        """Age of the newest mark price, as of books."""
        if self.mark is None:
            return float("inf")
        return _age_ms(mono_ns - self._mark_mono_ns, wall_ns - self.mark.local_ns)

    def touch(self) -> Touch | None:
        """The best prices, None where a side is empty or the book is not live."""
        return self.last_touch() if self.state == "live" else None

    def last_touch(self) -> Touch | None:
        """The best prices of the newest book, however old it is and whatever became of it."""
        if self.image is None:
            return None
        bid, ask = self.image.bid_ticks[0], self.image.ask_ticks[0]
        return None if bid == NO_BID_TICKS or ask == NO_ASK_TICKS else Touch(bid, ask)

    def mid_ticks(self) -> float:
        """The middle of the touch, 0 without one."""
        touch = self.touch()
        return 0.0 if touch is None else (touch.bid_ticks + touch.ask_ticks) / 2

    def volatility_bps(self) -> float | None:
        """Deviation of one-second moves, None before there are enough."""
        return self._moves.bps

    def depth_lots(self, side: int, levels: int) -> int:
        """Lots displayed on one side, +1 the bids, on so many levels."""
        if self.image is None:
            return 0
        return sum((self.image.bid_lots if side > 0 else self.image.ask_lots)[: min(levels, LEVELS)])

    def our_side(self, side: int, mono_ns: int) -> Side:
        """The side of the book that an entry of `side` joins, and the prints that work on it."""
        image = self.image
        while self._prints and mono_ns - self._prints[0][0] > PRINTS_NS:
            self._prints.popleft()
        if image is None:
            return Side((), (), (), PRINTS_NS)
        ticks, lots = (image.bid_ticks, image.bid_lots) if side > 0 else (image.ask_ticks, image.ask_lots)
        prints = [(price, size) for _, price, size, aggressor in self._prints if aggressor == -side]
        return Side(ticks, lots, prints, PRINTS_NS)


def _age_ms(counted_ns: int, stamped_ns: int) -> float:
    if stamped_ns < -_NS_PER_SECOND:
        return float("inf")
    return max(counted_ns, stamped_ns) / 1e6

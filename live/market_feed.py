"""One order for market data: the two streams of a symbol, put back together by the collector's numbers.

    feed = MarketFeed(symbols)
    for event in feed.take(received):       # BookImage, BookStatus, MarketTrade in order, or Lost
        ...
    for event in feed.tick(clock.mono_ns()):
        ...

A collector numbers what it says of a symbol over both streams together. Each stream arrives in order, but not one
with the other, so a message waits until the one before it is there. When both streams have gone past a number it is
certain that it will never come; when one of them is silent, a hole that stays for `patience_ns` is given up. Either
way `Lost` stands where the hole was: whoever keeps windows over the market, or a place in a queue, forgets them.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from bus.messages import BookImage, BookStatus, MarketTrade, Received
from market.columns import BOOK_RESET

PATIENCE_NS: Final = 1_000_000_000
MOST_HELD: Final = 65_536
_LONGEST_TICK_NS: Final = 250_000_000
"""What a tick counts for at most: time in which this process stood still was no time for the missing message."""

Key = tuple[int, int]
"""(epoch, seq): the place of a message in a collector's order."""
_NOTHING: Final[Key] = (-1, -1)


class Lost(NamedTuple):
    """Messages from number `expected` up to `seen` are missing, or the beginning of what a new collector said (0)."""

    symbol: str
    expected: int
    seen: int


Event = BookImage | BookStatus | MarketTrade | Lost


@dataclass(slots=True)
class Refusals:
    """What was not handed on: repeated, said by a collector that was replaced, or of no symbol of ours."""

    repeated: int = 0
    outdated: int = 0
    foreign: int = 0


@dataclass(slots=True)
class _Line:
    """Where one symbol stands: the next place, what waits behind a hole, and how far each stream has come."""

    symbol: str
    place: Key | None = None
    is_new: bool = False
    held: dict[Key, Received] = field(default_factory=dict)
    book_at: Key = _NOTHING
    trade_at: Key = _NOTHING
    waited_ns: int = 0
    waited_for: Key | None = None


class MarketFeed:
    """The market of some symbols in order. Repeated messages and those of an outdated collector are dropped.

    Without `resume` the feed begins with whatever comes first, and a collector of a higher epoch takes over with its
    first message, at the cost of what the older one's other stream may still have held. With `resume` (the next place
    by symbol, as `place` gave it; a symbol that is not in it begins at the start of its streams) nothing is passed
    over: the feed waits for both streams, and an image that begins anything without BOOK_RESET stands behind a Lost.
    """

    def __init__(
        self,
        symbols: Iterable[str],
        *,
        resume: Mapping[str, Key] | None = None,
        patience_ns: int = PATIENCE_NS,
        most_held: int = MOST_HELD,
    ) -> None:
        self.refusals = Refusals()
        self.lost = 0
        self._is_strict = resume is not None
        self._patience_ns = patience_ns
        self._most_held = most_held
        self._ticked_ns: int | None = None
        self._lines = {name: _Line(name) for name in symbols}
        for line in self._lines.values() if resume is not None else ():
            line.place = (resume or {}).get(line.symbol, (0, 0))
            line.is_new = line.place == (0, 0)

    def place(self, symbol: str) -> Key | None:
        """The place that comes next, None before anything came."""
        return self._lines[symbol].place

    def held(self) -> int:
        """How many messages wait behind holes."""
        return sum(len(line.held) for line in self._lines.values())

    def take(self, received: Received) -> list[Event]:
        """Take a message of a book or trade stream; return what may be handled now, in order."""
        return [each if isinstance(each, Lost) else each.body for each in self.order(received)]  # type: ignore[misc]

    def tick(self, mono_ns: int) -> list[Event]:
        """Give up holes that have stayed for too long; return what that sets free."""
        return [each if isinstance(each, Lost) else each.body for each in self.overdue(mono_ns)]  # type: ignore[misc]

    def order(self, received: Received) -> list[Received | Lost]:
        """As `take`, with the messages as they were received."""
        body, header = received.body, received.header
        line = self._lines.get(body.symbol)  # type: ignore[union-attr]  # market streams carry no verdicts
        if line is None:
            self.refusals.foreign += 1
            return []
        key = (header.epoch, header.seq)
        if type(body) is MarketTrade:
            line.trade_at = max(line.trade_at, key)
        else:
            line.book_at = max(line.book_at, key)
        if key == line.place and not line.held and not line.is_new:
            line.place = (key[0], key[1] + 1)
            return [received]
        return self._out_of_line(line, key, received)

    def overdue(self, mono_ns: int) -> list[Received | Lost]:
        """As `tick`, with the messages as they were received."""
        passed_ns = 0 if self._ticked_ns is None else min(mono_ns - self._ticked_ns, _LONGEST_TICK_NS)
        self._ticked_ns = mono_ns
        out: list[Received | Lost] = []
        for line in self._lines.values():
            if not line.held:
                continue
            line.waited_ns = line.waited_ns + passed_ns if line.waited_for == line.place else 0
            line.waited_for = line.place
            if line.waited_ns >= self._patience_ns:
                out += self._leap(line)
                out += self._released(line)
        return out

    def _out_of_line(self, line: _Line, key: Key, received: Received) -> list[Received | Lost]:
        """Take a message that is not simply the next one."""
        if line.place is None:
            line.place = key
        elif not self._is_strict and key[0] > line.place[0]:
            line.held.clear()
            line.place, line.is_new = key, True
        if key < line.place or key in line.held:
            if key[0] < line.place[0]:
                self.refusals.outdated += 1
            else:
                self.refusals.repeated += 1
            return []
        line.held[key] = received
        return list(self._released(line))

    def _released(self, line: _Line) -> Iterator[Received | Lost]:
        """Hand out what waits, as far as it is whole, leaping over holes that cannot be filled any more."""
        while line.held:
            place = line.place
            assert place is not None, "a line that holds something has begun"  # noqa: S101
            next_one = line.held.pop(place, None)
            if next_one is not None:
                yield from self._begun(line, place, next_one)
                line.place = (place[0], place[1] + 1)
            elif min(line.book_at, line.trade_at) > place or len(line.held) > self._most_held:
                yield from self._leap(line)
            else:
                return

    def _leap(self, line: _Line) -> list[Received | Lost]:
        """Go on at the first message that waits; a newer collector's first one is no loss by itself."""
        first = min(line.held)
        before, line.place = line.place, first
        assert before is not None, "a line that holds something has begun"  # noqa: S101
        if first[0] != before[0]:
            line.is_new = True
            return []
        self.lost += 1
        return [Lost(line.symbol, before[1], first[1])]

    def _begun(self, line: _Line, place: Key, received: Received) -> Iterator[Received | Lost]:
        """Hand out a message; the first image of a collector that carries no reset has lost what was before it."""
        body = received.body
        if line.is_new and type(body) is BookImage:
            line.is_new = False
            if not body.flags & BOOK_RESET:
                self.lost += 1
                yield Lost(line.symbol, 0, place[1])
        yield received

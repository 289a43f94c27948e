"""The collector: from what a venue sends to the market that every other service sees.

It publishes BookImage and BookStatus on `md:{S}:book`, MarketTrade on `md:{S}:trade` and MarkPrice on `md:{S}:mark`.
Books and prints of a symbol are numbered together by the writer `collector:S`, and their `local_ns` rise strictly, so
one order holds live and in the lake. A symbol in trouble is mended alone.
"""

from collections.abc import Mapping, Sequence
from functools import partial
from random import Random
from typing import Any

from bus import streams
from bus.messages import BookImage, BookStatus, ControlEvent, MarketTrade, MarkPrice, Received
from live.backoff import Backoff
from live.book_keeper import BookKeeper
from live.clock import ManualClock
from live.errors import FrameRefused, OffGrid, SubscriptionRefused
from live.exchange.venue import Delisted, Event, Mark, NotMarket, Venue
from live.feed import Feed, Frame, Item, LineDown, LineUp, Refused, SnapshotFailed
from live.market_gauges import MarketGauges
from live.mid_marks import MidMarks
from live.service import Parts, Subscription
from live.sources import feed_and_venue, rule_of
from market.events import BookDelta, BookSnapshot, BookTicker, Trade

_NS_PER_SECOND = 1e9
_BOOKS = (BookDelta, BookSnapshot)
_ANSWER_NS = 10_000_000_000
_LOUDEST = 20
"""Refused frames that are logged one by one; the others are only counted."""


class Collector:
    """The service. `feed` and `venue` are made from the settings unless a test brings its own."""

    name = "collector"

    def __init__(self, parts: Parts, feed: Feed | None = None, venue: Venue | None = None) -> None:
        self._parts = parts
        self._clock = parts.clock
        self._out = parts.out
        self._symbols = [parts.symbols[name] for name in parts.settings.market.symbols]
        if feed is None or venue is None:
            feed, venue = feed_and_venue(parts, self._symbols)
        self._feed = feed
        self._venue = venue
        self._turned = parts.clock if feed.turns_clock and isinstance(parts.clock, ManualClock) else None
        self._gauges = MarketGauges(parts.metrics, feed.venue, self._symbols, parts.settings.gates.liquidity_levels)
        self._marks = None if feed.has_marks else MidMarks(parts.symbols)
        self._keepers: dict[str, BookKeeper] = {}
        self._silence_ns = round(parts.settings.feed.silence_seconds * _NS_PER_SECOND)
        self._tries: dict[str, int] = {}
        self._tried_ns: dict[str, int] = {}
        self._refusals = 0
        self._why_halted = ""
        self._numbers: dict[str, int] = {}
        self._places = {
            symbol.name: (streams.book(symbol.name), streams.trade(symbol.name), f"collector:{symbol.name}")
            for symbol in self._symbols
        }

    def subscriptions(self) -> Sequence[Subscription]:
        """It reads nothing but its feed."""
        return ()

    def start(self) -> None:
        """Open the feed; every symbol begins without a book."""
        self._feed.start()
        knobs = self._parts.settings.feed
        for symbol in self._symbols:
            backoff = Backoff(
                knobs.reconnect_seconds,
                knobs.reconnect_max_seconds,
                Random(f"{symbol.name} snapshot"),
            )
            keeper = BookKeeper(
                symbol,
                rule_of(symbol),
                self._say,
                partial(self._ask, symbol.name),
                backoff,
                answer_ns=_ANSWER_NS,
                steady_ns=round(knobs.reconnect_max_seconds * _NS_PER_SECOND),
                retiming=self._feed.retiming,
                renews=self._feed.answers,
            )
            self._keepers[symbol.name] = keeper
            keeper.start(self._clock.wall_ns(), self._clock.mono_ns())

    def handle(self, received: Received) -> None:
        """Nothing is subscribed to."""

    def tick(self) -> None:
        """Take what the feed has, then do what has become due."""
        for item in self._feed.take():
            self._item(item)
        wall_ns, mono_ns = self._clock.wall_ns(), self._clock.mono_ns()
        for name, keeper in self._keepers.items():
            keeper.on_time(wall_ns, mono_ns)
            self._listen(name, keeper, wall_ns, mono_ns)
        self._gauges.refresh(self._keepers, self._feed, self._venue, mono_ns)

    def status(self) -> Mapping[str, Any]:
        """Return `ready` (every book live), the feed's own words, and of each symbol state, ages and counts."""
        mono_ns = self._clock.mono_ns()
        books = {name: _shown(keeper, mono_ns) for name, keeper in self._keepers.items()}
        return {
            "ready": bool(books) and all(keeper.state == "live" for keeper in self._keepers.values()),
            "feed": self._parts.settings.feed.kind,
            "finished": self._feed.finished,
            "refused_frames": self._refusals,
            **self._feed.status(),
            "books": books,
        }

    def stop(self) -> None:
        """Close the feed."""
        self._feed.stop()

    def _item(self, item: Item) -> None:
        if isinstance(item, Frame):
            if self._turned is not None:
                self._turned.advance_to(item.local_ns)
            self._frame(item)
        elif isinstance(item, Refused):
            self._refuse(item.reason, item.text)
        elif isinstance(item, SnapshotFailed):
            self._snapshot_failed(item)
        elif isinstance(item, LineDown):
            for name in item.symbols:
                self._keepers[name].on_down(item.reason, self._clock.wall_ns())
            self._parts.log.warning("feed_down", symbols=item.symbols, reason=item.reason)
        elif isinstance(item, LineUp):
            for name in item.symbols:
                self._keepers[name].on_up(self._clock.mono_ns())

    def _frame(self, frame: Frame) -> None:
        try:
            events = self._venue.read(frame)
            mono_ns = self._clock.mono_ns()
            for event in events:
                self._event(event, mono_ns, is_repeat=frame.is_repeat)
        except FrameRefused as error:
            self._refuse(error.reason, str(error))
            if isinstance(error, SubscriptionRefused):
                self._parts.log.error("subscription_refused", text=str(error))
        except OffGrid as error:
            self._halt(error.symbol, "grid_changed", str(error), frame.local_ns)

    def _event(self, event: Event, mono_ns: int, *, is_repeat: bool) -> None:
        keeper = self._keepers[event.symbol]
        if isinstance(event, BookTicker):
            keeper.on_ticker(event, mono_ns)
        elif isinstance(event, _BOOKS):
            keeper.on_book(event, mono_ns, is_repeat=is_repeat)
        elif isinstance(event, Trade):
            keeper.on_trade(event, mono_ns)
        elif isinstance(event, NotMarket):
            keeper.tape.is_new(event.trade_id)
        elif isinstance(event, Mark):
            self._mark(event)
        elif isinstance(event, Delisted):
            self._halt(event.symbol, "delisted", event.text, self._clock.wall_ns())

    def _say(self, body: BookImage | BookStatus | MarketTrade) -> None:
        """Publish what a keeper says."""
        name = body.symbol
        number = self._numbers.get(name, 0) + 1
        self._numbers[name] = number
        book_stream, trade_stream, writer = self._places[name]
        self._out.publish(
            trade_stream if isinstance(body, MarketTrade) else book_stream,
            body,
            message_id=f"{name}-{number}",
            exchange_ns=0 if isinstance(body, BookStatus) else body.exchange_ns,
            received_ns=body.local_ns,
            writer=writer,
        )
        if isinstance(body, BookStatus):
            self._parts.log.info("book_status", symbol=name, state=body.state, reason=body.reason,
                                 expected=body.expected, seen=body.seen)  # fmt: skip
            if body.state == "halted":
                self._call_for_help(name, body.reason)
        elif isinstance(body, BookImage) and self._marks is not None:
            mark = self._marks.next(body)
            if mark is not None:
                self._publish_mark(mark)

    def _mark(self, mark: Mark) -> None:
        self._marks = None
        retiming = self._feed.retiming or (lambda ns: ns)
        self._publish_mark(
            MarkPrice(
                mark.symbol,
                retiming(mark.exchange_ns),
                mark.local_ns,
                mark.price,
                mark.funding_rate,
                retiming(mark.next_funding_ns) if mark.next_funding_ns else 0,
            )
        )

    def _publish_mark(self, mark: MarkPrice) -> None:
        self._out.publish(
            streams.mark(mark.symbol),
            mark,
            message_id=f"{mark.symbol}-mark-{mark.local_ns}",
            exchange_ns=mark.exchange_ns,
            received_ns=mark.local_ns,
            writer=f"collector:{mark.symbol}:mark",
        )

    def _halt(self, name: str, reason: str, text: str, local_ns: int) -> None:
        """Give a symbol up and call for an operator: what it trades in is not what we know."""
        self._why_halted = text
        self._keepers[name].halt(reason, local_ns)
        self._why_halted = ""

    def _call_for_help(self, name: str, reason: str) -> None:
        """Whoever gave a symbol up, the collector or its keeper: it stays so until a person has looked at it."""
        at_ns, text = self._clock.wall_ns(), self._why_halted or "the keeper of its book has given it up"
        event = ControlEvent("ALERT", "CRIT", "", "", reason, self.name, at_ns, name, "", text)
        self._out.publish(streams.CONTROL, event, message_id=f"collector-{name}-{reason}-{at_ns}")
        self._parts.log.error("symbol_halted", symbol=name, reason=reason, text=text)

    def _refuse(self, reason: str, text: str) -> None:
        self._parts.metrics.market_frames_refused_total.labels(self._feed.venue, reason).inc()
        self._refusals += 1
        if self._refusals <= _LOUDEST:
            self._parts.log.warning("frame_refused", reason=reason, text=text[:300])

    def _ask(self, name: str, reason: str) -> None:
        self._parts.metrics.book_resyncs_total.labels(name, reason).inc()
        self._feed.ask_snapshot(name)

    def _snapshot_failed(self, failed: SnapshotFailed) -> None:
        self._parts.log.warning(
            "snapshot_failed", symbol=failed.symbol, reason=failed.reason, pause=failed.pause_seconds
        )
        if failed.is_final:
            self._halt(failed.symbol, "delisted", "the venue does not know the symbol", self._clock.wall_ns())
            return
        self._keepers[failed.symbol].on_snapshot_failed(failed.reason, failed.pause_seconds, self._clock.mono_ns())

    def _listen(self, name: str, keeper: BookKeeper, wall_ns: int, mono_ns: int) -> None:
        """Notice that a symbol is silent, whatever its socket says: first its streams anew, then the socket."""
        if mono_ns - keeper.heard_mono_ns <= self._silence_ns or keeper.state == "halted":
            self._tries[name] = 0
            return
        if mono_ns - self._tried_ns.get(name, -self._silence_ns) < self._silence_ns:
            return
        keeper.on_silence(wall_ns, mono_ns)
        self._tried_ns[name] = mono_ns
        tries = self._tries[name] = self._tries.get(name, 0) + 1
        others = [each for each in self._keepers.values() if each is not keeper and each.state != "halted"]
        alone = any(mono_ns - each.heard_mono_ns <= self._silence_ns for each in others)
        self._parts.log.warning("symbol_silent", symbol=name, tries=tries, alone=alone)
        if alone and tries == 1:
            self._feed.revive(name)
        else:
            self._feed.reconnect(name, "silence")


def _shown(keeper: BookKeeper, mono_ns: int) -> Mapping[str, Any]:
    return {
        "state": keeper.state,
        "book_age_seconds": (mono_ns - keeper.book_mono_ns) / _NS_PER_SECOND,
        "trade_age_seconds": (mono_ns - keeper.trade_mono_ns) / _NS_PER_SECOND if keeper.trade_mono_ns >= 0 else None,
        "updates": keeper.updates,
        "gaps": keeper.gaps,
        "crossed": keeper.crossed,
        "trades_missing": keeper.tape.missing,
        "ticker_checked": keeper.ticker.checked,
        "ticker_mismatched": keeper.ticker.mismatched,
    }

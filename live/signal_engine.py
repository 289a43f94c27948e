"""The signal engine: from the market to candidates, each with the very row the kernel made of it.

Every event of a symbol goes through one `Stepper`; an image with BOOK_RESET, the first one after a start and the
first one after a loss begin a session, that is windows with nothing in them. A candidate is said only while the book
is live, the windows full, every feature finite and the image fresh. What is withheld uses up its bucket of the rule
all the same, and so does the bucket in which the windows of a session without a reset became full (the pipelines,
whose windows are older, may have found theirs earlier in it): what live finds is a part of what they find in the lake.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal

import numpy as np

from bus import streams
from bus.messages import BookImage, BookStatus, Candidate, ControlEvent, MarketTrade, Received, Severity
from bus.streams import CONTROL, candidates
from live.market_feed import Event, Lost, MarketFeed
from live.service import Parts, Subscription
from market.candidates import CandidateGate
from market.columns import BOOK_RESET
from market.events import BadEvent, KernelOverflow
from market.feature_spec import COLUMN_NAMES, schema_hash
from market.stepper import Stepper

NAME: Final = "signal_engine"
STREAK: Final = 10
"""Candidates in a row with a feature that is no number, at which CRIT is said."""
_FUTURE_NS: Final = 1_000_000_000
_CANDIDATES_READ: Final = 256
Withheld = Literal["book_not_live", "old", "future", "not_finite"]


@dataclass(slots=True)
class _Market:
    """One symbol: its kernel, the rule's clock, the book as it stands.

    `session_ns` is 0 before a session began; `is_late` until the first full windows of one that began without a reset.
    """

    symbol: str
    stepper: Stepper
    gate: CandidateGate
    image: BookImage | None = None
    session_ns: int = 0
    state: str = "unknown"
    is_warm: bool = False
    is_late: bool = False
    candidates: int = 0
    lost: int = 0
    withheld: Counter[Withheld] = field(default_factory=Counter)

    def void(self) -> None:
        """Nothing of before may be carried over: the next image begins a session."""
        self.session_ns, self.image, self.is_warm = 0, None, False


class SignalEngine:
    """The service. `stepper` makes a symbol's kernel; only tests hand in another one."""

    name = NAME

    def __init__(self, parts: Parts, stepper: type[Stepper] = Stepper) -> None:
        self._parts = parts
        self._rule = parts.settings.candidate.rule()
        self._schema_hash = schema_hash()
        self._ttl_ns = parts.settings.signals.ttl_ms * 1_000_000
        self._stream = candidates(parts.settings.shard.index)
        self._feed = MarketFeed(parts.symbols)
        self._markets = {name: _Market(name, stepper(), CandidateGate(self._rule)) for name in parts.symbols}
        self._streak = 0
        self._is_ready = False
        for name in parts.symbols:
            parts.metrics.candidates_total.labels(name)
        for name in COLUMN_NAMES:
            parts.metrics.feature_not_finite_total.labels(name)

    def subscriptions(self) -> Sequence[Subscription]:
        """The market of every symbol, and its own candidates: those of an earlier run are not found again."""
        market = [
            Subscription(stream(name)) for name in self._parts.symbols for stream in (streams.book, streams.trade)
        ]
        return [*market, Subscription(self._stream, start=f"recent:{_CANDIDATES_READ}")]

    def start(self) -> None:
        """Load the compiled kernel, before the first event waits for it."""
        for market in self._markets.values():
            market.stepper.warm()
        self._is_ready = True
        self._parts.log.info("signal_engine_ready", rule=self._rule.id, schema=self._schema_hash[:12])

    def handle(self, received: Received) -> None:
        """Take a market message (in any order of the two streams), or a candidate of an earlier run."""
        body = received.body
        if isinstance(body, Candidate):
            market = self._markets.get(body.symbol)
            if market is not None:
                market.gate.last_bucket = max(market.gate.last_bucket, self._rule.bucket(body.t_ns))
            return
        strange = self._take_all(self._feed.take(received))
        if strange is not None:
            raise strange

    def tick(self) -> None:
        """Give up holes in the market data that do not fill."""
        strange = self._take_all(self._feed.tick(self._parts.clock.mono_ns()))
        if strange is not None:
            self._parts.log.error("market_not_taken", error=str(strange))

    def status(self) -> Mapping[str, Any]:
        """Per symbol: the book's state, whether windows are full, the session, the image's age, what was found."""
        now_ns = self._parts.clock.wall_ns()
        return {
            "ready": self._is_ready,
            "rule": self._rule.id,
            "held": self._feed.held(),
            "symbols": {
                each.symbol: {
                    "state": each.state,
                    "warm": each.is_warm,
                    "session_ns": each.session_ns,
                    "image_age_ms": None if each.image is None else (now_ns - each.image.local_ns) // 1_000_000,
                    "candidates": each.candidates,
                    "lost": each.lost,
                    "withheld": dict(each.withheld),
                }
                for each in self._markets.values()
            },
        }

    def stop(self) -> None:
        """Nothing is open."""
        self._is_ready = False

    def _take_all(self, events: Sequence[Event]) -> BadEvent | None:
        """Take events in order; one that cannot be holds up none of the others (a status, say), and is returned."""
        strange = None
        for event in events:
            try:
                self._take(event)
            except BadEvent as error:
                strange = error
        return strange

    def _take(self, event: Event) -> None:
        market = self._markets[event.symbol]
        if isinstance(event, BookStatus):
            market.state = event.state
        elif isinstance(event, Lost):
            market.void()
            market.state = "unknown"
            market.lost += 1
            self._parts.log.warning("market_lost", symbol=event.symbol, expected=event.expected, seen=event.seen)
        else:
            self._step(market, event)

    def _step(self, market: _Market, event: BookImage | MarketTrade) -> None:
        """One event through the kernel; a row that is valid is looked at by the rule."""
        try:
            is_valid = _fed(market, event)
        except KernelOverflow as error:
            market.void()
            self._alert("WARN", market.symbol, f"the windows of {market.symbol} begin anew: {error}")
            return
        except BadEvent:
            market.void()
            raise
        market.is_warm = is_valid
        if is_valid and market.is_late:
            market.is_late = False
            market.gate.last_bucket = max(market.gate.last_bucket, self._rule.bucket(market.stepper.t_ns))
        if is_valid and (side := market.gate.step(market.stepper.t_ns, market.stepper.row, valid=1)):
            self._found(market, event, side)

    def _found(self, market: _Market, event: BookImage | MarketTrade, side: int) -> None:
        """The rule says yes: say the candidate, or count why not."""
        image, row = market.image, market.stepper.row
        assert image is not None, "a row is valid only behind an image"  # noqa: S101
        reason = self._reason(market, image)
        if reason is not None:
            market.withheld[reason] += 1
            return
        t_ns = market.stepper.t_ns
        candidate = Candidate(
            id=f"{market.symbol}-{t_ns}",
            symbol=market.symbol,
            t_ns=t_ns,
            local_ns=event.local_ns,
            side=side,
            rule_id=self._rule.id,
            schema_hash=self._schema_hash,
            book_sequence=image.sequence,
            bid_ticks=image.bid_ticks[0],
            bid_lots=image.bid_lots[0],
            ask_ticks=image.ask_ticks[0],
            ask_lots=image.ask_lots[0],
            row=row.astype("<f4").tobytes(),
            session_ns=market.session_ns,
        )
        self._parts.out.publish(self._stream, candidate, message_id=candidate.id, exchange_ns=event.exchange_ns)
        market.candidates += 1
        self._parts.metrics.candidates_total.labels(market.symbol).inc()
        self._parts.log.debug("candidate", signal=candidate.id, symbol=market.symbol, side=side)

    def _reason(self, market: _Market, image: BookImage) -> Withheld | None:
        """Why a candidate is not said, or None. A book nobody has spoken of is live: only live ones are published."""
        if market.state not in ("live", "unknown"):
            return "book_not_live"
        age_ns = self._parts.clock.wall_ns() - image.local_ns
        if age_ns > self._ttl_ns:
            return "old"
        if age_ns < -_FUTURE_NS:
            return "future"
        return None if self._is_finite(market) else "not_finite"

    def _is_finite(self, market: _Market) -> bool:
        """Whether every column is a number; counts those that are not, and says CRIT after a streak."""
        finite = np.isfinite(market.stepper.row)
        if finite.all():
            self._streak = 0
            return True
        broken = [name for name, fine in zip(COLUMN_NAMES, finite, strict=True) if not fine]
        for name in broken:
            self._parts.metrics.feature_not_finite_total.labels(name).inc()
        self._streak += 1
        if self._streak == STREAK:
            self._alert(
                "CRIT", market.symbol, f"{STREAK} candidates in a row with features that are no numbers: {broken}"
            )
        return False

    def _alert(self, severity: Severity, symbol: str, text: str) -> None:
        now_ns = self._parts.clock.wall_ns()
        self._parts.log.error("signal_engine_alert", severity=severity, symbol=symbol, text=text)
        alert = ControlEvent(
            event="ALERT", severity=severity, source="", target="", reason="model_error", by=NAME, at_ns=now_ns,
            symbol=symbol, route="", text=text,
        )  # fmt: skip
        self._parts.out.publish(CONTROL, alert, message_id=f"{NAME}-{symbol}-{now_ns}")


def _fed(market: _Market, event: BookImage | MarketTrade) -> bool:
    """Feed the kernel; tell whether its row is valid. Prints before the first image of a session are passed over."""
    if isinstance(event, MarketTrade):
        if market.session_ns == 0:
            return False
        return market.stepper.trade(event.exchange_ns, event.price_ticks, event.size_lots, event.aggressor)
    if event.flags & BOOK_RESET or market.session_ns == 0:
        market.stepper.reset()
        market.session_ns = event.local_ns
        market.is_late = not event.flags & BOOK_RESET
    market.image = event
    return market.stepper.book(
        event.exchange_ns, event.flags, event.bid_ticks, event.bid_lots, event.ask_ticks, event.ask_lots
    )

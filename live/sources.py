"""The feed that the configuration asks for, and the reader of its frames."""

from collections.abc import Sequence
from random import Random

from live.errors import FeedRefused
from live.exchange.binance import Binance
from live.exchange.bybit import Bybit
from live.exchange.lines import VenueFeed
from live.exchange.venue import Venue
from live.feed import Feed
from live.replay import ReplayFeed, begin_ns, capture_frames, simulated_frames
from live.service import Parts
from market.sequence import SequenceRule
from market.symbols import Symbol


def feed_and_venue(parts: Parts, symbols: Sequence[Symbol]) -> tuple[Feed, Venue]:
    """Return what the collector listens to. Raises FeedRefused when it cannot be."""
    knobs = parts.settings.feed
    if knobs.kind in {"binance", "bybit"}:
        return _sockets(parts, symbols)
    if knobs.kind == "simulator":
        start_ns = begin_ns(parts.settings, parts.clock)
        frames = simulated_frames(parts.settings, symbols, start_ns)
    elif knobs.path is None:
        raise FeedRefused(f"feed.path: wanted a recording to replay, feed.kind is {knobs.kind!r}")
    else:
        frames = capture_frames(knobs.path, symbols)
    is_now = knobs.kind == "simulator" and knobs.start == "now"
    feed = ReplayFeed(frames, parts.clock, knobs.speed, knobs.minutes, parts.wake, starts_now=is_now)
    return feed, Binance(symbols)


def rule_of(symbol: Symbol) -> SequenceRule:
    """Return how a symbol's venue numbers its updates."""
    if symbol.venue == "bybit":
        return SequenceRule.BYBIT
    return SequenceRule.BINANCE_SPOT if symbol.market == "spot" else SequenceRule.BINANCE_FUTURES


def _sockets(parts: Parts, symbols: Sequence[Symbol]) -> tuple[Feed, Venue]:
    # The library of sockets costs a replay nothing.
    from live.exchange.socket import Sockets  # noqa: PLC0415

    knobs = parts.settings.feed
    strangers = [symbol.name for symbol in symbols if symbol.venue != knobs.kind or symbol.market != "perp"]
    if strangers:
        raise FeedRefused(
            f"feed.kind: {knobs.kind} has sockets for its perpetuals only, market.symbols has {strangers}"
        )
    is_binance = knobs.kind == "binance"
    venue = Binance(symbols, knobs.ws_url, knobs.rest_url) if is_binance else Bybit(symbols, knobs.ws_url)
    sockets = Sockets(parts.clock, parts.wake, knobs.max_frame_bytes)
    return VenueFeed(venue, sockets, knobs, parts.clock, Random(f"{knobs.kind} lines")), venue

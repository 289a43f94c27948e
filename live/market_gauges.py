"""The collector's metrics: totals that keepers count for themselves, carried over once a second.

So a frame costs no locks.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from live.book_keeper import STATES, BookKeeper
from live.exchange.venue import Venue
from live.feed import Feed
from market.columns import BOOK_ONE_SIDED
from market.symbols import Symbol
from monitoring.metrics import Metrics

_EVERY_NS = 1_000_000_000
_BPS = 1e4


class MarketGauges:
    """Carries counts and ages of every symbol into the metrics; `levels` are those that count as depth."""

    def __init__(self, metrics: Metrics, venue: str, symbols: Sequence[Symbol], levels: int) -> None:
        self._metrics = metrics
        self._venue = venue
        self._symbols = {symbol.name: symbol for symbol in symbols}
        self._levels = levels
        self._told: dict[tuple[str, str], int] = {}
        self._due_ns = -1
        metrics.touch(self._symbols)
        metrics.market_unknown_keys_total.labels(venue)

    def refresh(self, keepers: Mapping[str, BookKeeper], feed: Feed, venue: Venue, mono_ns: int) -> None:
        """Carry over what has changed, at most once a second until the feed is over.

        Where a replay turns the clock, no other second comes behind its last event.
        """
        if mono_ns < self._due_ns and not feed.finished:
            return
        self._due_ns = mono_ns + _EVERY_NS
        metrics = self._metrics
        self._add(metrics.market_unknown_keys_total.labels(self._venue), "unknown_keys", "", venue.unknown_keys)
        for reason, count in feed.status().get("reconnects", {}).items():
            self._add(metrics.feed_reconnects_total.labels(self._venue, reason), "reconnects", reason, count)
        for name, keeper in keepers.items():
            self._count(name, keeper)
            self._gauge(name, keeper, mono_ns)

    def _count(self, name: str, keeper: BookKeeper) -> None:
        metrics = self._metrics
        for what, counter, total in (
            ("updates", metrics.market_events_total.labels(name, "book"), keeper.updates),
            ("trades", metrics.market_events_total.labels(name, "trade"), keeper.trades),
            ("gaps", metrics.book_gaps_total.labels(name), keeper.gaps),
            ("crossed", metrics.book_crossed_total.labels(name), keeper.crossed),
            ("missing", metrics.trade_id_gaps_total.labels(name), keeper.tape.missing),
            ("checked", metrics.book_ticker_checked_total.labels(name), keeper.ticker.checked),
            ("mismatch", metrics.book_ticker_mismatch_total.labels(name), keeper.ticker.mismatched),
        ):
            self._add(counter, what, name, total)

    def _gauge(self, name: str, keeper: BookKeeper, mono_ns: int) -> None:
        metrics = self._metrics
        for state in STATES:
            metrics.book_state.labels(name, state).set(state == keeper.state)
        metrics.book_age_seconds.labels(name).set((mono_ns - keeper.book_mono_ns) / 1e9)
        if keeper.trade_mono_ns >= 0:
            metrics.trade_age_seconds.labels(name).set((mono_ns - keeper.trade_mono_ns) / 1e9)
        image, symbol = keeper.image, self._symbols[name]
        if image is None:
            return
        metrics.feed_lag_seconds.labels(name).set((image.local_ns - image.exchange_ns) / 1e9)
        ladders = (("bid", image.bid_ticks, image.bid_lots), ("ask", image.ask_ticks, image.ask_lots))
        for side, ticks, lots in ladders:
            depth = sum(symbol.ticks_to_price(p) * symbol.lots_to_size(q) for p, q in
                        zip(ticks[: self._levels], lots[: self._levels], strict=True) if q)  # fmt: skip
            metrics.liquidity_by_side.labels(name, side).set(depth if keeper.state == "live" else 0.0)
        if not image.flags & BOOK_ONE_SIDED:
            bid, ask = image.bid_ticks[0], image.ask_ticks[0]
            metrics.spread_bps.labels(name).set((ask - bid) / ((ask + bid) / 2.0) * _BPS)

    def _add(self, counter: Any, what: str, label: str, total: int) -> None:
        """Move a counter on to a total of ours."""
        told = self._told.get((what, label), 0)
        if total > told:
            counter.inc(total - told)
            self._told[what, label] = total

"""Event streams for the kernel's tests and benchmarks: a seeded ordinary market, and streams meant to break things."""

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray

from market.columns import BOOK_RESET, BookBuilder, BookColumns, TradeBuilder, TradeColumns
from market.events import LEVELS, NO_ASK_TICKS, NO_BID_TICKS, Level, Trade

SECOND_NS = 1_000_000_000
START_NS = 1_767_657_600 * SECOND_NS


def ordinary_market(rows: int, seed: int, events_per_second: float = 96.0) -> tuple[BookColumns, TradeColumns]:
    """Return `rows` events, 12 % of them trades: bursts, a walking price, one level changed by most book updates."""
    rng = np.random.default_rng(seed)
    burst = np.exp(np.repeat(rng.normal(0.0, 0.7, rows // 500 + 1), 500)[:rows])
    gaps_ns = rng.exponential(SECOND_NS / events_per_second, rows) / burst
    local_ns = START_NS + np.cumsum(gaps_ns).astype(np.int64)
    exchange_ns = local_ns - rng.integers(1_000_000, 4_000_000, rows)
    is_trade = rng.random(rows) < 0.12
    is_trade[0] = False
    book = _books(rng, exchange_ns[~is_trade], local_ns[~is_trade])
    at = np.searchsorted(book.local_ns, local_ns[is_trade]) - 1
    return book, _trades(rng, exchange_ns[is_trade], local_ns[is_trade], book, at)


def mirrored(book: BookColumns, trades: TradeColumns, around_ticks: int) -> tuple[BookColumns, TradeColumns]:
    """Return the market seen from the other side: bids are asks, buys are sells, prices count down from a level."""
    bid_ticks = np.where(book.ask_lots > 0, around_ticks - book.ask_ticks, NO_BID_TICKS).astype(np.int32)
    ask_ticks = np.where(book.bid_lots > 0, around_ticks - book.bid_ticks, NO_ASK_TICKS).astype(np.int32)
    book_times = (book.exchange_ns, book.local_ns, book.sequence, book.flags)
    other_book = BookColumns(*book_times, bid_ticks, book.ask_lots, ask_ticks, book.bid_lots)
    price_ticks = (around_ticks - trades.price_ticks).astype(np.int32)
    trade_times = (trades.exchange_ns, trades.local_ns, trades.trade_id)
    return other_book, TradeColumns(*trade_times, price_ticks, trades.size_lots, -trades.aggressor, trades.flags)


@st.composite
def odd_markets(draw: st.DrawFn, max_events: int = 60, one_sided: bool = True) -> tuple[BookColumns, TradeColumns]:
    """Draw a short market that does what real ones do rarely.

    Resets, books of few levels or of one side, locked books, trades before any book and of unknown side, equal times,
    exchange clocks that run back, silences of minutes (which also bring rows past the warm-up).
    """
    kinds = ["book", "book", "book", "trade", "reset"] + ["one-sided"] * one_sided
    gaps_ms = st.sampled_from([0, 0, 1, 90, 150, 700, 1_200, 30_000, 130_000])
    events = st.tuples(st.sampled_from(kinds), gaps_ms, st.sampled_from([0, 0, 3, 2_000]), st.integers(0, 2**32 - 1))
    books, trades, local_ns = BookBuilder(), TradeBuilder(), START_NS
    for place, (kind, gap_ms, late_ms, seed) in enumerate(draw(st.lists(events, min_size=1, max_size=max_events))):
        local_ns += gap_ms * 1_000_000
        exchange_ns = local_ns - late_ms * 1_000_000
        rng = np.random.default_rng(seed)
        if kind == "trade":
            price_ticks, size_lots = int(rng.integers(990, 1_010)), int(rng.integers(1, 50))
            trades.append(Trade("ODD", place, exchange_ns, local_ns, price_ticks, size_lots, int(rng.integers(-1, 2))))
            continue
        bids, asks = _short_ladders(rng)
        if kind == "one-sided":
            bids, asks = (bids, []) if seed % 2 else ([], asks)
        books.append_levels(exchange_ns, local_ns, place, bids, asks, reset=kind == "reset")
    return books.finish(), trades.finish()


def _short_ladders(rng: np.random.Generator) -> tuple[list[Level], list[Level]]:
    """Return a bid and an ask ladder of 1 to LEVELS levels around 1,000 ticks, a few of them locked."""
    best_bid = int(rng.integers(995, 1_005))
    best_ask = best_bid + int(rng.integers(0, 4))
    bids, asks = (
        [
            (touch + sign * int(away), int(rng.integers(1, 100)))
            for away in np.cumsum(np.r_[0, rng.integers(1, 4, rng.integers(0, LEVELS))])
        ]
        for touch, sign in ((best_bid, -1), (best_ask, 1))
    )
    return bids, asks


def _books(rng: np.random.Generator, exchange_ns: NDArray[np.int64], local_ns: NDArray[np.int64]) -> BookColumns:
    n = len(local_ns)
    moves = (rng.random(n) < 0.08) * rng.choice([-2, -1, 1, 2], n)
    bid = 940_000 + np.cumsum(moves)
    spread = 1 + _held(rng, rng.geometric(0.7, n) - 1, 0.05)
    ticks, lots = {}, {}
    for side, touch, sign in (("bid", bid, -1), ("ask", bid + spread, 1)):
        steps = np.stack([_held(rng, rng.geometric(0.6, n), 0.03) for _ in range(LEVELS - 1)])
        away = np.concatenate([np.zeros((1, n), np.int64), np.cumsum(steps, axis=0)])
        ticks[side] = np.ascontiguousarray(touch + sign * away, np.int32)
        sizes = [_held(rng, rng.geometric(0.0005 * 20 / (1 + k), n), 0.12 if k < 3 else 0.04) for k in range(LEVELS)]
        lots[side] = np.ascontiguousarray(np.stack(sizes), np.int32)
    flags = np.zeros(n, np.uint8)
    flags[:1] = BOOK_RESET
    sequence = np.arange(1, n + 1)
    return BookColumns(exchange_ns, local_ns, sequence, flags, ticks["bid"], lots["bid"], ticks["ask"], lots["ask"])


def _trades(
    rng: np.random.Generator,
    exchange_ns: NDArray[np.int64],
    local_ns: NDArray[np.int64],
    book: BookColumns,
    at: NDArray[np.int64],
) -> TradeColumns:
    n = len(local_ns)
    buys = rng.random(n) < 0.5
    return TradeColumns(
        exchange_ns,
        local_ns,
        np.arange(1, n + 1),
        np.where(buys, book.ask_ticks[0][at], book.bid_ticks[0][at]).astype(np.int32),
        rng.geometric(0.02, n).astype(np.int32),
        np.where(buys, 1, -1).astype(np.int8),
        np.zeros(n, np.uint8),
    )


def _held(rng: np.random.Generator, values: NDArray[np.int64], change_share: float) -> NDArray[np.int64]:
    """Return the values, each held until the next change; the first is a change."""
    changed = rng.random(len(values)) < change_share
    changed[:1] = True
    return values[np.maximum.accumulate(np.where(changed, np.arange(len(values)), 0))]

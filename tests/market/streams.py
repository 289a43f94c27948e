"""Event streams for the kernel's tests and benchmarks: a seeded ordinary market, and streams meant to break things."""

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray

from market.columns import BOOK_RESET, BookBuilder, BookColumns, TradeColumns
from market.events import LEVELS

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
    times = (book.exchange_ns, book.local_ns, book.sequence, book.flags)
    ticks = ((around_ticks - side).astype(np.int32) for side in (book.ask_ticks, book.bid_ticks))
    bid_ticks, ask_ticks = ticks
    other_book = BookColumns(*times, bid_ticks, book.ask_lots, ask_ticks, book.bid_lots)
    price_ticks = (around_ticks - trades.price_ticks).astype(np.int32)
    times = (trades.exchange_ns, trades.local_ns, trades.trade_id)
    return other_book, TradeColumns(*times, price_ticks, trades.size_lots, -trades.aggressor, trades.flags)


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
    return BookColumns(
        exchange_ns, local_ns, sequence, flags, ticks["bid"], lots["bid"], ticks["ask"], lots["ask"]
    )


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

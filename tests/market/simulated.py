"""Reading simulated frames the way an importer does: the venue's wire readers, one OrderBook, the column builders."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from market.book import BookState, OrderBook
from market.columns import BookBuilder, BookColumns, TradeBuilder, TradeColumns
from market.sequence import SequenceRule
from market.simulator_rule import DAY_NS
from market.symbols import Symbol
from market.wire import binance_depth, binance_payload, binance_snapshot, binance_trade

BTC = Symbol("BTCUSDT", "binance", "BTCUSDT", "perp", Decimal("0.1"), Decimal("0.001"), Decimal(100), 2.0, 5.0, 0.004)
DAY = (date(2024, 8, 8) - date(1970, 1, 1)).days
MIDNIGHT = DAY * DAY_NS
SECOND = 1_000_000_000


@dataclass(frozen=True)
class Imported:
    """What came out of a stream of frames, and the book it left behind."""

    book: BookColumns
    trades: TradeColumns
    crossed: int
    ladder: OrderBook


def imported(frames: Iterable[tuple[int, bytes]], symbol: Symbol = BTC) -> Imported:
    """Drive an OrderBook with every frame; a row for each update that leaves it live, a reset behind each resync."""
    ladder = OrderBook(symbol, SequenceRule.BINANCE_FUTURES)
    books, trades = BookBuilder(), TradeBuilder()
    reset = True
    for local_ns, payload in frames:
        frame = binance_payload(json.loads(payload))
        kind = frame.get("e", "snapshot")
        applied = ladder.counts.applied
        if kind == "trade":
            trade = binance_trade(frame, symbol, local_ns)
            assert trade is not None
            trades.append(trade)
        elif kind == "snapshot":
            reset |= ladder.apply(binance_snapshot(frame, symbol, local_ns)) is not BookState.LIVE
        elif kind == "depthUpdate":
            state = ladder.apply(binance_depth(frame, symbol, local_ns))
            if state is BookState.LIVE and ladder.counts.applied > applied:
                books.append(ladder, local_ns, reset=reset)
                reset = False
            reset |= state is not BookState.LIVE
    return Imported(books.finish(), trades.finish(), books.crossed, ladder)

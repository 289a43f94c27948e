"""A market as the collector would say it: messages of both streams, numbered together, and the lake's rows of it."""

from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np

from bus import streams
from bus.codec import kind_of
from bus.messages import VERSION, BookImage, BookStatus, Header, MarketTrade, Received
from market.columns import BOOK_RESET, BookColumns, TradeColumns
from tests.market.streams import ordinary_market

Market = tuple[BookColumns, TradeColumns]
MarketBody = BookImage | BookStatus | MarketTrade


def market(rows: int, seed: int, *, per_second: float = 96.0, resets: Sequence[int] = (), shift_ns: int = 0) -> Market:
    """An ordinary market whose arrival times all differ, as a collector's do; book rows in `resets` carry a reset."""
    book, trades = ordinary_market(rows, seed, per_second)
    book = replace(book, local_ns=book.local_ns + shift_ns, exchange_ns=book.exchange_ns + shift_ns)
    trades = replace(trades, local_ns=trades.local_ns + shift_ns, exchange_ns=trades.exchange_ns + shift_ns)
    arrivals = np.concatenate([book.local_ns, trades.local_ns])
    assert len(np.unique(arrivals)) == len(arrivals), "another seed, please: two events arrive together"
    book.flags[list(resets)] |= BOOK_RESET
    return book, trades


def bodies(symbol: str, book: BookColumns, trades: TradeColumns) -> list[BookImage | MarketTrade]:
    """Every row as a message body, in order of arrival."""
    ladders = (book.bid_ticks.T, book.bid_lots.T, book.ask_ticks.T, book.ask_lots.T)
    images = [
        BookImage(symbol, *(int(x) for x in head), *(side[i].tolist() for side in ladders))
        for i, head in enumerate(zip(book.exchange_ns, book.local_ns, book.sequence, book.flags, strict=True))
    ]
    columns = (trades.trade_id, trades.exchange_ns, trades.local_ns, trades.price_ticks, trades.size_lots,
               trades.aggressor)  # fmt: skip
    prints = [MarketTrade(symbol, *(int(x) for x in row)) for row in zip(*columns, strict=True)]
    return sorted([*images, *prints], key=lambda body: body.local_ns)


def numbered(said: Iterable[MarketBody], *, epoch: int = 1, first: int = 1) -> list[Received]:
    """Bodies as a consumer receives them, in the collector's order; entry ids rise with time."""
    return [
        Received(
            streams.trade(body.symbol) if isinstance(body, MarketTrade) else streams.book(body.symbol),
            f"{body.local_ns // 1_000_000}-{seq + epoch * 1_000_000}",
            Header(
                VERSION, kind_of(body), f"collector:{body.symbol}", epoch, seq, getattr(body, "exchange_ns", 0),
                body.local_ns, body.local_ns, f"{epoch}-{seq}",
            ),
            body,
            0,
        )
        for seq, body in enumerate(said, first)
    ]  # fmt: skip


def status(symbol: str, state: str, local_ns: int) -> BookStatus:
    """A change of the book's state."""
    return BookStatus(symbol, state, "test", 0, 0, local_ns)  # type: ignore[arg-type]

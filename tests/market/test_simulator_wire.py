"""The bytes of published events read back as the numbers they were made of."""

import json
from decimal import Decimal
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from market import simulator_feed as feeds
from market.simulator_feed import Published
from market.simulator_wire import frames_of, wire_of
from market.symbols import Symbol
from market.wire import binance_depth, binance_payload, binance_snapshot, binance_ticker, binance_trade
from tests.market.simulated import BTC

COARSE = Symbol("X", "binance", "XUSD", "perp", Decimal("0.025"), Decimal(5), Decimal(0), 2.0, 5.0, 0.01)
WHOLE = Symbol("Y", "binance", "YUSD", "perp", Decimal(1), Decimal("0.00001"), Decimal(0), 2.0, 5.0, 0.01)
TICKS = st.integers(1, 2**31 - 2)
LOTS = st.integers(1, 2**31 - 1)
IDS = st.integers(0, 2**53)
MS = st.integers(0, 2**42)


@given(st.sampled_from([BTC, COARSE, WHOLE]), MS, MS, IDS, TICKS, LOTS, st.sampled_from([-1, 1]))
def test_a_trade_reads_back(
    symbol: Symbol, event_ms: int, traded_ms: int, number: int, ticks: int, lots: int, aggressor: int
) -> None:
    """Price, size, side, id and time survive as text, for ticks that are not powers of ten too."""
    frame = written([feeds.TRADE, event_ms, traded_ms, 0, number, ticks, lots, aggressor, 0, 0], symbol=symbol)
    trade = binance_trade(binance_payload(frame), symbol, 0)
    assert trade is not None
    assert (trade.trade_id, trade.price_ticks, trade.size_lots) == (number, ticks, lots)
    assert (trade.aggressor, trade.exchange_ns) == (aggressor, traded_ms * 1_000_000)
    assert frame["data"]["E"] == event_ms


@given(st.sampled_from([BTC, COARSE]), MS, IDS, TICKS, LOTS, TICKS, LOTS)
def test_a_ticker_reads_back(
    symbol: Symbol, traded_ms: int, number: int, bid: int, bid_lots: int, ask: int, ask_lots: int
) -> None:
    """Both sides and the id survive."""
    frame = written([feeds.TICKER, 1, traded_ms, 0, number, bid, bid_lots, ask, ask_lots, 0], symbol=symbol)
    ticker = binance_ticker(binance_payload(frame), symbol, 0)
    assert (ticker.sequence, ticker.exchange_ns) == (number, traded_ms * 1_000_000)
    assert (ticker.bid_ticks, ticker.bid_lots, ticker.ask_ticks, ticker.ask_lots) == (bid, bid_lots, ask, ask_lots)


LADDER = st.lists(st.tuples(TICKS, LOTS), max_size=30, unique_by=lambda level: level[0])


@given(st.sampled_from([BTC, COARSE, WHOLE]), LADDER, LADDER, IDS)
def test_updates_and_snapshots_read_back(
    symbol: Symbol, bids: list[tuple[int, int]], asks: list[tuple[int, int]], number: int
) -> None:
    """Every level of both sides survives, and so does an empty side."""
    levels, sizes = [(7, 7), *bids, *asks], (1, len(bids), len(asks))
    update = written([feeds.DEPTH, 5, 4, 0, number + 9, number + 3, number, *sizes], levels, symbol=symbol)
    delta = binance_depth(binance_payload(update), symbol, 0)
    assert (delta.first_sequence, delta.sequence, delta.previous_sequence) == (number + 3, number + 9, number)
    assert (delta.bids, delta.asks, delta.exchange_ns) == (tuple(bids), tuple(asks), 4_000_000)
    image = written([feeds.SNAPSHOT, 5, 4, 0, number, 0, 0, *sizes], levels, symbol=symbol)
    snapshot = binance_snapshot(image, symbol, 0)
    assert (snapshot.sequence, snapshot.bids, snapshot.asks) == (number, tuple(bids), tuple(asks))


@pytest.mark.parametrize(("interval_ms", "stream"), [(100, "depth@100ms"), (250, "depth"), (0, "depth@0ms")])
def test_the_stream_is_named_by_its_interval(interval_ms: int, stream: str) -> None:
    """250 ms is the venue's own interval and has no name."""
    frame = written([feeds.DEPTH, 0, 0, 0, 2, 1, 0, 0, 0, 0], interval_ms=interval_ms)
    assert frame["stream"] == f"btcusdt@{stream}"


def test_text_is_as_the_venue_writes_it() -> None:
    """All decimals of tick and lot are written, and nothing between the tokens."""
    _, text = raw([feeds.TRADE, 3, 2, 0, 1, 618_002, 6, 1, 0, 0], [], BTC, 500)
    assert text == (
        b'{"stream":"btcusdt@trade","data":{"e":"trade","E":3,"T":2,"s":"BTCUSDT","t":1,'
        b'"p":"61800.2","q":"0.006","X":"MARKET","m":false}}'
    )


def written(
    event: list[int], levels: list[tuple[int, int]] | None = None, *, symbol: Symbol = BTC, interval_ms: int = 500
) -> dict[str, Any]:
    """Write one event and parse its JSON."""
    parsed: dict[str, Any] = json.loads(raw(event, levels or [], symbol, interval_ms)[1])
    return parsed


def raw(event: list[int], levels: list[tuple[int, int]], symbol: Symbol, interval_ms: int) -> tuple[int, bytes]:
    """Return the number of frames written and the bytes of the first."""
    out = Published(
        np.array([event], np.int64),
        np.empty((0, 40), np.int32),
        np.array(levels, np.int64).reshape(-1, 2),
        np.array([1, 0, len(levels)], np.int64),
    )
    buffer, offsets = frames_of(out, wire_of(symbol, interval_ms))
    return len(offsets) - 1, buffer[offsets[0] : offsets[1]].tobytes()

"""Wire frames of Binance and Bybit become events exactly, and a broken frame is refused by name.

The frames have the shape and the field order of the venues' own; numbers are ours.
"""

from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from market.events import BadEvent, BadReference, BookDelta, BookSnapshot, BookTicker, Trade
from market.symbols import SymbolTable
from market.wire import (
    binance_depth,
    binance_payload,
    binance_snapshot,
    binance_ticker,
    binance_trade,
    bybit_book,
    bybit_trades,
)

TABLE = SymbolTable.load(Path(__file__).parents[2] / "data" / "reference" / "symbols.yml")
BTC, SPOT, BYBIT = TABLE["BTCUSDT"], TABLE["BTCUSDT-SPOT"], TABLE["BTCUSDT-BYBIT"]
MS = 1_000_000

DEPTH = {
    "e": "depthUpdate",
    "E": 1700000000123,
    "T": 1700000000120,
    "s": "BTCUSDT",
    "U": 1001,
    "u": 1007,
    "pu": 999,
    "b": [["42000.10", "1.250"], ["41999.90", "0.000"]],
    "a": [["42000.20", "0.001"]],
    "st": 1,
}
SNAPSHOT = {
    "lastUpdateId": 1003,
    "E": 1700000000130,
    "T": 1700000000125,
    "bids": [["42000.10", "1.250"]],
    "asks": [["42000.20", "0.001"]],
}
TICKER = {"u": 1007, "s": "BTCUSDT", "b": "42000.10", "B": "1.250", "a": "42000.20", "A": "0.001", "T": 1700000000120}
TRADE = {
    "e": "trade",
    "E": 1700000000124,
    "T": 1700000000122,
    "s": "BTCUSDT",
    "t": 77,
    "p": "42000.20",
    "q": "0.003",
    "X": "MARKET",
    "m": False,
}
BYBIT_BOOK = {
    "topic": "orderbook.50.BTCUSDT",
    "type": "delta",
    "ts": 1700000000130,
    "cts": 1700000000128,
    "data": {"s": "BTCUSDT", "b": [["42000.1", "0"]], "a": [["42000.3", "2.5"]], "u": 18, "seq": 9000},
}
BYBIT_TRADES = {
    "topic": "publicTrade.BTCUSDT",
    "type": "snapshot",
    "ts": 1700000000131,
    "data": [
        {
            "T": 1700000000129,
            "s": "BTCUSDT",
            "S": "Sell",
            "v": "0.010",
            "p": "42000.10",
            "i": "80000000-0000-0000-0000-000000000001",
            "BT": False,
        },
        {"T": 1700000000129, "s": "BTCUSDT", "S": "Buy", "v": "5", "p": "41900", "i": "123", "BT": True},
        {"T": 1700000000129, "s": "BTCUSDT", "S": "Buy", "v": "5", "p": "41900", "i": "124", "RPI": True},
        {"T": 1700000000130, "s": "BTCUSDT", "S": "Buy", "v": "0.002", "p": "42000.3", "i": "125"},
    ],
}
READERS: list[tuple[Callable[..., Any], dict[str, Any]]] = [
    (binance_depth, DEPTH),
    (binance_snapshot, SNAPSHOT),
    (binance_ticker, TICKER),
    (binance_trade, TRADE),
    (bybit_book, BYBIT_BOOK),
    (bybit_trades, BYBIT_TRADES),
]


def _without(frame: dict[str, Any], *keys: str) -> dict[str, Any]:
    return {key: value for key, value in frame.items() if key not in keys}


def test_a_futures_depth_update() -> None:
    """Ids, transaction time and levels; keys we do not know are ignored."""
    event = binance_depth(DEPTH, BTC, 5)
    ns = 1700000000120 * MS
    assert event == BookDelta("BTCUSDT", 1001, 1007, 999, ns, 5, ((420001, 1250), (419999, 0)), ((420002, 1),))


def test_a_spot_depth_update_has_neither_pu_nor_transaction_time() -> None:
    """The event time stands in, and the name is that of our table."""
    frame = _without(DEPTH, "pu", "T") | {"b": [["42000.11000000", "0.12345000"]], "a": []}
    event = binance_depth(frame, SPOT, 5)
    assert event.symbol == "BTCUSDT-SPOT"
    assert (event.previous_sequence, event.exchange_ns) == (None, 1700000000123 * MS)
    assert event.bids == ((4200011, 123450),)


def test_a_snapshot_takes_our_time_where_the_venue_sends_none() -> None:
    """Futures carry T; spot carries no time."""
    levels = (((420001, 1250),), ((420002, 1),))
    assert binance_snapshot(SNAPSHOT, BTC, 5) == BookSnapshot("BTCUSDT", 1003, 1700000000125 * MS, 5, *levels)
    assert binance_snapshot(_without(SNAPSHOT, "E", "T"), BTC, 5).exchange_ns == 5


def test_a_best_bid_and_offer() -> None:
    """The same, for bookTicker."""
    assert binance_ticker(TICKER, BTC, 5) == BookTicker("BTCUSDT", 1007, 1700000000120 * MS, 5, 420001, 1250, 420002, 1)
    assert binance_ticker(_without(TICKER, "T"), BTC, 5).exchange_ns == 5


def test_trades_name_their_taker_and_skip_what_met_no_book() -> None:
    """The buyer being the maker means that the taker sold; insurance fund and ADL prints are None."""
    assert binance_trade(TRADE, BTC, 5) == Trade("BTCUSDT", 77, 1700000000122 * MS, 5, 420002, 3, 1)
    sold = binance_trade(TRADE | {"m": True}, BTC, 5)
    assert sold is not None
    assert sold.aggressor == -1
    assert binance_trade(TRADE | {"X": "INSURANCE_FUND"}, BTC, 5) is None
    spot = binance_trade(_without(TRADE, "X"), SPOT, 5)
    assert spot is not None
    assert spot.size_lots == 3_000


def test_an_aggregate_trade_has_its_own_id() -> None:
    """aggTrade frames carry `a` beside the first and last trade ids."""
    trade = binance_trade(_without(TRADE, "t", "X") | {"e": "aggTrade", "a": 12, "f": 70, "l": 77}, BTC, 5)
    assert trade is not None
    assert trade.trade_id == 12


def test_a_bybit_delta_and_snapshot() -> None:
    """The engine's time, one id; the type decides which event it is."""
    ns = 1700000000128 * MS
    assert bybit_book(BYBIT_BOOK, BYBIT, 5) == BookDelta(
        "BTCUSDT-BYBIT", 18, 18, None, ns, 5, ((420001, 0),), ((420003, 2500),)
    )
    whole = {"s": "BTCUSDT", "b": [["42000.1", "1"]], "a": [], "u": 1, "seq": 1}
    frame = _without(BYBIT_BOOK, "cts") | {"type": "snapshot", "data": whole}
    assert bybit_book(frame, BYBIT, 5) == BookSnapshot("BTCUSDT-BYBIT", 1, 1700000000130 * MS, 5, ((420001, 1000),), ())
    with pytest.raises(BadEvent, match="type must be snapshot or delta"):
        bybit_book(BYBIT_BOOK | {"type": "refresh"}, BYBIT, 5)


def test_bybit_trades_leave_out_block_and_retail_prints() -> None:
    """Two of four remain; a UUID becomes its first 63 bits, which fit the id column."""
    first, second = bybit_trades(BYBIT_TRADES, BYBIT, 5)
    assert first == Trade("BTCUSDT-BYBIT", 1 << 62, 1700000000129 * MS, 5, 420001, 10, -1)
    assert (second.trade_id, second.aggressor, second.price_ticks) == (125, 1, 420003)


def test_a_combined_frame_is_unwrapped() -> None:
    """A bare frame passes through; a wrapped one gives what is under data."""
    assert binance_payload({"stream": "btcusdt@depth", "data": DEPTH}) is DEPTH
    assert binance_payload(DEPTH) is DEPTH
    with pytest.raises(BadEvent, match="wanted an object"):
        binance_payload({"stream": "x", "data": [1]})


def _mutations(frame: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Every place in a frame that a reader may look at."""
    if isinstance(frame, dict):
        return [place for key in frame for place in [(*path, key), *_mutations(frame[key], (*path, key))]]
    if isinstance(frame, list):
        return [place for key in range(len(frame)) for place in _mutations(frame[key], (*path, key))]
    return [path]


def _changed(frame: Any, path: tuple[Any, ...], value: Any) -> Any:
    if not path:
        return value
    copy = dict(frame) if isinstance(frame, dict) else list(frame)
    copy[path[0]] = _changed(copy[path[0]], path[1:], value)
    return copy


junk = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=5),
    st.lists(st.integers(), max_size=3),
    st.dictionaries(st.text(max_size=2), st.integers(), max_size=2),
)


@given(data=st.data(), which=st.sampled_from(READERS), value=junk)
def test_any_broken_field_is_a_market_error_or_an_event(
    data: st.DataObject, which: tuple[Callable[..., Any], dict[str, Any]], value: Any
) -> None:
    """Whatever stands in a field, the reader returns a checked event or refuses by name; nothing else escapes."""
    reader, frame = which
    symbol = BYBIT if reader in (bybit_book, bybit_trades) else BTC
    path = data.draw(st.sampled_from(_mutations(frame)))
    try:
        reader(_changed(frame, path, value), symbol, 5)
    except (BadEvent, BadReference) as refusal:
        assert symbol.name in str(refusal)


@pytest.mark.parametrize(("reader", "frame"), READERS)
def test_a_missing_field_is_named(reader: Callable[..., Any], frame: dict[str, Any]) -> None:
    """Each field that is read, except those with a stated stand-in, is missed by its name."""
    optional = {"T", "E", "cts", "ts", "pu", "X", "st", "e", "topic", "type", "seq", "BT"}
    symbol = BYBIT if reader in (bybit_book, bybit_trades) else BTC
    for key in frame.keys() - optional:
        with pytest.raises(BadEvent, match=f"no field '{key}'"):
            reader(_without(frame, key), symbol, 5)


@pytest.mark.parametrize(
    ("change", "found"),
    [
        ({"b": [[42000.1, "1"]]}, "wanted decimal text, found 42000.1"),
        ({"b": [["42000.10"]]}, "not enough values"),
        ({"b": "none"}, "not enough values"),
        ({"b": None}, "not iterable"),
        ({"b": [["-1.0", "1"]]}, "plain decimal number"),
        ({"b": [["0.00", "1"]]}, "price must lie between"),
        ({"T": "1700000000120"}, "whole milliseconds, found '1700000000120'"),
        ({"U": 2000}, "run backwards"),
        ({"u": "1007"}, "whole numbers"),
        ({"s": "ETHUSDT"}, "belongs to 'ETHUSDT'"),
    ],
)
def test_an_ill_typed_depth_frame_says_what_was_found(change: dict[str, Any], found: str) -> None:
    """The message carries the instrument and the offending value."""
    with pytest.raises(BadEvent, match="BTCUSDT") as refusal:
        binance_depth(DEPTH | change, BTC, 5)
    assert found in str(refusal.value)


def test_a_price_off_the_grid_blames_the_table() -> None:
    """A finer price than the tick means that symbols.yml is out of date, so it is no BadEvent."""
    with pytest.raises(BadReference, match=r"42000\.15"):
        binance_depth(DEPTH | {"b": [["42000.15", "1"]]}, BTC, 5)


@given(
    st.integers(min_value=1, max_value=2**31 - 2),
    st.integers(min_value=0, max_value=2**40),
    st.sampled_from(["BTCUSDT", "BTCUSDT-SPOT", "AKROUSDT", "BTCUSD_PERP", "BTC-HL"]),
    st.integers(min_value=0, max_value=4),
)
def test_every_price_and_size_a_venue_can_print_is_read_exactly(ticks: int, lots: int, name: str, zeros: int) -> None:
    """Decimal text of any tick and lot, with zeros behind it, gives that tick and lot back."""
    symbol = TABLE[name]
    price, size = (
        f"{count * step:f}" + ("0" * zeros if step != Decimal(1) else "")
        for count, step in ((ticks, symbol.price_tick), (lots, symbol.size_lot))
    )
    event = binance_depth(DEPTH | {"s": symbol.venue_symbol, "b": [[price, size]], "a": []}, symbol, 5)
    assert event.bids == ((ticks, lots),)

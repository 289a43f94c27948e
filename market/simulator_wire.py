"""Published events as the bytes Binance USD-M sends: combined-stream frames and the REST depth answer.

The compiled writer puts digits straight into one buffer, so that a simulated day can be replayed at more than a
million frames a second. Prices and sizes are decimal text with the decimals of the symbol's tick and lot.
"""

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from market.simulator_feed import (
    DEPTH,
    E_A,
    E_B,
    E_C,
    E_D,
    E_E,
    E_EVENT_MS,
    E_ID,
    E_KIND,
    E_TRANSACTION_MS,
    SNAPSHOT,
    TRADE,
    Published,
)
from market.symbols import Symbol

_NAMED_INTERVALS = {250: "depth"}
_BYTES_PER_LEVEL = 48
_BYTES_PER_EVENT = 512

# First piece of text of each kind of frame; the pieces of a kind follow one another.
_DEPTH_TEXT, _SNAPSHOT_TEXT, _TRADE_TEXT, _TICKER_TEXT, _LEVEL_TEXT = 0, 8, 14, 21, 29


class Wire(NamedTuple):
    """The text between the numbers, and how numbers of steps become decimals."""

    text: NDArray[np.uint8]
    starts: NDArray[np.int64]
    price_units: int
    price_decimals: int
    size_units: int
    size_decimals: int


def wire_of(symbol: Symbol, depth_interval_ms: int) -> Wire:
    """Return the frame texts of a symbol."""
    stream, name = symbol.venue_symbol.lower(), symbol.venue_symbol
    depth = _NAMED_INTERVALS.get(depth_interval_ms, f"depth@{depth_interval_ms}ms")
    pieces = [
        f'{{"stream":"{stream}@{depth}","data":{{"e":"depthUpdate","E":', ',"T":', f',"s":"{name}","U":', ',"u":',
        ',"pu":', ',"b":[', '],"a":[', "]}}",
        '{"lastUpdateId":', ',"E":', ',"T":', ',"bids":[', '],"asks":[', "]}",
        f'{{"stream":"{stream}@trade","data":{{"e":"trade","E":', ',"T":', f',"s":"{name}","t":', ',"p":"', '","q":"',
        '","X":"MARKET","m":false}}', '","X":"MARKET","m":true}}',
        f'{{"stream":"{stream}@bookTicker","data":{{"e":"bookTicker","u":', f',"s":"{name}","b":"', '","B":"',
        '","a":"', '","A":"', '","T":', ',"E":', "}}",
        '["', '","', '"]', ",",
    ]  # fmt: skip
    starts = np.cumsum([0, *(len(piece) for piece in pieces)])
    text = np.frombuffer("".join(pieces).encode(), np.uint8).copy()
    return Wire(text, starts, *_decimal_form(symbol.price_tick), *_decimal_form(symbol.size_lot))


def frames_of(out: Published, wire: Wire) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Return the frames of everything published, in one buffer, and the offset int64[events + 1] of each."""
    count, _, levels = (int(k) for k in out.filled)
    buffer = np.empty(count * _BYTES_PER_EVENT + levels * _BYTES_PER_LEVEL, np.uint8)
    offsets = np.zeros(count + 1, np.int64)
    _write_all(out, count, wire, buffer, offsets)
    return buffer, offsets


def _decimal_form(step: object) -> tuple[int, int]:
    """Return how many of the last decimal one step is, and how many decimals there are."""
    _, _, decimals = f"{step:f}".partition(".")
    return int(f"{step:f}".replace(".", "")), len(decimals)


@njit(cache=True)
def _write_all(out: Published, count: int, wire: Wire, buffer: NDArray[np.uint8], offsets: NDArray[np.int64]) -> None:
    at = 0
    for k in range(count):
        event = out.events[k]
        if event[E_KIND] == DEPTH:
            at = _write_depth(buffer, at, wire, event, out.levels)
        elif event[E_KIND] == SNAPSHOT:
            at = _write_snapshot(buffer, at, wire, event, out.levels)
        elif event[E_KIND] == TRADE:
            at = _write_trade(buffer, at, wire, event)
        else:
            at = _write_ticker(buffer, at, wire, event)
        offsets[k + 1] = at


@njit(cache=True)
def _write_depth(
    buffer: NDArray[np.uint8], at: int, wire: Wire, event: NDArray[np.int64], levels: NDArray[np.int64]
) -> int:
    numbers = (event[E_EVENT_MS], event[E_TRANSACTION_MS], event[E_A], event[E_ID], event[E_B])
    for k in range(5):
        at = _whole(buffer, _piece(buffer, at, wire, _DEPTH_TEXT + k), numbers[k])
    first, bids, asks = event[E_C], event[E_D], event[E_E]
    at = _levels(buffer, _piece(buffer, at, wire, _DEPTH_TEXT + 5), wire, levels[first : first + bids])
    asks_from = first + bids
    at = _levels(buffer, _piece(buffer, at, wire, _DEPTH_TEXT + 6), wire, levels[asks_from : asks_from + asks])
    return _piece(buffer, at, wire, _DEPTH_TEXT + 7)


@njit(cache=True)
def _write_snapshot(
    buffer: NDArray[np.uint8], at: int, wire: Wire, event: NDArray[np.int64], levels: NDArray[np.int64]
) -> int:
    at = _whole(buffer, _piece(buffer, at, wire, _SNAPSHOT_TEXT), event[E_ID])
    at = _whole(buffer, _piece(buffer, at, wire, _SNAPSHOT_TEXT + 1), event[E_EVENT_MS])
    at = _whole(buffer, _piece(buffer, at, wire, _SNAPSHOT_TEXT + 2), event[E_TRANSACTION_MS])
    first, bids, asks = event[E_C], event[E_D], event[E_E]
    at = _levels(buffer, _piece(buffer, at, wire, _SNAPSHOT_TEXT + 3), wire, levels[first : first + bids])
    asks_from = first + bids
    at = _levels(buffer, _piece(buffer, at, wire, _SNAPSHOT_TEXT + 4), wire, levels[asks_from : asks_from + asks])
    return _piece(buffer, at, wire, _SNAPSHOT_TEXT + 5)


@njit(cache=True)
def _write_trade(buffer: NDArray[np.uint8], at: int, wire: Wire, event: NDArray[np.int64]) -> int:
    at = _whole(buffer, _piece(buffer, at, wire, _TRADE_TEXT), event[E_EVENT_MS])
    at = _whole(buffer, _piece(buffer, at, wire, _TRADE_TEXT + 1), event[E_TRANSACTION_MS])
    at = _whole(buffer, _piece(buffer, at, wire, _TRADE_TEXT + 2), event[E_ID])
    at = _price(buffer, _piece(buffer, at, wire, _TRADE_TEXT + 3), wire, event[E_A])
    at = _size(buffer, _piece(buffer, at, wire, _TRADE_TEXT + 4), wire, event[E_B])
    return _piece(buffer, at, wire, _TRADE_TEXT + (5 if event[E_C] > 0 else 6))


@njit(cache=True)
def _write_ticker(buffer: NDArray[np.uint8], at: int, wire: Wire, event: NDArray[np.int64]) -> int:
    at = _whole(buffer, _piece(buffer, at, wire, _TICKER_TEXT), event[E_ID])
    at = _price(buffer, _piece(buffer, at, wire, _TICKER_TEXT + 1), wire, event[E_A])
    at = _size(buffer, _piece(buffer, at, wire, _TICKER_TEXT + 2), wire, event[E_B])
    at = _price(buffer, _piece(buffer, at, wire, _TICKER_TEXT + 3), wire, event[E_C])
    at = _size(buffer, _piece(buffer, at, wire, _TICKER_TEXT + 4), wire, event[E_D])
    at = _whole(buffer, _piece(buffer, at, wire, _TICKER_TEXT + 5), event[E_TRANSACTION_MS])
    at = _whole(buffer, _piece(buffer, at, wire, _TICKER_TEXT + 6), event[E_EVENT_MS])
    return _piece(buffer, at, wire, _TICKER_TEXT + 7)


@njit(cache=True)
def _levels(buffer: NDArray[np.uint8], at: int, wire: Wire, levels: NDArray[np.int64]) -> int:
    for k in range(levels.shape[0]):
        if k:
            at = _piece(buffer, at, wire, _LEVEL_TEXT + 3)
        at = _price(buffer, _piece(buffer, at, wire, _LEVEL_TEXT), wire, levels[k, 0])
        at = _size(buffer, _piece(buffer, at, wire, _LEVEL_TEXT + 1), wire, levels[k, 1])
        at = _piece(buffer, at, wire, _LEVEL_TEXT + 2)
    return at


@njit(cache=True)
def _price(buffer: NDArray[np.uint8], at: int, wire: Wire, ticks: int) -> int:
    return _decimal(buffer, at, ticks * wire.price_units, wire.price_decimals)


@njit(cache=True)
def _size(buffer: NDArray[np.uint8], at: int, wire: Wire, lots: int) -> int:
    return _decimal(buffer, at, lots * wire.size_units, wire.size_decimals)


@njit(cache=True)
def _decimal(buffer: NDArray[np.uint8], at: int, units: int, decimals: int) -> int:
    scale = 10**decimals
    at = _whole(buffer, at, units // scale)
    if decimals == 0:
        return at
    buffer[at] = 46
    rest = units % scale
    for k in range(at + decimals, at, -1):
        buffer[k] = 48 + rest % 10
        rest //= 10
    return at + 1 + decimals


@njit(cache=True)
def _whole(buffer: NDArray[np.uint8], at: int, number: int) -> int:
    end, rest = at + 1, number // 10
    while rest > 0:
        end, rest = end + 1, rest // 10
    for k in range(end - 1, at - 1, -1):
        buffer[k] = 48 + number % 10
        number //= 10
    return end


@njit(cache=True)
def _piece(buffer: NDArray[np.uint8], at: int, wire: Wire, index: int) -> int:
    for k in range(wire.starts[index], wire.starts[index + 1]):
        buffer[at] = wire.text[k]
        at += 1
    return at

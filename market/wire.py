"""Venue frames, as decoded JSON, into events: Binance (spot, USD-M, COIN-M) and Bybit v5.

One function a frame kind; each takes the payload, the `Symbol` it must belong to and our receive time. Decimal text
becomes ticks and lots exactly. A missing or ill-typed field raises BadEvent, a price off the grid BadReference; keys
we do not know are ignored, since venues add some every year. Field meanings: Binance "Diff. Depth Streams",
"Individual Symbol Book Ticker Streams", "Aggregate Trade Streams"; Bybit v5 "Orderbook" and "Trade".
"""

from collections.abc import Iterable, Mapping
from typing import Any
from uuid import UUID

from market.events import BadEvent, BookDelta, BookSnapshot, BookTicker, Level, Trade
from market.symbols import Symbol

Frame = Mapping[str, Any]

_NS_PER_MS = 1_000_000
_ILL_FORMED = (KeyError, TypeError, ValueError, AttributeError)


def binance_payload(frame: Frame) -> Frame:
    """Return what a combined-stream frame wraps ({"stream": .., "data": ..}), or the frame itself when it is bare."""
    payload = frame.get("data", frame)
    if not isinstance(payload, Mapping):
        raise BadEvent(f"binance: wanted an object under 'data', found {payload!r}")
    return payload


def binance_depth(frame: Frame, symbol: Symbol, local_ns: int) -> BookDelta:
    """Read a depthUpdate. The exchange time is the transaction time `T`, or `E` on spot, which sends no `T`."""
    try:
        _require_owner(frame["s"], symbol)
        return BookDelta(
            symbol=symbol.name,
            first_sequence=frame["U"],
            sequence=frame["u"],
            previous_sequence=frame.get("pu"),
            exchange_ns=_ns(frame["T"] if "T" in frame else frame["E"]),
            local_ns=local_ns,
            bids=_levels(frame["b"], symbol),
            asks=_levels(frame["a"], symbol),
        )
    except _ILL_FORMED as error:
        raise _bad_frame("depthUpdate", frame, symbol, error) from error


def binance_snapshot(frame: Frame, symbol: Symbol, local_ns: int) -> BookSnapshot:
    """Read a REST depth answer. Spot sends no time with it: its exchange time is then `local_ns`."""
    try:
        return BookSnapshot(
            symbol=symbol.name,
            sequence=frame["lastUpdateId"],
            exchange_ns=_ns(frame["T"]) if "T" in frame else local_ns,
            local_ns=local_ns,
            bids=_levels(frame["bids"], symbol),
            asks=_levels(frame["asks"], symbol),
        )
    except _ILL_FORMED as error:
        raise _bad_frame("depth snapshot", frame, symbol, error) from error


def binance_ticker(frame: Frame, symbol: Symbol, local_ns: int) -> BookTicker:
    """Read a bookTicker. Spot sends no time with it: its exchange time is then `local_ns`."""
    ticks, lots = symbol.price_grid.known, symbol.size_grid.known
    try:
        _require_owner(frame["s"], symbol)
        return BookTicker(
            symbol=symbol.name,
            sequence=frame["u"],
            exchange_ns=_ns(frame["T"]) if "T" in frame else local_ns,
            local_ns=local_ns,
            bid_ticks=ticks(frame["b"]),
            bid_lots=lots(frame["B"]),
            ask_ticks=ticks(frame["a"]),
            ask_lots=lots(frame["A"]),
        )
    except _ILL_FORMED as error:
        raise _bad_frame("bookTicker", frame, symbol, error) from error


def binance_trade(frame: Frame, symbol: Symbol, local_ns: int) -> Trade | None:
    """Read a trade or an aggTrade; None for prints that did not meet the book (`X` other than MARKET).

    `m` true means that the buyer was the maker, so the taker sold. An aggTrade's id is its own `a`.
    """
    try:
        _require_owner(frame["s"], symbol)
        if frame.get("X", "MARKET") != "MARKET":
            return None
        if type(frame["m"]) is not bool:
            raise TypeError(f"m must be true or false, was {frame['m']!r}")
        return Trade(
            symbol=symbol.name,
            trade_id=frame["a"] if frame["e"] == "aggTrade" else frame["t"],
            exchange_ns=_ns(frame["T"]),
            local_ns=local_ns,
            price_ticks=symbol.price_grid.known(frame["p"]),
            size_lots=symbol.size_grid.known(frame["q"]),
            aggressor=-1 if frame["m"] else 1,
        )
    except _ILL_FORMED as error:
        raise _bad_frame("trade", frame, symbol, error) from error


def bybit_book(frame: Frame, symbol: Symbol, local_ns: int) -> BookDelta | BookSnapshot:
    """Read an orderbook.N frame: type snapshot or delta. The exchange time is the matching engine's `cts`."""
    try:
        data = frame["data"]
        _require_owner(data["s"], symbol)
        sequence = data["u"]
        exchange_ns = _ns(frame["cts"] if "cts" in frame else frame["ts"])
        bids, asks = _levels(data["b"], symbol), _levels(data["a"], symbol)
        if frame["type"] == "snapshot":
            return BookSnapshot(symbol.name, sequence, exchange_ns, local_ns, bids, asks)
        if frame["type"] != "delta":
            raise ValueError(f"type must be snapshot or delta, was {frame['type']!r}")
        return BookDelta(symbol.name, sequence, sequence, None, exchange_ns, local_ns, bids, asks)
    except _ILL_FORMED as error:
        raise _bad_frame("orderbook", frame, symbol, error) from error


def bybit_trades(frame: Frame, symbol: Symbol, local_ns: int) -> tuple[Trade, ...]:
    """Read a publicTrade frame, without block trades (`BT`) and retail price improvement (`RPI`).

    Neither of those two consumes the visible queue. Ids are the venue's number, or the first 63 bits of its UUID.
    """
    try:
        return tuple(
            _bybit_trade(entry, symbol, local_ns)
            for entry in frame["data"]
            if not entry.get("BT", False) and not entry.get("RPI", False)
        )
    except _ILL_FORMED as error:
        raise _bad_frame("publicTrade", frame, symbol, error) from error


_BYBIT_SIDES = {"Buy": 1, "Sell": -1}


def _bybit_trade(entry: Frame, symbol: Symbol, local_ns: int) -> Trade:
    _require_owner(entry["s"], symbol)
    return Trade(
        symbol=symbol.name,
        trade_id=int(entry["i"]) if entry["i"].isdecimal() else UUID(entry["i"]).int >> 65,
        exchange_ns=_ns(entry["T"]),
        local_ns=local_ns,
        price_ticks=symbol.price_grid.known(entry["p"]),
        size_lots=symbol.size_grid.known(entry["v"]),
        aggressor=_BYBIT_SIDES[entry["S"]],
    )


def _levels(pairs: Iterable[tuple[str, str]], symbol: Symbol) -> tuple[Level, ...]:
    ticks, lots = symbol.price_grid.known, symbol.size_grid.known
    return tuple([(ticks(price), lots(size)) for price, size in pairs])


def _ns(milliseconds: object) -> int:
    if type(milliseconds) is not int:
        raise TypeError(f"times must be whole milliseconds, found {milliseconds!r}")
    return milliseconds * _NS_PER_MS


def _require_owner(found: object, symbol: Symbol) -> None:
    if found != symbol.venue_symbol:
        raise ValueError(f"belongs to {found!r}, wanted {symbol.venue_symbol!r}")


def _bad_frame(kind: str, frame: object, symbol: Symbol, error: Exception) -> BadEvent:
    reason = f"no field {error}" if isinstance(error, KeyError) else str(error)
    return BadEvent(f"{symbol.name}: {kind} frame refused: {reason}; found {str(frame)[:200]}")

"""Prices and sizes that a file holds as floats, turned into ticks and lots, with the file and row in every refusal."""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from archive.sources.day import Defect, Defects
from market.columns import TradeColumns
from market.events import LEVELS, BadReference
from market.symbols import Symbol

Floats = NDArray[np.float64]


class Place(NamedTuple):
    """Where values stand: the file, and the row (or line) int64[n] of each."""

    path: Path
    rows: NDArray[np.int64]


class RawTrades(NamedTuple):
    """Trades [n] with price and size as a file has them."""

    exchange_ns: NDArray[np.int64]
    local_ns: NDArray[np.int64]
    trade_id: NDArray[np.int64]
    price: Floats
    size: Floats
    aggressor: NDArray[np.int8]

    def where(self, mask: NDArray[np.bool_]) -> "RawTrades":
        """Return the trades where the mask bool[n] holds."""
        return RawTrades(
            self.exchange_ns[mask],
            self.local_ns[mask],
            self.trade_id[mask],
            self.price[mask],
            self.size[mask],
            self.aggressor[mask],
        )


def count_where(found: NDArray[np.bool_], kind: Defect, place: Place, defects: Defects) -> None:
    """Count the rows where `found` bool[n] holds as a kind of defect, with the place of the first."""
    if found.any():
        defects.count(kind, np.count_nonzero(found), f"{place.path}, row {place.rows[np.argmax(found)]}")


def positive(values: Floats) -> NDArray[np.bool_]:
    """Return where values are above zero and finite; NaN is neither."""
    return np.asarray((values > 0) & (values < np.inf))


def first_of_each(ids: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Return where an id int64[n] stands for the first time."""
    first = np.zeros(len(ids), bool)
    first[np.unique(ids, return_index=True)[1]] = True
    return first


def well_formed(bid_prices: Floats, bid_sizes: Floats, ask_prices: Floats, ask_sizes: Floats) -> NDArray[np.bool_]:
    """Return bool[n]: sides [n, k] have finite positive prices and sizes, best first, missing levels (NaN) last."""
    return _side_formed(bid_prices, bid_sizes, -1) & _side_formed(ask_prices, ask_sizes, +1)


def to_ladder(
    symbol: Symbol, prices: Floats, sizes: Floats, missing_ticks: int, place: Place
) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Return ticks and lots int32[LEVELS, n] of one side given as floats [n, k], NaN where a level is missing.

    `place.rows` has one entry a row. Raises BadReference naming symbol, value, tick, file and row when a price is not
    on the tick or a size not on the lot.
    """
    levels = min(LEVELS, prices.shape[1])
    ticks, lots = np.full((LEVELS, len(prices)), missing_ticks, np.int32), np.zeros((LEVELS, len(prices)), np.int32)
    price, size = (np.ascontiguousarray(side[:, :levels].T) for side in (prices, sizes))
    there = ~np.isnan(price)
    where = Place(place.path, np.broadcast_to(place.rows, there.shape)[there])
    ticks[:levels][there] = to_ticks(symbol, price[there], where)
    lots[:levels][there] = to_lots(symbol, size[there], where)
    return ticks, lots


def to_trades(symbol: Symbol, raw: RawTrades, place: Place) -> TradeColumns:
    """Return trades in ticks and lots, without flags; raises BadReference as `to_ticks` does."""
    return TradeColumns(
        raw.exchange_ns,
        raw.local_ns,
        raw.trade_id,
        to_ticks(symbol, raw.price, place),
        to_lots(symbol, raw.size, place),
        raw.aggressor.astype(np.int8),
        np.zeros(len(raw.exchange_ns), np.uint8),
    )


def to_ticks(symbol: Symbol, prices: Floats, place: Place) -> NDArray[np.int32]:
    """Return prices float64[n] as ticks int32[n]; raises BadReference naming also the file and the row."""
    return _steps(symbol.prices_to_ticks, prices, place)


def to_lots(symbol: Symbol, sizes: Floats, place: Place) -> NDArray[np.int32]:
    """Return sizes float64[n] as lots int32[n]; raises BadReference naming also the file and the row."""
    return _steps(symbol.sizes_to_lots, sizes, place)


def _side_formed(prices: Floats, sizes: Floats, direction: int) -> NDArray[np.bool_]:
    missing = np.isnan(prices)
    whole = positive(prices) & positive(sizes)
    ordered = (np.diff(prices, axis=1) * direction > 0) | missing[:, 1:]
    return np.asarray(np.all(whole | (missing & np.isnan(sizes)), axis=1) & np.all(ordered, axis=1))


def _steps(convert: Callable[[Floats], NDArray[np.int32]], values: Floats, place: Place) -> NDArray[np.int32]:
    try:
        return convert(values)
    except BadReference as error:
        raise BadReference(f"{place.path}, row {place.rows[_first_refused(convert, values)]}: {error}") from error


def _first_refused(convert: Callable[[Floats], NDArray[np.int32]], values: Floats) -> int:
    """Halve towards the first value that is refused: the conversion alone knows its tolerance."""
    accepted, refused = 0, len(values)
    while refused - accepted > 1:
        middle = (accepted + refused) // 2
        try:
            convert(values[accepted:middle])
            accepted = middle
        except BadReference:
            refused = middle
    return accepted

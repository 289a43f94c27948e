"""What an exchange itself says about its instruments, read from a saved answer, and where symbols.yml differs from it.

Reads Binance `exchangeInfo` (spot, USD-M, COIN-M) and Bybit v5 `instruments-info` (linear, inverse, spot) as JSON.
`pricePrecision` and the like are display hints and not steps; the filters decide.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

from market.events import BadReference
from market.symbols import Market, Symbol, SymbolTable

_BYBIT_MARKETS: dict[str, Market] = {"linear": "perp", "inverse": "inverse", "spot": "spot"}
_ILL_FORMED = (KeyError, TypeError, ValueError, AttributeError, InvalidOperation)


@dataclass(frozen=True, slots=True)
class Filters:
    """Steps and limits of one instrument in the exchange's words; None where it states none."""

    venue: str
    market: Market
    venue_symbol: str
    price_tick: Decimal
    size_lot: Decimal
    min_notional: Decimal | None
    contract_value: Decimal | None


def read_filters(path: str | Path) -> list[Filters]:
    """Read a saved answer. Raises BadReference when it is no JSON, of neither exchange, or lacks a filter."""
    try:
        document = json.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise BadReference(f"{path}: cannot be read as JSON: {error}") from error
    return filters_of(document, path)


def filters_of(document: Any, where: str | Path) -> list[Filters]:
    """Read an answer that is here as JSON. Raises BadReference, which names `where`, as `read_filters` does."""
    try:
        if "symbols" in document:
            return [_binance(entry) for entry in document["symbols"]]
        result = document["result"]
        market = _BYBIT_MARKETS[result["category"]]
        return [_bybit(entry, market) for entry in result["list"]]
    except _ILL_FORMED as error:
        raise BadReference(
            f"{where}: neither a Binance exchangeInfo nor a Bybit instruments-info answer: {error!r}; save it again"
        ) from error


def mismatches(table: SymbolTable, filters: list[Filters]) -> Iterator[str]:
    """Yield a line for each difference between the listed instruments and what their exchange says.

    Only instruments of the venues and markets that `filters` speaks of are compared; one that is missing there is a
    difference too.
    """
    told = {(each.venue, each.market, each.venue_symbol): each for each in filters}
    spoken_of = {(each.venue, each.market) for each in filters}
    for symbol in table.values():
        if not symbol.listed or (symbol.venue, symbol.market) not in spoken_of:
            continue
        theirs = told.get((symbol.venue, symbol.market, symbol.venue_symbol))
        if theirs is None:
            yield f"{symbol.name}: {symbol.venue} lists no {symbol.market} {symbol.venue_symbol}; set listed: false"
        else:
            yield from _differences(symbol, theirs)


def _differences(symbol: Symbol, theirs: Filters) -> Iterator[str]:
    for key in ("price_tick", "size_lot", "min_notional", "contract_value"):
        ours, wanted = getattr(symbol, key), getattr(theirs, key)
        if wanted is not None and ours != wanted:
            yield f"{symbol.name}: {key} is {ours}, {symbol.venue} says {wanted.normalize():f}"


def _binance(entry: Mapping[str, Any]) -> Filters:
    filters = {each["filterType"]: each for each in entry["filters"]}
    market: Market = "spot"
    if "contractType" in entry:
        market = "inverse" if "contractSize" in entry else "perp"
    # Spot calls it NOTIONAL now and MIN_NOTIONAL in older answers, each with minNotional; futures write notional.
    notional = filters.get("MIN_NOTIONAL", filters.get("NOTIONAL", {}))
    return Filters(
        venue="binance",
        market=market,
        venue_symbol=entry["symbol"],
        price_tick=Decimal(filters["PRICE_FILTER"]["tickSize"]),
        size_lot=Decimal(filters["LOT_SIZE"]["stepSize"]),
        min_notional=_decimal(notional.get("notional", notional.get("minNotional"))),
        contract_value=_decimal(entry.get("contractSize")),
    )


def _bybit(entry: Mapping[str, Any], market: Market) -> Filters:
    lots = entry["lotSizeFilter"]
    return Filters(
        venue="bybit",
        market=market,
        venue_symbol=entry["symbol"],
        price_tick=Decimal(entry["priceFilter"]["tickSize"]),
        size_lot=Decimal(lots["basePrecision"] if market == "spot" else lots["qtyStep"]),
        min_notional=_decimal(lots.get("minOrderAmt" if market == "spot" else "minNotionalValue")),
        contract_value=None,
    )


def _decimal(value: object) -> Decimal | None:
    return None if value is None else Decimal(str(value))

"""The table is compared with what the exchanges say; frames are cut down from their documented answers."""

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from market.events import BadReference
from market.exchange_filters import mismatches, read_filters
from market.symbols import Symbol, SymbolTable


def _symbol(name: str, **change: Any) -> Symbol:
    fields: dict[str, Any] = {
        "venue": "binance",
        "venue_symbol": "BTCUSDT",
        "market": "perp",
        "price_tick": Decimal("0.1"),
        "size_lot": Decimal("0.001"),
        "min_notional": Decimal(100),
        "maker_fee_bps": 2.0,
        "taker_fee_bps": 5.0,
        "maintenance_margin_rate": 0.0 if change.get("market") == "spot" else 0.004,
    }
    return Symbol(name, **{**fields, **change})


def _binance(name: str, tick: str, lot: str, notional: dict[str, str], **more: Any) -> dict[str, Any]:
    filters = [
        {"filterType": "PRICE_FILTER", "minPrice": "0.10", "maxPrice": "1000000", "tickSize": tick},
        {"filterType": "LOT_SIZE", "minQty": lot, "maxQty": "1000", "stepSize": lot},
        {"filterType": "MAX_NUM_ORDERS", "limit": 200},
    ]
    return {"symbol": name, "pricePrecision": 2, "filters": [*filters, *([notional] if notional else [])], **more}


USDM = _binance("BTCUSDT", "0.10", "0.001", {"filterType": "MIN_NOTIONAL", "notional": "100"}, contractType="PERPETUAL")
COINM = _binance("BTCUSD_PERP", "0.1", "1", {}, contractType="PERPETUAL", contractSize=100)
SPOT = _binance("BTCUSDT", "0.01000000", "0.00001000", {"filterType": "NOTIONAL", "minNotional": "5.00000000"})
OLD_SPOT = _binance("ETHBTC", "0.000001", "0.001", {"filterType": "MIN_NOTIONAL", "minNotional": "0.0001"})
LINEAR = {
    "symbol": "BTCUSDT",
    "priceFilter": {"minPrice": "0.10", "maxPrice": "1999999.80", "tickSize": "0.10"},
    "lotSizeFilter": {"maxOrderQty": "1190", "minOrderQty": "0.001", "qtyStep": "0.001", "minNotionalValue": "5"},
}


def _saved(folder: Path, document: Any) -> Path:
    path = folder / "saved.json"
    path.write_text(json.dumps(document), encoding="utf-8")
    return path


def _lines(folder: Path, document: Any, *symbols: Symbol) -> list[str]:
    table = SymbolTable({symbol.name: symbol for symbol in symbols})
    return list(mismatches(table, read_filters(_saved(folder, document))))


def test_an_agreeing_table_gives_no_line(tmp_path: Path) -> None:
    """Trailing zeros and the two spellings of the notional filter are no differences."""
    inverse = {"market": "inverse", "venue_symbol": "BTCUSD_PERP", "size_lot": Decimal(1), "min_notional": Decimal(0)}
    spot = {"market": "spot", "price_tick": Decimal("0.01"), "size_lot": Decimal("0.00001"), "min_notional": Decimal(5)}
    old = {"market": "spot", "venue_symbol": "ETHBTC", "price_tick": Decimal("0.000001")}
    assert _lines(tmp_path, {"symbols": [USDM]}, _symbol("A")) == []
    assert _lines(tmp_path, {"symbols": [COINM]}, _symbol("B", contract_value=Decimal(100), **inverse)) == []
    assert _lines(tmp_path, {"symbols": [SPOT]}, _symbol("C", **spot)) == []
    assert _lines(tmp_path, {"symbols": [OLD_SPOT]}, _symbol("D", min_notional=Decimal("0.0001"), **old)) == []


def test_each_difference_has_a_line_with_both_values(tmp_path: Path) -> None:
    """Tick, lot, notional and contract value are told one by one."""
    found = _lines(
        tmp_path,
        {"symbols": [USDM]},
        _symbol("A", price_tick=Decimal("0.01"), size_lot=Decimal("0.01"), min_notional=Decimal(5)),
    )
    assert found == [
        "A: price_tick is 0.01, binance says 0.1",
        "A: size_lot is 0.01, binance says 0.001",
        "A: min_notional is 5, binance says 100",
    ]
    inverse = {"market": "inverse", "venue_symbol": "BTCUSD_PERP", "size_lot": Decimal(1)}
    assert _lines(tmp_path, {"symbols": [COINM]}, _symbol("B", **inverse)) == [
        "B: contract_value is 1, binance says 100"
    ]


def test_only_listed_instruments_of_the_markets_spoken_of_are_compared(tmp_path: Path) -> None:
    """A futures answer says nothing of spot, Bybit, or a contract kept for its recordings; it does of a missing one."""
    found = _lines(
        tmp_path,
        {"symbols": [USDM]},
        _symbol("SPOT", market="spot"),
        _symbol("BYBIT", venue="bybit", price_tick=Decimal(1)),
        _symbol("OLD", venue_symbol="KEEPUSDT", listed=False),
        _symbol("GONE", venue_symbol="AKROUSDT"),
    )
    assert found == ["GONE: binance lists no perp AKROUSDT; set listed: false"]


def test_bybit_instruments_are_read_by_category(tmp_path: Path) -> None:
    """Linear takes qtyStep and minNotionalValue, spot basePrecision and minOrderAmt."""
    linear = {"result": {"category": "linear", "list": [LINEAR]}}
    found = _lines(tmp_path, linear, _symbol("A", venue="bybit"))
    assert found == ["A: min_notional is 100, bybit says 5"]
    lots = {"basePrecision": "0.000001", "minOrderAmt": "1"}
    spot = {"result": {"category": "spot", "list": [{**LINEAR, "lotSizeFilter": lots}]}}
    found = _lines(tmp_path, spot, _symbol("S", venue="bybit", market="spot", min_notional=Decimal(1)))
    assert found == ["S: size_lot is 0.001, bybit says 0.000001"]


@pytest.mark.parametrize(
    "document",
    [
        [],
        {},
        {"result": {"category": "option", "list": []}},
        {"symbols": [{"symbol": "X", "filters": []}]},
        {"symbols": [{**USDM, "filters": [{"filterType": "PRICE_FILTER", "tickSize": "?"}]}]},
    ],
)
def test_an_answer_that_is_none_is_refused(document: Any, tmp_path: Path) -> None:
    """A document of another shape, or one that lacks a filter, raises BadReference with the path."""
    with pytest.raises(BadReference, match=r"saved\.json.*save it again"):
        read_filters(_saved(tmp_path, document))


def test_a_file_that_is_no_json_is_refused(tmp_path: Path) -> None:
    """Missing and broken files raise BadReference with the path."""
    (tmp_path / "half.json").write_text('{"symbols": [', encoding="utf-8")
    for name in ("half.json", "nowhere.json"):
        with pytest.raises(BadReference, match=name):
            read_filters(tmp_path / name)

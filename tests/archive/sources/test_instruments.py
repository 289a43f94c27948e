"""Which symbols a recording holds."""

from dataclasses import replace

from archive.sources.instruments import known
from market.symbols import SymbolTable
from tests.archive.sources.made import TABLE


def test_venue_market_and_name_must_fit() -> None:
    """The same name at another venue or in another market is another instrument."""
    assert [s.name for s in known(TABLE, "binance", {"BTCUSDT", "?"}, {"perp"})] == ["BTCUSDT"]
    assert [s.name for s in known(TABLE, "binance", {"BTCUSDT"}, {"spot"})] == ["BTCUSDT-SPOT"]
    assert [s.name for s in known(TABLE, "bybit", {"BTCUSDT"}, {"perp", "spot"})] == ["BTCUSDT-BYBIT"]
    assert known(TABLE, "nasdaq", {"BTCUSDT"}, {"perp"}) == ()


def test_the_listed_one_is_preferred() -> None:
    """Where an old pair with other steps is in the table too."""
    old = replace(TABLE["BTCUSDT"], name="BTCUSDT-2019", listed=False)
    table = SymbolTable({"BTCUSDT-2019": old, "BTCUSDT": TABLE["BTCUSDT"]})
    assert [s.name for s in known(table, "binance", {"BTCUSDT"}, {"perp"})] == ["BTCUSDT"]

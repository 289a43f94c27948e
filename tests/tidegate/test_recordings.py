from datetime import date
from pathlib import Path

import pytest

from archive.errors import SourceError
from archive.layout import day_bounds_ns
from archive.sources.protocol import KINDS
from config.settings import load
from market.simulator import write_capture
from market.symbols import SymbolTable
from tests import recorded
from tidegate.recordings import overrides

DAY = date(2026, 1, 6)


def test_a_folder_of_recordings_becomes_the_source_of_the_settings(tmp_path: Path) -> None:
    """Its format, symbols and days are found by looking; the settings read what a person could have typed."""
    start_ns, _ = day_bounds_ns(DAY)
    table = SymbolTable.load(load(environ={}).paths.symbols)
    write_capture(tmp_path / "BTCUSDT_20260106.gz", table["BTCUSDT"], start_ns, start_ns + 5_000_000_000, seed=1)
    found = overrides(tmp_path)
    assert found["SOURCE_KIND"] == "binance_ws"
    settings = load(environ=found)
    assert settings.source.path == tmp_path
    assert settings.market.symbols == ("BTCUSDT",)
    assert settings.market.first_day <= DAY <= (settings.market.last_day or date.min)


def test_a_folder_without_a_recording_is_refused_with_what_each_importer_looked_for(tmp_path: Path) -> None:
    """All of them are named."""
    (tmp_path / "notes.txt").write_text("nothing here")
    with pytest.raises(SourceError) as refused:
        overrides(tmp_path)
    assert str(refused.value).startswith(f"{tmp_path}: no importer can read it")
    assert all(f"{kind}: " in str(refused.value) for kind in KINDS)


def test_a_folder_that_does_not_exist_is_named(tmp_path: Path) -> None:
    """The path stands in the message."""
    with pytest.raises(SourceError, match="absent"):
        overrides(tmp_path / "absent")


def test_the_recorded_standx_days_are_recognised() -> None:
    """Their symbol and both days."""
    found = overrides(recorded.path("standx"))
    assert (found["SOURCE_KIND"], found["MARKET_SYMBOLS"]) == ("standx", "BTC-USD")
    assert (found["MARKET_FIRST_DAY"], found["MARKET_LAST_DAY"]) <= ("2026-01-06", "2026-01-07")

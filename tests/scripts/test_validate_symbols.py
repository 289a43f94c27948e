"""scripts/validate_symbols.py says what is wrong, a line each, by its exit status."""

import json
from pathlib import Path

import pytest

from scripts.validate_symbols import main

TABLE = str(Path(__file__).parents[2] / "data" / "reference" / "symbols.yml")


def test_the_shipped_table_is_sound(capsys: pytest.CaptureFixture[str]) -> None:
    """Exit 0 and one line."""
    assert main(["--symbols", TABLE]) == 0
    assert "sound" in capsys.readouterr().out


def test_each_mismatch_is_a_line_and_exit_1(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Differences from several saved answers are all told, an unreadable answer among them."""
    bybit = tmp_path / "bybit.json"
    entry = {
        "symbol": "BTCUSDT",
        "priceFilter": {"tickSize": "0.5"},
        "lotSizeFilter": {"qtyStep": "0.001", "minNotionalValue": "7"},
    }
    bybit.write_text(json.dumps({"result": {"category": "linear", "list": [entry]}}), encoding="utf-8")
    assert main(["--symbols", TABLE, "--exchange-info", str(tmp_path / "none.json"), str(bybit)]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 3
    assert "none.json" in lines[0]
    assert lines[1].endswith("BTCUSDT-BYBIT: price_tick is 0.1, bybit says 0.5")
    assert lines[2].endswith("BTCUSDT-BYBIT: min_notional is 5, bybit says 7")


def test_a_missing_table_is_exit_1(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The path is named."""
    assert main(["--symbols", str(tmp_path / "none.yml")]) == 1
    assert "none.yml" in capsys.readouterr().out


def test_wrong_use_is_exit_2() -> None:
    """Without the table there is nothing to check."""
    with pytest.raises(SystemExit) as stop:
        main([])
    assert stop.value.code == 2

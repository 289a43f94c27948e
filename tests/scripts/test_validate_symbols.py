"""scripts/validate_symbols.py says what is wrong, a line each, by its exit status."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from scripts.validate_symbols import main

TABLE = str(Path(__file__).parents[2] / "data" / "reference" / "symbols.yml")

SOUND = {
    "venue": "binance",
    "venue_symbol": "AAAUSDT",
    "market": "perp",
    "price_tick": "0.1",
    "size_lot": "0.001",
    "min_notional": "5",
    "maker_fee_bps": 2.0,
    "taker_fee_bps": 5.0,
    "maintenance_margin_rate": 0.004,
}


def _table(folder: Path, **symbols: dict[str, Any]) -> str:
    file = folder / "symbols.yml"
    file.write_text(yaml.safe_dump({"symbols": symbols}), encoding="utf-8")
    return str(file)


def _exchange_info(folder: Path, **steps: str) -> str:
    """Save a USD-M answer that agrees with SOUND but for the steps given."""
    said = {"tickSize": "0.10", "stepSize": "0.0010", "notional": "5.0"} | steps
    filters = [
        {"filterType": "PRICE_FILTER", "tickSize": said["tickSize"]},
        {"filterType": "LOT_SIZE", "stepSize": said["stepSize"]},
        {"filterType": "MIN_NOTIONAL", "notional": said["notional"]},
    ]
    entry = {"symbol": said.get("symbol", "AAAUSDT"), "contractType": "PERPETUAL", "filters": filters}
    file = folder / "exchange_info.json"
    file.write_text(json.dumps({"symbols": [entry]}), encoding="utf-8")
    return str(file)


def _lines(capsys: pytest.CaptureFixture[str], *arguments: str) -> list[str]:
    assert main(list(arguments)) == 1
    shown = capsys.readouterr()
    assert shown.err == ""
    return shown.out.splitlines()


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


def test_an_exchange_that_agrees_is_exit_0(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Trailing zeros in its answer are no difference; the line counts instruments and files."""
    table = _table(tmp_path, AAAUSDT=SOUND)
    assert main(["--symbols", table, "--exchange-info", _exchange_info(tmp_path)]) == 0
    assert capsys.readouterr().out == f"{table}: 1 instruments, compared with 1 files: sound\n"


@pytest.mark.parametrize(
    ("steps", "said"),
    [
        ({"tickSize": "0.01"}, "price_tick is 0.1, binance says 0.01"),
        ({"stepSize": "1"}, "size_lot is 0.001, binance says 1"),
        ({"notional": "100"}, "min_notional is 5, binance says 100"),
        ({"symbol": "BBBUSDT"}, "binance lists no perp AAAUSDT; set listed: false"),
    ],
)
def test_one_difference_is_one_line(
    tmp_path: Path, steps: dict[str, str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """File, instrument, field, ours and theirs: enough to mend the table."""
    saved = _exchange_info(tmp_path, **steps)
    found = _lines(capsys, "--symbols", _table(tmp_path, AAAUSDT=SOUND), "--exchange-info", saved)
    assert found == [f"{saved}: AAAUSDT: {said}"]


def test_a_delisted_instrument_is_not_compared(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It is known for its recordings alone, whatever the exchange lists under its name today."""
    table = _table(tmp_path, AAAUSDT=SOUND | {"listed": False})
    assert main(["--symbols", table, "--exchange-info", _exchange_info(tmp_path, tickSize="9")]) == 0
    assert "sound" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"price_tick": "0"}, "price_tick must be above 0, was 0"),
        ({"price_tick": "a tenth"}, "price_tick must be a decimal number, was 'a tenth'"),
        ({"taker_fee_bps": True}, "taker_fee_bps must be a number, was True"),
        ({"taker_fee_bps": 1.0}, "fees must be maker <= taker, was maker 2.0, taker 1.0 bps"),
        ({"market": "future"}, "market must be one of perp, spot, inverse, was 'future'"),
        ({"listed": "no"}, "listed must be true or false, was 'no'"),
        ({"tick": 1}, "missing keys [], unknown keys ['tick']"),
    ],
)
def test_a_field_that_cannot_be_is_one_line(
    tmp_path: Path, change: dict[str, Any], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """File, instrument, field, what it must be and what it was."""
    table = _table(tmp_path, AAAUSDT=SOUND | change)
    assert _lines(capsys, "--symbols", table) == [f"{table}: AAAUSDT: {said}"]


def test_every_bad_instrument_is_told_at_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A sound one among them does not hide them, and two names for one instrument are a fault of the table."""
    table = _table(
        tmp_path, AAAUSDT=SOUND, BBB=SOUND | {"size_lot": "-1"}, CCC=SOUND, DDD=SOUND | {"maintenance_margin_rate": 2}
    )
    found = [line.removeprefix(f"{table}: ").split(":")[0] for line in _lines(capsys, "--symbols", table)]
    assert found == ["BBB", "DDD", "CCC"]


def test_the_sound_ones_of_a_bad_table_are_compared_still(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One run tells all there is to mend, in the table and against the exchange."""
    table = _table(tmp_path, AAAUSDT=SOUND, BBB=SOUND | {"size_lot": "0"})
    saved = _exchange_info(tmp_path, tickSize="0.5")
    found = _lines(capsys, "--symbols", table, "--exchange-info", saved)
    assert found == [
        f"{table}: BBB: size_lot must be above 0, was 0",
        f"{saved}: AAAUSDT: price_tick is 0.1, binance says 0.5",
    ]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "wanted a mapping 'symbols' with at least one instrument, found None"),
        ("symbols: {}", "wanted a mapping 'symbols' with at least one instrument, found {}"),
        ("symbols: [a]", "wanted a mapping 'symbols' with at least one instrument, found ['a']"),
        ("symbols: {A: 3}", "A: wanted a mapping of venue"),
        ("symbols: {A: {}, A: {}}", "key written twice: A"),
        ("symbols: {", "cannot be read as YAML"),
    ],
)
def test_a_file_that_is_no_table_is_exit_1(
    tmp_path: Path, text: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Empty, of another shape, with a name twice, or torn: named by its path, never a traceback."""
    file = tmp_path / "symbols.yml"
    file.write_text(text, encoding="utf-8")
    found = "\n".join(_lines(capsys, "--symbols", str(file)))
    assert found.startswith(f"{file}: ")
    assert said in found


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"symbols": [{"symbol": "A"}]}', '{"result": {"category": "x"}}'])
def test_an_answer_of_neither_exchange_is_one_line(
    tmp_path: Path, text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """A saved error page compares with nothing, which must not pass for agreement."""
    saved = tmp_path / "saved.json"
    saved.write_text(text, encoding="utf-8")
    (line,) = _lines(capsys, "--symbols", TABLE, "--exchange-info", str(saved))
    assert line.startswith(f"{saved}: ")


def test_it_runs_as_the_runbook_writes_it() -> None:
    """`PYTHONPATH=. python scripts/validate_symbols.py --symbols data/reference/symbols.yml`."""
    root = Path(TABLE).parents[2]
    command = [sys.executable, "scripts/validate_symbols.py", "--symbols", "data/reference/symbols.yml"]
    ran = subprocess.run(command, cwd=root, env={"PYTHONPATH": "."}, capture_output=True, text=True, check=False)
    assert (ran.returncode, ran.stderr) == (0, "")
    assert ran.stdout.startswith("data/reference/symbols.yml: ")

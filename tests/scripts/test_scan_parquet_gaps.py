"""The script's door: exit status, JSON, one line of error."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from archive.layout import BOOK, TRADES, clock_text, partition_key
from archive.store import Lake
from scripts.scan_parquet_gaps import main
from tests.archive.lakes import DAY, NEXT_DAY, book_at, put_book, steady_ns, trades_at

DAYS = ["--from", "2026-01-06", "--to", "2026-01-06"]


@pytest.fixture
def root(tmp_path: Path) -> str:
    """A lake with one sound day."""
    lake = Lake(tmp_path)
    put_book(lake, "BTCUSDT", DAY, steady_ns())
    lake.write_trades("BTCUSDT", DAY, trades_at(steady_ns()), source="test")
    return str(tmp_path)


def test_a_sound_lake_exits_0(root: str, capsys: pytest.CaptureFixture[str]) -> None:
    """With one line that says how much was looked at."""
    assert main(["--root", root, *DAYS]) == 0
    assert capsys.readouterr().out == "no gap in 2 partitions, threshold 60 s\n"


def test_gaps_exit_1_and_are_shown(root: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Symbol, time and kind are on the page, whole, also where it is not a terminal."""
    put_book(Lake(root), "BTCUSDT", NEXT_DAY, steady_ns(NEXT_DAY)[100:])
    assert main(["--root", root]) == 1
    shown = capsys.readouterr().out
    assert "2026-01-07 00:50:00.000" in shown
    assert "1 missing, 1 silent in 4 partitions" in shown


def test_json_is_for_machines(root: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Expected symbols and days that are not there are missing; a higher threshold forgives a silence."""
    assert main(["--root", root, "--symbols", "BTCUSDT", "ETHUSDT", *DAYS, "--json", "--verify"]) == 1
    report = json.loads(capsys.readouterr().out)
    assert {(gap["kind"], gap["symbol"]) for gap in report["gaps"]} == {("missing", "ETHUSDT")}
    assert main(["--root", root, "--threshold-seconds", "20", "--json"]) == 1
    assert main(["--root", root, "--threshold-seconds", "30", "--json"]) == 0


def test_no_lake_exits_2_with_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A root that does not exist, and one with nothing in it."""
    assert main(["--root", str(tmp_path / "none")]) == 2
    assert main(["--root", str(tmp_path)]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert [line.partition(": ")[0] for line in lines] == ["error", "error"]
    assert "no such folder" in lines[0]


@pytest.mark.parametrize(
    "arguments",
    [[], ["--root", "x", "--from", "2026-01-06"], ["--root", "x", "--from", "tomorrow", "--to", "2026-01-06"]],
)
def test_wrong_usage_exits_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """Argparse's way."""
    with pytest.raises(SystemExit) as left:
        main(arguments)
    assert left.value.code == 2
    assert "usage:" in capsys.readouterr().err


def test_it_runs_as_the_runbook_writes_it(root: str) -> None:
    """`PYTHONPATH=. python scripts/scan_parquet_gaps.py --root ROOT`."""
    script = Path(__file__).resolve().parents[2] / "scripts" / "scan_parquet_gaps.py"
    command = [sys.executable, str(script), "--root", root, *DAYS]
    ran = subprocess.run(
        command, capture_output=True, text=True, check=False, env={"PYTHONPATH": str(script.parents[1])}
    )
    assert (ran.returncode, ran.stdout) == (0, "no gap in 2 partitions, threshold 60 s\n"), ran.stderr


def test_each_gap_of_the_json_can_be_acted_on(root: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Every key is there for every kind, times agree with their text, and the totals with the list."""
    put_book(Lake(root), "BTCUSDT", NEXT_DAY, steady_ns(NEXT_DAY)[100:])
    assert main(["--root", root, "--json"]) == 1
    report = json.loads(capsys.readouterr().out)
    assert set(report) == {"partitions", "opened", "threshold_seconds", "damaged", "gaps"}
    assert (report["partitions"], report["opened"], report["threshold_seconds"]) == (4, 3, 60)
    # The silence begins with the last row before midnight, so it damages both days.
    assert {gap["kind"]: gap["days"] for gap in report["gaps"]} == {
        "missing": ["2026-01-07"],
        "silent": ["2026-01-06", "2026-01-07"],
    }
    assert report["damaged"] == [{"symbol": "BTCUSDT", "day": day} for day in ("2026-01-06", "2026-01-07")]
    keys = {"kind", "table", "symbol", "days", "start_ns", "end_ns", "start", "end", "seconds", "detail"}
    assert [set(gap) for gap in report["gaps"]] == [keys, keys]
    for gap in report["gaps"]:
        assert gap["seconds"] == (gap["end_ns"] - gap["start_ns"]) / 1e9
        assert (gap["start"], gap["end"]) == (clock_text(gap["start_ns"]), clock_text(gap["end_ns"]))


def test_json_of_a_sound_lake_is_json_too(root: str, capsys: pytest.CaptureFixture[str]) -> None:
    """An empty list, exit 0, and nothing on stderr to spoil a pipe."""
    assert main(["--root", root, *DAYS, "--json"]) == 0
    shown = capsys.readouterr()
    assert (json.loads(shown.out)["gaps"], shown.err) == ([], "")


def test_a_torn_file_is_a_gap_and_no_crash(root: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit 1 with its path, and the other partitions are looked at all the same."""
    torn = Path(root) / partition_key(TRADES, "BTCUSDT", DAY)
    torn.write_bytes(torn.read_bytes()[:-100])
    assert main(["--root", root, *DAYS, "--json"]) == 1
    (gap,) = json.loads(capsys.readouterr().out)["gaps"]
    assert (gap["kind"], gap["table"]) == ("corrupt", "trades")
    assert str(torn) in gap["detail"]


def test_a_break_is_shown_with_its_time(root: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A sequence that broke within a sound day is a gap of its own kind."""
    Lake(root).write_book("BTCUSDT", DAY, book_at(steady_ns(), breaks=[120]), source="test")
    assert main(["--root", root]) == 1
    shown = capsys.readouterr().out
    assert "2026-01-06 01:00:00.000" in shown
    assert "1 break in 2 partitions, threshold 60 s\n" in shown


def test_a_footer_that_lies_is_found_by_reading(root: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A plain scan believes the footer; --verify reads the rows it speaks of."""
    other = Lake(root).write_book("ETHUSDT", DAY, book_at(steady_ns()), source="test")
    lying = replace(other, symbol="BTCUSDT", gaps=((other.first_ns, other.last_ns),))
    path = Path(root) / partition_key(BOOK, "BTCUSDT", DAY)
    rows = pq.read_table(path)
    with pq.ParquetWriter(path, rows.schema.remove_metadata(), store_schema=False) as writer:
        writer.write_table(rows)
        writer.add_key_value_metadata(lying.to_footer())
    asked = ["--root", root, "--symbols", "BTCUSDT", *DAYS, "--json"]
    assert main(asked) == 1
    assert [gap["kind"] for gap in json.loads(capsys.readouterr().out)["gaps"]] == ["silent"]
    assert main([*asked, "--verify"]) == 1
    (gap,) = json.loads(capsys.readouterr().out)["gaps"]
    assert gap["kind"] == "corrupt"
    assert "the footer tells of 1 silences" in gap["detail"]


def test_days_turned_around_are_wrong_usage(root: str, capsys: pytest.CaptureFixture[str]) -> None:
    """One line says which two days were given."""
    with pytest.raises(SystemExit) as left:
        main(["--root", root, "--from", "2026-01-07", "--to", "2026-01-06"])
    assert left.value.code == 2
    assert "were 2026-01-07 and 2026-01-06" in capsys.readouterr().err


@pytest.mark.parametrize("symbol", ["btcusdt", "../etc", "BTC/USDT", ""])
def test_a_name_that_is_no_symbol_exits_2_with_one_line(
    root: str, symbol: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """A scan of what cannot be there must not report a sound lake, nor a gap."""
    assert main(["--root", root, "--symbols", symbol, *DAYS]) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.splitlines() == [f"error: {symbol!r} is not a symbol; names are capitals, digits, _ and -"]

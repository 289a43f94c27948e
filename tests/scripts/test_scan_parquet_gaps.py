"""The script's door: exit status, JSON, one line of error."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from archive.store import Lake
from scripts.scan_parquet_gaps import main
from tests.archive.lakes import DAY, NEXT_DAY, put_book, steady_ns, trades_at

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

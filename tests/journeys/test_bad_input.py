"""Bad input, one line of the issue at a time: what a person is told, and that nothing was lost or half-written.

Every run is a real Dagster run on a tiny lake; what happens to a process happens to a real process.
"""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import dagster as dg
import numpy as np
import pyarrow.parquet as pq
import pytest

from archive.layout import BOOK, FEATURES, LABELS, TABLES, TRADES, partition_key
from archive.sources.day import DayOfMarket
from market.columns import TradeColumns
from market.features import FEATURE_NAMES, schema_hash
from monitoring.metrics import process_metrics
from pipelines.definitions import build
from pipelines.feature_days import examine
from pipelines.gap_gate import damaged
from pipelines.ingestion import BACKFILL_TAG, store_day
from pipelines.launching import Launcher
from pipelines.partitions import Cell
from pipelines.workspace import Workspace
from registry.versions import Version
from scripts.scan_parquet_gaps import main as scan_script
from tests.archive.sources.made import DAY, at, ladder, standx_hour
from tests.journeys.waiting import until
from tests.pipelines.days import (
    CELLS,
    DAYS,
    EMPTY,
    MIDDLE,
    SECOND_NS,
    SYMBOLS_YML,
    Bench,
    bench,
    derive,
    file_of,
    flat_book,
    ingest,
    market,
    settings,
    thinned,
    truncate,
)
from tidegate.environment import ROOT

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore::dagster.BetaWarning")]

MINUTES_2 = 120
Contents = dict[tuple[str, str, date], str]


def contents(workspace: Workspace) -> Contents:
    """The content hash of every partition, each read in full so that its page checksums are checked."""
    lake, found = workspace.lake, {}
    for table in TABLES:
        for symbol, day in lake.partitions(table):
            lake.read(table, symbol, day)
            found[table, symbol, day] = lake.info(table, symbol, day).content_sha256
    return found


def left_beside(workspace: Workspace) -> list[Path]:
    """Temporary files of writers that did not finish."""
    return sorted(Path(workspace.settings.paths.lake).rglob("*.tmp"))


def scanned(workspace: Workspace, capsys: pytest.CaptureFixture[str]) -> tuple[int, str]:
    """Exit status and page of the gap scan an operator runs by hand."""
    capsys.readouterr()
    status = scan_script(["--root", str(workspace.settings.paths.lake)])
    return status, capsys.readouterr().out


@pytest.fixture(scope="module")
def instance() -> Iterator[dg.DagsterInstance]:
    """An instance in memory."""
    with dg.DagsterInstance.ephemeral() as made:
        yield made


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    """A lake with market data, features and labels of three days and two symbols; read it only."""
    workspace = bench(tmp_path_factory.mktemp("finished"))
    ingest(workspace)
    derive(workspace)
    return workspace


@pytest.fixture(scope="module")
def released(finished: Bench, instance: dg.DagsterInstance) -> tuple[Bench, Version]:
    """The finished lake after a training that ended well, and the version it put under alias candidate."""
    launcher(finished, instance).must("train_job")
    return finished, candidate(finished)


@pytest.fixture
def own(finished: Bench, tmp_path: Path) -> Bench:
    """A copy of the finished lake that the test may damage."""
    shutil.copytree(finished.settings.paths.lake, tmp_path / "lake")
    return bench(tmp_path)


def launcher(workspace: Workspace, instance: dg.DagsterInstance) -> Launcher:
    """Launches the jobs of a workspace."""
    return Launcher(build(workspace), workspace, instance)


def candidate(workspace: Workspace) -> Version:
    """The version under alias candidate."""
    version = workspace.store.by_alias("candidate")
    assert version is not None
    return version


def mended(runs: Launcher, before: Contents) -> None:
    """A backfill of the damaged cell brings back exactly what was there."""
    assert runs.launch("ingest_job", None, [MIDDLE], {BACKFILL_TAG: "true"}) == ""
    assert contents(runs.workspace) == before
    assert damaged(runs.workspace, CELLS) == {}


def test_a_truncated_parquet_is_refused_named_and_mended(
    own: Bench, instance: dg.DagsterInstance, capsys: pytest.CaptureFixture[str]
) -> None:
    """No features are made of it, the scan calls it corrupt, a backfill mends it, and no other partition changes."""
    before, runs = contents(own), launcher(own, instance)
    truncate(own, BOOK, MIDDLE)
    failure = runs.launch("ingest_job", ["features"], [MIDDLE])
    assert f"DamagedPartition: 1 of 1 partitions are damaged: {MIDDLE.key} (book corrupt: " in failure
    assert str(file_of(own, BOOK, MIDDLE)) in failure
    assert "Backfill them (sensor gap_sensor" in failure
    assert own.lake.info(FEATURES, MIDDLE.symbol, MIDDLE.day).content_sha256 == before[FEATURES, *_of(MIDDLE)]
    status, page = scanned(own, capsys)
    assert (status, "1 corrupt in 12 partitions" in page) == (1, True), page
    mended(runs, before)
    assert scanned(own, capsys)[0] == 0


def test_another_schema_version_is_refused_counted_and_mended(own: Bench, instance: dg.DagsterInstance) -> None:
    """The message names file, version found and version wanted; the counter moves; a backfill brings the day back."""
    before, runs = contents(own), launcher(own, instance)
    _written_by_another_release(file_of(own, BOOK, MIDDLE), 99)
    labels = {"table": BOOK, "found": "99"}
    counted = process_metrics().registry.get_sample_value("archive_schema_refused_total", labels) or 0.0
    failure = runs.launch("ingest_job", ["labels"], [MIDDLE])
    wanted = f"schema version must be {TABLES[BOOK].version} for table book, was 99; import the day again"
    assert f"{file_of(own, BOOK, MIDDLE)}: {wanted}" in failure
    assert (process_metrics().registry.get_sample_value("archive_schema_refused_total", labels) or 0.0) > counted
    mended(runs, before)


def test_an_empty_day_is_refused_and_never_replaces_one(own: Bench, instance: dg.DagsterInstance) -> None:
    """Where the lake holds the day it stays; where it does not, nothing appears and the run says why."""
    own.primary = dict.fromkeys(CELLS, EMPTY)
    before, runs = contents(own), launcher(own, instance)
    assert runs.launch("ingest_job", ["market_data"], [MIDDLE]) == ""
    assert contents(own) == before
    shutil.rmtree(file_of(own, BOOK, MIDDLE).parent)
    failure = runs.launch("ingest_job", ["market_data"], [MIDDLE])
    assert f"EmptyPartition: {file_of(own, BOOK, MIDDLE)}: refused 0 rows from recorded" in failure
    assert not file_of(own, BOOK, MIDDLE).exists()
    assert contents(own) == {key: sha256 for key, sha256 in before.items() if key != (BOOK, *_of(MIDDLE))}


def test_an_unknown_symbol_is_named_beside_those_that_are_known(tmp_path: Path, instance: dg.DagsterInstance) -> None:
    """The known symbol of the same run is stored all the same."""
    workspace = bench(tmp_path, market={"symbols": ("BTCUSDT", "DOGEUSDT"), "last_day": DAYS[0]})
    failure = launcher(workspace, instance).launch("ingest_job", None, workspace.all_cells)
    assert "DOGEUSDT" in failure
    assert all(known in failure for known in ("BTCUSDT", "ETHUSDT", "BTC-USD"))
    assert workspace.lake.partitions(BOOK) == [("BTCUSDT", DAYS[0])]
    assert contents(workspace).keys() == {(table, "BTCUSDT", DAYS[0]) for table in (BOOK, TRADES)}


def test_a_tick_that_does_not_divide_the_price_is_refused(tmp_path: Path, instance: dg.DagsterInstance) -> None:
    """Symbol, price and tick are named, and the day that was read under the right tick stays."""
    (tmp_path / "recordings").mkdir()
    books = [{"exchange": at(second), **ladder(100.0, 100.1)} for second in range(1, 20)]
    standx_hour(tmp_path / "recordings", books, [(at(1.5), at(1.5), 100.1, 0.0003)])
    right, wrong = _on_standx(tmp_path, "0.01"), _on_standx(tmp_path, "0.25")
    told = launcher(right, instance).launch("ingest_job", ["market_data"], [Cell(DAY, "BTC-USD")])
    assert "row_count" in told, "stored, and rightly found short"
    before = contents(right)
    assert before.keys() == {(table, "BTC-USD", DAY) for table in (BOOK, TRADES)}
    failure = launcher(wrong, instance).launch("ingest_job", ["market_data"], [Cell(DAY, "BTC-USD")])
    assert failure.startswith("market_data: ")
    assert all(
        word in failure
        for word in ("orderbook_BTC-USD_2026-01-06_00.parquet", "BTC-USD", "99.9", "0.25", "symbols.yml")
    ), failure
    assert contents(wrong) == before


@pytest.mark.parametrize("day", [DAYS[0], DAYS[-1]], ids=["train day", "test day"])
def test_a_nan_in_the_features_stops_the_training(
    released: tuple[Bench, Version], tmp_path: Path, instance: dg.DagsterInstance, day: date
) -> None:
    """Partition, feature and row are named; the candidate stays what it was."""
    former, version = released
    own = _beside(former, tmp_path)
    at_cell = Cell(day, "ETHUSDT")
    columns = own.lake.read(FEATURES, at_cell.symbol, day)
    columns[FEATURE_NAMES[3]][17] = np.nan
    own.lake.write(FEATURES, at_cell.symbol, day, columns, source="kernel", schema_hash=schema_hash())
    found = {finding.check: finding for finding in examine(at_cell, columns, 1)}
    assert (found["features_finite"].passed, found["features_finite"].detail) == (
        False,
        f"not finite: {FEATURE_NAMES[3]}",
    )
    failure = launcher(own, instance).launch("train_job")
    assert failure.startswith("model: ")
    assert all(word in failure for word in (str(at_cell.key), FEATURE_NAMES[3], "row 17", "nan")), failure
    assert candidate(own) == version


def test_a_day_with_every_label_alike_is_refused(tmp_path: Path, instance: dg.DagsterInstance) -> None:
    """A market that never moves touches no barrier: the balance check blocks, with the share found and wanted."""
    times_ns = range(MIDDLE.start_ns, MIDDLE.end_ns, 10 * SECOND_NS)
    still = DayOfMarket(flat_book(times_ns, [600_000] * len(times_ns)), TradeColumns.empty())
    workspace = bench(tmp_path, {MIDDLE: still})
    failure = launcher(workspace, instance).launch("ingest_job", None, [MIDDLE])
    assert failure == (
        f"labels: check label_balance: 1 of 1 failed: {MIDDLE.key}: rarest class 0.0000, at least 0.02 wanted"
    )


def test_labels_that_are_all_alike_stop_the_training(
    released: tuple[Bench, Version], tmp_path: Path, instance: dg.DagsterInstance
) -> None:
    """The message says which piece holds one label only; the candidate stays what it was."""
    former, version = released
    own = _beside(former, tmp_path)
    for each in CELLS:
        columns = own.lake.read(LABELS, *_of(each))
        for side in ("long", "short"):
            columns[f"outcome_{side}"][:] = 0
        own.lake.write(LABELS, *_of(each), columns, source=own.barrier_rule.id)
    failure = launcher(own, instance).launch("train_job")
    assert failure.startswith("model: "), failure
    assert "label" in failure
    assert candidate(own) == version


def test_a_folder_that_is_not_there_ends_every_command_with_one_line(tmp_path: Path) -> None:
    """The demo exits 1, the scan 2 (no scan was possible); neither makes the folder or anything else."""
    absent, var = tmp_path / "nowhere", tmp_path / "var"
    told = _command("-m", "tidegate", "demo", "--source", str(absent), PATHS_VAR=str(var))
    assert told.returncode == 1
    assert told.stderr.splitlines() == [
        f"demo stopped: {absent}: no such folder; give the folder that holds the recordings"
    ], told.stdout + told.stderr
    told = _command("scripts/scan_parquet_gaps.py", "--root", str(absent))
    assert (told.returncode, told.stdout) == (2, "")
    assert told.stderr.startswith(f"error: {absent}: no such folder; check the path")
    assert len(told.stderr.splitlines()) == 1
    assert list(tmp_path.iterdir()) == []


def test_a_second_run_is_refused_while_one_is_writing(own: Bench, instance: dg.DagsterInstance) -> None:
    """It names the partition and the process that holds it; the partition stays, and the next run is let in."""
    before, runs = contents(own), launcher(own, instance)
    own.primary = {MIDDLE: _shorter()}
    command = [sys.executable, "-m", "tests.journeys.busy_writer", str(own.settings.paths.lake), _key(MIDDLE)]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout is not None
        assert writer.stdout.readline() == "writing\n"
        failure = runs.launch("ingest_job", ["market_data"], [MIDDLE])
    told = f"ArchiveBusy: {file_of(own, BOOK, MIDDLE)}: process {writer.pid} is writing it; wait for that run to end"
    assert told in failure
    assert (contents(own), left_beside(own)) == (before, [])
    assert runs.launch("ingest_job", ["market_data"], [MIDDLE]) == ""
    assert own.lake.info(BOOK, *_of(MIDDLE)).rows == len(_shorter().book)


def test_a_full_disk_fails_the_run_and_keeps_the_former_day(tmp_path: Path) -> None:
    """The kernel refuses the write half-way; the message says so, and no part of the new day is left."""
    workspace = _with_a_former_day(tmp_path)
    before = contents(workspace)
    told = _command("-m", "tests.journeys.doomed_ingest", str(tmp_path), "full")
    assert f"WriteFailed: {file_of(workspace, BOOK, MIDDLE)}: File too large (free: " in told.stdout, told
    assert "what was there before is intact, nothing of the new data is kept; make room" in told.stdout
    assert (contents(workspace), left_beside(workspace)) == (before, [])


def test_a_run_killed_while_it_writes_leaves_the_former_day(
    tmp_path: Path, instance: dg.DagsterInstance, capsys: pytest.CaptureFixture[str]
) -> None:
    """SIGKILL between write and rename: the scan finds the former day sound, and the next run finishes the job."""
    workspace = _with_a_former_day(tmp_path)
    before = contents(workspace)
    command = [sys.executable, "-m", "tests.journeys.doomed_ingest", str(tmp_path), "parked"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as doomed:
        try:
            until(lambda: _begun(workspace, doomed), MINUTES_2, "a file beside the partition")
        finally:
            doomed.kill()
    assert doomed.returncode == -signal.SIGKILL
    assert len(left_beside(workspace)) == 1
    assert contents(workspace) == before
    assert "no row for" not in scanned(workspace, capsys)[1]
    assert damaged(workspace, [MIDDLE]) == {}
    assert launcher(workspace, instance).launch("ingest_job", ["market_data"], [MIDDLE]) == ""
    assert left_beside(workspace) == []
    assert workspace.lake.info(BOOK, *_of(MIDDLE)).rows == len(market(*_of(MIDDLE)).book)


def _of(each: Cell) -> tuple[str, date]:
    return each.symbol, each.day


def _key(each: Cell) -> str:
    return partition_key(BOOK, each.symbol, each.day)


def _shorter() -> DayOfMarket:
    """The middle day without its last rows: other content, yet not so poor that the lake would keep the former."""
    whole = market(*_of(MIDDLE))
    return thinned(whole, len(whole.book) - 5)


def _with_a_former_day(folder: Path) -> Bench:
    workspace = bench(folder)
    store_day(workspace, "former", MIDDLE, _shorter())
    return workspace


def _beside(former: Bench, folder: Path) -> Bench:
    """A copy of a lake, with the registry of the original."""
    shutil.copytree(former.settings.paths.lake, folder / "lake")
    return bench(folder, registry=former.settings.registry.model_dump())


def _written_by_another_release(file: Path, version: int) -> None:
    """Write a partition again under another schema version."""
    rows = pq.read_table(file, partitioning=None)
    footer = {key.decode(): value.decode() for key, value in pq.read_metadata(file).metadata.items()}
    with pq.ParquetWriter(file, rows.schema.remove_metadata(), store_schema=False) as writer:
        writer.write_table(rows)
        writer.add_key_value_metadata(footer | {"tidegate.schema_version": str(version)})


def _on_standx(folder: Path, tick: str) -> Workspace:
    """The workspace of a made StandX hour whose symbol table gives BTC-USD this tick."""
    head, name, rest = SYMBOLS_YML.read_text().partition("  BTC-USD:\n")
    reference = folder / f"symbols-{tick}.yml"
    reference.write_text(head + name + rest.replace('price_tick: "0.01"', f'price_tick: "{tick}"', 1))
    tiny = settings(
        folder,
        source={"kind": "standx", "path": folder / "recordings"},
        paths={"symbols": reference, "lake": str(folder / "lake"), "var": folder / "var"},
        market={"symbols": ("BTC-USD",), "first_day": DAY, "last_day": DAY},
    )
    return Workspace(tiny, DAY)


def _begun(workspace: Workspace, doomed: subprocess.Popen[bytes]) -> bool | None:
    assert doomed.poll() is None, f"ended with {doomed.returncode} before it wrote: {doomed.communicate()[0]!r}"
    return True if [file for file in left_beside(workspace) if file.stat().st_size] else None


def _command(*arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    """Run a command of the project from its root, as a person would."""
    known = os.environ | {"PYTHONPATH": str(ROOT)} | environ
    command = [sys.executable, *arguments]
    return subprocess.run(command, cwd=ROOT, env=known, capture_output=True, text=True, timeout=MINUTES_2, check=False)

"""An inspector asks the cheapest source it can trust, and says what it had to open."""

from collections.abc import Callable
from datetime import date
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from prometheus_client import CollectorRegistry

from archive import manifest
from archive.gap_report import GapKind
from archive.inspection import Inspector
from archive.layout import BOOK, TABLES, partition_key
from archive.manifest import Entry
from archive.partition import describe
from archive.store import Lake
from monitoring.metrics import Metrics
from tests.archive.lakes import DAY, NEXT_DAY, SECOND_NS, START_NS, put_book, steady_ns

Cell = tuple[str, date]
KEY = partition_key(BOOK, "ETHUSDT", DAY)
CELLS: list[Cell] = [("BTCUSDT", DAY), ("BTCUSDT", NEXT_DAY), ("ETHUSDT", DAY)]


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    """Three partitions."""
    lake = Lake(tmp_path, Metrics(CollectorRegistry()))
    for symbol, day in CELLS:
        put_book(lake, symbol, day, steady_ns(day, every_seconds=3600))
    return lake


def inspect(
    lake: Lake, *, rows_above_ns: int | None = None, use_manifest: bool = True
) -> tuple[Inspector, dict[Cell, Entry]]:
    """Inspect the three cells."""
    inspector = Inspector(lake, BOOK, use_manifest=use_manifest, rows_above_ns=rows_above_ns)
    found = inspector.inspect({"BTCUSDT": [DAY, NEXT_DAY], "ETHUSDT": [DAY]})
    facts = [entry for entries in found.values() for entry in entries]
    return inspector, {cell: entry for cell, entry in zip(CELLS, facts, strict=True) if entry is not None}


def test_unchanged_partitions_are_opened_once(lake: Lake) -> None:
    """The second inspector knows the same and opens nothing."""
    first, found = inspect(lake)
    second, again = inspect(lake)
    assert (first.opened, second.opened) == (3, 0)
    assert again == found
    assert set(found) == set(CELLS)


def test_only_the_changed_partition_is_opened_again(lake: Lake) -> None:
    """Its entry is renewed, the others' kept."""
    inspect(lake)
    put_book(lake, "ETHUSDT", DAY, steady_ns(every_seconds=7200))
    inspector, found = inspect(lake)
    assert inspector.opened == 1
    assert len(found["ETHUSDT", DAY].gaps) == 11
    assert inspect(lake)[0].opened == 0


def test_a_lost_manifest_is_rebuilt(lake: Lake, tmp_path: Path) -> None:
    """Nothing but time is lost with it."""
    _, found = inspect(lake)
    (tmp_path / BOOK / manifest.NAME).unlink()
    inspector, again = inspect(lake)
    assert (inspector.opened, again) == (3, found)
    assert inspect(lake)[0].opened == 0


def test_without_the_manifest_none_is_read_or_written(lake: Lake, tmp_path: Path) -> None:
    """For lakes that are mounted read-only, say."""
    assert inspect(lake, use_manifest=False)[0].opened == 3
    assert not (tmp_path / BOOK / manifest.NAME).exists()


def test_a_deleted_partition_is_missing_and_forgotten(lake: Lake, tmp_path: Path) -> None:
    """Its entry leaves the manifest."""
    inspect(lake)
    Path(lake.info(BOOK, "ETHUSDT", DAY).path).unlink()
    inspector, found = inspect(lake)
    assert [(gap.kind, gap.symbol) for gap in inspector.problems] == [(GapKind.MISSING, "ETHUSDT")]
    assert ("ETHUSDT", DAY) not in found
    assert len(manifest.load(lake.storage, BOOK)) == 2


def foreign(path: Path) -> None:
    """Make the file one of somebody else's."""
    pq.write_table(pq.read_table(path).replace_schema_metadata(None), path)


def truncated(path: Path) -> None:
    """Cut the file in half."""
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def replaced_by_a_folder(path: Path) -> None:
    """Leave something the disk refuses to read as a file."""
    path.unlink()
    path.mkdir()


HARMS = [(foreign, GapKind.VERSION), (truncated, GapKind.CORRUPT), (replaced_by_a_folder, GapKind.CORRUPT)]


@pytest.mark.parametrize(("harm", "kind"), HARMS)
def test_an_unreadable_partition_is_a_problem_each_time(
    lake: Lake, harm: Callable[[Path], None], kind: GapKind
) -> None:
    """Never remembered as healthy: every scan looks again, so a repaired file is seen at once."""
    inspect(lake)
    harm(Path(lake.storage.locate(KEY)))
    for _ in range(2):
        inspector, found = inspect(lake)
        assert [(gap.kind, gap.symbol) for gap in inspector.problems] == [(kind, "ETHUSDT")]
        assert inspector.opened == 1
        assert set(found) == set(CELLS[:2])
    if (path := Path(lake.storage.locate(KEY))).is_dir():
        path.rmdir()
    put_book(lake, "ETHUSDT", DAY, steady_ns(every_seconds=3600))
    assert inspect(lake)[0].problems == []


def test_rows_that_belie_their_footer_are_found_by_reading_them(lake: Lake) -> None:
    """A footer with another file's facts passes a plain scan; verifying reads the rows and tells."""
    path = lake.info(BOOK, "ETHUSDT", DAY).path
    read = pq.read_table(path)
    columns = {name: read[name].to_numpy() for name in read.column_names} | {
        "exchange_ns": steady_ns(every_seconds=3600) + 5
    }
    lie = describe(TABLES[BOOK], "ETHUSDT", DAY, columns, source="test", schema_hash="", notes={})
    with pq.ParquetWriter(path, read.schema.remove_metadata(), store_schema=False) as writer:
        writer.write_table(read)
        writer.add_key_value_metadata(lie.to_footer())
    assert inspect(lake)[0].problems == []
    inspector, _ = inspect(lake, rows_above_ns=60 * SECOND_NS)
    assert [gap.kind for gap in inspector.problems] == [GapKind.CORRUPT]
    assert f"the rows of 23 between {START_NS} and" in inspector.problems[0].detail
    assert inspector.opened == 3


def test_short_silences_come_from_the_rows_and_are_not_remembered(lake: Lake) -> None:
    """A threshold below the footer's must not leave its findings to a later, coarser scan."""
    put_book(lake, "ETHUSDT", DAY, steady_ns(every_seconds=5))
    fine, found = inspect(lake, rows_above_ns=2 * SECOND_NS)
    assert len(found["ETHUSDT", DAY].gaps) == 86_400 // 5 - 1
    assert fine.opened == 3
    assert inspect(lake)[1]["ETHUSDT", DAY].gaps == ()


def test_a_day_without_rows_can_be_verified(lake: Lake) -> None:
    """It has no event times to disagree with."""
    put_book(lake, "ETHUSDT", DAY, [])
    assert inspect(lake, rows_above_ns=60 * SECOND_NS)[0].problems == []

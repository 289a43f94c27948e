"""The lake: what is written is read, in whole, in part and in pieces, and everything else is refused by name."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from uuid import uuid4

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry

from archive import layout
from archive.errors import CorruptPartition, EmptyPartition, MissingLake, MissingPartition, SchemaVersionError
from archive.layout import BOOK, FEATURES, LABELS, NS_PER_DAY, TABLES, TRADES, book_arrays, trade_arrays
from archive.partition import event_times_ns
from archive.store import Lake
from market.columns import BookColumns, TradeColumns
from monitoring.metrics import Metrics
from tests.archive.lakes import DAY, NEXT_DAY, SECOND_NS, START_NS, book_at, put_book, same, steady_ns, trades_at

MANY = 300_000
"""Rows that fill more than two row groups."""


@pytest.fixture(params=["local", "memory"])
def lake(request: pytest.FixtureRequest, tmp_path: Path) -> Lake:
    """An empty lake, on disk and on an object store."""
    return Lake.create(tmp_path if request.param == "local" else f"memory://{uuid4()}/lake")


@pytest.fixture(scope="module")
def long_day(tmp_path_factory: pytest.TempPathFactory) -> tuple[Lake, TradeColumns]:
    """A lake with one day of many trades whose exchange clock jitters backwards."""
    rng = np.random.default_rng(7)
    times_ns = START_NS + np.sort(rng.integers(0, NS_PER_DAY - SECOND_NS, MANY)) - rng.integers(0, SECOND_NS, MANY)
    trades = trades_at(np.maximum(times_ns, START_NS))
    lake = Lake(tmp_path_factory.mktemp("long"))
    lake.write_trades("BTCUSDT", DAY, trades, source="test")
    return lake, trades


def picked(trades: TradeColumns, rows: np.ndarray) -> TradeColumns:
    """Return the chosen rows."""
    return replace(trades, **{name: array[rows] for name, array in trade_arrays(trades).items()})


def rewritten(path: str, **footer: str) -> None:
    """Write a parquet file again with other footer values, as a foreign tool would."""
    read = pq.read_table(path)
    kept = {key.decode(): value.decode() for key, value in pq.ParquetFile(path).metadata.metadata.items()}
    with pq.ParquetWriter(path, read.schema.remove_metadata(), store_schema=False) as writer:
        writer.write_table(read)
        writer.add_key_value_metadata({**kept, **{f"tidegate.{key}": value for key, value in footer.items()}})


def test_books_and_trades_come_back_bit_for_bit(lake: Lake) -> None:
    """Shapes, dtypes and values; the facts are those of the footer."""
    book, trades = book_at(steady_ns(), breaks=[9]), trades_at(steady_ns(every_seconds=7))
    written = lake.write_book("BTCUSDT", DAY, book, source="binance_ws", notes={"crossed": 3})
    lake.write_trades("BTCUSDT", DAY, trades, source="binance_ws")
    assert same(lake.read_book("BTCUSDT", DAY), book)
    assert same(lake.read_trades("BTCUSDT", DAY), trades)
    assert lake.info(BOOK, "BTCUSDT", DAY) == written
    assert (written.rows, written.source, written.break_count) == (2880, "binance_ws", 1)
    assert written.size_bytes > 0


def test_features_and_labels_come_back_with_their_columns(lake: Lake) -> None:
    """Feature names are the writer's; their order and NaNs stay."""
    rows = 4
    features = {name: np.ones(rows, dtype) for name, dtype in TABLES[FEATURES].columns.items()}
    features |= {"t_ns": np.full(rows, START_NS), "ofi": np.array([1, np.nan, -0.0, 2], np.float32)}
    lake.write(FEATURES, "BTCUSDT", DAY, features, source="kernel", schema_hash="abc")
    read = lake.read(FEATURES, "BTCUSDT", DAY)
    assert list(read) == [*TABLES[FEATURES].columns, "ofi"]
    assert read["ofi"].tobytes() == features["ofi"].tobytes()
    assert lake.info(FEATURES, "BTCUSDT", DAY).schema_hash == "abc"

    labels = {name: np.zeros(rows, dtype) for name, dtype in TABLES[LABELS].columns.items()} | {
        "t_ns": np.full(rows, START_NS)
    }
    lake.write(LABELS, "BTCUSDT", DAY, labels, source="labels")
    assert all(np.array_equal(labels[name], read) for name, read in lake.read(LABELS, "BTCUSDT", DAY).items())


@given(rows=st.integers(1, 50), seed=st.integers(0, 2**32 - 1))
def test_any_trades_come_back(tmp_path_factory: pytest.TempPathFactory, rows: int, seed: int) -> None:
    """Round trip of random columns."""
    times_ns = START_NS + np.random.default_rng(seed).integers(0, NS_PER_DAY, rows)
    trades = trades_at(times_ns, seed=seed)
    lake = Lake(f"memory://{uuid4()}")
    lake.write_trades("BTCUSDT", DAY, trades, source="test")
    assert same(lake.read_trades("BTCUSDT", DAY), trades)


def test_some_columns_can_be_read_alone(lake: Lake) -> None:
    """In the order asked; an unknown one is named beside those there are."""
    book = book_at(steady_ns())
    lake.write_book("BTCUSDT", DAY, book, source="test")
    read = lake.read(BOOK, "BTCUSDT", DAY, ["ask_lots_9", "exchange_ns"])
    assert list(read) == ["ask_lots_9", "exchange_ns"]
    assert np.array_equal(read["ask_lots_9"], book.ask_lots[9])
    with pytest.raises(MissingPartition, match=r"has no column \['ask_lots_10'\], it has \['exchange_ns'"):
        lake.read(BOOK, "BTCUSDT", DAY, ["ask_lots_10"])


@given(edges=st.lists(st.integers(-SECOND_NS, NS_PER_DAY + SECOND_NS), min_size=2, max_size=2), on_row=st.booleans())
def test_a_window_holds_the_rows_whose_event_time_lies_in_it(
    long_day: tuple[Lake, TradeColumns], edges: list[int], on_row: bool
) -> None:
    """By the monotone event time, start included, end not; across row groups, at any edge, even one on a row."""
    lake, trades = long_day
    event_ns = event_times_ns(trades.exchange_ns, DAY)
    start_ns, end_ns = sorted(START_NS + edge for edge in edges)
    if on_row:
        start_ns, end_ns = (int(event_ns[min(edge % MANY, MANY - 1)]) for edge in sorted(e % MANY for e in edges))
    wanted = (event_ns >= start_ns) & (event_ns < end_ns)
    assert same(lake.read_trades("BTCUSDT", DAY, start_ns=start_ns, end_ns=end_ns), picked(trades, wanted))


@pytest.mark.parametrize("edge", [{"start_ns": START_NS + NS_PER_DAY // 2}, {"end_ns": START_NS + NS_PER_DAY // 2}])
def test_a_window_may_be_open_at_one_end(long_day: tuple[Lake, TradeColumns], edge: dict[str, int]) -> None:
    """Only a start, or only an end."""
    lake, trades = long_day
    event_ns = event_times_ns(trades.exchange_ns, DAY)
    wanted = event_ns >= edge["start_ns"] if "start_ns" in edge else event_ns < edge["end_ns"]
    assert same(lake.read_trades("BTCUSDT", DAY, **edge), picked(trades, wanted))


def test_batches_are_bounded_and_join_to_the_whole(long_day: tuple[Lake, TradeColumns]) -> None:
    """No batch is larger than a row group, however long the day."""
    lake, trades = long_day
    batches = list(lake.iter_batches(TRADES, "BTCUSDT", DAY, ["price_ticks"], start_ns=START_NS))
    assert [len(batch["price_ticks"]) for batch in batches] == [131_072, 131_072, MANY - 2 * 131_072]
    assert np.array_equal(np.concatenate([batch["price_ticks"] for batch in batches]), trades.price_ticks)


def test_book_batches_join_to_the_book(lake: Lake) -> None:
    """Also within a window."""
    book = book_at(steady_ns())
    lake.write_book("BTCUSDT", DAY, book, source="test")
    assert same(BookColumns.concat(list(lake.iter_book_batches("BTCUSDT", DAY))), book)
    cut = lake.iter_book_batches("BTCUSDT", DAY, start_ns=book.exchange_ns[5], end_ns=book.exchange_ns[9])
    assert same(BookColumns.concat(list(cut)), book.slice(5, 9))


def test_reading_across_midnight_joins_the_days(lake: Lake) -> None:
    """The tail of one day and the head of the next; a day without a partition adds nothing."""
    books = {day: book_at(steady_ns(day)) for day in (DAY, NEXT_DAY)}
    for day, book in books.items():
        lake.write_book("BTCUSDT", day, book, source="test")
        lake.write_trades("BTCUSDT", day, trades_at(steady_ns(day)), source="test")
    midnight_ns = START_NS + NS_PER_DAY
    around = lake.read_book_between("BTCUSDT", midnight_ns - 60 * SECOND_NS, midnight_ns + 31 * SECOND_NS)
    assert same(around, BookColumns.concat([books[DAY].slice(2878, 2880), books[NEXT_DAY].slice(0, 2)]))
    assert len(lake.read_trades_between("BTCUSDT", midnight_ns - 60 * SECOND_NS, midnight_ns + 31 * SECOND_NS)) == 4
    assert same(lake.read_book_between("BTCUSDT", midnight_ns, midnight_ns + 5 * NS_PER_DAY), books[NEXT_DAY])
    with pytest.raises(MissingPartition, match=r"has no day from 2026-01-01 to 2026-01-02.*nearest days .*2026-01-06"):
        lake.read_book_between("BTCUSDT", START_NS - 5 * NS_PER_DAY, START_NS - 3 * NS_PER_DAY)


def test_partitions_are_listed_in_order(lake: Lake) -> None:
    """A folder without its file is no partition."""
    for symbol, day in (("ETHUSDT", DAY), ("BTCUSDT", NEXT_DAY), ("BTCUSDT", DAY)):
        put_book(lake, symbol, day, steady_ns(day, every_seconds=3600))
    lake.storage.replace("book/symbol=BTCUSDT/date=2026-01-09/other", lambda file: file.write(b"x"))
    assert lake.partitions(BOOK) == [("BTCUSDT", DAY), ("BTCUSDT", NEXT_DAY), ("ETHUSDT", DAY)]
    assert lake.partitions(TRADES) == []


def test_what_is_missing_is_told_beside_what_is_near(lake: Lake) -> None:
    """Table, symbol, day: each with the nearest that exists."""
    put_book(lake, "BTCUSDT", DAY, steady_ns(every_seconds=3600))
    put_book(lake, "BTCUSDT", DAY + timedelta(days=30), steady_ns(DAY + timedelta(days=30), every_seconds=3600))
    with pytest.raises(MissingPartition, match=r"nearest days of BTCUSDT: 2026-01-06, 2026-02-05"):
        lake.read_book("BTCUSDT", NEXT_DAY)
    with pytest.raises(MissingPartition, match="no symbol BTCUSD, nearest: BTCUSDT"):
        lake.info(BOOK, "BTCUSD", DAY)
    with pytest.raises(MissingPartition, match="nearest: none, the table is empty"):
        lake.read_trades("BTCUSDT", DAY)
    with pytest.raises(MissingPartition, match="there is no table 'klines'"):
        lake.read("klines", "BTCUSDT", DAY)


def test_a_root_that_does_not_exist_is_neither_read_nor_made(tmp_path: Path) -> None:
    """A mistyped path must not become an empty lake; `create` makes one on purpose."""
    root = tmp_path / "typo"
    for act in (
        lambda: Lake(root).read_book("BTCUSDT", DAY),
        lambda: Lake(root).partitions(BOOK),
        lambda: Lake(root).write_book("BTCUSDT", DAY, book_at([START_NS]), source="test"),
        lambda: Lake(root).read_book_between("BTCUSDT", START_NS, START_NS + 1),
    ):
        with pytest.raises(MissingLake, match=r"typo: no such folder; .*Lake.create"):
            act()
    assert not root.exists()
    assert Lake.create(root).partitions(BOOK) == []


def test_an_empty_day_is_written_only_on_purpose(lake: Lake) -> None:
    """A failed import must not look like a quiet day."""
    with pytest.raises(EmptyPartition, match="refused 0 rows from standx; pass allow_empty=True"):
        lake.write_trades("BTCUSDT", DAY, trades_at([]), source="standx")
    written = lake.write_trades("BTCUSDT", DAY, trades_at([]), source="standx", allow_empty=True)
    assert written.rows == 0
    assert len(lake.read_trades("BTCUSDT", DAY, start_ns=START_NS)) == 0
    assert list(lake.iter_batches(TRADES, "BTCUSDT", DAY)) == []


@pytest.mark.parametrize(("found", "label"), [("2", "2"), ("0", "0"), ('"x"', "None")])
def test_another_schema_version_is_refused_and_counted(tmp_path: Path, found: str, label: str) -> None:
    """The error names the file, the version wanted and the one found; the counter says which table."""
    metrics = Metrics(CollectorRegistry())
    lake = Lake(tmp_path, metrics)
    rewritten(put_book(lake, "BTCUSDT", DAY, [START_NS]).path, schema_version=found)
    with pytest.raises(SchemaVersionError, match=rf"part.parquet: schema version must be 1 .* was {label}") as refused:
        lake.read_book("BTCUSDT", DAY)
    assert str(refused.value.found) == label
    counted = metrics.registry.get_sample_value("archive_schema_refused_total", {"table": "book", "found": label})
    assert counted == 1.0


def test_a_parquet_file_of_somebody_else_is_refused(tmp_path: Path) -> None:
    """It names no schema version at all."""
    lake = Lake(tmp_path, Metrics(CollectorRegistry()))
    path = put_book(lake, "BTCUSDT", DAY, [START_NS]).path
    pq.write_table(pa.table({"price": [1.0]}), path)
    with pytest.raises(SchemaVersionError, match="was None"):
        lake.info(BOOK, "BTCUSDT", DAY)


def damage(data: bytes) -> Sequence[tuple[str, bytes]]:
    """Return ways a file of rows can be damaged."""
    middle = len(data) // 2
    flips = [middle, *(data.index(name) + len(name) + 4 for name in (b"tidegate.gaps", b"tidegate.first_ns"))]
    flipped = [(f"bit flipped at {at}", data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]) for at in flips]
    return [
        *flipped,
        ("empty", b""),
        ("truncated", data[:middle]),
        ("without its footer", data[:-8]),
        ("text", b"not parquet at all, but long enough to try"),
    ]


def test_a_damaged_file_is_corrupt_and_says_where(tmp_path: Path) -> None:
    """Truncated, or with one bit changed among the rows or the facts: never wrong numbers."""
    lake = Lake(tmp_path)
    path = Path(put_book(lake, "BTCUSDT", DAY, steady_ns(every_seconds=9)).path)
    for how, data in damage(path.read_bytes()):
        path.write_bytes(data)
        with pytest.raises(CorruptPartition, match=r"part.parquet: is truncated or altered .*import the day again"):
            pytest.fail(f"a file {how} was read: {lake.read_book('BTCUSDT', DAY)}")


def test_a_file_in_the_wrong_place_is_refused(tmp_path: Path) -> None:
    """A copied partition would be read as another day's data."""
    lake = Lake(tmp_path)
    written, other = (put_book(lake, "BTCUSDT", day, steady_ns(day, every_seconds=3600)) for day in (DAY, NEXT_DAY))
    Path(other.path).write_bytes(Path(written.path).read_bytes())
    with pytest.raises(CorruptPartition, match=r"must hold book BTCUSDT 2026-01-07, but was written as .*2026-01-06"):
        lake.read_book("BTCUSDT", NEXT_DAY)


def test_columns_of_another_layout_are_refused(tmp_path: Path) -> None:
    """The version agrees, the columns do not: nothing is guessed."""
    lake = Lake(tmp_path)
    path = put_book(lake, "BTCUSDT", DAY, [START_NS]).path
    footer = pq.ParquetFile(path).metadata.metadata
    with pq.ParquetWriter(path, pa.schema([("exchange_ns", pa.int64())])) as writer:
        writer.write_table(pa.table({"exchange_ns": [START_NS]}))
        writer.add_key_value_metadata(footer)
    with pytest.raises(CorruptPartition, match="must hold 1 rows of the columns of book version 1, found 1 rows of 1"):
        lake.read_book("BTCUSDT", DAY)


def test_a_timeline_is_monotone_and_comes_with_the_facts(long_day: tuple[Lake, TradeColumns]) -> None:
    """A clock that went back is held."""
    lake, trades = long_day
    facts, event_ns = lake.timeline(TRADES, "BTCUSDT", DAY)
    assert np.array_equal(event_ns, event_times_ns(trades.exchange_ns, DAY))
    assert facts == lake.info(TRADES, "BTCUSDT", DAY)


def test_the_same_rows_make_the_same_bytes(tmp_path: Path) -> None:
    """A backfill that changes nothing leaves an identical file."""
    book = book_at(steady_ns(every_seconds=60))
    files = [Path(Lake.create(tmp_path / name).write_book("BTCUSDT", DAY, book, source="s").path) for name in "ab"]
    assert files[0].read_bytes() == files[1].read_bytes()


def test_the_disk_form_is_the_documented_one(tmp_path: Path) -> None:
    """zstd, no dictionary, row groups of 131,072, statistics on the event time only."""
    lake = Lake(tmp_path)
    path = lake.write_trades("BTCUSDT", DAY, trades_at(START_NS + np.arange(MANY)), source="test").path
    metadata = pq.ParquetFile(path).metadata
    assert [metadata.row_group(g).num_rows for g in range(3)] == [131_072, 131_072, MANY - 2 * 131_072]
    columns = [metadata.row_group(0).column(i) for i in range(metadata.num_columns)]
    assert {column.compression for column in columns} == {"ZSTD"}
    assert not any("DICTIONARY" in encoding for column in columns for encoding in column.encodings)
    assert [column.path_in_schema for column in columns if column.is_stats_set] == ["exchange_ns"]


def test_reading_leaves_views_of_the_book_filled(tmp_path: Path) -> None:
    """Level-major ladders are filled in place: level k of the book is column k on disk."""
    lake = Lake(tmp_path)
    book = book_at(steady_ns(date(2026, 1, 6), every_seconds=600))
    lake.write_book("BTCUSDT", DAY, book, source="test")
    stored = lake.read(BOOK, "BTCUSDT", DAY)
    assert all(np.array_equal(stored[name], array) for name, array in book_arrays(book).items())
    assert layout.ROW_GROUP_ROWS == 131_072

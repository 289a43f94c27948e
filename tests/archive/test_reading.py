"""An open partition: its spans, and files that other tools wrote."""

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from archive.errors import ArchiveError
from archive.layout import BOOK, FEATURES, LABELS, NS_PER_DAY, ROW_GROUP_ROWS, TABLES, TRADES, partition_key
from archive.partition import event_times_ns
from archive.reading import Span, open_partition, schema_version
from archive.storage import open_storage
from archive.store import Lake
from tests.archive.lakes import DAY, SECOND_NS, START_NS, put_book, steady_ns

KEY = partition_key(BOOK, "BTCUSDT", DAY)


@pytest.mark.parametrize(
    ("text", "version"), [(b"1", 1), (b"12", 12), (b"", None), (b"one", None), (b"-1", None), (b"9" * 50, None)]
)
def test_a_version_is_a_short_number_or_none(text: bytes, version: int | None) -> None:
    """Whatever a stranger wrote there must not become a metric label of any length."""
    assert schema_version({b"tidegate.schema_version": text}) == version
    assert schema_version({}) is None


def test_spans_cover_the_rows_of_the_window(tmp_path: Path) -> None:
    """None outside the data; start included, end not."""
    put_book(Lake(tmp_path), "BTCUSDT", DAY, steady_ns(every_seconds=30))
    with open_partition(open_storage(tmp_path), KEY, TABLES[BOOK], "BTCUSDT", DAY) as file:
        assert file.spans() == [Span(0, 0, 2880)]
        assert file.spans(START_NS + 30 * SECOND_NS, START_NS + 90 * SECOND_NS) == [Span(0, 1, 3)]
        assert file.spans(end_ns=START_NS) == []
        assert file.spans(start_ns=START_NS + 86_400 * SECOND_NS) == []
        assert file.spans(START_NS + SECOND_NS, START_NS) == []
        assert file.columns == list(TABLES[BOOK].columns)


def test_a_disk_that_refuses_is_not_called_corrupt(tmp_path: Path) -> None:
    """A folder under the file's name: the error tells what the system said, and to mend that."""
    (tmp_path / KEY).mkdir(parents=True)
    storage = open_storage(tmp_path)
    said = r"part.parquet: cannot be opened: .* is a directory; mend"
    with pytest.raises(ArchiveError, match=said), open_partition(storage, KEY, TABLES[BOOK], "BTCUSDT", DAY):
        pytest.fail("a folder was read as a partition")


Arrays = dict[str, NDArray[Any]]

MANY = 2 * ROW_GROUP_ROWS + 5_000
"""Rows that fill two row groups and begin a third."""


def _filled(table: str, times_ns: NDArray[np.int64], seed: int, extra: int = 0) -> Arrays:
    """Return every column of a table, random over the whole range of its dtype, and `extra` features after them."""
    rng, rows = np.random.default_rng(seed), len(times_ns)
    spec = TABLES[table]
    dtypes = dict(spec.columns) | {f"f{n}": np.dtype("float32") for n in range(extra)}
    arrays = {name: np.frombuffer(rng.bytes(rows * d.itemsize), d).copy() for name, d in dtypes.items()}
    arrays[spec.event_time] = times_ns
    if spec.arrival_time:
        arrays[spec.arrival_time] = np.maximum.accumulate(times_ns)
    return arrays


def _same_bits(found: Arrays, wanted: Arrays) -> bool:
    return list(found) == list(wanted) and all(
        found[name].dtype == wanted[name].dtype and found[name].tobytes() == wanted[name].tobytes() for name in wanted
    )


@st.composite
def _times(draw: st.DrawFn) -> NDArray[np.int64]:
    """Up to 40 event times of the day, some equal, some late."""
    first, last = START_NS, START_NS + NS_PER_DAY - 1
    near = st.sampled_from([first, first + 1, first + SECOND_NS, last - 1, last])
    times = draw(st.lists(st.one_of(near, st.integers(first, last)), min_size=1, max_size=40))
    return np.array(times, np.int64)


@pytest.fixture(scope="module")
def long_labels(tmp_path_factory: pytest.TempPathFactory) -> tuple[Lake, Arrays]:
    """A day of labels over three row groups, with runs of equal times that cross the groups' edges."""
    rng = np.random.default_rng(11)
    times_ns = np.sort(START_NS + rng.integers(0, 40_000, MANY) * SECOND_NS)
    arrays = _filled(LABELS, times_ns, seed=12)
    lake = Lake(tmp_path_factory.mktemp("labels"))
    lake.write(LABELS, "BTCUSDT", DAY, arrays, source="test")
    return lake, arrays


@pytest.mark.parametrize("table", list(TABLES))
@settings(max_examples=15)
@given(times_ns=_times(), seed=st.integers(0, 2**31), extra=st.integers(0, 3))
def test_any_columns_of_any_table_come_back_bit_for_bit(
    table: str, times_ns: NDArray[np.int64], seed: int, extra: int
) -> None:
    """Every bit pattern of every dtype, NaNs with their payloads and late rows included, in the same order."""
    arrays = _filled(table, times_ns, seed, extra if table == FEATURES else 0)
    lake = Lake(f"memory://{uuid4()}")
    written = lake.write(table, "BTCUSDT", DAY, arrays, source="test")
    assert _same_bits(lake.read(table, "BTCUSDT", DAY), arrays)
    event_ns = event_times_ns(times_ns, DAY)
    assert (written.rows, written.first_ns, written.last_ns) == (len(times_ns), event_ns[0], event_ns[-1])


@pytest.mark.parametrize("table", list(TABLES))
@settings(max_examples=15)
@given(times_ns=_times(), edges=st.tuples(_times(), st.booleans()), data=st.data())
def test_a_window_of_some_columns_is_what_numpy_cuts(
    table: str, times_ns: NDArray[np.int64], edges: tuple[NDArray[np.int64], bool], data: st.DataObject
) -> None:
    """Any columns in any order and any window, also one that lies on rows or is empty: the mask of its event times."""
    arrays = _filled(table, times_ns, seed=1)
    lake = Lake(f"memory://{uuid4()}")
    lake.write(table, "BTCUSDT", DAY, arrays, source="test")
    names = data.draw(st.lists(st.sampled_from(list(arrays)), min_size=1, max_size=4, unique=True))
    pool = times_ns if edges[1] else edges[0]
    start_ns, end_ns = int(pool[0]), int(pool[-1])
    event_ns = event_times_ns(times_ns, DAY)
    kept = (event_ns >= start_ns) & (event_ns < end_ns)
    wanted = {name: arrays[name][kept] for name in names}
    assert _same_bits(lake.read(table, "BTCUSDT", DAY, names, start_ns=start_ns, end_ns=end_ns), wanted)


@settings(max_examples=25)
@given(edges=st.lists(st.integers(-5, 40_005), min_size=2, max_size=2), nudge=st.integers(-1, 1))
def test_windows_across_row_groups_are_what_numpy_cuts(
    long_labels: tuple[Lake, Arrays], edges: list[int], nudge: int
) -> None:
    """With many rows of one time on both sides of a group's edge, a window takes all of them or none."""
    lake, arrays = long_labels
    start_ns, end_ns = (START_NS + edge * SECOND_NS + nudge for edge in sorted(edges))
    low, high = np.searchsorted(arrays["t_ns"], [start_ns, end_ns])
    found = lake.read(LABELS, "BTCUSDT", DAY, ["side", "t_ns"], start_ns=start_ns, end_ns=end_ns)
    assert _same_bits(found, {name: arrays[name][low:high] for name in ("side", "t_ns")})


@settings(max_examples=15)
@given(edges=st.lists(st.integers(-5, 40_005), min_size=2, max_size=2))
def test_batches_of_a_window_join_to_what_is_read(long_labels: tuple[Lake, Arrays], edges: list[int]) -> None:
    """In the same order, none empty, none above a row group."""
    lake, _ = long_labels
    start_ns, end_ns = (START_NS + edge * SECOND_NS for edge in sorted(edges))
    batches = list(lake.iter_batches(LABELS, "BTCUSDT", DAY, start_ns=start_ns, end_ns=end_ns))
    assert all(0 < len(batch["t_ns"]) <= ROW_GROUP_ROWS for batch in batches)
    whole = lake.read(LABELS, "BTCUSDT", DAY, start_ns=start_ns, end_ns=end_ns)
    empty = {name: array[:0] for name, array in whole.items()}
    joined = {name: np.concatenate([empty[name], *(batch[name] for batch in batches)]) for name in whole}
    assert _same_bits(joined, whole)


@given(cuts=st.lists(st.integers(0, 40_000), max_size=5))
@settings(max_examples=10)
def test_windows_end_to_end_hold_each_row_once(long_labels: tuple[Lake, Arrays], cuts: list[int]) -> None:
    """Whoever reads a day in pieces of time misses nothing and counts nothing twice."""
    lake, arrays = long_labels
    edges = [START_NS, *(START_NS + cut * SECOND_NS for cut in sorted(cuts)), START_NS + NS_PER_DAY]
    pieces = [
        lake.read(LABELS, "BTCUSDT", DAY, ["bid_ticks"], start_ns=start, end_ns=end)["bid_ticks"]
        for start, end in pairwise(edges)
    ]
    np.testing.assert_array_equal(np.concatenate(pieces), arrays["bid_ticks"])


def test_a_timeline_is_the_event_times_of_what_is_read(long_labels: tuple[Lake, Arrays]) -> None:
    """One opening gives both, over all row groups."""
    lake, arrays = long_labels
    facts, event_ns = lake.timeline(LABELS, "BTCUSDT", DAY)
    np.testing.assert_array_equal(event_ns, arrays["t_ns"])
    assert facts == lake.info(LABELS, "BTCUSDT", DAY)


def test_batches_are_read_as_they_are_asked_for(tmp_path: Path) -> None:
    """The file is opened at the first one, so a missing partition is told then; closing early leaves nothing open."""
    put_book(Lake(tmp_path), "BTCUSDT", DAY, steady_ns())
    batches: Iterator[Arrays] = Lake(tmp_path).iter_batches(TRADES, "BTCUSDT", DAY)
    with pytest.raises(ArchiveError, match="no such partition"):
        next(batches)
    books = Lake(tmp_path).iter_batches(BOOK, "BTCUSDT", DAY)
    assert len(next(books)["exchange_ns"]) == len(steady_ns())
    assert next(books, None) is None


def test_a_column_named_twice_is_read_once(tmp_path: Path) -> None:
    """The answer is by name, so the second asking changes nothing."""
    put_book(Lake(tmp_path), "BTCUSDT", DAY, steady_ns())
    read = Lake(tmp_path).read(BOOK, "BTCUSDT", DAY, ["sequence", "flags", "sequence"])
    assert list(read) == ["sequence", "flags"]
    assert Lake(tmp_path).read(BOOK, "BTCUSDT", DAY, []) == {}

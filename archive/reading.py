"""Reading a partition: is it whole and ours, which rows lie in a window, and their columns into arrays."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date
from functools import lru_cache
from typing import Any, Final, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from archive.errors import ArchiveError, CorruptPartition, SchemaVersionError
from archive.layout import TABLES, Table
from archive.partition import Partition
from archive.storage import Storage

_THREADED_VALUES: Final = 1_000_000


class Span(NamedTuple):
    """Rows start to stop of one row group."""

    group: int
    start: int
    stop: int

    @property
    def rows(self) -> int:
        """How many rows the span has."""
        return self.stop - self.start


class PartitionFile:
    """An open partition whose footer has been checked."""

    def __init__(self, where: str, table: Table, file: Any, facts: Partition) -> None:
        self.facts = facts
        self._where = where
        self._table = table
        self._file = file

    @property
    def columns(self) -> list[str]:
        """The names of its columns, in order."""
        return list(self._file.schema_arrow.names)

    def spans(self, start_ns: int | None = None, end_ns: int | None = None) -> list[Span]:
        """Return the rows whose monotone event time lies in [start_ns, end_ns), one span a row group."""
        whole = [Span(g, 0, self._group(g).num_rows) for g in range(self._file.num_row_groups)]
        filled = [span for span in whole if span.rows]
        if start_ns is None and end_ns is None:
            return filled
        return [span for span in self._cut(filled, start_ns, end_ns) if span.rows]

    def fill(self, spans: Sequence[Span], into: Mapping[str, NDArray[Any]]) -> None:
        """Read the spans' rows into the arrays, one row group in memory at a time."""
        at = 0
        for span in spans:
            batch = self._read(span.group, list(into))
            for name, target in into.items():
                target[at : at + span.rows] = batch[name][span.start : span.stop]
            at += span.rows

    def _cut(self, whole: Sequence[Span], start_ns: int | None, end_ns: int | None) -> Iterator[Span]:
        # A row's event time is the latest seen so far, so what came before a group is the least its rows can have.
        name = self._table.event_time
        index = self.columns.index(name)
        latest_ns = self.facts.first_ns
        for span in whole:
            statistics = self._group(span.group).column(index).statistics
            before_ns, latest_ns = latest_ns, max(latest_ns, statistics.max)
            if (end_ns is not None and before_ns >= end_ns) or (start_ns is not None and latest_ns < start_ns):
                continue
            event_ns = np.maximum(np.maximum.accumulate(self._read(span.group, [name])[name]), before_ns)
            start = 0 if start_ns is None else int(np.searchsorted(event_ns, start_ns))
            stop = span.rows if end_ns is None else int(np.searchsorted(event_ns, end_ns))
            yield Span(span.group, start, max(start, stop))

    def _group(self, group: int) -> Any:
        return self._file.metadata.row_group(group)

    def _read(self, group: int, names: Sequence[str]) -> dict[str, NDArray[Any]]:
        with _damage_named(self._where):
            # Handing a small read to threads costs more than it saves.
            threads = self._group(group).num_rows * len(names) > _THREADED_VALUES
            read = self._file.read_row_group(group, columns=names, use_threads=threads)
            return {name: read.column(name).to_numpy() for name in names}


@contextmanager
def open_partition(storage: Storage, key: str, table: Table, symbol: str, day: date) -> Iterator[PartitionFile]:
    """Open a partition and check that its footer is this table's, this version's, this symbol's and this day's.

    Raises FileNotFoundError, SchemaVersionError, CorruptPartition, or ArchiveError when the disk refuses.
    """
    where = storage.locate(key)
    with _opened(storage, key, where) as source:
        with _damage_named(where):
            file = pq.ParquetFile(source, page_checksum_verification=True, pre_buffer=False)
            footer = file.metadata.metadata or {}
        found = schema_version(footer)
        if found != table.version:
            raise SchemaVersionError(
                f"{where}: schema version must be {table.version} for table {table.name}, was {found}; "
                f"import the day again with this release, or read it with the release that wrote it",
                found,
            )
        facts = Partition.from_footer(where, footer, source.size())
        _check_identity(where, facts, table, symbol, day)
        _check_columns(where, file, facts, table)
        yield PartitionFile(where, table, file, facts)


def schema_version(footer: Mapping[bytes, bytes]) -> int | None:
    """Return the schema version a footer names; None when it names none, as in a file of somebody else's."""
    text = footer.get(b"tidegate.schema_version", b"")
    return int(text) if text.isdigit() and len(text) < 6 else None


def _opened(storage: Storage, key: str, where: str) -> Any:
    try:
        return storage.open(key)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise ArchiveError(f"{where}: cannot be opened: {error}; mend what stands there or who may read it") from error


@contextmanager
def _damage_named(where: str) -> Iterator[None]:
    try:
        yield
    except (pa.ArrowException, OSError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise ArchiveError(f"{where}: cannot be read: {error.strerror}; mend access to the disk") from error
        raise CorruptPartition(
            f"{where}: is truncated or altered ({_first_line(error)}); delete the file and import the day again"
        ) from error


def _first_line(error: BaseException) -> str:
    return str(error).partition("\n")[0]


def _check_identity(where: str, facts: Partition, table: Table, symbol: str, day: date) -> None:
    wanted = (table.name, symbol, day)
    if (facts.table, facts.symbol, facts.day) != wanted:
        raise CorruptPartition(
            f"{where}: must hold {table.name} {symbol} {day}, but was written as {facts.table} {facts.symbol} "
            f"{facts.day}; move the file back to where it belongs"
        )


def _check_columns(where: str, file: Any, facts: Partition, table: Table) -> None:
    found = file.schema_arrow
    wanted = _schema(table.name, tuple(found.names))
    if wanted is None or not wanted.equals(found) or file.metadata.num_rows != facts.rows:
        raise CorruptPartition(
            f"{where}: must hold {facts.rows} rows of the columns of {table.name} version {table.version}, found "
            f"{file.metadata.num_rows} rows of {len(found)} columns; delete the file and import the day again"
        )


@lru_cache(maxsize=64)
def _schema(table_name: str, names: tuple[str, ...]) -> Any:
    # A scan opens thousands of files of the same few schemas. None: the table cannot hold these columns.
    table = TABLES[table_name]
    # `is None`, since numpy holds None to equal float64.
    fits = list(names[: len(table.columns)]) == list(table.columns) and all(
        table.dtype_of(n) is not None for n in names
    )
    return table.arrow_schema(names) if fits else None

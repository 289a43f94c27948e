"""The lake: one object to write, read and ask about partitions, of any table, at a path or a URL.

    lake = Lake.create("data/parquet")
    lake.write_book("BTCUSDT", day, book, source="binance_ws")
    book = lake.read_book("BTCUSDT", day)

A write is all or nothing: see `archive.storage`. A read checks schema version, identity and page checksums first.
What can go wrong is drawn in `archive.errors`.
"""

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import date, timedelta
from difflib import get_close_matches
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from archive import layout
from archive.errors import EmptyPartition, MissingLake, MissingPartition, SchemaVersionError
from archive.layout import BOOK, TRADES, Columns
from archive.partition import Json, Partition, describe, event_times_ns
from archive.reading import PartitionFile, open_partition
from archive.storage import Storage, open_storage
from market.columns import BookColumns, TradeColumns
from monitoring.metrics import Metrics, process_metrics

_NO_NOTES: Mapping[str, Json] = {}


class Lake:
    """The partitions below one root. Safe to share between threads; holds no file open between calls."""

    def __init__(self, root: str | os.PathLike[str], metrics: Metrics | None = None) -> None:
        self.storage: Storage = open_storage(root)
        self._metrics = metrics

    @classmethod
    def create(cls, root: str | os.PathLike[str], metrics: Metrics | None = None) -> "Lake":
        """Make the root folder when it is not there, and return its lake.

        Only this makes a root: a mistyped path or a volume that is not mounted must not quietly become an empty lake.
        """
        lake = cls(root, metrics)
        if not lake.storage.exists():
            Path(lake.storage.locate("")).mkdir(parents=True, exist_ok=True)
        return lake

    def write(
        self,
        table: str,
        symbol: str,
        day: date,
        columns: Columns,
        *,
        source: str,
        schema_hash: str = "",
        notes: Mapping[str, Json] = _NO_NOTES,
        allow_empty: bool = False,
    ) -> Partition:
        """Replace a partition by these columns, all or nothing, and return its facts.

        Args:
            table: one of `layout.TABLES`.
            symbol: capitals, digits, _ and -.
            day: the UTC day all rows belong to by their monotone event time.
            columns: name to array [n]; exactly the table's columns (features: and any float32 ones after them).
            source: who made the rows, such as an importer's name.
            schema_hash: of the feature kernel, for tables derived by it.
            notes: anything else worth keeping, such as counts of defects.
            allow_empty: a day without a row is right (a quiet market), not a failed import.

        Raises BadColumns, EmptyPartition, ArchiveBusy, WriteFailed, MissingLake.
        """
        spec = layout.table_named(table)
        key = layout.partition_key(table, symbol, day)
        self.require_root()
        arrays = spec.conform(columns)
        facts = describe(spec, symbol, day, arrays, source=source, schema_hash=schema_hash, notes=notes)
        if not facts.rows and not allow_empty:
            raise EmptyPartition(
                f"{self.storage.locate(key)}: refused 0 rows from {source}; pass allow_empty=True if the day was quiet"
            )
        size_bytes = self.storage.replace(key, lambda file: _write_parquet(file, spec, arrays, facts))
        return replace(facts, path=self.storage.locate(key), size_bytes=size_bytes)

    def write_book(
        self,
        symbol: str,
        day: date,
        book: BookColumns,
        *,
        source: str,
        notes: Mapping[str, Json] = _NO_NOTES,
        allow_empty: bool = False,
    ) -> Partition:
        """Replace a day of books; as `write`."""
        arrays = layout.book_arrays(book)
        return self.write(BOOK, symbol, day, arrays, source=source, notes=notes, allow_empty=allow_empty)

    def write_trades(
        self,
        symbol: str,
        day: date,
        trades: TradeColumns,
        *,
        source: str,
        notes: Mapping[str, Json] = _NO_NOTES,
        allow_empty: bool = False,
    ) -> Partition:
        """Replace a day of trades; as `write`."""
        arrays = layout.trade_arrays(trades)
        return self.write(TRADES, symbol, day, arrays, source=source, notes=notes, allow_empty=allow_empty)

    def info(self, table: str, symbol: str, day: date) -> Partition:
        """Return the facts of a partition from its footer alone."""
        with self._open(table, symbol, day) as file:
            return file.facts

    def require_root(self) -> None:
        """Raise MissingLake unless the root is there."""
        if not self.storage.exists():
            raise MissingLake(
                f"{self.storage.locate('')}: no such folder; check the path, or make a new lake with Lake.create"
            )

    def partitions(self, table: str) -> list[tuple[str, date]]:
        """Return every (symbol, day) a table has a partition of, sorted."""
        layout.table_named(table)
        self.require_root()
        return [(symbol, day) for symbol in self._symbols(table) for day in self._days(table, symbol)]

    def timeline(self, table: str, symbol: str, day: date) -> tuple[Partition, NDArray[np.int64]]:
        """Return the facts of a partition and the monotone event times [n] int64 of its rows, from one opening."""
        name = layout.table_named(table).event_time
        with self._open(table, symbol, day) as file:
            times_ns = np.empty(file.facts.rows, np.int64)
            file.fill(file.spans(), {name: times_ns})
            return file.facts, event_times_ns(times_ns, day)

    def read(
        self,
        table: str,
        symbol: str,
        day: date,
        columns: Sequence[str] | None = None,
        *,
        start_ns: int | None = None,
        end_ns: int | None = None,
    ) -> dict[str, NDArray[Any]]:
        """Return columns [n] of the rows whose monotone event time lies in [start_ns, end_ns).

        Raises MissingPartition (also for a column it has not), SchemaVersionError, CorruptPartition.
        """
        with self._open(table, symbol, day) as file:
            spans = file.spans(start_ns, end_ns)
            into = _allocate(file, table, columns, sum(span.rows for span in spans))
            file.fill(spans, into)
            return into

    def iter_batches(
        self,
        table: str,
        symbol: str,
        day: date,
        columns: Sequence[str] | None = None,
        *,
        start_ns: int | None = None,
        end_ns: int | None = None,
    ) -> Iterator[dict[str, NDArray[Any]]]:
        """Yield what `read` returns in pieces of at most `layout.ROW_GROUP_ROWS` rows: memory does not grow."""
        with self._open(table, symbol, day) as file:
            for span in file.spans(start_ns, end_ns):
                into = _allocate(file, table, columns, span.rows)
                file.fill([span], into)
                yield into

    def read_book(
        self, symbol: str, day: date, *, start_ns: int | None = None, end_ns: int | None = None
    ) -> BookColumns:
        """Return a day of books, or its rows in [start_ns, end_ns); as `read`."""
        with self._open(BOOK, symbol, day) as file:
            spans = file.spans(start_ns, end_ns)
            book = layout.empty_book(sum(span.rows for span in spans))
            file.fill(spans, layout.book_arrays(book))
            return book

    def iter_book_batches(
        self, symbol: str, day: date, *, start_ns: int | None = None, end_ns: int | None = None
    ) -> Iterator[BookColumns]:
        """Yield what `read_book` returns in pieces; as `iter_batches`."""
        with self._open(BOOK, symbol, day) as file:
            for span in file.spans(start_ns, end_ns):
                book = layout.empty_book(span.rows)
                file.fill([span], layout.book_arrays(book))
                yield book

    def read_trades(
        self, symbol: str, day: date, *, start_ns: int | None = None, end_ns: int | None = None
    ) -> TradeColumns:
        """Return a day of trades, or its rows in [start_ns, end_ns); as `read`."""
        with self._open(TRADES, symbol, day) as file:
            spans = file.spans(start_ns, end_ns)
            trades = layout.empty_trades(sum(span.rows for span in spans))
            file.fill(spans, layout.trade_arrays(trades))
            return trades

    def read_book_between(self, symbol: str, start_ns: int, end_ns: int) -> BookColumns:
        """Return the books in [start_ns, end_ns) across midnights.

        A day without a partition adds no rows; MissingPartition when none of the days has one.
        """
        days = self._present(BOOK, symbol, start_ns, end_ns)
        return BookColumns.concat([self.read_book(symbol, day, start_ns=start_ns, end_ns=end_ns) for day in days])

    def read_trades_between(self, symbol: str, start_ns: int, end_ns: int) -> TradeColumns:
        """Return the trades in [start_ns, end_ns) across midnights; as `read_book_between`."""
        days = self._present(TRADES, symbol, start_ns, end_ns)
        return TradeColumns.concat([self.read_trades(symbol, day, start_ns=start_ns, end_ns=end_ns) for day in days])

    @contextmanager
    def _open(self, table: str, symbol: str, day: date) -> Iterator[PartitionFile]:
        spec = layout.table_named(table)
        key = layout.partition_key(table, symbol, day)
        self.require_root()
        try:
            with open_partition(self.storage, key, spec, symbol, day) as file:
                yield file
        except FileNotFoundError:
            raise MissingPartition(
                f"{self.storage.locate(key)}: no such partition; {self._nearest(table, symbol, day)}"
            ) from None
        except SchemaVersionError as error:
            metrics = self._metrics or process_metrics()
            metrics.archive_schema_refused_total.labels(table, str(error.found)).inc()
            raise

    def _symbols(self, table: str) -> list[str]:
        names = self.storage.names(table)
        return [name.removeprefix("symbol=") for name in names if name.startswith("symbol=")]

    def _days(self, table: str, symbol: str) -> list[date]:
        names = self.storage.names(f"{table}/symbol={symbol}")
        days = [date.fromisoformat(name.removeprefix("date=")) for name in names if name.startswith("date=")]
        return self._with_partition(table, symbol, days)

    def _with_partition(self, table: str, symbol: str, days: Sequence[date]) -> list[date]:
        keys = layout.partition_keys(table, symbol, days)
        stamps = self.storage.stamps(f"{table}/symbol={symbol}", keys)
        return [day for day, stamp in zip(days, stamps, strict=True) if stamp is not None]

    def _present(self, table: str, symbol: str, start_ns: int, end_ns: int) -> list[date]:
        self.require_root()
        first, last = layout.day_of(start_ns), layout.day_of(end_ns - 1)
        days = [first + timedelta(days=n) for n in range((last - first).days + 1)]
        present = self._with_partition(table, symbol, days)
        if not present:
            raise MissingPartition(
                f"{self.storage.locate(table)}: {symbol} has no day from {first} to {last}; "
                f"{self._nearest(table, symbol, first)}"
            )
        return present

    def _nearest(self, table: str, symbol: str, day: date) -> str:
        symbols = self._symbols(table)
        if symbol not in symbols:
            near = get_close_matches(symbol, symbols, n=3, cutoff=0.0)
            return f"table {table} has no symbol {symbol}, nearest: {', '.join(near) or 'none, the table is empty'}"
        near_days = sorted(self._days(table, symbol), key=lambda other: abs(other - day))[:2]
        return f"nearest days of {symbol}: {', '.join(map(str, near_days)) or 'none'}"


def _write_parquet(file: BinaryIO, spec: layout.Table, arrays: Columns, facts: Partition) -> None:
    schema = spec.arrow_schema(list(arrays))
    rows = pa.Table.from_arrays([pa.array(array) for array in arrays.values()], schema=schema)
    with pq.ParquetWriter(file, schema, **spec.writer_options(schema)) as writer:
        writer.write_table(rows, row_group_size=layout.ROW_GROUP_ROWS)
        writer.add_key_value_metadata(facts.to_footer())


def _allocate(file: PartitionFile, table: str, columns: Sequence[str] | None, rows: int) -> dict[str, NDArray[Any]]:
    spec = layout.TABLES[table]
    names = file.columns if columns is None else list(columns)
    unknown = [name for name in names if name not in file.columns]
    if unknown:
        raise MissingPartition(
            f"table {table}, {file.facts.symbol} {file.facts.day}: has no column {unknown}, it has {file.columns}"
        )
    return {name: np.empty(rows, spec.dtype_of(name)) for name in names}

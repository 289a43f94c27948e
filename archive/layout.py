"""Where each table lies in the lake, what its columns are, and how they are laid out physically.

    ROOT/TABLE/symbol=S/date=YYYY-MM-DD/part.parquet

One partition is one symbol on one UTC day. Integers are stored wide, one column a level, zstd-3, without dictionaries:
int64 columns (times, sequence numbers) as DELTA_BINARY_PACKED because they climb, the rest as BYTE_STREAM_SPLIT.
Statistics are kept for the event time alone: nothing else is ever pruned on.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import Any, Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from archive.errors import BadColumns, MissingPartition
from archive.live_tables import LIVE_SCORES, OUTCOME_COLUMNS, OUTCOMES, REPORT_COLUMNS, REPORTS, SCORE_COLUMNS
from market.columns import BookColumns, TradeColumns
from market.events import LEVELS

BOOK: Final = "book"
TRADES: Final = "trades"
FEATURES: Final = "features"
LABELS: Final = "labels"

NS_PER_DAY: Final = 86_400_000_000_000
ROW_GROUP_ROWS: Final = 131_072
PART_NAME: Final = "part.parquet"

Columns = Mapping[str, NDArray[Any]]

_SYMBOL = re.compile(r"[A-Z0-9_-]+")
_EPOCH = date(1970, 1, 1)


@dataclass(frozen=True, slots=True)
class Table:
    """The columns of one table and what they mean to the archive.

    `extra` is the dtype of further columns a writer may add (the features, whose names belong to the kernel);
    `continuous` says that a long time without a row is silence rather than rest.
    """

    name: str
    version: int
    columns: Mapping[str, np.dtype[Any]]
    event_time: str
    arrival_time: str | None = None
    extra: np.dtype[Any] | None = None
    continuous: bool = False

    def dtype_of(self, column: str) -> np.dtype[Any] | None:
        """Return the dtype of a column, or None when the table cannot hold it."""
        return self.columns.get(column, self.extra)

    def conform(self, columns: Columns) -> dict[str, NDArray[Any]]:
        """Return the columns in the table's order and dtypes, contiguous.

        Raises BadColumns for a missing, unknown, ragged or wrongly typed column and for an integer that does not fit.
        """
        missing = [name for name in self.columns if name not in columns]
        unknown = [name for name in columns if self.dtype_of(name) is None]
        if missing or unknown:
            raise BadColumns(f"table {self.name} version {self.version}: missing {missing}, unknown {unknown}")
        names = [*self.columns, *(name for name in columns if name not in self.columns)]
        rows = len(columns[self.event_time])
        return {name: _conform(self, name, columns[name], rows) for name in names}

    def arrow_schema(self, names: Sequence[str]) -> pa.Schema:
        """Return the Arrow schema of a partition with these columns."""
        return pa.schema([pa.field(name, pa.from_numpy_dtype(self.dtype_of(name)), nullable=False) for name in names])

    def writer_options(self, schema: pa.Schema) -> dict[str, Any]:
        """Return what makes pyarrow.parquet.ParquetWriter write the physical form this module describes."""
        encodings = {f.name: "DELTA_BINARY_PACKED" if f.type == pa.int64() else "BYTE_STREAM_SPLIT" for f in schema}
        return {
            "compression": "zstd",
            "compression_level": 3,
            "use_dictionary": False,
            "column_encoding": encodings,
            "write_statistics": [self.event_time],
            "write_page_checksum": True,
            "store_schema": False,
        }


def table_named(name: str) -> Table:
    """Return the table of that name; MissingPartition names the known ones."""
    if name not in TABLES:
        raise MissingPartition(f"there is no table {name!r}; the lake has {', '.join(TABLES)}")
    return TABLES[name]


def partition_key(table: str, symbol: str, day: date) -> str:
    """Return the path of a partition below the lake's root, with / between its parts."""
    return partition_keys(table, symbol, [day])[0]


def partition_keys(table: str, symbol: str, days: Iterable[date]) -> list[str]:
    """Return the paths of a symbol's partitions, day by day; MissingPartition for a name that cannot be a symbol's."""
    if not _SYMBOL.fullmatch(symbol):
        raise MissingPartition(f"{symbol!r} is not a symbol; names are capitals, digits, _ and -")
    folder = f"{table}/symbol={symbol}/date="
    return [f"{folder}{day.isoformat()}/{PART_NAME}" for day in days]


@lru_cache(maxsize=4096)
def day_bounds_ns(day: date) -> tuple[int, int]:
    """Return the first nanosecond of a UTC day and that of the next."""
    start = (day - _EPOCH).days * NS_PER_DAY
    return start, start + NS_PER_DAY


def day_of(time_ns: int) -> date:
    """Return the UTC day a time (ns) lies in."""
    return _EPOCH + timedelta(days=time_ns // NS_PER_DAY)


def clock_text(time_ns: int) -> str:
    """Return a time (ns) for people, in UTC to the millisecond."""
    seconds, rest = divmod(time_ns, 1_000_000_000)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M:%S}.{rest // 1_000_000:03d}"


def book_arrays(book: BookColumns) -> dict[str, NDArray[Any]]:
    """Return views of the columns under the names they have on disk; writing to them writes to `book`."""
    scalars = {name: getattr(book, name) for name in _BOOK_SCALARS}
    return scalars | {f"{side}_{level}": getattr(book, side)[level] for side in _LADDERS for level in range(LEVELS)}


def trade_arrays(trades: TradeColumns) -> dict[str, NDArray[Any]]:
    """Return views of the columns under the names they have on disk."""
    return {name: getattr(trades, name) for name in _TRADE_COLUMNS}


def empty_book(rows: int) -> BookColumns:
    """Return columns of that many rows, contents undefined, to be filled."""
    columns: dict[str, NDArray[Any]] = {name: np.empty(rows, dtype) for name, dtype in _BOOK_SCALARS.items()}
    columns |= {side: np.empty((LEVELS, rows), np.int32) for side in _LADDERS}
    return BookColumns(**columns)


def empty_trades(rows: int) -> TradeColumns:
    """Return columns of that many rows, contents undefined, to be filled."""
    return TradeColumns(**{name: np.empty(rows, dtype) for name, dtype in _TRADE_COLUMNS.items()})


def _conform(table: Table, name: str, column: NDArray[Any], rows: int) -> NDArray[Any]:
    wanted = table.dtype_of(name)
    where = f"table {table.name}, column {name}"
    if column.shape != (rows,):
        raise BadColumns(f"{where}: shape must be ({rows},) like {table.event_time}, was {column.shape}")
    if column.dtype != wanted:
        column = _narrowed(where, column, wanted)
    return np.ascontiguousarray(column)


def _narrowed(where: str, column: NDArray[Any], wanted: np.dtype[Any] | None) -> NDArray[Any]:
    if wanted is None or wanted.kind not in "iu" or column.dtype.kind not in "iu":
        raise BadColumns(f"{where}: dtype must be {wanted}, was {column.dtype}; convert it where its meaning is known")
    limits = np.iinfo(wanted)
    if column.size and (int(column.min()) < limits.min or int(column.max()) > limits.max):
        raise BadColumns(
            f"{where}: values must fit {wanted}, found {column.min()} to {column.max()}; "
            f"give the symbol a larger price_tick or size_lot"
        )
    return column.astype(wanted)


def _dtypes(**names: str) -> dict[str, np.dtype[Any]]:
    return {name: np.dtype(dtype) for name, dtype in names.items()}


_LADDERS = ("bid_ticks", "bid_lots", "ask_ticks", "ask_lots")
_BOOK_SCALARS = _dtypes(exchange_ns="int64", local_ns="int64", sequence="int64", flags="uint8")
_TRADE_COLUMNS = _dtypes(
    exchange_ns="int64", local_ns="int64", trade_id="int64", price_ticks="int32", size_lots="int32", aggressor="int8",
    flags="uint8",
)  # fmt: skip
_FEATURE_HEAD = _dtypes(
    t_ns="int64", local_ns="int64", book_row="int64", side="int8", bid_ticks="int32", ask_ticks="int32"
)
_LABEL_COLUMNS = _dtypes(
    t_ns="int64", side="int8", bid_ticks="int32", ask_ticks="int32",
    outcome_long="int8", outcome_short="int8", exit_ns_long="int64", exit_ns_short="int64",
    net_bps_long="float32", net_bps_short="float32", gross_bps_long="float32", gross_bps_short="float32",
)  # fmt: skip

TABLES: Final[Mapping[str, Table]] = {
    table.name: table
    for table in (
        Table(
            BOOK,
            version=1,
            columns=_BOOK_SCALARS | {f"{k}_{i}": np.dtype("int32") for k in _LADDERS for i in range(LEVELS)},
            event_time="exchange_ns",
            arrival_time="local_ns",
            continuous=True,
        ),
        Table(TRADES, version=1, columns=_TRADE_COLUMNS, event_time="exchange_ns", arrival_time="local_ns"),
        Table(FEATURES, version=1, columns=_FEATURE_HEAD, event_time="t_ns", extra=np.dtype("float32")),
        Table(LABELS, version=1, columns=_LABEL_COLUMNS, event_time="t_ns"),
        Table(LIVE_SCORES, version=2, columns=SCORE_COLUMNS, event_time="t_ns", extra=np.dtype("float32")),
        Table(OUTCOMES, version=2, columns=OUTCOME_COLUMNS, event_time="t_ns"),
        Table(REPORTS, version=1, columns=REPORT_COLUMNS, event_time="local_ns"),
    )
}

"""Tables, paths, days, and what `conform` accepts."""

from datetime import date

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from archive import layout
from archive.errors import BadColumns, MissingPartition
from archive.layout import BOOK, FEATURES, LABELS, NS_PER_DAY, TABLES, TRADES
from market.events import LEVELS
from tests.archive.lakes import DAY, START_NS, book_at, same, trades_at

BOOK_TABLE = TABLES[BOOK]


def test_a_partition_lies_under_table_symbol_and_date() -> None:
    """The path is the contract with every other reader of the lake."""
    key = layout.partition_key(BOOK, "BTC-USD", date(2026, 1, 6))
    assert key == "book/symbol=BTC-USD/date=2026-01-06/part.parquet"


@pytest.mark.parametrize("symbol", ["", "../BTC", "btc", "A/B", "A B", ".A"])
def test_a_symbol_cannot_leave_its_folder(symbol: str) -> None:
    """Anything but capitals, digits, _ and - is refused."""
    with pytest.raises(MissingPartition, match="not a symbol"):
        layout.partition_key(BOOK, symbol, DAY)


def test_an_unknown_table_names_the_known_ones() -> None:
    """The message lists what can be asked for."""
    with pytest.raises(MissingPartition, match=r"'books'.*book, trades, features, labels"):
        layout.table_named("books")


def test_the_four_tables_hold_the_columns_of_the_contract() -> None:
    """Names and dtypes on disk."""
    assert list(BOOK_TABLE.columns)[:5] == ["exchange_ns", "local_ns", "sequence", "flags", "bid_ticks_0"]
    assert len(BOOK_TABLE.columns) == 4 + 4 * LEVELS
    assert list(TABLES[TRADES].columns) == [
        "exchange_ns", "local_ns", "trade_id", "price_ticks", "size_lots", "aggressor", "flags",
    ]  # fmt: skip
    assert list(TABLES[FEATURES].columns) == ["t_ns", "local_ns", "book_row", "side", "bid_ticks", "ask_ticks"]
    assert TABLES[FEATURES].dtype_of("queue_imbalance_5") == np.float32
    assert TABLES[LABELS].dtype_of("net_bps_short") == np.float32
    assert TABLES[LABELS].dtype_of("queue_imbalance_5") is None


def test_times_are_delta_coded_and_the_rest_split_by_bytes() -> None:
    """No dictionary anywhere; statistics for the event time alone."""
    options = BOOK_TABLE.writer_options(BOOK_TABLE.arrow_schema(list(BOOK_TABLE.columns)))
    assert options["column_encoding"]["exchange_ns"] == "DELTA_BINARY_PACKED"
    assert options["column_encoding"]["bid_lots_3"] == "BYTE_STREAM_SPLIT"
    assert options["use_dictionary"] is False
    assert options["write_statistics"] == ["exchange_ns"]


def test_arrow_types_follow_the_dtypes() -> None:
    """A narrow integer stays narrow on disk."""
    schema = TABLES[TRADES].arrow_schema(["price_ticks", "aggressor", "flags"])
    assert [field.type for field in schema] == [pa.int32(), pa.int8(), pa.uint8()]


@given(st.dates(date(1970, 1, 1), date(2200, 1, 1)), st.integers(0, NS_PER_DAY - 1))
def test_a_time_lies_in_its_day(day: date, offset_ns: int) -> None:
    """`day_of` undoes `day_bounds_ns` for every instant of a day."""
    start_ns, end_ns = layout.day_bounds_ns(day)
    assert end_ns - start_ns == NS_PER_DAY
    assert layout.day_of(start_ns + offset_ns) == day


def test_a_time_is_readable() -> None:
    """UTC, to the millisecond."""
    assert layout.clock_text(START_NS + 3_723_004_999_999) == "2026-01-06 01:02:03.004"


def test_column_names_view_the_books_memory() -> None:
    """Filling the arrays fills the book: that is how a partition is read without a copy."""
    book = layout.empty_book(3)
    layout.book_arrays(book)["ask_lots_9"][:] = [7, 8, 9]
    assert book.ask_lots[9].tolist() == [7, 8, 9]


def test_conforming_columns_pass_unchanged() -> None:
    """What has the right names, dtypes and lengths keeps its bits and gains the table's order."""
    arrays = layout.book_arrays(book_at([1, 2, 3]))
    shuffled = dict(reversed(arrays.items()))
    conformed = BOOK_TABLE.conform(shuffled)
    assert list(conformed) == list(BOOK_TABLE.columns)
    assert all(np.array_equal(conformed[name], arrays[name]) for name in arrays)


def test_wider_integers_are_narrowed_when_they_fit() -> None:
    """An int64 price column of small values becomes int32."""
    arrays = layout.trade_arrays(trades_at([1, 2])) | {"price_ticks": np.array([5, 2**31 - 1])}
    assert TABLES[TRADES].conform(arrays)["price_ticks"].dtype == np.int32


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"price_ticks": np.array([5, 2**31])}, "values must fit int32, found 5 to 2147483648"),
        ({"price_ticks": np.array([5.0, 6.0])}, "dtype must be int32, was float64"),
        ({"price_ticks": np.array([5], np.int32)}, r"shape must be \(2,\)"),
        ({"price": np.array([5, 6])}, r"unknown \['price'\]"),
        ({"aggressor": np.array([200, 1])}, "values must fit int8"),
    ],
)
def test_columns_that_do_not_fit_are_refused(change: layout.Columns, said: str) -> None:
    """The message names table, column, what was wanted and what was found."""
    arrays = layout.trade_arrays(trades_at([1, 2]))
    with pytest.raises(BadColumns, match=said):
        TABLES[TRADES].conform({**arrays, **change})


def test_a_missing_column_is_named() -> None:
    """So is every other missing one."""
    arrays = layout.trade_arrays(trades_at([1]))
    del arrays["flags"]
    with pytest.raises(BadColumns, match=r"missing \['flags'\]"):
        TABLES[TRADES].conform(arrays)


def test_features_of_any_name_are_float32() -> None:
    """A float64 feature is refused: rounding it here would hide a difference between training and live."""
    head = {name: np.zeros(2, dtype) for name, dtype in TABLES[FEATURES].columns.items()}
    assert list(TABLES[FEATURES].conform({**head, "spread": np.zeros(2, np.float32)}))[-1] == "spread"
    with pytest.raises(BadColumns, match="spread: dtype must be float32, was float64"):
        TABLES[FEATURES].conform({**head, "spread": np.zeros(2)})


def test_empty_columns_have_the_shapes_of_none() -> None:
    """No rows, all columns."""
    assert len(layout.empty_book(0)) == 0
    assert same(layout.empty_trades(0), trades_at([]))

"""Rows merged into a day: once each, in order, and nothing of another source touched."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from archive.errors import BadColumns, ForeignPartition
from archive.layout import BOOK, TABLES, TRADES, book_arrays, trade_arrays
from archive.live_tables import LIVE_SCORES
from archive.merging import LIVE_SOURCE, Merged, merge
from archive.store import Lake
from tests.archive.lakes import DAY, START_NS, book_at, same, steady_ns, trades_at

S = "BTCUSDT"


def test_a_first_piece_makes_the_partition(tmp_path: Path) -> None:
    """Its source is the live side; the rows are the given ones."""
    lake = Lake.create(tmp_path)
    book = book_at(steady_ns()[:50])
    assert merge(lake, BOOK, S, DAY, book_arrays(book)) == Merged(0, 50, 0)
    assert lake.info(BOOK, S, DAY).source == LIVE_SOURCE
    assert same(lake.read_book(S, DAY), book)


@given(st.lists(st.lists(st.integers(0, 29), max_size=40), min_size=1, max_size=4))
def test_pieces_in_any_cut_and_repeated_give_the_day(
    tmp_path_factory: pytest.TempPathFactory, pieces: list[list[int]]
) -> None:
    """Whatever pieces came, in whatever order and how often: the rows of the day that came, each once, in order."""
    lake = Lake.create(tmp_path_factory.mktemp("lake"))
    book = book_at(steady_ns()[:30])
    for piece in pieces:
        rows = {name: column[np.array(piece, np.int64)] for name, column in book_arrays(book).items()}
        if piece:
            merge(lake, BOOK, S, DAY, rows)
    came = sorted({k for piece in pieces for k in piece})
    if came:
        found = book_arrays(lake.read_book(S, DAY))
        assert all(np.array_equal(found[name], column[came]) for name, column in book_arrays(book).items())


def test_the_row_that_was_there_stays(tmp_path: Path) -> None:
    """The same moment and number is the same row, whatever else it says; nothing new, nothing written."""
    lake = Lake.create(tmp_path)
    book = book_at(steady_ns()[:10])
    merge(lake, BOOK, S, DAY, book_arrays(book))
    before = lake.info(BOOK, S, DAY)
    other = book_at(steady_ns()[:10], seed=5)
    other.sequence[:] = book.sequence
    assert merge(lake, BOOK, S, DAY, book_arrays(other)) == Merged(10, 0, 10)
    assert lake.info(BOOK, S, DAY) == before


def test_two_prints_of_one_moment_are_two_rows(tmp_path: Path) -> None:
    """Their ids differ."""
    lake = Lake.create(tmp_path)
    trades = trades_at([START_NS + 5] * 3)
    assert merge(lake, TRADES, S, DAY, trade_arrays(trades)).added == 3
    assert same(lake.read_trades(S, DAY), trades)


def test_a_partition_of_another_source_is_left_as_it_is(tmp_path: Path) -> None:
    """Unless it holds every row already: then there is nothing to do."""
    lake = Lake.create(tmp_path)
    book = book_at(steady_ns()[:20])
    lake.write_book(S, DAY, book.slice(0, 10), source="binance_vision")
    assert merge(lake, BOOK, S, DAY, book_arrays(book.slice(3, 7))) == Merged(10, 0, 4)
    with pytest.raises(ForeignPartition, match="10 rows from binance_vision, and 5 of the 7 live rows"):
        merge(lake, BOOK, S, DAY, book_arrays(book.slice(8, 15)))
    assert same(lake.read_book(S, DAY), book.slice(0, 10))


def test_rows_of_another_schema_do_not_fit_into_the_day(tmp_path: Path) -> None:
    """Scores of two kernels cannot share a partition; the columns that differ are named."""
    lake = Lake.create(tmp_path)
    rows = {name: np.zeros(1, dtype) for name, dtype in TABLES[LIVE_SCORES].columns.items()}
    rows["t_ns"][0] = START_NS
    merge(lake, LIVE_SCORES, S, DAY, rows | {"spread": np.ones(1, np.float32)}, schema_hash="abc")
    assert lake.info(LIVE_SCORES, S, DAY).schema_hash == "abc"
    with pytest.raises(BadColumns, match=r"\['spread'\] and not \['depth'\]"):
        merge(lake, LIVE_SCORES, S, DAY, rows | {"depth": np.ones(1, np.float32)})

from pathlib import Path

import numpy as np
import pytest

from archive.layout import empty_book
from archive.store import Lake
from market.columns import BOOK_RESET
from pipelines.fill_markouts import fill_markouts
from pipelines.live_rows import Rows
from tests.pipelines.live_tables import DAY, SECOND_NS, SYMBOL, at


def market(lake: Lake, seconds: list[float], mids: list[int], resets: tuple[int, ...] = ()) -> None:
    """A book of these rows, one tick wide on each side of its mid."""
    book = empty_book(len(seconds))
    book.exchange_ns[:] = book.local_ns[:] = [at(second) for second in seconds]
    book.sequence[:] = np.arange(len(seconds))
    book.flags[:] = [BOOK_RESET if place in resets else 0 for place in range(len(seconds))]
    for ladder in (book.bid_lots, book.ask_lots):
        ladder[:] = 1
    levels = np.arange(len(book.bid_ticks))[:, None]
    book.bid_ticks[:], book.ask_ticks[:] = np.array(mids) - 1 - levels, np.array(mids) + 1 + levels
    lake.write_book(SYMBOL, DAY, book, source="live")


def fills(*seconds: float, side: int = 1) -> Rows:
    """Fills at these times."""
    columns = {
        "symbol": np.zeros(len(seconds), np.int16), "at_ns": np.array([at(second) for second in seconds]),
        "side": np.full(len(seconds), side, np.int8),
    }  # fmt: skip
    return Rows((SYMBOL,), columns)


def test_a_markout_is_the_mids_move_in_the_fills_direction(tmp_path: Path) -> None:
    """From the mid in force at the fill to the one in force at each horizon."""
    lake = Lake.create(tmp_path)
    market(lake, [0, 1, 1.3, 1.9, 3], [10_000, 10_000, 10_010, 10_030, 10_020])
    found = fill_markouts(lake, fills(1.25), 60 * SECOND_NS)
    assert [found[horizon][0] for horizon in (100, 500, 1_000)] == pytest.approx([10.0, 10.0, 30.0])
    sold = fill_markouts(lake, fills(1.25, side=-1), 60 * SECOND_NS)
    assert sold[1_000][0] == pytest.approx(-30.0)


def test_where_the_market_was_not_seen_there_is_none(tmp_path: Path) -> None:
    """Behind the last row, across a book that began anew, across a silence, before the first row, without a book."""
    lake = Lake.create(tmp_path)
    market(lake, [0, 1, 2, 3, 4, 14, 15, 20], [10_000] * 8, resets=(2,))
    found = fill_markouts(lake, fills(-1.0, 1.5, 2.5, 4.5, 19.9), 5 * SECOND_NS)[1_000]
    assert np.isfinite(found).tolist() == [False, False, True, False, False]
    stranger = Rows(("ETHUSDT",), fills(1.0).columns)
    assert np.isnan(fill_markouts(lake, stranger, SECOND_NS)[100]).all()

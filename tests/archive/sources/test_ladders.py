"""Floats to ticks and lots: what is a book, and what a refusal names."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from archive.sources.ladders import Place, first_of_each, to_ladder, to_ticks, well_formed
from market.events import LEVELS, NO_BID_TICKS, BadReference
from tests.archive.sources.made import TABLE

BTC = TABLE["BTC-USD"]
NAN = float("nan")


def _place(rows: int) -> Place:
    return Place(Path("some.csv"), np.arange(100, 100 + rows))


@pytest.mark.parametrize(
    ("prices", "sizes", "good"),
    [
        ([3, 2, 1], [1, 1, 1], True),
        ([3, 2, NAN], [1, 1, NAN], True),
        ([NAN, NAN, NAN], [NAN, NAN, NAN], True),
        ([3, NAN, 1], [1, NAN, 1], False),
        ([3, 3, 1], [1, 1, 1], False),
        ([1, 2, 3], [1, 1, 1], False),
        ([3, 2, 0], [1, 1, 1], False),
        ([3, 2, -1], [1, 1, 1], False),
        ([3, 2, 1], [1, 1, 0], False),
        ([3, 2, 1], [1, 1, NAN], False),
        ([3, 2, NAN], [1, 1, 1], False),
        ([float("inf"), 2, 1], [1, 1, 1], False),
    ],
)
def test_a_side_is_finite_positive_sorted_and_without_holes(
    prices: list[float], sizes: list[float], good: bool
) -> None:
    """Judged for bids, and for asks in the mirror (asks rise where bids fall)."""
    none = np.full((1, 3), NAN)
    side, size = np.array([prices], float), np.array([sizes], float)
    assert well_formed(side, size, none, none).tolist() == [good]
    mirrored = np.where(side > 0, 10 - side, side)
    assert well_formed(none, none, mirrored, size).tolist() == [good]


@given(st.lists(st.lists(st.integers(1, 10**6), max_size=12, unique=True), min_size=1, max_size=20))
def test_whole_ticks_survive_the_way_through_floats(rows: list[list[int]]) -> None:
    """However many levels a row has: the best ten come out exactly, the others are missing."""
    prices = np.full((len(rows), 12), NAN)
    for row, ticks in enumerate(rows):
        prices[row, : len(ticks)] = np.array(sorted(ticks, reverse=True)) / 100
    found, lots = to_ladder(BTC, prices, prices, NO_BID_TICKS, _place(len(rows)))
    assert (found.shape, found.dtype, found.flags.c_contiguous) == ((LEVELS, len(rows)), np.int32, True)
    for row, ticks in enumerate(rows):
        best = sorted(ticks, reverse=True)[:LEVELS]
        assert found[:, row].tolist() == best + [NO_BID_TICKS] * (LEVELS - len(best))
        assert (lots[:, row] > 0).sum() == len(best)


@given(st.integers(1, 40), st.data())
def test_a_refusal_names_the_first_offender(n: int, data: st.DataObject) -> None:
    """The file, and the row of the first value that is off, wherever it stands."""
    off = data.draw(st.sets(st.integers(0, n - 1), min_size=1))
    prices = np.array([1.005 if k in off else 1.01 for k in range(n)])
    with pytest.raises(BadReference, match=rf"^some\.csv, row {100 + min(off)}: .*1\.005"):
        to_ticks(BTC, prices, _place(n))


def test_the_first_of_each_id_is_marked() -> None:
    """In any order of ids."""
    assert first_of_each(np.array([5, 3, 5, 3, 9])).tolist() == [True, True, False, False, True]

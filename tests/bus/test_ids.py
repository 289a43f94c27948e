"""Ids compare by their numbers, and each has neighbours."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bus.errors import BusError
from bus.ids import after, before, parse, write

KEYS = st.tuples(st.integers(0, 2**53), st.one_of(st.integers(0, 9), st.integers(2**64 - 3, 2**64 - 1)))


@given(KEYS, KEYS)
def test_ids_keep_their_order_and_text(one: tuple[int, int], two: tuple[int, int]) -> None:
    """`9-0` lies below `10-0`, which their texts do not."""
    assert parse(write(one)) == one
    assert (parse(write(one)) < parse(write(two))) == (one < two)


@given(KEYS)
def test_neighbours_are_inverse(key: tuple[int, int]) -> None:
    """Nothing lies between an id and the one after it."""
    assert before(after(key)) == key < after(key)
    assert before((0, 0)) == (0, 0)


def test_an_id_may_leave_out_its_number() -> None:
    """As on the server."""
    assert parse("5") == (5, 0)


@pytest.mark.parametrize("text", ["", "$", "5-", "x-1", "5-*"])
def test_no_id_is_refused(text: str) -> None:
    """With what it was."""
    with pytest.raises(BusError, match="was '"):
        parse(text)

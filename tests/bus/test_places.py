"""A consumer knows where to go on without the server's help, and what a shortened stream means."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bus.ids import parse, write
from bus.places import Places, begins_anew
from bus.protocol import Entry


def entry(number: int) -> Entry:
    """An entry of the group."""
    return Entry("s", f"{number}-0", b"", 1, "g")


@given(st.integers(0, 20), st.sets(st.integers(1, 20)))
def test_it_goes_on_behind_what_was_acknowledged(last: int, acked: set[int]) -> None:
    """Everything above the place is unacknowledged or not yet seen, and nothing unacknowledged lies at or below it."""
    places = Places()
    places.begin("s", "g", (0, 0))
    seen = range(1, last + 1)
    places.delivered("s", "g", [f"{n}-0" for n in seen], (last, 0))
    places.settle("s", "g", [f"{n}-0" for n in acked])
    resume = places.resume("s", "g")
    unacked = [n for n in seen if n not in acked]
    assert all((n, 0) > resume for n in unacked)
    assert resume == (last, 0) if not unacked else resume < (unacked[0], 0)
    assert [n for n in seen if places.is_out("s", "g", f"{n}-0")] == unacked
    assert parse(write(resume)) == resume


def test_a_group_that_begins_again_has_nothing_out() -> None:
    """What was with the handlers comes again."""
    places = Places()
    places.begin("s", "g", (0, 0))
    places.hand_out(entry(5))
    places.begin("s", "g", (3, 0))
    assert places.resume("s", "g") == (3, 0)


@pytest.mark.parametrize(
    ("last", "cursor", "anew"),
    [
        ((50_000, 3), (50_000, 3), False),
        ((60_000, 0), (50_000, 0), False),
        ((50_000, 2), (50_000, 3), False),
        ((40_000, 0), (50_000, 0), False),
        ((39_999, 0), (50_000, 0), True),
        ((0, 0), (50_000, 0), True),
    ],
)
def test_a_stream_that_lacks_its_last_seconds_is_still_the_same(
    last: tuple[int, int], cursor: tuple[int, int], anew: bool
) -> None:
    """Its writer gives them again under the same ids; anything shorter is another stream."""
    assert begins_anew(last, cursor) is anew

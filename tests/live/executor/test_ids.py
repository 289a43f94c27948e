"""Client ids: a function of approval, leg, rung and replacement, within what both venues take."""

import re

from hypothesis import given
from hypothesis import strategies as st

from bus.messages import Leg
from live.executor.ids import LONGEST, client_id, is_ours

keys = st.tuples(st.text(min_size=1), st.sampled_from(["entry", "exit"]), st.integers(0, 9), st.integers(0, 10**8))


@given(keys)
def test_an_id_is_the_same_for_ever_and_fits(key: tuple[str, Leg, int, int]) -> None:
    """The same intent, the same id; at most 36 of the characters that Binance and Bybit share."""
    made = client_id(*key)
    assert made == client_id(*key)
    assert len(made) <= LONGEST
    assert re.fullmatch(r"[A-Za-z0-9_-]+", made)
    assert is_ours(made)


@given(keys, keys)
def test_two_intents_have_two_ids(one: tuple[str, Leg, int, int], other: tuple[str, Leg, int, int]) -> None:
    """Whatever differs, the ids differ."""
    assert (client_id(*one) == client_id(*other)) is (one == other)


def test_others_are_not_taken_for_ours() -> None:
    """Ids by hand, by another program, or of another shape."""
    for found in ("", "x", "web_abc", "tgabc-e0-0", "tgabcdefghijklmnop-z0-0", "TGABCDEFGHIJKLMNOP-e0-0"):
        assert not is_ours(found)


def test_an_id_is_written_in_stone() -> None:
    """A change of the rule would orphan every order that rests at a venue during an update."""
    assert client_id("BTCUSDT-1", "entry", 1, 2) == "tg6ramrnikx4joxve3-e1-2"

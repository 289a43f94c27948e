"""Whatever a venue answers about orders: the desk goes on, and tells of nothing that cannot be."""

import copy
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from live.exchange.outcomes import Venue
from live.exchange.protocol import Accepted, Fill, Surveyed, Trouble, Unknown
from tests.fuzz.answers import SEEDS, VENUES, played

_TEXTS = ("", "-0.001", "1e999", "NaN", "-Infinity", "9" * 25, "9" * 6_000, "0", "0.0001", "a", "\0", "\ud83d")
_ODD = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**70), 2**70),
    st.floats(),
    st.sampled_from(_TEXTS),
    st.lists(st.integers(0, 2), max_size=2),
    st.dictionaries(st.sampled_from(["code", "list"]), st.just(-1), max_size=2),
)


def _paths(document: Any, before: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    keys = document.items() if isinstance(document, dict) else enumerate(document) if isinstance(document, list) else ()
    return [before] + [path for key, each in keys for path in _paths(each, (*before, key))]


def _changed(document: Any, path: tuple[Any, ...], value: Any) -> Any:
    """The document with one place taken by something else; a path that is gone changes nothing."""
    if not path:
        return value
    whole = copy.deepcopy(document)
    at = whole
    for key in path[:-1]:
        at = at[key]
    at[path[-1]] = value
    return whole


@pytest.mark.parametrize("venue", VENUES)
def test_sound_answers_are_understood(venue: Venue) -> None:
    """So that changed ones reach what lies behind."""
    placing, surveying, _ = ([json.dumps(each) for each in answers] for answers in SEEDS[venue])
    kinds = {type(each) for each in played(venue, 0, 200, placing)}
    assert {Accepted, Fill} <= kinds or venue == "bybit"
    (told,) = (each for each in played(venue, 4, 200, surveying) if isinstance(each, Surveyed))
    assert (told.position_lots, told.free_balance, len(told.fills)) == (-10, 12.5, 1)


@pytest.mark.parametrize("venue", VENUES)
@given(data=st.data())
@settings(max_examples=150, deadline=None)
def test_an_answer_with_odd_places_harms_nothing(venue: Venue, data: st.DataObject) -> None:
    """One place or two are replaced by what JSON can hold; every request, every status."""
    answers = list(data.draw(st.sampled_from(SEEDS[venue])))
    for _ in range(data.draw(st.integers(1, 2))):
        which = data.draw(st.integers(0, len(answers) - 1))
        path = data.draw(st.sampled_from(_paths(answers[which])))
        answers[which] = _changed(answers[which], path, data.draw(_ODD))
    bodies = [json.dumps(each) for each in answers]
    played(venue, data.draw(st.integers(0, 6)), data.draw(st.sampled_from([200, 200, 200, 400])), bodies)


def test_an_answer_about_another_order_leaves_ours_unknown() -> None:
    """It is asked for then; the other one is nobody's here."""
    order, trades = SEEDS["binance"][0]
    told = played("binance", 0, 200, [json.dumps(order | {"clientOrderId": "b"}), json.dumps(trades)])
    assert [type(each) for each in told] == [Unknown, Trouble]
    told = played("binance", 2, 200, [json.dumps(order | {"clientOrderId": "b"}), json.dumps(trades)])
    assert isinstance(told[0], Unknown) and told[0].is_cancel and len(told) == 2


@pytest.mark.parametrize("venue", VENUES)
def test_a_balance_that_is_no_number_is_no_survey(venue: Venue) -> None:
    """Python reads `NaN`, in JSON as in text; the executor keeps what it knew."""
    answers = [json.dumps(each).replace('"12.5"', "NaN") for each in SEEDS[venue][1]]
    told = played(venue, 4, 200, answers)
    assert not any(isinstance(each, Surveyed) for each in told)
    assert any(isinstance(each, Trouble) and "wanted a finite number" in each.reason for each in told)


@pytest.mark.parametrize("body", ["", "null", "[" * 100_000, "<html>" * 10_000, '"' + "x" * 100_000 + '"', "[[]]"])
@pytest.mark.parametrize("venue", VENUES)
def test_what_is_no_answer_is_told_in_a_sentence(venue: Venue, body: str) -> None:
    """Never raised, never a page long."""
    for number in range(7):
        told = played(venue, number, 200, [body])
        assert all(len(each.reason) <= 400 for each in told if isinstance(each, Trouble))

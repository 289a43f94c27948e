"""A question of a panel, its names and its limits."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitoring.panel import Limit, Query


def test_a_question_without_variables_asks_for_all_of_them() -> None:
    """What Grafana fills in from a reader's choice is everything here."""
    query = Query('rate(fills_total{route=~"$route",symbol=~"$symbol"}[$__rate_interval])', "{{route}}")
    assert query.asked("15s") == 'rate(fills_total{route=~".*",symbol=~".*"}[15s])'


def test_a_legend_is_filled_from_the_answers_labels() -> None:
    """A label that is not there leaves nothing behind."""
    query = Query("up", "{{ trial }}: {{gate}}")
    assert list(query.labels) == ["trial", "gate"]
    assert query.named({"trial": "canary", "gate": "markout"}) == "canary: markout"
    assert query.named({"trial": "canary"}) == "canary:"


@pytest.mark.parametrize(
    ("limit", "value", "is_beyond"),
    [
        (Limit(0.3, "above", "alert"), 0.31, True),
        (Limit(0.3, "above", "alert"), 0.3, False),
        (Limit(0.25, "below", "alert"), 0.24, True),
        (Limit(0.25, "below", "alert"), 0.25, False),
        (Limit(0.25, "below", "alert"), math.nan, False),
        (Limit(0.25, "above", "alert"), math.nan, False),
    ],
)
def test_beyond_is_behind_the_limit(limit: Limit, value: float, is_beyond: bool) -> None:
    """On it is not beyond it, as in the alerts; what is not a number is nowhere."""
    assert limit.is_beyond(value) is is_beyond


def test_a_limit_is_about_the_series_it_names() -> None:
    """By the end of the name; without one about all."""
    assert Limit(-2.0, "below", "rollback", of="1000 ms").is_about("canary 1000 ms")
    assert not Limit(-2.0, "below", "rollback", of="1000 ms").is_about("canary 100 ms")
    assert Limit(0.0, "above", "alert").is_about("anything")


@given(st.floats(allow_nan=False), st.floats(allow_nan=False))
def test_no_value_is_beyond_both_sides(limit: float, value: float) -> None:
    """Whatever the numbers."""
    assert not (Limit(limit, "above", "").is_beyond(value) and Limit(limit, "below", "").is_beyond(value))

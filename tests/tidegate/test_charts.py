"""Drawings of panels: well-formed, within their box, readable without a legend of colours."""

import math
import xml.etree.ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitoring.panel import Limit, Unit
from tests.tidegate.boards import SECONDS, START, panel, series
from tidegate.board import Mark, Shown
from tidegate.charts import COLORS, HEIGHT, WIDTH, color_of, drawing, spelled, ticks


def _drawn(shown: Shown, *marks: Mark) -> ET.Element:
    return ET.fromstring(drawing(shown, START, START + SECONDS, marks))  # noqa: S314 - made by us


def _words(root: ET.Element) -> list[str]:
    return [each.text or "" for each in root.iter("text")]


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (0.532, "share", "53.2 %"), (0.0004, "seconds", "400 µs"), (0.25, "seconds", "250 ms"),
        (3.5, "seconds", "3.5 s"), (600.0, "seconds", "10 min"), (0.0, "seconds", "0 s"), (1.25, "bps", "1.25 bps"),
        (12345.6, "quote", "12,346"), (2.0, "per_second", "2/s"), (90.0, "per_hour", "90/h"),
        (math.nan, "count", "-"), (math.inf, "bps", "∞"),
    ],
)  # fmt: skip
def test_values_are_spelled_in_their_unit(value: float, unit: Unit, text: str) -> None:
    """As people read them."""
    assert spelled(value, unit) == text


@given(st.floats(-1e9, 1e9), st.floats(1e-6, 1e9))
def test_ticks_are_round_and_cover_both_ends(low: float, width: float) -> None:
    """Few, in order, none outside by more than a step."""
    found = ticks(low, low + width)
    step = found[1] - found[0]
    assert 2 <= len(found) <= 8
    assert found[0] <= low + 1e-6 * step and found[-1] >= low + width - 1e-6 * step
    assert found == sorted(found)


@given(
    st.lists(st.floats(allow_nan=True, allow_infinity=True, width=32), max_size=20), st.sampled_from(["lines", "steps"])
)
def test_whatever_the_values_it_can_be_drawn(values: list[float], kind: str) -> None:
    """NaN, infinities and none at all leave a hole; nothing lies outside of the box."""
    root = _drawn(Shown(panel(kind=kind), [series("full", *values)]))
    numbers = [
        float(word)
        for path in root.iter("path")
        for word in path.attrib["d"].replace("M", " ").replace("L", " ").replace("H", " ").replace("h3", " ").split()
    ]
    assert all(-1.0 <= number <= max(WIDTH, HEIGHT) + 1.0 for number in numbers)
    assert ("no data yet" in _words(root)) is (not any(map(math.isfinite, values)))


def test_a_hole_parts_the_line() -> None:
    """A value that is none is not bridged."""
    whole = _drawn(Shown(panel(), [series("full", 0.4, 0.5, 0.6)]))
    parted = _drawn(Shown(panel(), [series("full", 0.4, 0.5, math.nan, 0.6, 0.7)]))
    assert (len(list(whole.iter("path"))), len(list(parted.iter("path")))) == (1, 2)


def test_a_limit_is_drawn_with_its_value_and_its_side() -> None:
    """Words, not only a colour."""
    root = _drawn(Shown(panel(), [series("full", 0.4)]))
    assert "alert < 25 %" in _words(root)
    above = panel(unit="count", limits=(Limit(200.0, "above", "sheds", of="waiting"),))
    assert "waiting: sheds > 200" in _words(_drawn(Shown(above, [series("waiting", 150.0)])))


def test_a_limit_far_from_the_data_is_named_and_not_drawn() -> None:
    """Or the data would be a flat line."""
    far = panel(unit="count", limits=(Limit(200.0, "above", "sheds"),))
    words = _words(_drawn(Shown(far, [series("waiting", 1.0, 3.0)])))
    assert "sheds at 200, far above" in words
    assert not [word for word in words if word == "200"]


def test_moments_and_moving_limits_are_drawn() -> None:
    """A dashed line each; the moment says what it was."""
    shown = Shown(panel(), [series("full", 0.4, 0.5), series("canary alert", 0.3, 0.3, is_limit=True)])
    root = _drawn(shown, Mark(START + 1, "rollback: markout", "red"), Mark(START - 99, "long ago", "red"))
    assert [each.text for each in root.iter("title")] == ["full", "canary alert", "rollback: markout"]
    assert sum("stroke-dasharray" in each.attrib for each in root.iter("path")) == 1


def test_a_histogram_is_drawn_in_cells() -> None:
    """What lies in a bucket is its total less that of the bucket below."""
    shown = Shown(panel(kind="heatmap", limits=()), [series("0.5", 2.0, 2.0), series("1.0", 2.0, 6.0)])
    cells = list(_drawn(shown).iter("rect"))
    assert sorted(float(each.attrib["fill-opacity"]) for each in cells) == [0.54, 0.54, 1.0]


def test_colours_come_round() -> None:
    """More series than colours are still drawn."""
    assert color_of(len(COLORS)) == color_of(0)
    assert len(set(COLORS)) == len(COLORS)


def test_what_a_label_says_is_text() -> None:
    """A name with markup in it stays a name."""
    root = _drawn(Shown(panel(), [series('<b>&"full', 0.4)]))
    assert next(root.iter("title")).text == '<b>&"full'

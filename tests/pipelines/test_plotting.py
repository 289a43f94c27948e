import struct

import pytest
from matplotlib.figure import Figure

from pipelines.plotting import BLUE, bars, dress, figure, mark, png


def drawn(text: str = "tau") -> Figure:
    """A small figure with a bar chart and a marked line."""
    made = figure("A question?", "What was counted.", height_inches=3.0, width_inches=4.0)
    axes = made.subplots()
    bars(axes, ["spread", "flow"], [1.0, 2.0], ["1", "2"], [BLUE, BLUE])
    mark(axes, 1.5, text)
    dress(axes, "gain", "")
    return made


def test_a_picture_is_a_png_of_the_size_asked_for() -> None:
    """At the resolution the page shows it in."""
    content = png(drawn())
    assert content.startswith(b"\x89PNG\r\n\x1a\n")
    width, height = struct.unpack(">II", content[16:24])
    assert width / height == pytest.approx(4.0 / 3.0, rel=0.02)
    assert width >= 500


def test_equal_pictures_are_equal_bytes() -> None:
    """No date and no version inside, so that a picture changes only with what it shows."""
    assert png(drawn()) == png(drawn())
    assert png(drawn("tau")) != png(drawn("other"))


def test_the_title_block_stands_above_the_plots() -> None:
    """Title and subtitle are there, and the axes begin below them."""
    made = drawn()
    assert [text.get_text() for text in made.texts] == ["A question?", "What was counted."]
    png(made)
    lowest = min(text.get_window_extent().y0 for text in made.texts)
    assert max(axes.get_window_extent().y1 for axes in made.axes) < lowest


def test_a_mark_writes_on_the_side_that_has_room() -> None:
    """Left of a line on the right, right of a line on the left."""
    axes = figure("", "").subplots()
    axes.set_xlim(0.0, 1.0)
    mark(axes, 0.1, "near the left")
    mark(axes, 0.9, "near the right")
    aligned = {text.get_text(): text.get_horizontalalignment() for text in axes.texts}
    assert aligned == {"near the left": "left", "near the right": "right"}

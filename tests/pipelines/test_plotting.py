"""Pictures that say the same thing in the same bytes, and hide nothing behind a label."""

import io
import struct
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from PIL import Image

from pipelines import plotting


def _axes() -> Axes:
    return plotting.figure("Title", "and what it means").subplots()


def _texts(ax: Axes) -> list[str]:
    return [text.get_text() for text in ax.texts]


def _bars(values: list[float]) -> Axes:
    ax = _axes()
    names = [f"f{place}" for place in range(len(values))]
    plotting.bars(ax, names, values, [f"{value:g}" for value in values], [plotting.BLUE] * len(values))
    return ax


def _picture(values: list[float]) -> bytes:
    fig = _bars(values).figure
    assert isinstance(fig, Figure)
    return plotting.png(fig)


def _luminance(colour: str) -> float:
    red, green, blue = to_rgb(colour)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def test_a_figure_has_its_title_block_and_no_axes_yet() -> None:
    """Title in bold, subtitle under it, both from the left edge; the plots are the caller's."""
    fig = plotting.figure("Drift", "PSI of each feature")
    title, subtitle = fig.texts
    assert (title.get_text(), subtitle.get_text()) == ("Drift", "PSI of each feature")
    assert title.get_position()[0] == subtitle.get_position()[0]
    assert title.get_position()[1] > subtitle.get_position()[1]
    assert (title.get_weight(), fig.axes) == ("bold", [])


@pytest.mark.parametrize(("width", "height"), [(7.6, 4.8), (7.6, 12.0), (4.0, 2.0)])
def test_a_picture_is_as_large_as_it_was_asked_for(width: float, height: float) -> None:
    """144 dots an inch, so that two pictures beside one another match."""
    fig = plotting.figure("T", "s", height_inches=height, width_inches=width)
    fig.subplots().plot([0, 1], [0, 1])
    size = struct.unpack(">II", plotting.png(fig)[16:24])
    assert size == (round(width * 144), round(height * 144))


@pytest.mark.parametrize("height", [2.0, 4.8, 12.0])
def test_plots_stay_below_the_title_block(height: float) -> None:
    """However high the figure is, no axes reaches into the subtitle."""
    fig = plotting.figure("T", "s", height_inches=height)
    ax = fig.subplots()
    fig.draw_without_rendering()
    below = fig.texts[1].get_window_extent().y0
    assert ax.get_tightbbox().y1 < below


def test_the_same_picture_is_the_same_bytes() -> None:
    """No time, no version of the library: a card's hash depends on what is drawn."""
    first, second = _picture([1.0, 2.0]), _picture([1.0, 2.0])
    assert first == second
    assert Image.open(io.BytesIO(first)).info.keys().isdisjoint({"Software", "Creation Time"})
    assert first != _picture([1.0, 2.1])


def test_the_paper_is_white() -> None:
    """On a dark page, too: nothing is transparent."""
    image = Image.open(io.BytesIO(plotting.png(plotting.figure("T", "s")))).convert("RGBA")
    assert image.getpixel((0, image.height - 1)) == (255, 255, 255, 255)


def test_colours_differ_in_grey_and_stand_out_from_the_paper() -> None:
    """Blue, vermillion and amber are told apart when printed without colour."""
    greys = sorted(_luminance(colour) for colour in (plotting.BLUE, plotting.VERMILLION, plotting.AMBER))
    assert min(high - low for low, high in pairwise(greys)) > 0.05
    assert _luminance(plotting.INK) < greys[0]
    assert greys[-1] < _luminance(plotting.FAINT) < _luminance(plotting.PAPER)


@pytest.mark.parametrize(("grid", "shown"), [("x", (True, False)), ("y", (False, True)), ("both", (True, True))])
def test_a_dressed_plot_has_the_grid_it_was_given(grid: str, shown: tuple[bool, bool]) -> None:
    """Along one axis or both, behind the data; a second dress replaces the first."""
    ax = _axes()
    plotting.dress(ax)
    plotting.dress(ax, "seconds", "share", grid)
    lines = [axis.get_gridlines()[0].get_visible() for axis in (ax.xaxis, ax.yaxis)]
    assert tuple(lines) == shown
    assert (ax.get_xlabel(), ax.get_ylabel(), ax.get_axisbelow()) == ("seconds", "share", True)
    assert {side for side, spine in ax.spines.items() if spine.get_visible()} == {"left", "bottom"}


def test_legends_name_the_curves_without_a_frame() -> None:
    """In a corner, or in one line above the plot where no curve can be."""
    ax = _axes()
    ax.plot([0, 1], [0, 1], label="found")
    ax.plot([0, 1], [1, 0], label="wanted")
    plotting.legend(ax, "upper left")
    inside = ax.get_legend()
    plotting.legend_above(ax)
    above = ax.get_legend()
    ax.figure.draw_without_rendering()
    for box in (inside, above):
        assert box is not None
        assert [text.get_text() for text in box.get_texts()] == ["found", "wanted"]
        assert not box.get_frame_on()
    assert above is not None
    assert above.get_window_extent().y0 >= ax.get_window_extent().y1 - 1


@pytest.mark.parametrize(("x", "side"), [(0.0, "left"), (5.9, "left"), (6.1, "right"), (10.0, "right")])
def test_a_mark_writes_on_the_side_with_more_room(x: float, side: str) -> None:
    """Its text would otherwise run out of the picture at the right edge."""
    ax = _axes()
    ax.set_xlim(0, 10)
    plotting.mark(ax, x, "tau 0.5")
    (text,) = ax.texts
    assert (text.get_text(), text.get_horizontalalignment()) == ("tau 0.5", side)
    assert list(ax.lines[-1].get_xdata()) == [x, x]


def test_the_first_bar_is_on_top_and_each_has_its_label() -> None:
    """Names beside the axis in the order given; colours and lengths are the caller's."""
    ax = _axes()
    plotting.bars(ax, ["worst", "best"], [0.5, 0.25], ["0.50", "0.25"], [plotting.VERMILLION, plotting.BLUE])
    bottom, top = ax.get_ylim()
    assert bottom > top
    assert [tick.get_text() for tick in ax.get_yticklabels()] == ["worst", "best"]
    assert _texts(ax) == ["0.50", "0.25"]
    assert [bar.get_width() for bar in ax.patches] == [0.5, 0.25]
    assert [bar.get_facecolor()[:3] for bar in ax.patches] == [to_rgb(plotting.VERMILLION), to_rgb(plotting.BLUE)]


def test_a_bar_below_zero_carries_its_label_on_the_other_side() -> None:
    """Beyond the end of the bar, and the zero line is drawn where the spine no longer is."""
    ax = _bars([1.0, -2.0])
    assert [text.get_horizontalalignment() for text in ax.texts] == ["left", "right"]
    assert not ax.spines["left"].get_visible()
    assert _bars([1.0, 2.0]).spines["left"].get_visible()


@settings(max_examples=15)
@given(st.lists(st.floats(-100, 100), min_size=1, max_size=6))
def test_there_is_room_for_every_label(values: list[float]) -> None:
    """Zero and every bar lie within the limits, with space beyond the longest on each side that has bars."""
    ax = _bars(values)
    left, right = ax.get_xlim()
    low, high = min(0.0, *values), max(0.0, *values)
    assert left < right
    assert (left < low) if low < 0 else (left == 0.0)
    assert right > high if high > 0 or low == 0 else right == 0.0


def test_bars_of_nothing_are_drawn_too() -> None:
    """A day without drift has every bar at zero, and a picture."""
    ax = _bars([0.0, 0.0, 0.0])
    assert ax.get_xlim() == (0.0, pytest.approx(0.17))
    assert _texts(ax) == ["0", "0", "0"]


def test_a_bar_without_its_label_is_a_mistake() -> None:
    """Lists of different lengths would label the wrong bars."""
    with pytest.raises(ValueError, match="shorter"):
        plotting.bars(_axes(), ["a", "b"], [1.0, 2.0], ["1"], [plotting.BLUE] * 2)

"""How our pictures look: one palette, one title block, PNG bytes that depend on nothing but what is drawn.

Colours are Okabe and Ito's, told apart by colour-blind readers and in grey; the canvas is Agg, without pyplot and its
global state.
"""

import io
from collections.abc import Sequence
from typing import Literal

from matplotlib.axes import Axes
from matplotlib.figure import Figure

BLUE, VERMILLION, AMBER, GREY = "#0072B2", "#D55E00", "#E69F00", "#8A8F98"
INK, FAINT, PAPER = "#1F2430", "#E4E7EC", "#FFFFFF"

_DPI = 144
_TITLE_INCHES = 0.82


def figure(title: str, subtitle: str, height_inches: float = 4.8, width_inches: float = 7.6) -> Figure:
    """Return an empty figure with a title block on the left above the plots; make axes with `fig.subplots`."""
    fig = Figure(figsize=(width_inches, height_inches), dpi=_DPI, facecolor=PAPER)
    top = 1.0 - _TITLE_INCHES / height_inches
    fig.set_layout_engine("constrained", rect=(0.01, 0.01, 0.97, top))
    inch = 1.0 / height_inches
    fig.text(0.025, 1.0 - 0.18 * inch, title, ha="left", va="top", size=13, weight="bold", color=INK)
    fig.text(0.025, 1.0 - 0.49 * inch, subtitle, ha="left", va="top", size=8.5, color="#5A6170")
    return fig


def dress(ax: Axes, x_label: str = "", y_label: str = "", grid: str = "both") -> None:
    """Give axes their labels, light grid and quiet spines; grid is `x`, `y` or `both`."""
    ax.set_xlabel(x_label, color=INK, size=9)
    ax.set_ylabel(y_label, color=INK, size=9)
    ax.tick_params(colors="#5A6170", labelsize=8.5, length=0)
    ax.grid(visible=False)
    ax.grid(visible=True, axis=grid, color=FAINT, linewidth=0.8)  # type: ignore[arg-type]
    ax.set_axisbelow(True)
    for side in ("top", "right"):
        ax.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        ax.spines[side].set_color("#C5CAD3")


def legend(ax: Axes, where: Literal["upper left", "lower right"]) -> None:
    """Place the legend of an axes in a corner that the curves leave free, without a frame."""
    ax.legend(loc=where, frameon=False, fontsize=8.5, labelcolor=INK)


def legend_above(ax: Axes) -> None:
    """Place the legend in one line above the axes, on the right: for plots that may fill every corner."""
    ax.legend(
        loc="lower right",
        bbox_to_anchor=(1.0, 1.0),
        ncols=4,
        frameon=False,
        fontsize=8.5,
        labelcolor=INK,
        borderpad=0.2,
    )


def mark(ax: Axes, x: float, text: str) -> None:
    """Draw a dashed line at x with its text beside the top, on the side that has more room."""
    ax.axvline(x, color=INK, linewidth=1.1, linestyle=(0, (4, 3)))
    low, high = ax.get_xlim()
    to_the_left = x > low + 0.6 * (high - low)
    ax.annotate(
        text,
        (x, 1.0),
        xycoords=ax.get_xaxis_transform(),
        xytext=(-5 if to_the_left else 5, -4),
        textcoords="offset points",
        ha="right" if to_the_left else "left",
        va="top",
        size=8.5,
        color=INK,
        bbox={"facecolor": PAPER, "edgecolor": "none", "pad": 1.5, "alpha": 0.85},
    )


def bars(
    ax: Axes, names: Sequence[str], values: Sequence[float], labels: Sequence[str], colours: Sequence[str]
) -> None:
    """Draw horizontal bars, the first on top, each with its label beyond its end."""
    places = range(len(names))
    ax.barh(list(places), list(values), color=list(colours), height=0.68)
    ax.set_yticks(list(places), list(names))
    ax.set_ylim(len(names) - 0.4, -0.6)
    low, high = min(0.0, *values), max(0.0, *values)
    room = 0.17 * ((high - low) or 1.0)
    ax.set_xlim(low - (room if low < 0 else 0.0), high + (room if high > 0 or low == 0 else 0.0))
    for place, value, label in zip(places, values, labels, strict=True):
        side = "left" if value >= 0 else "right"
        ax.annotate(
            label,
            (value, place),
            xytext=(4 if value >= 0 else -4, 0),
            textcoords="offset points",
            ha=side,
            va="center",
            size=8,
            color="#5A6170",
            bbox={"facecolor": PAPER, "edgecolor": "none", "pad": 0.8, "alpha": 0.85},
        )
    dress(ax, grid="x")
    ax.spines["left"].set_visible(low == 0)
    ax.axvline(0.0, color="#C5CAD3", linewidth=0.8)


def png(fig: Figure) -> bytes:
    """Return the figure as PNG; the same figure gives the same bytes."""
    buffer = io.BytesIO()
    fig.savefig(buffer, format="png", facecolor=PAPER, metadata={"Software": None})
    return buffer.getvalue()

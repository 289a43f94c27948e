"""Pictures of live evidence: reliability on the same candidates, routes with intervals, profit, the paired path.

Each takes what was measured and returns PNG bytes. Colours stand for slots and routes everywhere alike.
"""

from collections.abc import Callable, Mapping

import numpy as np
from matplotlib.axes import Axes
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
from numpy.typing import NDArray

from archive.live_tables import ROUTE_CODES
from evaluation.calibration import brier, ece_debiased, reliability
from evaluation.clustered import Estimate
from pipelines.live_measures import Evaluation, Judgements, TradedFigures, is_known
from pipelines.live_rows import Rows
from pipelines.plotting import AMBER, BLUE, GREY, PAPER, VERMILLION, dress, figure, legend, legend_above, png

_SLOT_COLOURS = {"active": BLUE, "shadow": VERMILLION, "canary": AMBER}
_ROUTE_COLOURS = {"canary": AMBER, "paper": BLUE, "full": VERMILLION}
_LEAST_ROWS = 20
_MOST_POINTS = 4_000


def reliability_of_slots(said: Mapping[str, Judgements]) -> bytes:
    """Draw how often the scores of each slot came true, on the candidates that all of them judged."""
    rows = len(next(iter(said.values())).won)
    fig = figure("Do live scores mean what they say?", f"{rows:,} resolved candidates, the same for each slot.", 5.2)
    ax = fig.subplots()
    ends = [_draw_reliability(ax, slot, each) for slot, each in said.items()]
    low, high = min(end[0] for end in ends), max(end[1] for end in ends)
    room = 0.06 * (high - low) or 0.05
    ax.plot([0, 1], [0, 1], color=GREY, linewidth=1, linestyle=(0, (4, 3)), zorder=1, label="perfectly calibrated")
    ax.set_xlim(low - room, high + room)
    ax.set_ylim(low - room, high + room)
    dress(ax, "score", "share that won")
    legend(ax, "upper left")
    return png(fig)


def routes_compared(found: Evaluation, winrate_target: float) -> bytes:
    """Draw win rate, fill rate, markout and result of a round trip by route, each with its interval."""
    routes = [name for name in ROUTE_CODES if name in found.routes]
    fig = figure(
        "What does each route bring?",
        "95 % intervals, clustered by stretches of market: Wilson on the effective rows for shares, Student for means.",
        1.9 + 0.52 * max(2, len(routes)),
        12.0,
    )
    axes = fig.subplots(1, 4, sharey=True)
    panels: tuple[tuple[str, str, Callable[[TradedFigures], Estimate], float | None], ...] = (
        ("judged win rate", "share", lambda each: each.judged_winrate, winrate_target),
        ("fill rate of entries", "share", lambda each: each.fill_rate, None),
        ("markout of fills, 1 s", "bps", lambda each: each.markouts_bps[1_000], 0.0),
        ("round trip after fees", "bps", lambda each: each.net_bps, 0.0),
    )
    for ax, (title, unit, pick, line) in zip(axes, panels, strict=True):
        _draw_estimates(ax, {name: pick(found.routes[name]) for name in routes})
        if line is not None:
            ax.axvline(line, color=GREY, linewidth=1, linestyle=(0, (4, 3)), zorder=1)
        dress(ax, unit, grid="x")
        ax.set_title(title, size=9.5, loc="left")
    axes[0].set_yticks(range(len(routes)), routes)
    axes[0].set_ylim(len(routes) - 0.4, -0.6)
    return png(fig)


def profit_over_time(trips: Rows) -> bytes:
    """Draw the sum of closed round trips after fees, by route."""
    total = float(trips["net_quote"].sum()) if len(trips) else 0.0
    fig = figure(
        "What was earned, after fees?",
        f"{len(trips):,} closed round trips, {total:+,.2f} quote units in all.",
        4.2,
        9.2,
    )
    ax = fig.subplots()
    for code, name in enumerate(ROUTE_CODES):
        mine = trips.where(trips["route"] == code)
        if not len(mine):
            continue
        order = np.argsort(mine["at_ns"], kind="stable")
        sums = np.cumsum(mine["net_quote"][order])
        label = f"{name}, {len(mine):,} trips, {sums[-1]:+,.2f}"
        ax.step(
            _times(mine["at_ns"][order]), sums, where="post", color=_ROUTE_COLOURS[name], linewidth=1.8, label=label
        )
    ax.axhline(0.0, color=GREY, linewidth=1, linestyle=(0, (4, 3)), zorder=1)
    _dress_times(ax, "quote units")
    if len(trips):
        legend_above(ax)
    return png(fig)


def paired_path(found: Evaluation, t_ns: NDArray[np.int64], difference: NDArray[np.float64]) -> bytes:
    """Draw the running sum of the challenger's squared error less the active version's: rising is worse."""
    assert found.paired is not None, "asked for a pair that is not there"  # noqa: S101
    pair, gap = found.paired, found.paired.brier_difference
    fig = figure(
        f"Is version {pair.challenger} better than version {pair.active}?",
        f"{pair.candidates:,} candidates judged by both, Brier difference {gap.value:+.5f} "
        f"({gap.low:+.5f} to {gap.high:+.5f}). Falling: the challenger is better.",
        4.2,
        9.2,
    )
    ax = fig.subplots()
    kept = np.unique(np.linspace(0, len(t_ns) - 1, min(_MOST_POINTS, len(t_ns))).astype(np.int64))
    ax.plot(_times(t_ns[kept]), np.cumsum(difference)[kept], color=VERMILLION, linewidth=1.6)
    ax.axhline(0.0, color=GREY, linewidth=1, linestyle=(0, (4, 3)), zorder=1)
    _dress_times(ax, "sum of squared error, challenger less active")
    return png(fig)


def _draw_reliability(ax: Axes, slot: str, said: Judgements) -> tuple[float, float]:
    """Draw one slot's curve and return the lowest and the highest value on it."""
    table = reliability(said.scores, said.won)
    colour = _SLOT_COLOURS[slot]
    is_first = slot == "active"
    error, square = max(0.0, ece_debiased(said.scores, said.won)), brier(said.scores, said.won)
    if is_first:
        ax.fill_between(table.predicted, table.low, table.high, color=colour, alpha=0.16, linewidth=0)
    style = "-" if is_first else (0, (5, 2)) if slot == "shadow" else (0, (1, 1.5))
    ax.plot(
        table.predicted, table.observed, color=colour, linewidth=1.8, linestyle=style, marker="o", ms=4,
        label=f"{slot} v{said.version}: ECE {error:.4f}, Brier {square:.4f}",
    )  # fmt: skip
    drawn = [table.predicted, table.observed, *((table.low, table.high) if is_first else ())]
    return float(min(values.min() for values in drawn)), float(max(values.max() for values in drawn))


def _draw_estimates(ax: Axes, found: Mapping[str, Estimate]) -> None:
    for place, (name, each) in enumerate(found.items()):
        if not each.rows:
            ax.annotate("none", (0.5, place), xycoords=("axes fraction", "data"), ha="center", va="center", size=8.5)
            continue
        colour = _ROUTE_COLOURS[name]
        if is_known(each):
            ax.plot([each.low, each.high], [place, place], color=colour, linewidth=2.2, solid_capstyle="butt")
        faint = 1.0 if each.rows >= _LEAST_ROWS else 0.45
        ax.plot([each.value], [place], marker="o", color=colour, ms=6.5, alpha=faint)
        ax.annotate(
            f"{each.value:.3f}  n={each.rows:,}", (each.value, place), xytext=(0, 8), textcoords="offset points",
            ha="center", va="bottom", size=8, bbox={"facecolor": PAPER, "edgecolor": "none", "pad": 0.6, "alpha": 0.85},
        )  # fmt: skip
    ax.margins(x=0.18)


def _times(t_ns: NDArray[np.int64]) -> NDArray[np.datetime64]:
    return t_ns.astype("datetime64[ns]")


def _dress_times(ax: Axes, label: str) -> None:
    dress(ax, "", label)
    locator = AutoDateLocator()  # type: ignore[no-untyped-call]
    ax.xaxis.set_major_locator(locator)
    ax.xaxis.set_major_formatter(ConciseDateFormatter(locator))  # type: ignore[no-untyped-call]

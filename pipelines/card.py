"""The model card: five pictures of a trained model, each beside the active version's where that says something, and
the text around them.

Every picture takes what was measured on rows the model has not seen and returns PNG bytes.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import ArrayLike, NDArray

from evaluation.calibration import brier, ece_debiased, reliability
from evaluation.discrimination import auc, base_rate
from evaluation.intervals import wilson
from evaluation.thresholds import sweep
from pipelines.plotting import AMBER, BLUE, GREY, INK, VERMILLION, bars, dress, figure, legend, legend_above, mark, png

_SWEEP_POINTS = 400
# Fewer taken signals than this say nothing about precision; the curve stops there.
_FEWEST_TAKEN = 20
_HISTOGRAM_BINS = 50
_TOP = 20
_TOP_DELTAS = 16


@dataclass(frozen=True, slots=True)
class Judged:
    """Scores float[n] in [0, 1] with what came of them, bool[n], under the name of the version that gave them."""

    name: str
    scores: NDArray[np.float32]
    won: NDArray[np.bool_]


def reliability_curve(model: Judged, active: Judged | None = None) -> bytes:
    """Draw how often a score came true, with 95 % Wilson bands, above the distribution of the scores."""
    error, square = max(0.0, ece_debiased(model.scores, model.won)), brier(model.scores, model.won)
    fig = figure(
        "Do scores mean what they say?",
        f"{model.won.size:,} candidates not trained on, ten bins of equal mass. "
        f"Debiased ECE {error:.4f}, Brier {square:.4f}.",
        height_inches=5.8,
    )
    curve, counts = fig.subplots(2, 1, sharex=True, height_ratios=[3.4, 1])
    ends = [_draw_reliability(curve, model, BLUE, band=True)]
    if active is not None:
        ends.append(_draw_reliability(curve, active, VERMILLION, band=False))
    low, high = min(end[0] for end in ends), max(end[1] for end in ends)
    room = 0.06 * (high - low) or 0.05
    curve.plot([0, 1], [0, 1], color=GREY, linewidth=1, linestyle=(0, (4, 3)), zorder=1, label="perfectly calibrated")
    curve.set_xlim(low - room, high + room)
    curve.set_ylim(low - room, high + room)
    dress(curve, "", "share that won")
    legend(curve, "upper left")
    edges = np.linspace(low - room, high + room, _HISTOGRAM_BINS + 1)
    counts.hist(model.scores, bins=edges.tolist(), color=BLUE, alpha=0.85)
    dress(counts, "score", "candidates", grid="y")
    return png(fig)


def threshold_sweep(
    model: Judged, tau_entry: float, target_precision: float | None = None, active: Judged | None = None
) -> bytes:
    """Draw the precision that each threshold would have reached, with its 95 % Wilson band, and the share it takes."""
    fig = figure(
        "What does a threshold buy?",
        f"{model.won.size:,} candidates not trained on, base rate {base_rate(model.won):.3f}. "
        f"Drawn while {_FEWEST_TAKEN} or more are taken.",
        height_inches=5.8,
    )
    precision, share = fig.subplots(2, 1, sharex=True, height_ratios=[2.2, 1])
    last = _draw_sweep(precision, share, model, BLUE, band=True)
    if active is not None:
        last = max(last, _draw_sweep(precision, share, active, VERMILLION, band=False))
    if target_precision is not None:
        precision.axhline(target_precision, color=GREY, linewidth=1, linestyle=(0, (1, 2)), label="target precision")
    dress(precision, "", "precision of those taken")
    dress(share, "threshold tau on the score", "share taken")
    share.set_ylim(0.0, 1.04)
    precision.set_xlim(float(min(model.scores.min(), tau_entry)) - 0.01, last + 0.02)
    if tau_entry <= last:
        mark(precision, tau_entry, f"tau_entry {tau_entry:.3f}")
        mark(share, tau_entry, f"{float((model.scores >= np.float32(tau_entry)).mean()):.1%} taken")
    else:
        precision.set_title(f"tau_entry {tau_entry:.3f} takes nothing here", size=9, color=VERMILLION, loc="right")
    legend(precision, "lower right")
    return png(fig)


def score_distribution(model: Judged, tau_entry: float) -> bytes:
    """Draw the scores of wins and of losses, each as shares of its class, with the entry threshold."""
    wins = int(model.won.sum())
    fig = figure(
        "How far apart are wins and losses?",
        f"{wins:,} wins and {model.won.size - wins:,} losses not trained on. AUC {auc(model.scores, model.won):.3f}.",
    )
    ax = fig.subplots()
    low, high = float(model.scores.min()), float(model.scores.max())
    room = 0.02 * (high - low) or 0.02
    edges = np.linspace(low - room, high + room, _HISTOGRAM_BINS + 1).tolist()
    for name, colour, chosen in (("losses", VERMILLION, ~model.won), ("wins", BLUE, model.won)):
        scores = model.scores[chosen]
        weights = np.full(scores.size, 1.0 / scores.size)
        ax.hist(scores, edges, weights=weights, histtype="stepfilled", color=colour, alpha=0.28, label=name)
        ax.hist(scores, edges, weights=weights, histtype="step", color=colour, linewidth=1.6)
    ax.yaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
    dress(ax, "score", "share of the class")
    ax.set_xlim(low - room, max(high + room, tau_entry + room if tau_entry < 1 else 0.0))
    if tau_entry < 1.0:
        mark(ax, tau_entry, f"tau_entry {tau_entry:.3f}")
    legend_above(ax)
    return png(fig)


def feature_importance(names: Sequence[str], gain: ArrayLike) -> bytes:
    """Draw the features that gave the trees most of their gain, at most 20, as shares of all gain."""
    shares = _shares(gain)
    order = np.argsort(-shares, kind="stable")[:_TOP]
    fig = figure(
        "What do the trees look at?",
        f"Share of total gain, {len(order)} of {len(names)} features; together {shares[order].sum():.0%}.",
        height_inches=1.5 + 0.25 * len(order),
    )
    ax = fig.subplots()
    values = (100.0 * shares[order]).tolist()
    bars(ax, [names[i] for i in order], values, [f"{value:.1f} %" for value in values], [BLUE] * len(values))
    ax.set_xticks([])
    ax.grid(visible=False)
    ax.spines["bottom"].set_visible(False)
    return png(fig)


def feature_deltas(
    names: Sequence[str],
    gain: ArrayLike,
    psi: ArrayLike,
    active_gain: Mapping[str, float] | None,
    *,
    against: str,
    psi_warn: float = 0.10,
    psi_block: float = 0.20,
) -> bytes:
    """Draw how each feature's importance and distribution moved against the active version.

    `active_gain` is the active version's gain by feature name, None while there is none; `psi` float[F] compares the
    new rows with those of `against`, which is said in the title block.
    """
    shares, moved = _shares(gain), np.asarray(psi, dtype=np.float64)
    if active_gain is None:
        change, note = shares, f"No active version yet: importance as it is; PSI against {against}."
    else:
        before = _shares([active_gain.get(name, 0.0) for name in names])
        change, note = shares - before, f"Against {against}: the features that changed most."
    order = np.argsort(-np.maximum(np.abs(change) / _largest(change), moved / _largest(moved)), kind="stable")
    order = order[:_TOP_DELTAS]
    order = order[np.argsort(-change[order], kind="stable")]
    fig = figure("What changed in the features?", note, height_inches=1.9 + 0.25 * len(order), width_inches=9.2)
    left, right = fig.subplots(1, 2, sharey=True, width_ratios=[1.15, 1])
    shown, signed = [names[i] for i in order], active_gain is not None
    points = (100.0 * change[order]).tolist()
    colours = [BLUE if point >= 0 else VERMILLION for point in points]
    bars(left, shown, points, [f"{point:+.2f}" if signed else f"{point:.1f}" for point in points], colours)
    left.set_xlabel("change of gain share, percentage points" if signed else "gain share, %", size=9)
    _draw_psi(right, shown, moved[order].tolist(), psi_warn, psi_block)
    return png(fig)


def model_card_markdown(
    *,
    title: str,
    facts: Mapping[str, object],
    metrics: Mapping[str, float],
    active_metrics: Mapping[str, float] | None,
    limitations: Sequence[str],
    pictures: Mapping[str, str],
) -> str:
    """Return the card's text: what it is, what was measured (beside the active version's, if any), what it is not.

    `pictures` maps a caption to where the picture lies, relative to the card or as a data URL.
    """
    lines = [f"# {title}", "", "| | |", "|---|---|"]
    lines += [f"| {_cell(name)} | {_cell(value)} |" for name, value in facts.items()]
    lines += ["", "## Measured on rows not trained on", ""]
    lines += _metric_table(metrics, active_metrics)
    lines += ["", "## What this does not show", ""]
    lines += [f"- {sentence}" for sentence in limitations]
    for caption, place in pictures.items():
        lines += ["", f"## {caption}", "", f"![{caption}]({place})"]
    return "\n".join(lines) + "\n"


def _draw_reliability(ax: Axes, judged: Judged, colour: str, *, band: bool) -> tuple[float, float]:
    """Draw one curve and return the lowest and highest value on it."""
    table = reliability(judged.scores, judged.won)
    label = f"{judged.name}, {int(np.median(table.rows)):,} a bin" if band else judged.name
    if band:
        ax.fill_between(table.predicted, table.low, table.high, color=colour, alpha=0.16, linewidth=0)
    style = "-" if band else (0, (5, 2))
    ax.plot(
        table.predicted, table.observed, color=colour, linewidth=1.8, linestyle=style, marker="o", ms=4, label=label
    )
    drawn = [table.predicted, table.observed, *((table.low, table.high) if band else ())]
    return float(min(values.min() for values in drawn)), float(max(values.max() for values in drawn))


def _draw_sweep(precision: Axes, share: Axes, judged: Judged, colour: str, *, band: bool) -> float:
    """Draw one version's curves and return the last threshold drawn."""
    table = sweep(judged.scores, judged.won, _SWEEP_POINTS)
    kept = table.rows >= min(_FEWEST_TAKEN, int(table.rows.max()))
    tau, wins = table.tau[kept], np.round(table.precision * table.rows)[kept]
    if band:
        low, high = wilson(wins, table.rows[kept])
        precision.fill_between(tau, low, high, color=colour, alpha=0.16, linewidth=0, label="95 % Wilson band")
    style = "-" if band else (0, (5, 2))
    precision.plot(tau, table.precision[kept], color=colour, linewidth=1.8, linestyle=style, label=judged.name)
    share.plot(tau, table.share[kept], color=colour, linewidth=1.8, linestyle=style)
    return float(tau[-1])


def _draw_psi(ax: Axes, names: Sequence[str], psi: Sequence[float], warn: float, block: float) -> None:
    colours = [VERMILLION if value >= block else AMBER if value >= warn else GREY for value in psi]
    bars(ax, names, psi, [f"{value:.3f}" for value in psi], colours)
    ax.set_xlabel("PSI of the feature's distribution", size=9)
    high = max(ax.get_xlim()[1], block * 1.25)
    ax.set_xlim(0.0, high)
    for limit in (warn, block):
        ax.axvline(limit, color=INK, linewidth=0.9, linestyle=(0, (4, 3)))
    # One text for both lines: on a wide axis they stand too close for two.
    ax.annotate(
        f"warn {warn:g}, block {block:g}", (warn, 1.0), xycoords=ax.get_xaxis_transform(), xytext=(0, 3),
        textcoords="offset points", ha="left", va="bottom", size=8, color=INK,
    )  # fmt: skip


def _metric_table(metrics: Mapping[str, float], active: Mapping[str, float] | None) -> list[str]:
    if active is None:
        return ["| metric | value |", "|---|---:|", *(f"| {name} | {value:.6g} |" for name, value in metrics.items())]
    rows = ["| metric | value | active | change |", "|---|---:|---:|---:|"]
    for name, value in metrics.items():
        other = active.get(name)
        told = "| |" if other is None else f"{other:.6g} | {value - other:+.3g} |"
        rows.append(f"| {name} | {value:.6g} | {told}")
    return rows


def _shares(gain: ArrayLike) -> NDArray[np.float64]:
    values = np.asarray(gain, dtype=np.float64)
    return np.asarray(values / (values.sum() or 1.0))


def _largest(values: NDArray[np.float64]) -> float:
    return float(np.abs(values).max()) or 1.0


def _cell(value: object) -> str:
    return str(value).replace("|", "\\|").replace("\n", " ")

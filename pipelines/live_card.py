"""The release's card: what live says of each version, added to the MLflow run that the version came from.

MLflow compares versions by their runs, so the same metrics under the same names stand beside each other there, and
beside what the training said. A figure of nothing is 0 with 0 rows, so that no run lacks a name.
"""

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

from archive.layout import clock_text
from evaluation.clustered import Estimate
from pipelines.live_drift import LiveDrift
from pipelines.live_measures import Evaluation, TradedFigures, VersionFigures
from pipelines.live_proof import Rescored

_INTERVALS = (
    "Intervals are 95 %, clustered by stretches of market: Wilson's on the effective rows for shares, Student's for "
    "means. A verdict is risk's, on always-valid bounds; these are read once."
)
FOLDER = "live"
"""Where a version's run keeps its card."""


def metrics_of(version: VersionFigures, proof: Rescored, drift: LiveDrift) -> dict[str, float]:
    """The metrics of one version, the same names for each."""
    traded = version.traded
    return {
        "live_candidates": float(version.candidates),
        "live_brier": version.brier,
        "live_ece": version.ece,
        "live_auc": version.auc,
        "live_parity_rows": float(proof.rows),
        "live_parity_mismatches": float(proof.mismatches),
        "live_psi_max": drift.psi_max,
        "live_ks_max": drift.ks_max,
        **_estimate("live_precision", version.precision),
        **_estimate("live_winrate", traded.judged_winrate),
        **_estimate("live_fill_rate", traded.fill_rate),
        **_estimate("live_trip_winrate", traded.trip_winrate),
        **_estimate("live_net_bps", traded.net_bps),
        **{
            name: value
            for horizon, found in traded.markouts_bps.items()
            for name, value in _estimate(f"live_markout_{horizon}ms_bps", found).items()
        },
        "live_pnl_quote": traded.pnl_quote,
    }


def artifacts_of(
    found: Evaluation, text: str, pictures: Mapping[str, bytes], drift_page: Path
) -> dict[str, Path | bytes | str]:
    """What a version's run keeps of an evaluation."""
    return {
        **{f"{FOLDER}/{name}.png": picture for name, picture in pictures.items()},
        f"{FOLDER}/card.md": text,
        f"{FOLDER}/evaluation.json": json.dumps(_finite(msgspec.to_builtins(found)), indent=1),
        f"{FOLDER}/drift.html": drift_page,
    }


def card_text(
    found: Evaluation, proofs: Sequence[Rescored], drifts: Sequence[LiveDrift], pictures: Sequence[str]
) -> str:
    """The card as Markdown: versions side by side, routes, the paired comparison, then the pictures."""
    window = f"{clock_text(found.first_ns)} to {clock_text(found.last_ns)} UTC, {', '.join(found.symbols)}"
    lines = [
        "# Live evidence",
        "",
        f"{window}: {found.candidates:,} candidates judged, {found.unresolved:,} unresolved.",
    ]
    lines += ["", "## Versions on the candidates they judged", "", *_versions(found.versions, proofs, drifts)]
    lines += ["", "## Routes", "", *_routes(found.routes)]
    if (pair := found.paired) is not None:
        lines += [
            "", f"## Version {pair.challenger} against version {pair.active}, on the same candidates", "",
            f"- Brier difference {_shown(pair.brier_difference, 5)}, challenger less active: below 0 is better",
            f"- win rate where version {pair.active} alone approves: {_shown(pair.only_active)}",
            f"- win rate where version {pair.challenger} alone approves: {_shown(pair.only_challenger)}",
        ]  # fmt: skip
    lines += ["", _INTERVALS]
    for name in pictures:
        lines += ["", f"![{name}]({name}.png)"]
    return "\n".join(lines) + "\n"


def _versions(versions: Sequence[VersionFigures], proofs: Sequence[Rescored], drifts: Sequence[LiveDrift]) -> list[str]:
    rows = ["| version | slots | candidates | Brier | ECE | AUC | precision | parity | highest PSI |"]
    rows += ["|---|---|---:|---:|---:|---:|---|---|---|"]
    for each, proof, drift in zip(versions, proofs, drifts, strict=True):
        rows.append(
            f"| {each.version} | {', '.join(each.slots)} | {each.candidates:,} | {each.brier:.4f} | {each.ece:.4f} "
            f"| {each.auc:.3f} | {_shown(each.precision)} | {proof.mismatches} of {proof.rows:,} differ "
            f"| {drift.psi_max:.3f} ({drift.worst}) |"
        )
    return rows


def _routes(routes: Mapping[str, TradedFigures]) -> list[str]:
    rows = ["| route | win rate (judged) | fill rate | markout 1 s, bps | round trip, bps | profit after fees |"]
    rows += ["|---|---|---|---|---|---:|"]
    for name, each in routes.items():
        rows.append(
            f"| {name} | {_shown(each.judged_winrate)} | {_shown(each.fill_rate)} "
            f"| {_shown(each.markouts_bps[1_000])} | {_shown(each.net_bps, 2)} | {each.pnl_quote:+,.2f} |"
        )
    return rows


def _shown(found: Estimate, digits: int = 3) -> str:
    if not found.rows:
        return "none"
    if not (math.isfinite(found.low) and math.isfinite(found.high)):
        return f"{found.value:.{digits}f} (one stretch of market, n={found.rows:,})"
    return f"{found.value:.{digits}f} ({found.low:.{digits}f} to {found.high:.{digits}f}, n={found.rows:,})"


def _estimate(name: str, found: Estimate) -> dict[str, float]:
    ends = (found.low, found.high) if math.isfinite(found.low + found.high) else (0.0, 0.0)
    return {name: found.value, f"{name}_low": ends[0], f"{name}_high": ends[1], f"{name}_rows": float(found.rows)}


def _finite(value: object) -> object:
    """JSON knows no infinity: an interval without an end has null there."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: _finite(inner) for key, inner in value.items()}
    return [_finite(inner) for inner in value] if isinstance(value, list | tuple) else value

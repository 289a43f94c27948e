"""From live's tables to the card of every version that was scored: measured, proven, drawn, put into MLflow."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from archive.layout import clock_text
from config.settings import Settings
from pipelines import live_pictures
from pipelines.checks import Finding
from pipelines.fill_markouts import fill_markouts
from pipelines.live_card import artifacts_of, card_text, metrics_of
from pipelines.live_drift import LiveDrift, draw, measure, reference_rows
from pipelines.live_measures import Evaluation, brier_path, evaluate, matched, on_common
from pipelines.live_proof import Rescored, comparable, oriented, rescore
from pipelines.live_rows import LiveTable, Rows, Traded, outcomes, traded
from pipelines.workspace import Workspace
from registry.bundle import Scorer
from registry.versions import Version

_ASSET = "canary_evaluation"
_CLUSTER_HORIZONS = 2.0
"""Labels overlap within a horizon, and a stretch of two holds nearly all that do."""


@dataclass(frozen=True, slots=True)
class LiveJudgement:
    """Everything found in one window; proofs and drifts stand in the order of `found.versions`."""

    found: Evaluation
    proofs: Sequence[Rescored]
    drifts: Sequence[LiveDrift]
    pictures: dict[str, bytes]
    text: str
    drift_page: Path | None


def judge_live(workspace: Workspace, judged: LiveTable, reports: LiveTable, scores: Rows) -> LiveJudgement:
    """Measure a window, and add what was found to the run of each version in MLflow.

    Raises:
        RegistryError: MLflow cannot be reached, or does not know a version that live scored by.
    """
    rows, trades = outcomes(workspace.lake, judged), traded(workspace.lake, reports)
    markouts = fill_markouts(workspace.lake, trades.fills, workspace.gap_ns)
    cluster_ns = cluster_length(workspace.settings)
    found = evaluate(rows, trades, markouts, cluster_ns)
    versions = [workspace.store.version(each.version) for each in found.versions]
    live = _finite(oriented(comparable(scores))) if len(scores) else np.empty((0, 0), np.float32)
    references = [reference_rows(workspace, version) for version in versions]
    proofs = [_proof(workspace, version, scores) for version in versions]
    drifts = [measure(v.number, sample, live) for v, sample in zip(versions, references, strict=True)]
    pictures = _pictures(workspace.settings, found, rows, trades)
    text = card_text(found, proofs, drifts, list(pictures))
    pages = _pages(workspace, versions, references, live)
    for version, figures, proof, drift, page in zip(versions, found.versions, proofs, drifts, pages, strict=True):
        workspace.store.add_to_run(
            version.run_id,
            metrics=metrics_of(figures, proof, drift),
            tags={"live_until": clock_text(found.last_ns), "live_slots": ", ".join(figures.slots)},
            artifacts=artifacts_of(found, text, pictures, page),
        )
    return LiveJudgement(found, proofs, drifts, pictures, text, pages[0] if pages else None)


def cluster_length(settings: Settings) -> int:
    """Length of a stretch of market whose outcomes are taken as one cluster, in nanoseconds."""
    return round(_CLUSTER_HORIZONS * settings.label.horizon_seconds * 1e9)


def live_gates(judged: LiveJudgement, settings: Settings) -> list[Finding]:
    """What the checks of canary_evaluation say; too few rows are said, and pass."""
    return [_parity(judged), _winrate(judged, settings), *_execution(judged, settings), _calibrated(judged, settings),
            _drift(judged, settings)]  # fmt: skip


def _parity(judged: LiveJudgement) -> Finding:
    bad = [proof for proof in judged.proofs if proof.mismatches]
    rows = sum(proof.rows for proof in judged.proofs)
    told = f"{bad[0].mismatches} of {bad[0].rows} of version {bad[0].version}: {bad[0].first}" if bad else ""
    return Finding("live_parity", _ASSET, not bad, told or f"{rows} margins are the bundle's, bit for bit")


def _winrate(judged: LiveJudgement, settings: Settings) -> Finding:
    """The runbook's comparison, read once: the canary's win rate against that of the active version beside it."""
    rules, routes = settings.release, judged.found.routes
    canary = routes["canary"].judged_winrate if "canary" in routes else None
    others = [each.judged_winrate for name, each in routes.items() if name != "canary" and each.judged_winrate.rows]
    if canary is None or canary.rows < rules.min_sample or not others:
        rows = canary.rows if canary else 0
        return Finding("canary_winrate", _ASSET, True, f"{rows} canary trades, {rules.min_sample} wanted to decide")
    active = sum(each.value * each.rows for each in others) / sum(each.rows for each in others)
    limit = active - rules.winrate_delta_pp / 100.0
    told = (
        f"{canary.value:.4f} on {canary.rows} trades, wanted >= {limit:.4f}: {active:.4f} of the active version less "
    )
    return Finding("canary_winrate", _ASSET, canary.value >= limit, f"{told}{rules.winrate_delta_pp:g} points")


def _execution(judged: LiveJudgement, settings: Settings) -> list[Finding]:
    rules = settings.release
    findings = []
    for check, limit in (("live_markout", rules.markout_floor_bps), ("live_fill_rate", rules.fill_rate_floor)):
        is_markout = check == "live_markout"
        traded_by = [(each.version, each.traded) for each in judged.found.versions]
        known = [(v, each.markouts_bps[1_000] if is_markout else each.fill_rate) for v, each in traded_by]
        enough = [(version, found) for version, found in known if found.rows >= rules.execution_min_sample]
        bad = [(version, found) for version, found in enough if found.value < limit]
        told = "; ".join(f"version {version}: {found.value:.4g} on {found.rows}" for version, found in known)
        findings.append(Finding(check, _ASSET, not bad, f"{told or 'nothing traded'}; wanted >= {limit:g}"))
    return findings


def _calibrated(judged: LiveJudgement, settings: Settings) -> Finding:
    rules = settings.release
    bad = [v for v in judged.found.versions if v.candidates >= rules.ece_min_rows and v.ece > rules.ece_block]
    told = "; ".join(f"version {v.version}: {v.ece:.4f} on {v.candidates}" for v in judged.found.versions)
    return Finding("live_calibration", _ASSET, not bad, f"{told or 'none judged'}; wanted <= {rules.ece_block:g}")


def _drift(judged: LiveJudgement, settings: Settings) -> Finding:
    rules = settings.evaluation
    bad = [each for each in judged.drifts if each.psi_max > rules.psi_block or each.ks_max > rules.ks_block]
    told = "; ".join(f"version {d.version}: PSI {d.psi_max:.3f} ({d.worst}), KS {d.ks_max:.3f}" for d in judged.drifts)
    # Neighbouring rows of a market are no independent sample: risk's gate knows how many they are worth, this does not.
    return Finding("live_drift", _ASSET, not bad, told or "nothing scored", warn_only=True)


def _finite(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    return rows[np.isfinite(rows).all(axis=1)]


def _proof(workspace: Workspace, version: Version, scores: Rows) -> Rescored:
    folder = workspace.store.download(version, workspace.folder("cache", version.sha256[:16]) / "bundle")
    return rescore(scores, version.number, Scorer(folder, version.sha256))


def _pages(
    workspace: Workspace, versions: Sequence[Version], samples: Sequence[NDArray[np.float32]], live: NDArray[np.float32]
) -> list[Path]:
    """Evidently's page for each version, drawn once for those that learned from the same data: it takes a while."""
    drawn: dict[str, Path] = {}
    for version, sample in zip(versions, samples, strict=True):
        if version.data_hash not in drawn:
            page = workspace.folder("reports") / f"live_drift_v{version.number}.html"
            draw(sample, live, page)
            drawn[version.data_hash] = page
    return [drawn[version.data_hash] for version in versions]


def _pictures(settings: Settings, found: Evaluation, rows: Rows, trades: Traded) -> dict[str, bytes]:
    """The pictures that there is something to draw for."""
    pair = matched(rows)[0]
    pictures: dict[str, bytes] = {}
    if said := on_common(pair):
        pictures["live_reliability"] = live_pictures.reliability_of_slots(said)
    if found.routes:
        pictures["live_routes"] = live_pictures.routes_compared(found, settings.evaluation.precision_target)
        pictures["live_profit"] = live_pictures.profit_over_time(trades.trips)
    if found.paired is not None:
        pictures["live_paired"] = live_pictures.paired_path(found, *brier_path(pair))
    return pictures

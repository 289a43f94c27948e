"""From a trained model to a proven bundle: export, a draft, the proof through the scorer that trades, the bundle.

The proof's result stands in the bundle's card, so it must come first: the draft is what is proven, and the bundle
differs from it in nothing but that line of the card.
"""

import shutil
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray

from evaluation.clean_windows import clean_history
from evaluation.drift import Reference
from market.features import FEATURE_NAMES
from pipelines.artifacts import ExportedBundle, ProofLine, ProvenBundle, TrainedModel
from pipelines.code_version import code_version
from pipelines.dataset import Candidates, load
from pipelines.onnx_export import export
from pipelines.parity import Proof, prove
from pipelines.workspace import Workspace
from registry.bundle import GraphScorer, Scorer, verify_bundle, write_bundle
from registry.card import (
    Baseline,
    Calibration,
    DriftBaseline,
    Label,
    ModelCard,
    Parity,
    ScoreBaseline,
    Thresholds,
    Training,
)
from registry.drift_baseline import clean_baseline

GOLDEN_ROWS = 256
_BASELINE_POINTS = 512
_SCORE_BINS = 20
_HOLD_SHARE = 0.8
_NOT_PROVEN = Parity(rows=0, margin_mismatches=0, flips=0, max_abs_diff=0.0)
_LIMITATIONS = (
    "Win and direction are judged on quotes: orders enter and leave at the touch they see, without latency or queue.",
    "Scores say nothing about profit: fees, funding, fills and market impact are not in the labels unless net_of_fees.",
    "The test days follow the training days directly; other regimes were not seen.",
)


def export_bundle(workspace: Workspace, model: TrainedModel) -> ExportedBundle:
    """Export the model and write it as a draft bundle, its golden rows answered by the graph itself.

    Raises:
        ExportError: the booster holds something the exact exporter cannot carry.
        BundleError: the graph does not keep the bundle's contract.
    """
    onnx_bytes = export(model.model_text, model.calibrator)
    known = load(workspace.lake, model.training_set.train_cells)
    card = _card(workspace, model, known)
    return _write(workspace, "draft", onnx_bytes, card, _golden_rows(known))


def prove_bundle(workspace: Workspace, model: TrainedModel, draft: ExportedBundle) -> ProvenBundle:
    """Prove the draft against LightGBM and write the bundle that carries the result.

    A proof that fails is a result too: the bundle says so in its card, and the gates refuse it.
    """
    scorer = Scorer(Path(draft.folder), draft.sha256)
    known = load(workspace.lake, model.training_set.train_cells)
    rows = np.concatenate([known.oriented(), known.oriented(-known.side)])
    proof = prove(
        model.fitted(), scorer, rows,
        tau=model.measured.tau_entry, seed=model.seed, random_rows=workspace.settings.parity.random_rows,
    )  # fmt: skip
    total = proof.total
    card = msgspec.structs.replace(
        verify_bundle(Path(draft.folder)),
        id="",
        sha256="",
        parity=Parity(
            rows=total.rows,
            margin_mismatches=total.margin_mismatches,
            flips=total.flips,
            max_abs_diff=total.max_abs_diff,
        ),
    )
    onnx_bytes = (Path(draft.folder) / "model.onnx").read_bytes()
    bundle = _write(workspace, "bundle", onnx_bytes, card, _golden_rows(known))
    return ProvenBundle(
        bundle=bundle,
        rows=total.rows,
        margin_mismatches=total.margin_mismatches,
        prob_mismatches=total.prob_mismatches,
        flips=total.flips,
        max_abs_diff=total.max_abs_diff,
        first_bad=total.first_bad,
        lines=_lines(proof),
    )


def _lines(proof: Proof) -> list[ProofLine]:
    return [
        ProofLine(kind, part.rows, part.margin_mismatches, part.flips, part.max_abs_diff)
        for kind, part in proof.parts.items()
    ]


def _write(
    workspace: Workspace, kind: str, onnx_bytes: bytes, card: ModelCard, golden: NDArray[np.float32]
) -> ExportedBundle:
    """Write a bundle to a folder named by its sha256; an equal one that is there already is the same bundle."""
    answers = GraphScorer(onnx_bytes, len(card.feature_names)).score_many(golden)
    parent = workspace.folder("bundles")
    fresh = parent / f".{kind}.{card.created_at.replace(':', '')}"
    shutil.rmtree(fresh, ignore_errors=True)
    sha256 = write_bundle(
        fresh, onnx_bytes, card, golden_rows=golden, golden_scores=answers.probability, golden_margins=answers.margin
    )
    folder = parent / f"{kind}-{sha256[:16]}"
    if folder.exists():
        shutil.rmtree(fresh)
    else:
        fresh.rename(folder)
    return ExportedBundle(str(folder), sha256, verify_bundle(folder, sha256).id, len(onnx_bytes))


def _golden_rows(known: Candidates) -> NDArray[np.float32]:
    rows = known.oriented()
    return np.ascontiguousarray(rows[np.linspace(0, len(rows) - 1, min(GOLDEN_ROWS, len(rows))).astype(np.int64)])


def _card(workspace: Workspace, model: TrainedModel, known: Candidates) -> ModelCard:
    rule, barrier, tau = workspace.candidate_rule, workspace.barrier_rule, model.measured.tau_entry
    cells = model.training_set.train_cells
    return ModelCard(
        name=workspace.settings.registry.name,
        schema_hash=model.training_set.schema_hash,
        feature_names=FEATURE_NAMES,
        candidate_rule={
            "interval_ms": rule.interval_ms,
            "min_pressure": rule.min_pressure,
            "max_spread_ticks": rule.max_spread_ticks,
            "pressure_feature": rule.pressure_feature,
        },
        label=Label(
            tp_pct=barrier.tp_pct,
            sl_pct=barrier.sl_pct,
            horizon_s=barrier.horizon_seconds,
            net_of_fees=barrier.net_of_fees,
        ),
        thresholds=Thresholds(tau_entry=tau, tau_hold=tau * _HOLD_SHARE),
        calibration=Calibration(kind="platt" if model.platt else "isotonic", rows=model.sizes["calibration_rows"]),
        metrics=dict(model.measured.metrics),
        training=Training(
            symbols=tuple(sorted({each.symbol for each in cells})),
            first_day=cells[0].day.isoformat(),
            last_day=cells[-1].day.isoformat(),
            rows=len(known),
            data_hash=model.training_set.data_hash,
            code_version=code_version(),
            seed=model.seed,
        ),
        parity=_NOT_PROVEN,
        baseline=_baseline(workspace, model, known),
        limitations=_LIMITATIONS,
        created_at=datetime.now(UTC).isoformat(timespec="microseconds"),  # noqa: TID251 - identity, not in the sha256
    )


def _baseline(workspace: Workspace, model: TrainedModel, known: Candidates) -> Baseline:
    reference = Reference.fit(known.oriented(), FEATURE_NAMES).thinned(_BASELINE_POINTS)
    shares, edges = np.histogram(model.measured.scores, bins=_SCORE_BINS, range=(0.0, 1.0))
    metrics = model.measured.metrics
    shape = workspace.settings.risk.drift_window()
    # The test days were seen by no tree, and are as clean: of them and the train days the gates say the model is good.
    seen = load(workspace.lake, [*model.training_set.train_cells, *model.training_set.test_cells])
    clean = clean_history(seen.t_ns, seen.oriented(), FEATURE_NAMES, shape)
    return Baseline(
        drift=msgspec.convert(reference.to_dict(), DriftBaseline),
        scores=ScoreBaseline(edges=tuple(edges.tolist()), shares=tuple((shares / max(1, shares.sum())).tolist())),
        brier=metrics["test_brier"],
        winrate=metrics["test_precision"] if metrics["test_taken"] else metrics["test_base_rate"],
        trades_per_hour_p95=metrics["test_taken_per_hour_p95"],
        clean=clean_baseline(clean, FEATURE_NAMES, shape),
    )

"""The release group: the exported bundle, its proof, the drift report, the model card in MLflow, the candidate."""

import dagster as dg

from pipelines.artifacts import ExportedBundle, ProvenBundle, RecordedRun, TrainedModel
from pipelines.checks import Finding, check_results
from pipelines.gates import parity_gates
from pipelines.training import gate_checks
from pipelines.workspace import Workspace


def onnx_bundle(
    context: dg.AssetExecutionContext, workspace: dg.ResourceParam[Workspace], model: TrainedModel
) -> dg.MaterializeResult:
    """The model as one ONNX graph, trees and calibrator in float64, with its card and 256 golden rows.

    The folder's name is its sha256: the same data, code and seed give the same one.
    """
    from pipelines.bundling import export_bundle

    made = export_bundle(workspace, model)
    context.log.info("bundle %s in %s", made.sha256, made.folder)
    verified = Finding("bundle_verified", "onnx_bundle", True, f"sha256 {made.sha256}, golden rows answered alike")
    return dg.MaterializeResult(
        value=made,
        metadata={"sha256": made.sha256, "folder": dg.MetadataValue.path(made.folder), "onnx_bytes": made.onnx_bytes},
        check_results=check_results([verified]),
    )


def parity_report(
    context: dg.AssetExecutionContext,
    workspace: dg.ResourceParam[Workspace],
    model: TrainedModel,
    onnx_bundle: ExportedBundle,
) -> dg.MaterializeResult:
    """The proof that the bundle answers as LightGBM does, bit for bit: training rows, random rows, threshold rows."""
    from pipelines.bundling import prove_bundle

    workspace.progress.step("parity_report", 0, 1)
    proven = prove_bundle(workspace, model, onnx_bundle)
    workspace.progress.step("parity_report", 1, 1)
    gates = parity_gates(proven)
    return dg.MaterializeResult(
        value=proven,
        metadata={
            "rows": proven.rows,
            "margin_mismatches": proven.margin_mismatches,
            "flips": proven.flips,
            "max_abs_diff": proven.max_abs_diff,
            "by_kind": dg.MetadataValue.md(proven.table()),
        },
        check_results=gate_checks(gates, "parity_report"),
    )


def drift_report(
    context: dg.AssetExecutionContext, workspace: dg.ResourceParam[Workspace], model: TrainedModel
) -> dg.MaterializeResult:
    """PSI and KS of the new features against the previous release's, with Evidently's page to drill down.

    The verdict is ours; Evidently draws. Without a previous release the test days are held against the train days.
    What moved since the previous release warns; test days unlike the model's own train days block, where armed.
    """
    from pipelines.drift import make_drift_report

    workspace.progress.step("drift_report", 0, 1, "Evidently draws its page")
    drift = make_drift_report(workspace, model)
    workspace.progress.step("drift_report", 1, 1)
    findings = [
        Finding("feature_drift", "drift_report", not drift.over, drift.sentence(), warn_only=True),
        Finding("own_drift", "drift_report", not drift.own.blocking, drift.own_sentence()),
    ]
    return dg.MaterializeResult(
        metadata={
            "against": drift.against,
            "own_days": drift.own_sentence(),
            "page": dg.MetadataValue.path(drift.page),
            "features": dg.MetadataValue.md(drift.table()),
        },
        check_results=check_results(findings),
    )


def model_card(
    context: dg.AssetExecutionContext,
    workspace: dg.ResourceParam[Workspace],
    model: TrainedModel,
    parity_report: ProvenBundle,
) -> dg.MaterializeResult:
    """The model's card as an MLflow run: the same metric and parameter names for every run, pictures, bundle.

    The pictures also stand inline below.
    """
    from pipelines.carding import record_card

    workspace.progress.step("model_card", 0, 1)
    recorded, pictures, text = record_card(workspace, model, parity_report, context.run.run_id)
    workspace.progress.step("model_card", 1, 1)
    shown = {name: dg.MetadataValue.md(f"![{name}](data:image/png;base64,{code})") for name, code in pictures.items()}
    return dg.MaterializeResult(
        value=recorded, metadata={"mlflow_run": recorded.run_id, "card": dg.MetadataValue.md(text), **shown}
    )


def candidate(
    context: dg.AssetExecutionContext,
    workspace: dg.ResourceParam[Workspace],
    model: TrainedModel,
    parity_report: ProvenBundle,
    model_card: RecordedRun,
) -> dg.MaterializeResult:
    """The bundle as a version of the registered model under alias candidate.

    Asks every blocking gate again itself: a check that failed in some other run must not let a model through here.
    """
    from pipelines.carding import register_candidate

    version = register_candidate(workspace, model, parity_report, model_card)
    context.log.info("registered %s version %s as candidate", version.name, version.number)
    return dg.MaterializeResult(
        metadata={
            "model": version.name,
            "version": str(version.number),
            "alias": "candidate",
            "sha256": parity_report.bundle.sha256,
        }
    )

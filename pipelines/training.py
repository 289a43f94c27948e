"""The training group: which partitions to learn from, and the model learned from them."""

import dagster as dg

from pipelines.artifacts import TrainingSet
from pipelines.checks import Finding, check_results
from pipelines.gap_gate import damaged
from pipelines.gates import Gate, quality_gates
from pipelines.partitions import Cell
from pipelines.workspace import Workspace


def training_set(context: dg.AssetExecutionContext, workspace: dg.ResourceParam[Workspace]) -> TrainingSet:
    """The partitions a model learns from and those it is tested on, with the hash of their content.

    Damaged partitions are left out and named; the last `training.test_days` days are held out. Whoever trains asks the
    gap scan here, whatever Dagster's checks said in some other run.
    """
    from pipelines.learning import make_training_set

    broken = damaged(workspace, workspace.all_cells)
    sound = [each for each in workspace.all_cells if each not in broken]
    made = make_training_set(workspace, sound)
    context.add_output_metadata(
        {
            "train_partitions": len(made.train),
            "test_partitions": len(made.test),
            "rows": made.rows,
            "data_hash": made.data_hash,
            "left_out": dg.MetadataValue.md(_left_out(broken)),
        }
    )
    return made


def model(
    context: dg.AssetExecutionContext, workspace: dg.ResourceParam[Workspace], training_set: TrainingSet
) -> dg.MaterializeResult:
    """LightGBM with early stopping and a calibrator behind it, measured on the days held out.

    Same data, code and seed give the same model text. The threshold tau_entry is chosen before the test days.
    """
    from pipelines.learning import train

    workspace.progress.step("model", 0, 1, f"{training_set.rows} candidates")
    trained = train(workspace, training_set)
    workspace.progress.step("model", 1, 1)
    gates = quality_gates(trained.measured.metrics, trained.measured.tau_reached, workspace.settings.evaluation)
    return dg.MaterializeResult(
        value=trained,
        metadata={
            "model_sha256": trained.fitted_sha256,
            "tau_entry": trained.measured.tau_entry,
            **trained.sizes,
            **trained.measured.metrics,
        },
        check_results=gate_checks(gates, "model"),
    )


def gate_checks(gates: list[Gate], asset: str) -> list[dg.AssetCheckResult]:
    """The gates as Dagster checks of an asset."""
    return check_results([Finding(g.name, asset, g.passed, str(g), warn_only=not g.blocking) for g in gates])


def _left_out(broken: dict[Cell, str]) -> str:
    return "\n".join(f"- {cell.key}: {why}" for cell, why in sorted(broken.items())) or "none"

"""The features asset: kernel features of each day's candidates, written to the lake."""

import dagster as dg

from archive.layout import FEATURES
from pipelines.checks import Finding, check_results
from pipelines.gap_gate import require_sound
from pipelines.partitions import cells
from pipelines.workspace import Workspace


def features(context: dg.AssetExecutionContext, workspace: dg.ResourceParam[Workspace]) -> dg.MaterializeResult:
    """Kernel features of every candidate moment of the day, float32, as the live side would score them.

    Reads the day's book and trades and the tail of the day before. Refuses a day that the gap scan finds damaged.
    """
    from market.features import FEATURE_NAMES, schema_hash
    from pipelines.feature_days import compute_day, examine

    asked = cells(context)
    require_sound(workspace, asked)
    findings: list[Finding] = []
    for done, each in enumerate(asked):
        workspace.progress.step("features", done, len(asked), each.key)
        columns = compute_day(workspace.lake, each, workspace.candidate_rule)
        findings += examine(each, columns, workspace.settings.evaluation.min_candidates_per_day)
        written = workspace.lake.write(
            FEATURES, each.symbol, each.day, columns, source="kernel", schema_hash=schema_hash(), allow_empty=True
        )
        context.add_asset_metadata({"rows": written.rows, "sha256": written.content_sha256}, partition_key=each.key)
    workspace.progress.step("features", len(asked), len(asked))
    return dg.MaterializeResult(
        metadata={"features": len(FEATURE_NAMES), "kernel_schema_hash": schema_hash()},
        check_results=check_results(findings),
    )

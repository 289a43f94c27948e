"""The labels asset: the outcome of each day's candidates, written to the lake."""

import dagster as dg

from archive.layout import LABELS
from pipelines.checks import Finding, check_results
from pipelines.gap_gate import require_sound
from pipelines.partitions import cells
from pipelines.workspace import Workspace


def labels(context: dg.AssetExecutionContext, workspace: dg.ResourceParam[Workspace]) -> dg.MaterializeResult:
    """Triple-barrier outcome of every candidate of the day, for both sides, with returns before and after fees."""
    from pipelines.label_days import examine, label_day, shares

    asked = cells(context)
    require_sound(workspace, asked)
    findings: list[Finding] = []
    for done, each in enumerate(asked):
        workspace.progress.step("labels", done, len(asked), each.key)
        symbol = workspace.symbols[each.symbol]
        columns = label_day(workspace.lake, each, workspace.barrier_rule, symbol, workspace.gap_ns)
        findings.append(examine(each, columns, workspace.settings.evaluation.min_class_share))
        written = workspace.lake.write(
            LABELS, each.symbol, each.day, columns, source=workspace.barrier_rule.id, allow_empty=True
        )
        context.add_asset_metadata(
            {"rows": written.rows, "sha256": written.content_sha256, **shares(columns)}, partition_key=each.key
        )
    workspace.progress.step("labels", len(asked), len(asked))
    return dg.MaterializeResult(check_results=check_results(findings))

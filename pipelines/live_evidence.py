"""The live group: what live recorded, surveyed and checked, and what it says of the versions that were scored.

The tables lie in the lake, written by live; these assets read them and add what they found to each version's run in
MLflow. No verdict falls here: risk's is sequential and may be looked at after every trade, these figures are read once.
"""

import base64

import dagster as dg
import numpy as np

from archive.layout import clock_text
from archive.live_tables import LIVE_SCORES, OUTCOMES, REPORTS
from config.sections import Schedule
from market.barriers import UNRESOLVED
from pipelines.checks import Finding, check_results
from pipelines.live_rows import LiveTable, outcomes, read, survey, traded, unended
from pipelines.workspace import Workspace

MOST_UNRESOLVED = 0.05
"""Share of candidates without an end over which the survey warns: gaps and restarts leave a few."""


def hourly_schedule(job: str, settings: Schedule) -> dg.ScheduleDefinition:
    """Look at what live recorded once an hour: twenty minutes past, when the hour's segments are in the lake."""
    return dg.ScheduleDefinition(
        name="hourly_evidence",
        job_name=job,
        cron_schedule="20 * * * *",
        execution_timezone="UTC",
        description="Measures what live recorded and adds it to each version's run in MLflow.",
        default_status=dg.DefaultScheduleStatus.RUNNING if settings.automatic else dg.DefaultScheduleStatus.STOPPED,
    )


def live_outcomes(context: dg.AssetExecutionContext, workspace: dg.ResourceParam[Workspace]) -> dg.MaterializeResult:
    """Every candidate that live judged in the last release.cap_days, however it was routed, with how it ended."""
    found = survey(workspace.lake, OUTCOMES, workspace.settings.release.cap_days)
    rows = outcomes(workspace.lake, found)
    twice = found.rows - len(rows)
    unresolved = int(np.count_nonzero(rows["outcome"] == UNRESOLVED))
    is_resolved = unresolved <= MOST_UNRESOLVED * max(1, len(rows))
    findings = [
        _readable(found, "live_outcomes"),
        Finding("outcomes_once", "live_outcomes", not twice, f"{twice} of {found.rows} rows are told twice", True),
        Finding(
            "outcomes_resolved",
            "live_outcomes",
            is_resolved,
            f"{unresolved} of {len(rows)} have no end",
            warn_only=True,
        ),
    ]
    return dg.MaterializeResult(value=found, metadata=_surveyed(found), check_results=check_results(findings))


def live_reports(context: dg.AssetExecutionContext, workspace: dg.ResourceParam[Workspace]) -> dg.MaterializeResult:
    """Every report of an order in the last release.cap_days, joined with the score that led to it."""
    found = survey(workspace.lake, REPORTS, workspace.settings.release.cap_days)
    rows = traded(workspace.lake, found)
    strangers = int(np.count_nonzero(rows.orders["version"] == 0))
    open_orders = unended(workspace.lake, found) if found.leaves else 0
    findings = [
        _readable(found, "live_reports"),
        Finding(
            "reports_explained", "live_reports", not strangers,
            f"{strangers} of {len(rows.orders)} ended entries have no score of their candidate in the lake",
        ),
        Finding(
            "orders_ended", "live_reports", not open_orders,
            f"{open_orders} orders were accepted over a minute before the end and have none", warn_only=True,
        ),
    ]  # fmt: skip
    metadata = {
        **_surveyed(found), "entries_ended": len(rows.orders), "fills": len(rows.fills), "round_trips": len(rows.trips)
    }  # fmt: skip
    return dg.MaterializeResult(value=found, metadata=metadata, check_results=check_results(findings))


def canary_evaluation(
    context: dg.AssetExecutionContext,
    workspace: dg.ResourceParam[Workspace],
    live_outcomes: LiveTable,
    live_reports: LiveTable,
) -> dg.MaterializeResult:
    """What live says of the active version and its challenger: on the same candidates, by route, after fees.

    Active, shadow and canary are drawn on the same candidates; Evidently's page holds live rows against training rows;
    every scored row is put through the registry's bundle again. The figures go into each version's run in MLflow.
    """
    from pipelines.live_judging import judge_live, live_gates

    workspace.progress.step("canary_evaluation", 0, 1)
    scores = read(workspace.lake, survey(workspace.lake, LIVE_SCORES, workspace.settings.release.cap_days))
    judged = judge_live(workspace, live_outcomes, live_reports, scores)
    gates = live_gates(judged, workspace.settings)
    workspace.progress.step("canary_evaluation", 1, 1)
    shown = {
        name: dg.MetadataValue.md(f"![{name}](data:image/png;base64,{base64.b64encode(picture).decode()})")
        for name, picture in judged.pictures.items()
    }
    return dg.MaterializeResult(
        metadata={
            "versions": ", ".join(str(each.version) for each in judged.found.versions) or "none: live judged nothing",
            "candidates": judged.found.candidates,
            "card": dg.MetadataValue.md(judged.text),
            "drift_page": dg.MetadataValue.path(judged.drift_page) if judged.drift_page else "none",
            **shown,
        },
        check_results=check_results(gates),
    )


def _readable(found: LiveTable, asset: str) -> Finding:
    said = next(iter(found.left_out.values()), "")
    detail = f"{len(found.left_out)} partitions cannot be read, the first: {said}" if said else "every partition reads"
    return Finding(f"{asset.removeprefix('live_')}_readable", asset, not found.left_out, detail, warn_only=True)


def _surveyed(found: LiveTable) -> dict[str, str | int]:
    return {
        "partitions": len(found.leaves),
        "rows": found.rows,
        "first": clock_text(found.first_ns) if found.leaves else "none",
        "last": clock_text(found.last_ns) if found.leaves else "none",
        "data_hash": found.data_hash,
    }

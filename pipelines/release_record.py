"""The record of a move as a Dagster run: the registrar has moved already, this shows it and tells people.

Each run materializes `release_move` once, so that the asset's page is the list of all moves, newest first, each with
who, what, why, the numbers, their limits, and the section of the runbook.
"""

import dagster as dg

from pipelines.checks import Finding, check_results
from pipelines.errors import PipelineError
from pipelines.move_record import MoveRecord, journal_problem, read_record
from pipelines.notification import Notice, notify
from pipelines.workspace import Workspace


class MoveConfig(dg.Config):
    """Which move is recorded."""

    tx: str


class AlertConfig(dg.Config):
    """What people are told."""

    title: str
    text: str
    runbook: str


def release_move(
    context: dg.AssetExecutionContext, config: MoveConfig, workspace: dg.ResourceParam[Workspace]
) -> dg.MaterializeResult:
    """A move of the registry that has been made: who moved which version, why, and on what evidence.

    Read from the journal, never decided here. Tells release.notify.
    """
    root = workspace.settings.registry.mirror
    try:
        record = read_record(root, config.tx)
    except KeyError as absent:
        raise PipelineError(f"the journal below {root} holds no committed move {config.tx!r}") from absent
    untold = notify(workspace.settings.release.notify, record.notice(), context.log.info)
    return dg.MaterializeResult(
        metadata={
            "move": dg.MetadataValue.md(record.story()),
            **{name.replace(" ", "_"): text for name, text in record.facts().items()},
            "epoch": record.intent.epoch,
            "evidence": dg.MetadataValue.json(dict(record.evidence)),
        },
        check_results=check_results(_findings(record, journal_problem(root), untold)),
    )


@dg.op
def release_alert(context: dg.OpExecutionContext, config: AlertConfig, workspace: dg.ResourceParam[Workspace]) -> None:
    """Tell release.notify something that a person must know. Fails when no place could be told."""
    text = f"{config.text}; see {config.runbook}"
    places = workspace.settings.release.notify
    context.log.warning("%s: %s", config.title, text)
    untold = notify(places, Notice(config.title, text, "failure"), context.log.warning)
    for why in untold:
        context.log.error("%s", why)
    if places and len(untold) == len(places):
        raise PipelineError(f"nobody could be told: {'; '.join(untold)}")


@dg.job(description="Tells release.notify of something that a person must know.")
def release_alert_job() -> None:
    """One telling."""
    release_alert()


EPOCH_TAG = "tidegate/epoch"
"""Of a run that records a move: the epoch it made."""
MOVE_JOB = dg.define_asset_job(
    "release_move_job",
    selection=["release_move"],
    description="Records a move of the registry and tells release.notify.",
)
ALERT_JOB = release_alert_job


def is_recorded(epoch: int) -> bool:
    """Whether the run that records the move of an epoch has ended, on the instance that DAGSTER_HOME names."""
    wanted = dg.RunsFilter(job_name=MOVE_JOB.name, tags={EPOCH_TAG: str(epoch)})
    with dg.DagsterInstance.get() as instance:
        return any(run.is_finished for run in instance.get_runs(wanted))


def _findings(record: MoveRecord, broken: str, untold: list[str]) -> list[Finding]:
    """The checks of a record: the journal's chain, the evidence behind its hash, one active version, people told."""
    active = [version for version, state in record.head.states.items() if state == "active"]
    slot = record.head.slots.active
    is_one = active == ([] if slot is None else [slot])
    return [
        Finding("journal_intact", "release_move", not broken, broken or "every line follows from the one before"),
        Finding(
            "evidence_kept", "release_move", not record.evidence_problem,
            record.evidence_problem or f"sha256 {record.intent.evidence or 'of no evidence'}",
        ),
        Finding("one_active", "release_move", is_one, f"active by state: {active}, by slot: {slot}"),
        Finding("people_told", "release_move", not untold, "; ".join(untold) or "every place was told", warn_only=True),
    ]  # fmt: skip

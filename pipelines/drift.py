"""Feature drift of a release: our PSI and KS against the release before it, with Evidently's page for the details.

The two are labelled apart. Ours use quantile bins of the reference and the KS statistic D; Evidently bins in its own
way, so no threshold is shared.
"""

import warnings
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from config.sections import Evaluation
from evaluation.drift import DriftReport, DriftRule, Reference, drift_report
from market.features import FEATURE_NAMES
from pipelines.artifacts import TrainedModel
from pipelines.dataset import load
from pipelines.workspace import Workspace

PAGE_ROWS = 2_000
"""Rows a side on Evidently's page: its time grows with them, and the verdict does not come from it."""
REFERENCE_ROWS = 20_000
REFERENCE_FILE = "reference/rows.npz"
"""Where a release's run keeps the rows that the next one is held against."""


@dataclass(frozen=True, slots=True)
class ReleaseDrift:
    """What was compared, what was found, and where the page lies."""

    against: str
    report: DriftReport
    page: Path

    @property
    def over(self) -> list[str]:
        """Features over a blocking line."""
        return [each.name for each in self.report.features if each.state == "block"]

    def sentence(self) -> str:
        """The finding in words."""
        worst = max(self.report.features, key=lambda each: each.psi)
        over = (
            f"{len(self.over)} features over a line: {', '.join(self.over)}" if self.over else "no feature over a line"
        )
        return f"{over}; highest PSI {worst.psi:.3f} ({worst.name}), against {self.against}"

    def table(self) -> str:
        """All features as Markdown, the most drifted first."""
        head = "| feature | PSI (reference quantiles) | KS (statistic D) | state |\n|---|---|---|---|"
        ordered = sorted(self.report.features, key=lambda each: -each.psi)
        return "\n".join([head, *(f"| {f.name} | {f.psi:.4f} | {f.ks:.4f} | {f.state} |" for f in ordered)])


def make_drift_report(workspace: Workspace, model: TrainedModel) -> ReleaseDrift:
    """Hold the test days' rows against the previous release's reference, and draw the page.

    The reference sample of a release is kept in its MLflow run. Without a previous release the train days serve.
    """
    current = load(workspace.lake, model.training_set.test_cells).oriented()
    against, reference_rows = _reference(workspace, model)
    report = drift_report(Reference.fit(reference_rows, FEATURE_NAMES), current, rule_of(workspace.settings.evaluation))
    page = workspace.folder("reports") / "drift.html"
    draw_page(thinned(reference_rows, PAGE_ROWS), thinned(current, PAGE_ROWS), page)
    return ReleaseDrift(against, report, page)


def rule_of(settings: Evaluation) -> DriftRule:
    """The drift lines of the configuration; KS warns at its usual line, or where it blocks when that is lower."""
    usual = DriftRule()
    return replace(
        usual,
        psi_warn=settings.psi_warn,
        psi_block=settings.psi_block,
        ks_warn=min(usual.ks_warn, settings.ks_block),
        ks_block=settings.ks_block,
    )


def thinned(rows: NDArray[np.float32], most: int) -> NDArray[np.float32]:
    """At most `most` rows, evenly spread over time, so that they span the whole cycle of a day."""
    return rows if len(rows) <= most else rows[np.linspace(0, len(rows) - 1, most).astype(np.int64)]


def reference_sample(workspace: Workspace, model: TrainedModel) -> NDArray[np.float32]:
    """The rows a later release will be held against: float32[REFERENCE_ROWS, F] of this one's train days."""
    return thinned(load(workspace.lake, model.training_set.train_cells).oriented(), REFERENCE_ROWS)


def draw_page(reference: NDArray[np.float32], current: NDArray[np.float32], page: Path) -> None:
    """Write Evidently's drift report as one self-contained HTML file; nothing is sent anywhere."""
    import pandas as pd

    with warnings.catch_warnings():
        # What Python deprecates in Evidently's sources is said when they are first compiled, and not ours to mend.
        warnings.simplefilter("ignore", DeprecationWarning)
        from evidently import DataDefinition, Dataset, Report
        from evidently.presets import DataDriftPreset

    names = list(FEATURE_NAMES)
    definition = DataDefinition(numerical_columns=names)
    before, now = (
        Dataset.from_pandas(pd.DataFrame(rows, columns=names), data_definition=definition)
        for rows in (reference, current)
    )
    # One drifted feature is enough for the headline; by default Evidently stays calm until half of them drift.
    preset = DataDriftPreset(num_method="psi", num_threshold=0.2, drift_share=1.0 / len(names))
    with np.errstate(divide="ignore", invalid="ignore"):
        drawn = Report([preset]).run(reference_data=before, current_data=now)
    drawn.save_html(str(page))


def _reference(workspace: Workspace, model: TrainedModel) -> tuple[str, NDArray[np.float32]]:
    previous = workspace.store.by_alias("active") or workspace.store.by_alias("candidate")
    if previous is not None and previous.schema_hash == model.training_set.schema_hash:
        kept = workspace.store.run_artifact(previous.run_id, REFERENCE_FILE, workspace.folder("cache"))
        with np.load(kept) as stored:
            return f"{previous.name} version {previous.number}", stored["rows"]
    return "the train days (no earlier release with these features)", reference_sample(workspace, model)

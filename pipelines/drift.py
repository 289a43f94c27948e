"""Feature drift of a release: our PSI and KS against the release before it, with Evidently's page for the details.

The two are labelled apart. Ours use quantile bins of the reference and the KS statistic D; Evidently bins in its own
way, so no threshold is shared.

Against the release before it the market may well have moved: that is why models are trained anew, so it only warns.
What blocks is a model whose own newest days, its test days, no longer look like those it learnt from, on a feature
that is armed: one of which the train days tell that its days are alike.
"""

import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from evaluation.clean_windows import WindowShape, clean_history, evenly
from evaluation.drift import Reference
from evaluation.drift_lines import DriftReport, DriftRule, drift_report
from market.features import FEATURE_NAMES
from pipelines.artifacts import TrainedModel
from pipelines.dataset import Candidates, load
from pipelines.workspace import Workspace

PAGE_ROWS = 2_000
"""Rows a side on Evidently's page: its time grows with them, and the verdict does not come from it."""
REFERENCE_ROWS = 20_000
_NOT_ARMED = "not armed: the train days are too few, or too unlike each other, to tell what is drift"
REFERENCE_FILE = "reference/rows.npz"
"""Where a release's run keeps the rows that the next one is held against."""


@dataclass(frozen=True, slots=True)
class ReleaseDrift:
    """What was compared, what was found, and where the page lies."""

    against: str
    report: DriftReport  # the test days against the release before
    own: DriftReport  # the newest window of the test days against the train days
    page: Path

    @property
    def over(self) -> list[str]:
        """Features over a blocking line against the release before, armed or not."""
        return [each.name for each in self.report.features if each.state == "block"]

    def sentence(self) -> str:
        """The finding in words."""
        worst = max(self.report.features, key=lambda each: each.psi)
        over = (
            f"{len(self.over)} features over a line: {', '.join(self.over)}" if self.over else "no feature over a line"
        )
        return f"{over}; highest PSI {worst.psi:.3f} ({worst.name}), against {self.against}"

    def own_sentence(self) -> str:
        """What the test days say of the train days, and which features may block."""
        armed = sum(each.armed for each in self.own.features)
        over = [each.name for each in self.own.features if each.state == "block" and not each.armed]
        blocking = ", ".join(self.own.blocking)
        return (
            f"{len(self.own.blocking)} armed features over a line{f': {blocking}' if blocking else ''}; "
            + (f"{armed} of {len(self.own.features)} features are armed" if armed else _NOT_ARMED)
            + (f"; over a line and not armed: {', '.join(over)}" if over else "")
        )

    def table(self) -> str:
        """All features as Markdown, the most drifted first."""
        own = {each.name: each for each in self.own.features}
        head = (
            "| feature | PSI (reference quantiles) | KS (statistic D) | state"
            " | PSI of the test days | KS | effective rows | armed |\n|---|---|---|---|---|---|---|---|"
        )
        lines = [
            f"| {f.name} | {f.psi:.4f} | {f.ks:.4f} | {f.state} | {own[f.name].psi:.4f} | {own[f.name].ks:.4f}"
            f" | {own[f.name].effective_rows:.0f} | {'yes' if own[f.name].armed else 'not armed'} |"
            for f in sorted(self.report.features, key=lambda each: -each.psi)
        ]
        return "\n".join([head, *lines])


def make_drift_report(workspace: Workspace, model: TrainedModel) -> ReleaseDrift:
    """Hold the test days' rows against the previous release's reference, and against its own train days; draw the page.

    The reference sample of a release is kept in its MLflow run. Without a previous release the train days serve.
    """
    current = load(workspace.lake, model.training_set.test_cells)
    against, reference_rows = _reference(workspace, model)
    rule = workspace.settings.evaluation.drift_rule()
    report = drift_report(Reference.fit(reference_rows, FEATURE_NAMES), current.oriented(), rule, None)
    page = workspace.folder("reports") / "drift.html"
    draw_page(thinned(reference_rows, PAGE_ROWS), thinned(current.oriented(), PAGE_ROWS), page)
    train = load(workspace.lake, model.training_set.train_cells)
    own = own_drift(train, current, workspace.settings.risk.drift_window(), rule)
    return ReleaseDrift(against, report, own, page)


def own_drift(train: Candidates, test: Candidates, shape: WindowShape, rule: DriftRule) -> DriftReport:
    """The newest window of the test days, drawn as live draws one, against the train days and their clean history."""
    rows, last_ns = train.oriented(), int(test.t_ns[-1])
    begin = int(np.searchsorted(test.t_ns, last_ns - shape.span_ns))
    # A day's candidates begin and end a little inside of it.
    spans = last_ns - int(test.t_ns[0]) >= 0.9 * shape.span_ns
    return drift_report(
        Reference.fit(rows, FEATURE_NAMES),
        test.oriented()[begin:][evenly(len(test) - begin, shape.rows)],
        rule,
        clean_history(train.t_ns, rows, FEATURE_NAMES, shape),
        spans=spans,
    )


def thinned(rows: NDArray[np.float32], most: int) -> NDArray[np.float32]:
    """At most `most` rows, evenly spread over time, so that they span the whole cycle of a day."""
    return rows[evenly(len(rows), most)]


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

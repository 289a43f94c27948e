"""The entry: every asset, check, job, schedule, sensor and resource, listed by hand.

Asset functions live in their modules as plain functions; what Dagster should know of each (partitions, group, kinds,
checks that block) is said here, so that one file shows the whole graph.
"""

import warnings
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

import dagster as dg
from upath import UPath

from config.settings import load
from pipelines import automation, ingestion, live_evidence, partitions, release, release_record, training
from pipelines.artifacts import JsonIOManager
from pipelines.failure_sensor import failure_sensor
from pipelines.features import features
from pipelines.labels import labels
from pipelines.progress import timed
from pipelines.release_sensors import release_sensors
from pipelines.retrain_sensors import drift_sensor, gap_sensor
from pipelines.skew import feature_skew
from pipelines.workspace import Workspace

# Single-run backfills have been marked beta since 1.5; a warning for each asset at every load would hide real ones.
warnings.filterwarnings("ignore", category=dg.BetaWarning)

OWNER = "team:ml-platform"
CHECKS = {
    "schema": "The partition reads back under this release's schema version.",
    "row_count": "The day holds at least ingest.min_book_rows book rows.",
    "symbol_reference": "Prices and sizes of the day use the tick and the lot of symbols.yml.",
    "trades_present": "The day holds trades; a day without any is possible, but odd.",
    "not_poorer": "The source offers as much as the lake already holds; otherwise the lake keeps what it has.",
    "no_damage": "Not missing, corrupt or foreign, and not silent beyond ingest.max_silent_seconds_per_day.",
    "no_gaps": "No silence over ingest.gap_threshold_seconds and no sequence break; labels never look across one.",
    "feature_rows": "The day gave at least evaluation.min_candidates_per_day candidates.",
    "features_finite": "No feature of any candidate is NaN or infinite.",
    "feature_skew": "Every row scored live equals, bit for bit, what the kernel makes of the lake's market data.",
    "label_balance": "Each side won, and did not win, in at least evaluation.min_class_share of the candidates.",
    "beats_base_rate": "Log loss on the test days is below that of the constant base rate.",
    "discriminates": "AUC of wins on the test days reaches evaluation.auc_min.",
    "calibrated": "Debiased ECE on the test days is at most evaluation.ece_max.",
    "precision_target": "tau_entry, chosen before the test days, kept evaluation.precision_target on them.",
    "bundle_verified": "The bundle's sha256 holds and its golden rows are answered to the bit.",
    "parity_margin_bits": "No float64 margin of the ONNX graph differs from LightGBM's in a single bit.",
    "parity_flips": "No decision at tau_entry differs.",
    "parity_probability": "No calibrated probability differs after rounding to float32.",
    "feature_drift": "No feature is over evaluation.psi_block or evaluation.ks_block against the previous release.",
    "own_drift": "No armed feature of the test days is over its line against the train days.",
    "outcomes_readable": "Every partition of live's outcomes in the window is one of this release and whole.",
    "outcomes_once": "No candidate's outcome is told twice.",
    "outcomes_resolved": "Nearly every candidate that was judged live has an end.",
    "reports_readable": "Every partition of live's reports in the window is one of this release and whole.",
    "reports_explained": "Every ended entry order belongs to a candidate whose score is in the lake.",
    "orders_ended": "Every accepted order ended, but for those of the last minute.",
    "live_parity": "Every margin that live scored is what the registry's bundle gives for that row, bit for bit.",
    "canary_winrate": "The canary wins at most release.winrate_delta_pp less often than the active version beside it.",
    "live_markout": "Mean 1 s markout of each version's fills is at least release.markout_floor_bps.",
    "live_fill_rate": "Fill rate of each version's entries is at least release.fill_rate_floor.",
    "live_calibration": "Debiased ECE of each version on live candidates is at most release.ece_block.",
    "live_drift": "No feature scored live is over evaluation.psi_block or evaluation.ks_block against training.",
    "journal_intact": "Every line of the registry's journal follows from the one before.",
    "evidence_kept": "What the move was decided on has the sha256 that the journal names.",
    "one_active": "At most one version is active, and it is the one in the slot.",
    "people_told": "Every place of release.notify took the message.",
}
"""What each check asks, as Dagster's page shows it."""
GRID_ASSETS = ("market_data", "gap_report", "features", "labels")
TRAINING_ASSETS = ("training_set", "model", "onnx_bundle", "parity_report", "drift_report", "model_card", "candidate")
EVIDENCE_ASSETS = ("live_outcomes", "live_reports", "canary_evaluation")


def build(workspace: Workspace) -> dg.Definitions:
    """Everything Dagster loads, for one workspace."""
    settings = workspace.settings
    make = _Maker(workspace)
    ingest = dg.define_asset_job(
        "ingest_job", selection=list(GRID_ASSETS), description="Market data, gap scan, features and labels of a cell."
    )
    train = dg.define_asset_job(
        "train_job",
        selection=list(TRAINING_ASSETS),
        description="Train, calibrate, export, prove parity, draw the card, register a candidate.",
    )
    evidence = dg.define_asset_job(
        "evidence_job",
        selection=list(EVIDENCE_ASSETS),
        description="What live recorded of each version: measured, drawn, added to its run in MLflow.",
    )
    return dg.Definitions(
        assets=[*make.grid_assets(), *make.training_assets(), *make.evidence_assets(), make.move_record()],
        asset_checks=[make.skew_check()],
        jobs=[ingest, train, evidence, release_record.MOVE_JOB, release_record.ALERT_JOB],
        schedules=[
            automation.daily_schedule(ingest.name, settings.schedule, settings.market),
            live_evidence.hourly_schedule(evidence.name, settings.schedule),
        ],
        sensors=[
            *release_sensors(settings),
            gap_sensor(ingest, train, settings),
            drift_sensor(train, settings),
            failure_sensor(settings),
        ],
        resources={"workspace": workspace, "io_manager": JsonIOManager(base_path=_storage(workspace))},
        # The default executor starts an interpreter for every step: seconds each, for assets that take less.
        executor=dg.in_process_executor,
    )


class _Maker:
    """Turns the plain functions into assets of one workspace."""

    def __init__(self, workspace: Workspace) -> None:
        self._progress = workspace.progress
        self._most_a_run = workspace.settings.scale.partitions_per_run
        self._grid = partitions.grid(
            workspace.settings.market.first_day, workspace.last_day, workspace.settings.market.symbols
        )

    def grid_assets(self) -> list[dg.AssetsDefinition]:
        """The partitioned half: day x symbol."""
        before, after = partitions.day_before(), partitions.day_after()
        return [
            self._cells(
                ingestion.market_data, "ingest", {"parquet"}, [],
                blocking=("schema", "row_count", "symbol_reference"), warning=("trades_present", "not_poorer"),
            ),
            self._cells(
                ingestion.gap_report, "quality", {"parquet"}, [dg.AssetDep("market_data")],
                blocking=("no_damage",), warning=("no_gaps",),
            ),
            self._cells(
                features, "features", {"numba", "parquet"},
                [dg.AssetDep("gap_report"), dg.AssetDep("market_data", partition_mapping=before)],
                blocking=("feature_rows", "features_finite"),
            ),
            self._cells(
                labels, "labels", {"numba", "parquet"},
                [dg.AssetDep("features"), dg.AssetDep("market_data", partition_mapping=after)],
                blocking=("label_balance",),
            ),
        ]  # fmt: skip

    def training_assets(self) -> list[dg.AssetsDefinition]:
        """The other half: one model from all partitions. What hands a value on has type Any for Dagster."""
        quality = ("beats_base_rate", "discriminates", "calibrated")
        parity = ("parity_margin_bits", "parity_flips", "parity_probability")
        derived, handed_on = [dg.AssetDep("features"), dg.AssetDep("labels")], {"dagster_type": dg.Any}
        return [
            self._asset(training.training_set, "training", {"python"}, derived),
            self._asset(
                training.model, "training", {"lightgbm"}, [],
                blocking=quality, warning=("precision_target",), **handed_on,
            ),
            self._asset(release.onnx_bundle, "export", {"onnx"}, [], blocking=("bundle_verified",), **handed_on),
            self._asset(release.parity_report, "export", {"onnx"}, [], blocking=parity, **handed_on),
            self._asset(
                release.drift_report, "monitor", {"evidently"}, [],
                blocking=("own_drift",), warning=("feature_drift",),
            ),
            self._asset(release.model_card, "release", {"mlflow"}, [dg.AssetDep("drift_report")], **handed_on),
            self._asset(release.candidate, "release", {"mlflow"}, []),
        ]  # fmt: skip

    def evidence_assets(self) -> list[dg.AssetsDefinition]:
        """What live recorded, and what it says of the versions that were scored."""
        handed_on = {"dagster_type": dg.Any}
        return [
            self._asset(
                live_evidence.live_outcomes, "live", {"parquet"}, [],
                warning=("outcomes_readable", "outcomes_once", "outcomes_resolved"), **handed_on,
            ),
            self._asset(
                live_evidence.live_reports, "live", {"parquet"}, [],
                warning=("reports_readable", "reports_explained", "orders_ended"), **handed_on,
            ),
            self._asset(
                live_evidence.canary_evaluation, "live", {"evidently", "mlflow"}, [],
                warning=(
                    "live_parity", "canary_winrate", "live_markout", "live_fill_rate", "live_calibration", "live_drift"
                ),
            ),
        ]  # fmt: skip

    def move_record(self) -> dg.AssetsDefinition:
        """The list of all moves of the registry: each run shows one."""
        return self._asset(
            release_record.release_move, "release", {"python"}, [],
            blocking=("journal_intact", "evidence_kept", "one_active"), warning=("people_told",),
        )  # fmt: skip

    def skew_check(self) -> dg.AssetChecksDefinition:
        """Live against the lake, of the days that were traded; it may be run on its own, at any time."""
        checked = dg.asset_check(asset="features", description=CHECKS["feature_skew"], blocking=False)
        return checked(feature_skew)

    def _cells(
        self, function: Callable[..., Any], group: str, kinds: set[str], deps: Sequence[dg.AssetDep], **more: Any
    ) -> dg.AssetsDefinition:
        most = self._most_a_run
        policy = dg.BackfillPolicy.multi_run(most) if most else dg.BackfillPolicy.single_run()
        return self._asset(function, group, kinds, deps, partitions_def=self._grid, backfill_policy=policy, **more)

    def _asset(
        self,
        function: Callable[..., Any],
        group: str,
        kinds: set[str],
        deps: Sequence[dg.AssetDep],
        *,
        blocking: Sequence[str] = (),
        warning: Sequence[str] = (),
        **more: Any,
    ) -> dg.AssetsDefinition:
        name = function.__name__
        specs = [dg.AssetCheckSpec(check, asset=name, description=CHECKS[check], blocking=True) for check in blocking]
        specs += [dg.AssetCheckSpec(check, asset=name, description=CHECKS[check]) for check in warning]
        make: Callable[..., dg.AssetsDefinition] = dg.asset(
            group_name=group, kinds=kinds, owners=[OWNER], deps=list(deps), check_specs=specs, **more
        )
        return make(timed(function, self._progress))


def _storage(workspace: Workspace) -> UPath:
    return UPath(workspace.folder("artifacts"))


def definitions() -> dg.Definitions:
    """The definitions of config/app.yml as it stands, read when Dagster loads this code location."""
    today = datetime.now(UTC).date()  # noqa: TID251 - an entry point owns the clock
    return build(Workspace(load(), today))


defs = definitions()

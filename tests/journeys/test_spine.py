"""The main job from end to end: market data in, a proven version under alias candidate out."""

from collections.abc import Mapping
from datetime import date
from pathlib import Path

import dagster as dg
import pytest

from archive.layout import BOOK
from pipelines.artifacts import ProvenBundle, TrainedModel
from pipelines.bundling import export_bundle, prove_bundle
from pipelines.ingestion import BACKFILL_TAG
from pipelines.launching import Launcher, launcher
from pipelines.learning import make_training_set, train
from pipelines.partitions import RANGE_END, RANGE_START, Cell, cell
from pipelines.progress import Progress
from pipelines.retrain_sensors import gap_sensor
from pipelines.workspace import Workspace
from registry.bundle import verify_bundle
from tests import recorded
from tests.pipelines.days import derive, ingest, settings

pytestmark = pytest.mark.filterwarnings("ignore::dagster.BetaWarning")

TODAY = date(2026, 2, 1)
GAPPED = Cell(date(2026, 1, 5), "ETHUSDT")
_SIMULATED: Mapping[str, Mapping[str, object]] = {
    "market": {"last_day": date(2026, 1, 6)},
    "simulator": {
        "depth_interval_ms": 2_000, "order_flow_effect": 0.8, "gap_symbol": GAPPED.symbol, "gap_day": GAPPED.day,
    },
    "candidate": {"interval_ms": 10_000},
    "label": {"tp_pct": 0.0006, "sl_pct": 0.0006, "horizon_seconds": 60},
}  # fmt: skip
_RECORDED: Mapping[str, Mapping[str, object]] = {
    "market": {"symbols": ("BTC-USD",), "first_day": date(2026, 1, 6), "last_day": date(2026, 1, 7)},
}


def looked(runs: Launcher) -> dg.SensorResult:
    """One tick of the gap sensor."""
    context = dg.build_sensor_context(instance=runs.instance, resources={"workspace": runs.workspace})
    jobs = (runs.definitions.resolve_job_def(name) for name in ("ingest_job", "train_job"))
    found = gap_sensor(*jobs, runs.workspace.settings)(context)
    assert isinstance(found, dg.SensorResult)
    return found


def contents(runs: Launcher) -> dict[Cell, str]:
    """The content hash of every book in the lake."""
    lake = runs.workspace.lake
    return {Cell(day, name): lake.info(BOOK, name, day).content_sha256 for name, day in lake.partitions(BOOK)}


@pytest.mark.slow
def test_a_gap_is_repaired_alone_and_the_model_ends_as_a_candidate(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ingest finds the planted gap, the sensor asks for that cell and no other, and training ends with a version."""
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path / "dagster"))
    (tmp_path / "dagster").mkdir()
    (tmp_path / "dagster" / "dagster.yaml").write_text("telemetry:\n  enabled: false\n")
    with launcher(settings(tmp_path, **_SIMULATED), TODAY, Progress()) as runs:
        cells = runs.workspace.all_cells
        failure = runs.launch("ingest_job", ["market_data", "gap_report"], cells)
        assert "no_damage" in failure
        assert str(GAPPED.key) in failure
        runs.must("ingest_job", ["features", "labels"], [each for each in cells if each != GAPPED])
        before = contents(runs)

        asked = looked(runs).run_requests or ()
        assert [request.partition_key for request in asked] == [str(GAPPED.key)]
        for request in asked:
            assert runs.launch("ingest_job", None, [cell(str(request.partition_key))], request.tags) == ""
        repaired = {each for each, sha256 in contents(runs).items() if sha256 != before[each]}
        assert repaired == {GAPPED}
        backfills = runs.instance.get_runs(dg.RunsFilter(tags={BACKFILL_TAG: "true"}))
        assert [(run.tags[RANGE_START], run.tags[RANGE_END]) for run in backfills] == [(GAPPED.key, GAPPED.key)]
        idle = looked(runs)
        assert not idle.run_requests
        assert str(idle.skip_reason.skip_message) == "no partition is missing or damaged"  # type: ignore[union-attr]

        runs.must("train_job")
        version = runs.workspace.store.by_alias("candidate")
        assert version is not None
        figures = runs.workspace.store.run_metrics(version.run_id)
        assert (figures["parity_margin_mismatches"], figures["parity_flips"]) == (0.0, 0.0)
        card = verify_bundle(runs.workspace.store.download(version, tmp_path / "fetched"), version.sha256)
        assert card.training.symbols == ("BTCUSDT", "ETHUSDT")
        assert card.parity.rows == figures["parity_rows"] > 0


def trained_on_standx(folder: Path) -> tuple[TrainedModel, ProvenBundle]:
    """Trained on the recorded StandX day 2026-01-06, tested on 2026-01-07, with the configuration as shipped."""
    tiny = settings(folder, source={"kind": "standx", "path": recorded.path("standx")}, **_RECORDED)
    kept = ("paths", "source", "market", "registry")
    shipped = type(tiny).model_validate({name: getattr(tiny, name).model_dump() for name in kept})
    workspace = Workspace(shipped, TODAY)
    ingest(workspace, workspace.all_cells)
    derive(workspace, workspace.all_cells)
    model = train(workspace, make_training_set(workspace, workspace.all_cells))
    return model, prove_bundle(workspace, model, export_bundle(workspace, model))


@pytest.mark.slow
def test_a_model_of_one_recorded_day_tells_direction_on_the_next_and_its_graph_answers_alike(tmp_path: Path) -> None:
    """Direction AUC of 0.75 or more among rows that touched a barrier, scores that mean what they say; and not one
    differing bit on every training row from both sides, 200,000 random rows and the rows around every threshold."""
    model, proven = trained_on_standx(tmp_path)
    metrics = model.measured.metrics
    assert metrics["test_direction_auc"] >= 0.75
    assert metrics["test_ece"] <= 0.03
    assert metrics["test_log_loss"] < metrics["test_log_loss_base"]
    rows = {line.kind: line.rows for line in proven.lines}
    assert rows["training"] >= model.sizes["train_rows"]
    assert rows["random"] == 200_000
    assert rows["threshold"] > 0
    assert (proven.margin_mismatches, proven.prob_mismatches, proven.flips) == (0, 0, 0), proven.first_bad

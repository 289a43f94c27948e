import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import dagster as dg
import pytest

from pipelines.definitions import OWNER, build
from tests.pipelines.days import Bench, bench

ROOT = Path(__file__).resolve().parents[2]

# asset: (group, kinds, what it reads, checks that block, checks that warn)
GRAPH: dict[str, tuple[str, set[str], set[str], set[str], set[str]]] = {
    "market_data": (
        "ingest", {"parquet"}, set(),
        {"schema", "row_count", "symbol_reference"}, {"trades_present", "not_poorer"},
    ),
    "gap_report": ("quality", {"parquet"}, {"market_data"}, {"no_damage"}, {"no_gaps"}),
    "features": (
        "features", {"numba", "parquet"}, {"market_data", "gap_report"}, {"feature_rows", "features_finite"}, set(),
    ),
    "labels": ("labels", {"numba", "parquet"}, {"market_data", "features"}, {"label_balance"}, set()),
    "training_set": ("training", {"python"}, {"features", "labels"}, set(), set()),
    "model": (
        "training", {"lightgbm"}, {"training_set"},
        {"beats_base_rate", "discriminates", "calibrated"}, {"precision_target"},
    ),
    "onnx_bundle": ("export", {"onnx"}, {"model"}, {"bundle_verified"}, set()),
    "parity_report": (
        "export", {"onnx"}, {"model", "onnx_bundle"},
        {"parity_margin_bits", "parity_flips", "parity_probability"}, set(),
    ),
    "drift_report": ("monitor", {"evidently"}, {"model"}, {"own_drift"}, {"feature_drift"}),
    "model_card": ("release", {"mlflow"}, {"model", "parity_report", "drift_report"}, set(), set()),
    "candidate": ("release", {"mlflow"}, {"model", "parity_report", "model_card"}, set(), set()),
    "live_outcomes": (
        "live", {"parquet"}, set(), set(), {"outcomes_readable", "outcomes_once", "outcomes_resolved"},
    ),
    "live_reports": (
        "live", {"parquet"}, set(), set(), {"reports_readable", "reports_explained", "orders_ended"},
    ),
    "canary_evaluation": (
        "live", {"evidently", "mlflow"}, {"live_outcomes", "live_reports"}, set(),
        {"live_parity", "canary_winrate", "live_markout", "live_fill_rate", "live_calibration", "live_drift"},
    ),
    "release_move": (
        "release", {"python"}, set(), {"journal_intact", "evidence_kept", "one_active"}, {"people_told"},
    ),
}  # fmt: skip
GRID = {"market_data", "gap_report", "features", "labels"}


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    """A workspace without a lake: the graph does not need one."""
    return bench(tmp_path_factory.mktemp("definitions"), schedule={"daily_hour": 3})


@pytest.fixture(scope="module")
def assets(workspace: Bench) -> dict[str, dg.AssetsDefinition]:
    """Every asset by name."""
    made = [each for each in build(workspace).assets or () if isinstance(each, dg.AssetsDefinition)]
    return {each.key.to_user_string(): each for each in made}


@pytest.fixture(scope="module")
def repository(workspace: Bench) -> dg.RepositoryDefinition:
    """The graph as Dagster resolves it; this is what `dagster definitions validate` does."""
    return build(workspace).get_repository_def()


def test_the_graph_is_these_assets_and_no_others(assets: dict[str, dg.AssetsDefinition]) -> None:
    """Each with its group, its kinds, and what it reads."""
    found = {
        name: (each.group_names_by_key[each.key], set(next(iter(each.specs)).kinds),
               {key.to_user_string() for key in each.dependency_keys})
        for name, each in assets.items()
    }  # fmt: skip
    assert found == {name: entry[:3] for name, entry in GRAPH.items()}


def test_these_checks_block_and_those_warn(assets: dict[str, dg.AssetsDefinition]) -> None:
    """A bad partition or model must not flow on; the rest is shown."""
    for name, (*_, blocking, warning) in GRAPH.items():
        specs = list(assets[name].check_specs)
        assert {spec.name for spec in specs if spec.blocking} == blocking, name
        assert {spec.name for spec in specs if not spec.blocking} == warning, name


def test_live_is_held_against_the_lake_by_a_check_of_its_own(workspace: Bench) -> None:
    """It follows the features of a run, blocks nothing, and can be run alone."""
    (check,) = (each for each in build(workspace).asset_checks or () if isinstance(each, dg.AssetChecksDefinition))
    (spec,) = check.check_specs
    assert (spec.name, spec.asset_key.to_user_string(), spec.blocking) == ("feature_skew", "features", False)
    assert spec.description


def test_every_asset_has_an_owner_and_says_what_it_is(assets: dict[str, dg.AssetsDefinition]) -> None:
    """The description is the function's docstring."""
    for name, each in assets.items():
        (spec,) = each.specs
        assert list(spec.owners) == [OWNER], name
        assert spec.description, name


def test_half_of_the_graph_is_cut_into_cells_and_backfilled_in_one_run(assets: dict[str, dg.AssetsDefinition]) -> None:
    """Day times symbol; the training half sees all of them at once."""
    assert {name for name, each in assets.items() if each.partitions_def is not None} == GRID
    for name in GRID:
        assert assets[name].backfill_policy == dg.BackfillPolicy.single_run()
        assert isinstance(assets[name].partitions_def, dg.MultiPartitionsDefinition)


def test_four_jobs_share_the_graph_between_them(repository: dg.RepositoryDefinition) -> None:
    """Nothing is in both, nothing in neither."""
    selected = {
        name: {key.to_user_string() for key in repository.get_job(name).asset_layer.executable_asset_keys}
        for name in ("ingest_job", "train_job", "evidence_job", "release_move_job")
    }
    moves, live = {"release_move"}, {"live_outcomes", "live_reports", "canary_evaluation"}
    assert selected == {
        "ingest_job": GRID, "train_job": set(GRAPH) - GRID - moves - live, "evidence_job": live,
        "release_move_job": moves,
    }  # fmt: skip


def test_each_sensor_starts_these_jobs(repository: dg.RepositoryDefinition) -> None:
    """Those that move versions record it; those of the data backfill and train; the last one only tells."""
    release, failures = {"release_move_job", "release_alert_job"}, set[str]()
    assert {each.name: {target.job_name for target in each.targets} for each in repository.sensor_defs} == {
        "promotion_sensor": release, "rollback_sensor": release, "registry_sensor": release,
        "gap_sensor": {"ingest_job", "train_job"}, "drift_sensor": {"train_job"}, "run_failure_sensor": failures,
    }  # fmt: skip


def test_a_schedule_starts_ingest_runs(repository: dg.RepositoryDefinition) -> None:
    """The daily tick asks for yesterday of every symbol."""
    schedule = repository.get_schedule_def("daily_ingest")
    assert (schedule.name, schedule.job_name, schedule.cron_schedule) == ("daily_ingest", "ingest_job", "15 3 * * *")
    at = datetime(2026, 1, 7, 3, 15, tzinfo=UTC)
    context = dg.build_schedule_context(scheduled_execution_time=at, repository_def=repository)
    asked = schedule.evaluate_tick(context).run_requests or ()
    assert [request.partition_key for request in asked] == ["2026-01-06|BTCUSDT", "2026-01-06|ETHUSDT"]


def test_live_is_looked_at_once_an_hour(repository: dg.RepositoryDefinition) -> None:
    """Behind the hour's compaction."""
    schedule = repository.get_schedule_def("hourly_evidence")
    assert (schedule.job_name, schedule.cron_schedule) == ("evidence_job", "20 * * * *")
    assert {each.name for each in repository.schedule_defs} == {"daily_ingest", "hourly_evidence"}


def test_loading_the_definitions_costs_no_heavy_import(tmp_path: Path) -> None:
    """The webserver's code server must answer in seconds: numba, the trainer, MLflow and pandas load when used."""
    program = (
        "import sys, pipelines.definitions as d; assert d.defs is not None; "
        "print(*sorted({'numba', 'lightgbm', 'mlflow', 'evidently', 'pandas', 'onnxruntime', 'matplotlib'}"
        " & set(sys.modules)))"
    )
    environ = os.environ | {"PATHS_VAR": str(tmp_path), "PATHS_LAKE": str(tmp_path / "lake")}
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, env=environ, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == ""
    assert "Warning" not in done.stderr

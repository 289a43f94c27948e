"""The MLflow store on a real SQLite database: runs, versions, aliases, downloads, and what each refusal says."""

import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from mlflow import MlflowClient

from pipelines.onnx_export import export
from registry import card as cards
from registry.bundle import verify_bundle, write_bundle
from registry.errors import AliasMoved, BundleError, RegistryError, StoreUnavailable, UnknownVersion
from registry.store import ModelStore
from registry.versions import TrainingData, Version
from tests.pipelines.exported import GraphScorer, sample, trained

_DATA = TrainingData("candidates", "ab" * 32, "data/parquet", 12_000)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One database for the module: MLflow needs seconds to make it. Each test registers a model of its own name."""
    return tmp_path_factory.mktemp("mlflow")


@pytest.fixture
def store(root: Path, request: pytest.FixtureRequest) -> ModelStore:
    """A store of a model that nobody has registered yet."""
    return ModelStore(f"sqlite:///{root}/mlflow.db", root / "artifacts", request.node.name.replace("[", "-").strip("]"))


@pytest.fixture(scope="module")
def onnx_bytes() -> bytes:
    """A small exported model."""
    fitted = trained(sample(2_000))
    return export(fitted.model_text, fitted.calibrator)


@pytest.fixture
def bundle(tmp_path: Path, onnx_bytes: bytes) -> Callable[..., Path]:
    """Return a maker of bundle folders; keywords change the card."""

    def make(folder: str = "made", **changes: Any) -> Path:
        rows = sample(2_000).rows[:32]
        told = GraphScorer(onnx_bytes).score_many(rows)
        write_bundle(
            tmp_path / folder,
            onnx_bytes,
            msgspec.structs.replace(_card(), **changes),
            golden_rows=rows,
            golden_scores=told.probability,
            golden_margins=told.margin,
        )
        return tmp_path / folder

    return make


def _card() -> cards.ModelCard:
    names = tuple(f"feature_{number}" for number in range(20))
    baseline = tuple(cards.FeatureBaseline(name=name, edges=(0.0,), shares=(0.5, 0.5), sample="") for name in names)
    return cards.ModelCard(
        name="signal_scorer",
        schema_hash="5c" * 32,
        feature_names=names,
        candidate_rule={"interval_ms": 1_000},
        label=cards.Label(tp_pct=0.1, sl_pct=0.1, horizon_s=60.0, net_of_fees=False),
        thresholds=cards.Thresholds(tau_entry=0.6, tau_hold=0.5),
        calibration=cards.Calibration(kind="isotonic", rows=300),
        metrics={"test_win_auc": 0.7},
        training=cards.Training(
            symbols=("BTC-USD",),
            first_day="2026-01-06",
            last_day="2026-01-06",
            rows=2_000,
            data_hash=_DATA.data_hash,
            code_version="0" * 40,
            seed=7,
        ),
        parity=cards.Parity(rows=210_000, margin_mismatches=0, flips=0, max_abs_diff=0.0),
        baseline=cards.Baseline(
            drift=cards.DriftBaseline(rows=2_000, features=baseline),
            scores=cards.ScoreBaseline(edges=(0.5,), shares=(0.5, 0.5)),
            brier=0.2,
            winrate=0.5,
            trades_per_hour_p95=12.0,
        ),
        limitations=("Trained on synthetic rows.",),
        created_at="2026-01-08T00:00:00Z",
    )


def _run(store: ModelStore, **changes: Any) -> str:
    told: dict[str, Any] = {
        "parameters": {"num_leaves": 15, "seed": 7},
        "metrics": {"test_win_auc": 0.7},
        "tags": {"git_commit": "0" * 40},
        "artifacts": {},
        "data": _DATA,
    }
    return store.log_training_run(**(told | changes))


def _client(store: ModelStore) -> MlflowClient:
    return MlflowClient(store.tracking_uri, store.tracking_uri)


def test_what_is_found_out_later_is_added_to_the_run(store: ModelStore, tmp_path: Path) -> None:
    """Beside what the training said; a metric told again keeps its history, an artifact is replaced."""
    run_id = _run(store)
    for value, page in ((0.25, "first"), (0.20, "second")):
        store.add_to_run(run_id, metrics={"live_brier": value}, tags={"live": "yes"}, artifacts={"live/page.md": page})
    run = _client(store).get_run(run_id)
    assert run.data.metrics == {"test_win_auc": 0.7, "live_brier": 0.20}
    assert [each.value for each in _client(store).get_metric_history(run_id, "live_brier")] == [0.25, 0.20]
    assert run.data.tags["live"] == "yes"
    assert run.info.status == "FINISHED"
    assert store.run_artifact(run_id, "live/page.md", tmp_path).read_text() == "second"
    with pytest.raises(RegistryError, match=r"metric live_ece is nan"):
        store.add_to_run(run_id, metrics={"live_ece": float("nan")}, tags={}, artifacts={"live/page.md": "third"})
    assert store.run_artifact(run_id, "live/page.md", tmp_path).read_text() == "second"


def test_a_run_holds_what_it_was_told(store: ModelStore, tmp_path: Path) -> None:
    """Parameters, metrics, tags, the data set and every kind of artifact, in a finished run."""
    folder = tmp_path / "report"
    folder.mkdir()
    (folder / "index.html").write_text("<html>")
    artifacts = {"card/curve.png": b"\x89PNG", "card/card.md": "# Card", "drift": folder, "one": folder / "index.html"}
    many = {f"metric_{number}": float(number) for number in range(230)}
    run_id = _run(store, artifacts=artifacts, metrics=many, run_name="first")
    client = _client(store)
    run = client.get_run(run_id)
    assert run.info.status == "FINISHED"
    assert run.data.params == {"num_leaves": "15", "seed": "7"}
    assert run.data.metrics == many
    assert run.data.tags["git_commit"] == "0" * 40
    (used,) = run.inputs.dataset_inputs
    assert (used.dataset.name, used.dataset.digest) == ("candidates", _DATA.data_hash[:36])
    kept = Path(run.info.artifact_uri)
    assert kept.is_relative_to(store.artifact_root)
    assert {str(path.relative_to(kept)) for path in kept.rglob("*") if path.is_file()} == {
        "card/curve.png",
        "card/card.md",
        "drift/index.html",
        "one",
    }
    assert (kept / "card/card.md").read_text() == "# Card"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"metrics": {"test_ece": float("nan")}}, "metric test_ece is nan"),
        ({"artifacts": {"../out.txt": "x"}}, "'../out.txt' does not name a place inside the run"),
        ({"artifacts": {"card.png": Path("/nowhere/card.png")}}, "/nowhere/card.png does not exist"),
    ],
)
def test_a_run_that_cannot_be_recorded_is_refused_before_it_starts(
    store: ModelStore, changes: dict[str, Any], message: str
) -> None:
    """Nothing is left behind."""
    with pytest.raises(RegistryError, match=message):
        _run(store, **changes)
    assert _client(store).get_experiment_by_name(store.name) is None


def test_a_run_that_mlflow_refuses_half_way_is_marked_failed(store: ModelStore) -> None:
    """A parameter name that MLflow does not take; the run says FAILED."""
    with pytest.raises(RegistryError, match="MLflow would not record the training run"):
        _run(store, parameters={"a=b:c\n": 1})
    client = _client(store)
    experiment = client.get_experiment_by_name(store.name)
    assert [run.info.status for run in client.search_runs([experiment.experiment_id])] == ["FAILED"]


def test_a_bundle_becomes_a_candidate_version(store: ModelStore, bundle: Callable[..., Path]) -> None:
    """Its tags come from the card, its source is the run's artifact folder, and it has no alias yet."""
    folder, run_id = bundle(), _run(store)
    version = store.register(folder, run_id, {"note": "first"})
    card = verify_bundle(folder)
    assert (version.number, version.model_id, version.sha256) == (1, card.id, card.sha256)
    assert (version.schema_hash, version.data_hash) == (card.schema_hash, _DATA.data_hash)
    assert (version.state, version.run_id, version.aliases) == ("candidate", run_id, ())
    assert version.tags["parity"] == "0 margin mismatches, 0 flips in 210000 rows"
    assert version.tags["note"] == "first"
    assert version.source.endswith(f"{run_id}/artifacts/bundle")
    assert store.by_model_id(card.id) == version


def test_registering_twice_makes_one_version(store: ModelStore, bundle: Callable[..., Path]) -> None:
    """A retried job finds the version of its first try; another bundle gets the next number, newest first."""
    folder = bundle()
    first = store.register(folder, _run(store))
    assert store.register(folder, _run(store)) == first
    second = store.register(bundle("other", metrics={"test_win_auc": 0.8}), _run(store))
    assert [version.number for version in store.versions()] == [2, 1]
    assert second.model_id != first.model_id


def test_another_bundle_under_a_known_id_is_refused(store: ModelStore, bundle: Callable[..., Path]) -> None:
    """Both hashes stand in the message."""
    store.register(bundle("one", id="named"), _run(store))
    with pytest.raises(RegistryError, match="version 1 already has id named with sha256"):
        store.register(bundle("two", id="named", metrics={}), _run(store))


def test_a_damaged_bundle_is_not_registered(store: ModelStore, bundle: Callable[..., Path]) -> None:
    """The model stays unknown."""
    folder = bundle()
    (folder / "model.onnx").write_bytes(b"torn")
    with pytest.raises(BundleError):
        store.register(folder, _run(store))
    assert store.versions() == []


def test_registering_for_a_run_that_is_not_there_is_refused(store: ModelStore, bundle: Callable[..., Path]) -> None:
    """MLflow's own words follow what was being done."""
    with pytest.raises(RegistryError, match=r"MLflow would not register bundle .*: Run with id=nope not found"):
        store.register(bundle(), "nope")


def _two(store: ModelStore, bundle: Callable[..., Path]) -> tuple[Version, Version]:
    first = store.register(bundle("first"), _run(store))
    return first, store.register(bundle("second", metrics={}), _run(store))


def test_an_alias_names_a_version_and_moves(store: ModelStore, bundle: Callable[..., Path]) -> None:
    """Unset it is None; set, it is found; moved, the former version loses it."""
    assert store.by_alias("active") is None
    first, second = _two(store, bundle)
    assert store.by_alias("active") is None
    store.set_alias("active", first.number)
    store.set_alias("candidate", first.number)
    found = store.by_alias("active")
    assert found is not None
    assert (found.number, found.aliases) == (1, ("active", "candidate"))
    store.set_alias("active", second.number)
    assert [version.aliases for version in store.versions()] == [("active",), ("candidate",)]


def test_a_move_that_expects_something_else_is_refused(store: ModelStore, bundle: Callable[..., Path]) -> None:
    """Compare-and-set: the alias stays where somebody else put it."""
    first, second = _two(store, bundle)
    store.set_alias("active", first.number, expected=None)
    with pytest.raises(AliasMoved, match=r"'active' of .* names version 1, expected None"):
        store.set_alias("active", second.number, expected=None)
    store.set_alias("active", second.number, expected=first.number)
    with pytest.raises(AliasMoved, match="names version 2, expected 1"):
        store.set_alias("active", first.number, expected=first.number)


def test_of_many_movers_with_the_same_expectation_one_wins(store: ModelStore, bundle: Callable[..., Path]) -> None:
    """Eight threads, each with a store of its own, expect the same; MLflow alone would let all through."""
    first, second = _two(store, bundle)
    store.set_alias("active", first.number)
    won: list[int] = []

    def move(number: int) -> None:
        other = ModelStore(store.tracking_uri, store.artifact_root, store.name)
        try:
            other.set_alias("active", second.number, expected=first.number)
        except AliasMoved:
            return
        won.append(number)

    threads = [threading.Thread(target=move, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(won) == 1


def test_an_alias_is_taken_away(store: ModelStore, bundle: Callable[..., Path]) -> None:
    """One that is not there is fine; the others stay."""
    first, second = _two(store, bundle)
    store.set_alias("active", first.number)
    store.set_alias("shadow", second.number)
    store.delete_alias("shadow")
    store.delete_alias("shadow")
    assert store.aliases() == {"active": 1}


def test_tags_of_a_version_and_of_the_model_are_added(store: ModelStore, bundle: Callable[..., Path]) -> None:
    """Those that are not named stay as they were; a version that is not there is named."""
    assert store.model_tags() == {}
    version = store.register(bundle(), _run(store))
    store.set_version_tags(version.number, {"state": "shadow", "tidegate.epoch": "3"})
    store.set_model_tags({"tidegate.epoch": "3"})
    store.set_model_tags({"tidegate.head": "ab"})
    found = store.version(version.number)
    assert found.state == "shadow"
    assert found.tags["model_id"] == version.model_id
    assert store.model_tags() == {"tidegate.epoch": "3", "tidegate.head": "ab"}
    with pytest.raises(UnknownVersion, match="has no version 9"):
        store.set_version_tags(9, {"state": "shadow"})


def test_what_is_not_there_is_named_with_what_is(store: ModelStore, bundle: Callable[..., Path]) -> None:
    """Unknown numbers and ids, before and after the first version; an alias that MLflow reserves."""
    with pytest.raises(UnknownVersion, match="has no version 1; it has none yet"):
        store.set_alias("active", 1)
    with pytest.raises(UnknownVersion, match="newest ids: none"):
        store.by_model_id("gone")
    version = store.register(bundle(), _run(store))
    with pytest.raises(UnknownVersion, match="has no version 9; the newest is 1"):
        store.version(9)
    with pytest.raises(UnknownVersion, match=f"newest ids: {version.model_id}"):
        store.by_model_id("gone")
    with pytest.raises(RegistryError, match="MLflow would not set alias 'latest'"):
        store.set_alias("latest", 1)


def test_a_download_is_the_registered_bundle_with_its_version_in_the_card(
    store: ModelStore, bundle: Callable[..., Path], tmp_path: Path
) -> None:
    """Same sha256; a second download uses the first copy, a damaged copy is replaced."""
    version = store.register(bundle(), _run(store))
    folder = store.download(version, tmp_path / "cache" / "made")
    card = verify_bundle(folder, version.sha256)
    assert (card.version, card.run_id) == (1, version.run_id)
    assert folder == tmp_path / "cache" / "made"
    inode = (folder / "model.onnx").stat().st_ino
    assert store.download(version, tmp_path / "cache" / "made") == folder
    assert (folder / "model.onnx").stat().st_ino == inode
    (folder / "model.onnx").write_bytes(b"torn")
    assert verify_bundle(store.download(version, tmp_path / "cache" / "made"), version.sha256) == card
    assert [path.name for path in (tmp_path / "cache").iterdir()] == ["made"]


def test_an_artifact_that_is_missing_or_changed_is_refused(
    store: ModelStore, bundle: Callable[..., Path], tmp_path: Path
) -> None:
    """Nothing is left under the name that a loader would look at."""
    version = store.register(bundle(), _run(store))
    stored = Path(version.source)
    (stored / "model.onnx").write_bytes(b"torn")
    with pytest.raises(BundleError):
        store.download(version, tmp_path / "cache" / "made")
    for path in stored.iterdir():
        path.unlink()
    stored.rmdir()
    with pytest.raises(RegistryError, match=r"MLflow would not fetch version 1 .*restore the artifact folder"):
        store.download(version, tmp_path / "cache" / "made")
    assert list((tmp_path / "cache").iterdir()) == []


def test_a_database_of_another_mlflow_release_is_refused(store: ModelStore, root: Path, tmp_path: Path) -> None:
    """The schema found and what to do stand in the message."""
    store.versions()
    copy = tmp_path / "newer.db"
    copy.write_bytes((root / "mlflow.db").read_bytes())
    with sqlite3.connect(copy) as database:
        database.execute("update alembic_version set version_num = 'ffffffffffff'")
    with pytest.raises(StoreUnavailable, match=r"another MLflow release .*found version ffffffffffff.*db upgrade"):
        ModelStore(f"sqlite:///{copy}", tmp_path / "artifacts").versions()


def test_a_file_that_is_no_database_is_refused_at_once(tmp_path: Path) -> None:
    """Its first bytes are shown; a folder in its place is refused too."""
    (tmp_path / "notes.db").write_bytes(b"dear diary, today")
    with pytest.raises(StoreUnavailable, match="not SQLite: it begins with b'dear diary, toda'"):
        ModelStore(f"sqlite:///{tmp_path}/notes.db", tmp_path / "artifacts").versions()
    with pytest.raises(StoreUnavailable, match="Is a directory"):
        ModelStore(f"sqlite:///{tmp_path}", tmp_path / "artifacts").versions()


def test_a_deleted_experiment_is_not_written_to(store: ModelStore) -> None:
    """The message gives the command that restores it."""
    client = _client(store)
    client.delete_experiment(client.create_experiment(store.name))
    with pytest.raises(StoreUnavailable, match="is deleted; restore it with 'mlflow experiments restore"):
        _run(store)


def test_an_object_store_needs_a_folder_for_the_lock() -> None:
    """The lock is a local file, so a URL alone is not enough."""
    with pytest.raises(RegistryError, match="s3://models is a URL: give lock_folder"):
        ModelStore("sqlite:///x.db", "s3://models")


def test_making_a_store_does_not_import_mlflow() -> None:
    """The import costs five seconds, so it waits for the first use."""
    told = subprocess.run(
        [
            sys.executable,
            "-c",
            "import sys, registry.store as s; s.ModelStore('sqlite:///x.db', '/tmp/x'); print('mlflow' in sys.modules)",
        ],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(__file__).parents[2],
    )
    assert told.stdout.strip() == "False"


def test_a_runs_metrics_and_artifacts_are_read_back(store: ModelStore, tmp_path: Path) -> None:
    """What another card is compared with; what is not there is refused by name."""
    run_id = _run(store, artifacts={"card/gain.json": '{"spread_bps": 2.5}'})
    assert store.run_metrics(run_id) == {"test_win_auc": 0.7}
    assert store.run_artifact(run_id, "card/gain.json", tmp_path / "kept").read_text() == '{"spread_bps": 2.5}'
    with pytest.raises(RegistryError, match=f"would not fetch card/none.json of run {run_id}"):
        store.run_artifact(run_id, "card/none.json", tmp_path / "kept")
    with pytest.raises(RegistryError, match="would not read the metrics of run gone"):
        store.run_metrics("gone")


def test_two_runs_line_up_side_by_side(store: ModelStore) -> None:
    """Runs of one experiment share metric names, so MLflow's table has one column for both."""
    ids = [_run(store, metrics={"test_win_auc": value, "test_ece": 0.01}) for value in (0.7, 0.8)]
    client = _client(store)
    experiment = client.get_experiment_by_name(store.name)
    ranked = client.search_runs([experiment.experiment_id], order_by=["metrics.test_win_auc DESC"])
    assert [run.info.run_id for run in ranked] == ids[::-1]
    assert np.array_equal([set(run.data.metrics) for run in ranked], [{"test_win_auc", "test_ece"}] * 2)

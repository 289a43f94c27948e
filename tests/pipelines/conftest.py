"""Shared by the tests of the pipelines: a finished tiny lake, made once, and a model trained on it, made once."""

import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest

from pipelines.artifacts import ExportedBundle, ProvenBundle, RecordedRun, TrainedModel, TrainingSet
from pipelines.bundling import export_bundle, prove_bundle
from pipelines.carding import record_card, register_candidate
from pipelines.drift import ReleaseDrift, make_drift_report
from pipelines.learning import make_training_set, train
from registry.versions import Version
from tests.pipelines.days import CELLS, Bench, bench, derive, ingest


def pytest_configure(config: pytest.Config) -> None:
    """Dagster has called the partition mappings we use beta for two years; other warnings of its stay errors."""
    config.addinivalue_line("filterwarnings", "ignore::dagster.BetaWarning")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Whatever needs a trained model waits half a minute for the first one: slow."""
    for item in items:
        if item.path.parent == Path(__file__).parent and {"first", "second"} & set(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.slow)


@dataclass(frozen=True)
class Release:
    """Everything that came out of one training; `workspace` is shared, so read it only."""

    workspace: Bench
    training_set: TrainingSet
    model: TrainedModel
    draft: ExportedBundle
    proven: ProvenBundle
    drift: ReleaseDrift
    recorded: RecordedRun
    pictures: dict[str, str]
    card: str
    version: Version


def released(workspace: Bench) -> Release:
    """Train, prove, record and register in a workspace whose lake is finished."""
    training_set = make_training_set(workspace, CELLS)
    model = train(workspace, training_set)
    draft = export_bundle(workspace, model)
    proven = prove_bundle(workspace, model, draft)
    drift = make_drift_report(workspace, model)
    recorded, pictures, card = record_card(workspace, model, proven, "run-of-a-test")
    version = register_candidate(workspace, model, proven, recorded)
    return Release(workspace, training_set, model, draft, proven, drift, recorded, pictures, card, version)


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    """A lake with market data, features and labels of three days and two symbols; read it only."""
    workspace = bench(tmp_path_factory.mktemp("finished"))
    ingest(workspace)
    derive(workspace)
    return workspace


@pytest.fixture
def own(finished: Bench, tmp_path: Path) -> Bench:
    """A copy of the finished lake that the test may damage."""
    shutil.copytree(finished.settings.paths.lake, tmp_path / "lake")
    return bench(tmp_path)


@pytest.fixture(scope="session")
def first(finished: Bench) -> Release:
    """The first release: no version stood before it."""
    return released(finished)


@pytest.fixture(scope="session")
def second(first: Release) -> Release:
    """A second release of the same data under another seed, in the same registry."""
    again = bench(Path(first.workspace.settings.paths.var).parent, training={"seed": 8})
    return released(again)

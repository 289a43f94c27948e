"""Everything on an object store: from a day of market data to a version whose bundle is fetched from there.

The lake and MLflow's artifacts lie on a store with S3's interface; what comes out is, bit for bit, what a disk gives.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest

from pipelines.bundling import export_bundle, prove_bundle
from pipelines.carding import record_card, register_candidate
from pipelines.learning import make_training_set, train
from registry.bundle import verify_bundle
from tests.archive.s3 import object_store
from tests.pipelines.conftest import Release
from tests.pipelines.days import CELLS, bench, derive, ingest


@pytest.fixture
def store() -> Iterator[str]:
    """A store with a bucket for the lake and one for artifacts."""
    with object_store("lake", "artifacts") as url:
        yield url


@pytest.mark.slow
def test_the_same_model_comes_from_an_object_store(first: Release, store: str, tmp_path: Path) -> None:
    """Ingest, features, labels, training, export, proof, registry, and back: no byte differs."""
    workspace = bench(tmp_path, paths={"lake": "s3://lake/parquet"}, registry={"artifacts": "s3://artifacts/mlflow"})
    ingest(workspace)
    derive(workspace)
    chosen = make_training_set(workspace, CELLS)
    assert chosen.data_hash == first.training_set.data_hash
    model = train(workspace, chosen)
    proven = prove_bundle(workspace, model, export_bundle(workspace, model))
    assert proven.bundle.sha256 == first.proven.bundle.sha256
    recorded, _, _ = record_card(workspace, model, proven, "run-of-a-test")
    version = register_candidate(workspace, model, proven, recorded)
    fetched = workspace.store.download(version, tmp_path / "fetched")
    assert verify_bundle(fetched, proven.bundle.sha256).id == proven.bundle.model_id
    assert not list(tmp_path.rglob("part.parquet")), "the lake lies on the store alone"
    assert not (tmp_path / "mlartifacts").exists(), "so do the artifacts"

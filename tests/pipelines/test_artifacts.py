from pathlib import Path

import dagster as dg
import msgspec
import numpy as np
import pytest
from upath import UPath

from pipelines.artifacts import ExportedBundle, JsonIOManager, ProofLine, ProvenBundle, TrainedModel, TrainingSet
from pipelines.dataset import load
from pipelines.errors import PipelineError
from tests.pipelines.conftest import Release
from tests.pipelines.days import CELLS

_SET = TrainingSet(
    train=["2026-01-05|BTCUSDT", "2026-01-05|ETHUSDT"],
    test=["2026-01-06|BTCUSDT"],
    leaves={"2026-01-05|BTCUSDT": "ab.cd"},
    data_hash="ef",
    schema_hash="01",
    candidate_rule="c",
    barrier_rule="b",
    rows=3,
)


def test_a_struct_comes_back_from_one_asset_in_the_next(tmp_path: Path) -> None:
    """As JSON in a file named after the asset, with nothing half-written beside it."""
    seen: list[TrainingSet] = []

    @dg.asset
    def training_set() -> TrainingSet:
        return _SET

    @dg.asset
    def reader(training_set: TrainingSet) -> None:
        seen.append(training_set)

    manager = JsonIOManager(base_path=UPath(tmp_path))
    with dg.DagsterInstance.ephemeral() as instance:
        done = dg.materialize([training_set, reader], instance=instance, resources={"io_manager": manager})
    assert done.success
    assert seen == [_SET]
    assert msgspec.json.decode((tmp_path / "training_set.json").read_bytes(), type=TrainingSet) == _SET
    assert [path for path in tmp_path.rglob(".*") if path.is_file()] == []


def test_a_training_set_gives_its_cells_back() -> None:
    """In the order of its keys."""
    assert _SET.train_cells == CELLS[:2]
    assert _SET.test_cells == [CELLS[2]]


def test_a_model_that_was_stored_scores_as_before(first: Release) -> None:
    """Margins and probabilities survive JSON to the bit."""
    stored = msgspec.json.decode(msgspec.json.encode(first.model), type=TrainedModel)
    rows = load(first.workspace.lake, first.training_set.test_cells).oriented()
    before, after = first.model.fitted(), stored.fitted()
    assert np.array_equal(before.margins(rows), after.margins(rows))
    assert np.array_equal(before.probabilities(rows), after.probabilities(rows))
    assert stored.fitted_sha256 == first.model.fitted_sha256 == after.model_sha256


def test_a_model_without_its_calibrator_is_refused(first: Release) -> None:
    """The error says to train it again."""
    bare = msgspec.structs.replace(first.model, platt=None, isotonic=None)
    with pytest.raises(PipelineError, match="without a calibrator; train it again"):
        _ = bare.calibrator


def test_a_proof_is_told_by_kind_of_row() -> None:
    """A line each, large counts readable."""
    lines = [ProofLine("training", 12_345, 0, 0, 0.0), ProofLine("threshold", 9, 2, 1, 1e-7)]
    table = ProvenBundle(ExportedBundle("", "", "", 0), 12_354, 2, 0, 1, 1e-7, "", lines).table()
    assert "| training | 12,345 | 0 | 0 | 0 |" in table
    assert "| threshold | 9 | 2 | 1 | 1e-07 |" in table

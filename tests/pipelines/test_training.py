import pytest

from archive.layout import BOOK
from pipelines.errors import NotEnoughData
from pipelines.training import model, training_set
from tests.pipelines.conftest import Release
from tests.pipelines.days import CELLS, DAYS, MIDDLE, Bench, Context, bench, described, passed, truncate


def test_a_damaged_partition_is_not_learned_from_and_is_named(own: Bench) -> None:
    """Its old features and labels still lie there; the scan is asked all the same."""
    truncate(own, BOOK, MIDDLE)
    context = Context()
    found = training_set(context, own)  # type: ignore[arg-type]
    assert str(MIDDLE.key) not in found.train
    assert len(found.train) + len(found.test) == len(CELLS) - 1
    left_out = str(context.of_output["left_out"].value)  # type: ignore[attr-defined]
    assert left_out.startswith(f"- {MIDDLE.key}: book corrupt")


def test_with_most_days_damaged_there_is_nothing_to_train_on(own: Bench) -> None:
    """A clear refusal instead of a model of one day."""
    for each in CELLS:
        if each.day != DAYS[0]:
            truncate(own, BOOK, each)
    with pytest.raises(NotEnoughData, match="run ingest_job"):
        training_set(Context(), own)  # type: ignore[arg-type]


def test_a_sound_lake_leaves_nothing_out(first: Release) -> None:
    """The metadata carries the hash that names the data."""
    context = Context()
    found = training_set(context, first.workspace)  # type: ignore[arg-type]
    assert found == first.training_set
    assert context.of_output["data_hash"] == found.data_hash
    assert context.of_output["left_out"].value == "none"  # type: ignore[attr-defined]


def test_the_model_asset_judges_what_it_trained(first: Release) -> None:
    """Every quality gate is a check; metadata carries the metrics and the model's sha256."""
    result = model(Context(), first.workspace, first.training_set)  # type: ignore[arg-type]
    assert set(passed(result)) == {"beats_base_rate", "discriminates", "calibrated", "precision_target"}
    assert result.metadata is not None
    assert result.metadata["model_sha256"] == first.model.fitted_sha256
    assert first.model.measured.metrics.items() <= result.metadata.items()


def test_a_model_below_its_gate_fails_the_check_that_blocks(first: Release) -> None:
    """The check quotes the value and the limit."""
    root = first.workspace.folder().parent
    strict = bench(root, evaluation={"auc_min": 0.99})
    result = model(Context(), strict, first.training_set)  # type: ignore[arg-type]
    assert not passed(result)["discriminates"]
    assert "wanted >= 0.99" in described(result, "discriminates")

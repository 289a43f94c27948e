import json
from pathlib import Path

import pytest

from pipelines.artifacts import TrainingSet
from pipelines.lineage import Change, Difference, Recorded
from pipelines.retraining import Attempt, Recipe, Verification
from tidegate import retrain

SET = TrainingSet([], [], {}, "ab" * 32, "cd" * 32, "rule", "barrier", 10)
RECIPE = Recipe(SET, {}, 7, 60, "c0de", "aa" * 32, "bb" * 32)


def found(difference: str = "", *changes: Change, code: str = "c0de") -> Verification:
    """A verification of version 3 whose last attempt says this."""
    same = Recorded("version 3", "ab" * 32, {"2026-01-05|BTCUSDT": "x.y"})
    attempts = (Attempt("1 thread", "aa" * 32, "bb" * 32, ""), Attempt("2 threads", "aa" * 32, "bb" * 32, difference))
    return Verification(3, RECIPE, attempts, Difference(same, same, changes), code)


def test_equal_trainings_are_said_to_be_equal(capsys: pytest.CaptureFixture[str]) -> None:
    """Each attempt in its line, and the sentence at the end."""
    retrain.show(found())
    said = capsys.readouterr().out
    assert said.count("equal") == 3
    assert said.rstrip().endswith("model_sha256 equal")


def test_a_difference_names_tree_partition_and_code(capsys: pytest.CaptureFixture[str]) -> None:
    """Whatever of the three is another."""
    change = Change("2026-01-05|BTCUSDT", "changed", ("labels",))
    retrain.show(found("tree 4 of 9 differs first: threshold 1 -> 2 (value 0)", change, code="0ther"))
    said = " ".join(capsys.readouterr().out.split())
    assert "tree 4 of 9 differs first" in said
    assert "changed since: 2026-01-05|BTCUSDT changed (labels)" in said
    assert "made by code c0de, trained again by 0ther" in said
    assert said.endswith("model_sha256 differs")


def test_json_tells_the_same() -> None:
    """For a script."""
    told = json.loads(json.dumps(retrain.told(found("tree 0 of 9 differs first: x"))))
    assert told["equal"] is False
    assert [attempt["difference"] for attempt in told["attempts"]] == ["", "tree 0 of 9 differs first: x"]
    assert retrain.told(found())["equal"] is True


def test_a_version_that_is_not_there_ends_with_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """And exit 1; no traceback."""
    for name, value in {
        "PATHS_VAR": tmp_path / "var", "PATHS_LAKE": tmp_path / "lake", "REGISTRY_ARTIFACTS": tmp_path / "artifacts",
        "REGISTRY_TRACKING_URI": f"sqlite:///{tmp_path / 'mlflow.db'}",
    }.items():  # fmt: skip
        monkeypatch.setenv(name, str(value))
    assert retrain.run("7", None, as_json=True) == 1
    said = capsys.readouterr().err
    assert said.startswith("error: signal_scorer has no version 7; it has none yet: run train_job")

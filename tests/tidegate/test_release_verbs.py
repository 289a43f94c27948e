"""The verbs' command lines: wrong use is 2, a refusal 1, and every read prints JSON when asked."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tests.live.journals import moved
from tests.live.mirrors import Models
from tidegate.__main__ import app


@pytest.fixture
def models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Models:
    """An active version and a shadow; MLflow and streams are not there."""
    made = Models(tmp_path / "store", tmp_path / "mirror")
    made.put("active", 1)
    made.put("shadow", 2)
    moved(made.root, active=1, shadow=2)
    for name, value in (
        ("PATHS_VAR", tmp_path / "var"), ("REGISTRY_MIRROR", made.root), ("REDIS_URL", ""),
        ("REGISTRY_TRACKING_URI", f"sqlite:///{tmp_path}/none.db"), ("REGISTRY_ARTIFACTS", tmp_path / "artifacts"),
    ):  # fmt: skip
        monkeypatch.setenv(name, str(value))
    return made


def ran(*arguments: str) -> tuple[int, str, str]:
    """Status, output, errors."""
    done = CliRunner().invoke(app, arguments)
    return done.exit_code, done.stdout, done.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ("promote", "2"), ("promote", "2", "--to", "previous"), ("promote", "2", "--to", "active", "--force"),
        ("promote", "2", "--to", "candidate"), ("rollback", "--subject", "shadow"), ("rollout", "enable"),
        ("release",), ("compare", "1"), ("audit", "log", "-n", "0"), ("audit", "replay"),
    ],
)  # fmt: skip
def test_wrong_use_is_exit_2(models: Models, arguments: tuple[str, ...]) -> None:
    """What is missing, or not one of the words; a force without a reason."""
    assert ran(*arguments)[0] == 2


def test_a_refusal_is_exit_1_and_one_line(models: Models) -> None:
    """Before anybody is asked."""
    code, _, told = ran("rollback", "--subject", "canary")
    assert (code, told.count("\n")) == (1, 1)
    assert told.startswith("refused: there is no canary version to withdraw")


def test_reads_print_json(models: Models) -> None:
    """The comparison and the journal."""
    code, told, _ = ran("compare", "active", "shadow", "--json")
    assert code == 0
    assert [each["number"] for each in json.loads(told)["versions"]] == [1, 2]
    code, told, _ = ran("audit", "log", "--json")
    assert (code, json.loads(told)[0]["epoch"]) == (0, 1)
    code, told, _ = ran("audit", "verify", "--json")
    assert (code, json.loads(told)["holds"]) == (0, True)


def test_nobody_there_to_answer_moves_nothing(models: Models) -> None:
    """The answer is read from a terminal; an empty one is no."""
    code, told, why = ran("rollout", "disable", "--reason", "a test")
    assert code == 1
    assert "rollout" in told
    assert "not confirmed" in why


def test_with_yes_the_rollout_is_taken_away(models: Models) -> None:
    """MLflow and the streams hear of it later."""
    code, told, _ = ran("rollout", "disable", "--reason", "a test", "--by", "anna", "--yes")
    assert code == 0
    assert "MLflow does not answer" in told
    newest = json.loads(ran("audit", "log", "-n", "1", "--json")[1])[0]
    assert (newest["transition"], newest["by"], newest["text"]) == ("disable", "human:anna", "a test")

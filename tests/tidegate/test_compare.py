"""Two versions side by side."""

import json
from pathlib import Path

import pytest

from tests.live.journals import moved
from tests.live.mirrors import Models
from tests.live.parts import settings
from tidegate.compare import run
from tidegate.comparison import Row


@pytest.fixture
def models(tmp_path: Path) -> Models:
    """An active version, and a shadow that asks for more."""
    made = Models(tmp_path / "store", tmp_path / "mirror")
    made.put("active", 1, tau=0.5)
    made.put("shadow", 2, tau=0.625)
    moved(made.root, active=1, shadow=2)
    return made


def compared(models: Models, *words: str, as_json: bool = True) -> int:
    """Run the verb on the mirror, with no streams and a registry that is not there."""
    registry = {"mirror": str(models.root), "tracking_uri": "sqlite:////nowhere/mlflow.db"}
    made = settings({"registry": registry, "paths": {"var": str(models.root.parent / "var")}})
    return run(made, *words, as_json=as_json)  # type: ignore[misc]  # two of them


def test_both_are_told_with_what_differs(models: Models, capsys: pytest.CaptureFixture[str]) -> None:
    """As plain values, without MLflow and without streams."""
    assert compared(models, "active", models.id(2)) == 0
    found = json.loads(capsys.readouterr().out)
    assert [each["number"] for each in found["versions"]] == [1, 2]
    facts = {each["name"]: each for each in found["facts"]}
    assert (facts["tau_entry"]["first"], facts["tau_entry"]["second"]) == (0.5, 0.625)
    assert facts["tau_entry"]["difference"] == 0.125
    assert facts["state"]["second"] == "not entered yet, in slot shadow"
    assert facts["rows"]["difference"] is None
    assert "no server runs" in found["silence"]


def test_the_page_names_both(models: Models, capsys: pytest.CaptureFixture[str]) -> None:
    """And says what live has not said."""
    assert compared(models, "1", "2", as_json=False) == 0
    told = capsys.readouterr().out
    for words in ("tau_entry", "+0.125", "trained on", "live says nothing of them"):
        assert words in told


def test_an_unknown_one_is_refused(models: Models, capsys: pytest.CaptureFixture[str]) -> None:
    """On one line, exit 1."""
    assert compared(models, "1", "9") == 1
    told = capsys.readouterr().err
    assert told.startswith("refused: ")
    assert told.count("\n") == 1


def test_only_measured_facts_have_a_difference() -> None:
    """And only where both were measured."""
    assert Row("brier", 0.2, 0.25, is_measured=True).difference == pytest.approx(0.05)
    assert Row("brier", None, 0.25, is_measured=True).difference is None
    assert Row("seed", 7, 8).difference is None


def test_a_page_is_written_where_it_was_asked_for(
    models: Models, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of real cards; a place that cannot be written is refused."""
    registry = {"mirror": str(models.root), "tracking_uri": "sqlite:////nowhere/mlflow.db"}
    made = settings({"registry": registry, "paths": {"var": str(tmp_path / "var")}})
    page = tmp_path / "page.html"
    assert run(made, "1", "2", as_json=False, html=page) == 0
    assert str(page) in capsys.readouterr().out
    assert "tau_entry" in page.read_text(encoding="utf-8")
    assert run(made, "1", "2", as_json=False, html=tmp_path / "nowhere" / "page.html") == 1
    assert capsys.readouterr().err.startswith("refused: ")

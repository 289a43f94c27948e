"""The journal, read by a person: whole or named by line, who moved what and why."""

import json
from pathlib import Path

import pytest

from config.settings import Settings
from registry.evidence import EVIDENCE_FOLDER
from registry.journal import JOURNAL_FILE
from registry.promotion import Registrar
from registry.states import ReleaseRules
from tests.live.parts import settings
from tests.registry.stores import HUMAN, PIPELINE, SCHEMA, START, MemoryStore
from tidegate.audit import show_log, show_verified, show_why_changed


@pytest.fixture
def made(tmp_path: Path) -> Settings:
    """A journal of two moves, the first on evidence; MLflow is not there."""
    root = tmp_path / "mirror"
    store = MemoryStore(tmp_path / "bundles")
    store.register(1)
    registrar = Registrar(
        store, root, ReleaseRules(), now=lambda: START, announce=lambda _: None, schema_hash=SCHEMA
    )  # fmt: skip
    registrar.enter(1, PIPELINE, "gates are green", {"auc": 0.61})
    registrar.promote(1, "active", HUMAN, "the first")
    return settings(
        {"registry": {"mirror": str(root), "tracking_uri": f"sqlite:///{tmp_path}/none.db"},
         "paths": {"var": str(tmp_path / "var"), "lake": str(tmp_path / "lake")}}
    )  # fmt: skip


def test_a_whole_journal_is_said_to_be(made: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    """And what was not compared."""
    assert show_verified(made, as_json=False) == 0
    told = capsys.readouterr().out
    assert "2 moves: every line follows the one before" in told
    assert "MLflow was not compared" in told
    assert show_verified(made, as_json=True) == 0
    assert json.loads(capsys.readouterr().out)["holds"] is True


@pytest.mark.parametrize("line", [1, 2, 3, 4])
def test_an_edited_line_is_named(made: Settings, capsys: pytest.CaptureFixture[str], line: int) -> None:
    """Whichever it is."""
    path = Path(made.registry.mirror) / JOURNAL_FILE
    lines = path.read_bytes().splitlines(keepends=True)
    lines[line - 1] = lines[line - 1].replace(b'"epoch":', b'"epoch": ', 1)
    path.write_bytes(b"".join(lines))
    assert show_verified(made, as_json=False) == 1
    assert f"line {line}:" in capsys.readouterr().err
    assert show_verified(made, as_json=True) == 1
    assert json.loads(capsys.readouterr().out)["line"] == line
    assert show_log(made, 5, as_json=False) == 1


def test_the_log_tells_who_what_and_why(made: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    """The newest last, with its evidence."""
    assert show_log(made, 5, as_json=True) == 0
    first, second = json.loads(capsys.readouterr().out)
    assert (first["transition"], first["by"], first["evidence_found"]) == (
        "candidate",
        "pipeline:train_job",
        {"auc": 0.61},
    )
    assert (second["transition"], second["by"], second["text"]) == ("active", "human:anna", "the first")
    assert show_log(made, 1, as_json=False) == 0
    told = capsys.readouterr().out
    assert "human:anna" in told
    assert "train_job" not in told


def test_evidence_that_was_lost_is_said(made: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    """The log goes on without it, verify does not."""
    for path in (Path(made.registry.mirror) / EVIDENCE_FOLDER).iterdir():
        path.unlink()
    assert show_log(made, 5, as_json=True) == 0
    assert "error" in json.loads(capsys.readouterr().out)[0]["evidence_found"]
    assert show_verified(made, as_json=False) == 1
    assert "it is the evidence of" in capsys.readouterr().err


def test_before_the_first_move_there_is_nothing_to_tell(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It says how one is made."""
    empty = settings({"registry": {"mirror": str(tmp_path / "mirror"), "tracking_uri": "sqlite:////nowhere/m.db"}})
    assert show_log(empty, 5, as_json=False) == 0
    assert "no move was recorded yet" in capsys.readouterr().out
    assert show_verified(empty, as_json=False) == 0


def test_why_changed_refuses_what_it_does_not_know(made: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    """On one line; the lake against itself is equal."""
    Path(made.paths.lake).mkdir()
    assert show_why_changed(made, "lake", "lake", as_json=True) == 0
    assert json.loads(capsys.readouterr().out)["changes"] == []
    assert show_why_changed(made, "signal_scorer-none", "lake", as_json=False) == 1
    assert capsys.readouterr().err.startswith("refused: ")

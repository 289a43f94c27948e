import json

import pytest
from typer.testing import CliRunner

from tidegate.__main__ import app
from tidegate.drills.catalog import DRILLS


@pytest.fixture(autouse=True)
def _var(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Nobody's results but this test's."""
    monkeypatch.setenv("PATHS_VAR", str(tmp_path_factory.mktemp("var")))


def test_the_list_names_every_drill_and_its_section() -> None:
    """None was ever run here."""
    told = CliRunner().invoke(app, ["drill", "list"])
    assert told.exit_code == 0
    lines = told.output.splitlines()
    assert [line.split()[0] for line in lines] == list(DRILLS)
    assert all("never run" in line and "docs/runbook.md#" in line for line in lines)


def test_a_drill_that_is_not_there_is_wrong_use() -> None:
    """Exit 2; nothing is trained for it."""
    told = CliRunner().invoke(app, ["drill", "flood"])
    assert told.exit_code == 2
    assert "no drill flood; there are: precision-halt" in told.output


def test_a_section_is_printed_without_services() -> None:
    """Exit 1."""
    assert CliRunner().invoke(app, ["runbook", "warm-up"]).exit_code == 1


def test_the_list_and_a_section_can_be_read_by_programs() -> None:
    """Without services a section says why it has no numbers, and exits 1 all the same."""
    told = json.loads(CliRunner().invoke(app, ["drill", "list", "--json"]).stdout)
    assert [each["name"] for each in told] == list(DRILLS)
    assert all(each["last"] is None for each in told)
    found = CliRunner().invoke(app, ["runbook", "parity", "--json"])
    section = json.loads(found.stdout)
    assert (found.exit_code, section["section"]) == (1, "parity-fail")
    assert section["error"].startswith("no streams")
    assert all(step["text"] and step["numbers"] == [] for step in section["steps"])

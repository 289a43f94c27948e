"""The verb without services, and the page it writes; with them: tests/journeys/test_panels_on_prometheus.py."""

from pathlib import Path

import pytest
from rich.console import Console
from typer.testing import CliRunner

from config.settings import load
from monitoring.panels import PANELS
from tests.tidegate.boards import board
from tidegate.__main__ import app
from tidegate.board import Shown
from tidegate.snapshot import Asked, run, written


def test_without_services_it_says_how_to_start_them(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """On stderr, with exit status 1; no page is left."""
    settings = load(environ={"PATHS_VAR": str(tmp_path)})
    assert run(settings, Asked(tmp_path / "page.html"), Console(quiet=True)) == 1
    assert "start one: python -m live all" in capsys.readouterr().err
    assert not (tmp_path / "page.html").exists()


def test_a_prometheus_that_is_none_is_told_by_its_address(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing is drawn of it."""
    asked = Asked(tmp_path / "page.html", url="http://127.0.0.1:1")
    assert run(load(environ={}), asked, Console(quiet=True)) == 1
    assert "http://127.0.0.1:1: no answer" in " ".join(capsys.readouterr().err.split())


def test_a_length_of_time_that_is_none_is_refused() -> None:
    """Before anything is started."""
    said = CliRunner().invoke(app, ["snapshot", "--watch", "soon"])
    assert said.exit_code == 2
    assert "soon" in said.output


def test_links_lead_to_this_checkouts_runbook(tmp_path: Path) -> None:
    """Wherever the page is written."""
    out = tmp_path / "deep" / "page.html"
    written(board(*(Shown(panel, []) for panel in PANELS)), out)
    link = out.read_text(encoding="utf-8").partition('class="foot"><a href="')[2].partition("#")[0]
    assert (out.parent / link).resolve().name == "runbook.md"
    assert (out.parent / link).exists()

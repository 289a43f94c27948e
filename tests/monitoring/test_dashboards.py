"""Grafana's files: they are those in deploy/, Grafana's own reader gets back what was written, nothing overlaps."""

import json
from dataclasses import replace
from functools import cache
from typing import Any

import pytest
import yaml
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.dashboard import Dashboard

from monitoring.dashboards import dashboard_json, runbook_json
from monitoring.panel import QUESTIONS
from monitoring.panels import ANNOTATIONS, DASHBOARD, PANELS, number_of, panels_of
from monitoring.runbook import BOARD, PAGE, SECTIONS, section_address
from monitoring.thresholds import Thresholds
from tests.style_bar import ROOT

_GRAFANA = ROOT / "deploy/grafana"


@cache
def _written() -> str:
    return dashboard_json(PANELS, PAGE)


def _board() -> dict[str, Any]:
    found = json.loads(_written())
    assert isinstance(found, dict)
    return found


def test_the_file_is_what_the_panels_say() -> None:
    """Written again by `python -m tidegate monitoring write`; another threshold would be another file."""
    assert (_GRAFANA / "dashboards/tidegate.json").read_text(encoding="utf-8") == _written()
    assert dashboard_json(panels_of(replace(Thresholds(), psi_block=0.31)), PAGE) != _written()


def test_grafanas_own_reader_gets_back_what_was_written() -> None:
    """Read into the SDK's types and written again: nothing is lost, nothing is invented."""
    again = JSONEncoder(sort_keys=True, indent=2).encode(Dashboard.from_json(_board()))
    assert json.loads(again) == _board()


def test_no_two_panels_lie_over_each_other() -> None:
    """Every cell of the grid is taken once, and none is outside of it."""
    taken: set[tuple[int, int]] = set()
    for panel in _board()["panels"]:
        place = panel["gridPos"]
        cells = {(place["x"] + x, place["y"] + y) for x in range(place["w"]) for y in range(place["h"])}
        assert not cells & taken, panel["title"]
        assert max(x for x, _ in cells) < 24
        taken |= cells


def test_panels_and_rows_have_a_number_each() -> None:
    """The number that alerts link to is the panel's."""
    panels = _board()["panels"]
    assert sorted(each["id"] for each in panels) == list(range(1, len(PANELS) + len(QUESTIONS) + 1))
    assert [each["title"] for each in panels if each["type"] == "row"] == list(QUESTIONS.values())
    by_id = {each["id"]: each["title"] for each in panels}
    assert {panel.id: by_id[number_of(panel.id)] for panel in PANELS} == {each.id: each.title for each in PANELS}


@pytest.mark.parametrize("panel", PANELS, ids=lambda panel: panel.id)
def test_a_panel_keeps_its_questions_lines_and_link(panel: Any) -> None:
    """Nothing declared gets lost on the way to Grafana."""
    made = next(each for each in _board()["panels"] if each["id"] == number_of(panel.id))
    assert [(each["expr"], each["legendFormat"]) for each in made["targets"]] == [
        (query.expression, query.legend) for query in panel.queries
    ]
    steps = made["fieldConfig"]["defaults"].get("thresholds", {"steps": []})["steps"]
    assert [each["value"] for each in steps if each["value"] is not None] == sorted(
        limit.value for limit in panel.limits
    )
    if panel.limits:
        assert "dashed" in made["fieldConfig"]["defaults"]["custom"]["thresholdsStyle"]["mode"]
        worst = steps[0 if panel.limits[0].trouble == "below" else -1]
        assert worst["color"] == "red"
    assert made["links"][0]["url"] == section_address(PAGE, panel.runbook)


def test_moments_are_marked_from_rollbacks_and_mode_switches() -> None:
    """As annotations over all panels."""
    marked = {each["name"]: each["expr"] for each in _board()["annotations"]["list"]}
    assert marked == {each.name: each.expression for each in ANNOTATIONS}
    assert "rollback_total" in marked["Rollbacks"]
    assert "mode_switch_total" in marked["Mode switches"]


def test_a_section_is_read_beside_the_panels_or_at_its_own_address() -> None:
    """A path of a checkout is no address that a browser could open."""
    assert section_address("https://git.example/runbook", "parity-fail") == "https://git.example/runbook#parity-fail"
    assert section_address(PAGE, "precision-halt") == f"/d/{BOARD}/{BOARD}?viewPanel=1"
    assert section_address(PAGE, "precision-halt", "https://grafana.example") == (
        f"https://grafana.example/d/{BOARD}/{BOARD}?viewPanel=1#precision-halt"
    )
    with pytest.raises(KeyError):
        section_address(PAGE, "nosuch")


def test_the_runbooks_dashboard_has_every_section() -> None:
    """Under the number that panels link to, with its text."""
    made = json.loads(runbook_json({anchor: f"text of {anchor}" for anchor in SECTIONS}))
    assert {each["title"]: each["options"]["content"] for each in made["panels"]} == {
        title: f"text of {anchor}" for anchor, title in SECTIONS.items()
    }
    assert made["uid"] == BOARD
    assert len({BOARD, DASHBOARD}) == 2


def test_grafana_is_told_where_both_lie() -> None:
    """The data source has the name that compose gives Prometheus; dashboards come from the mounted folder."""
    sources = yaml.safe_load((_GRAFANA / "provisioning/datasources/prometheus.yml").read_text())
    boards = yaml.safe_load((_GRAFANA / "provisioning/dashboards/tidegate.yml").read_text())
    compose = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
    host = sources["datasources"][0]["url"].removeprefix("http://").partition(":")[0]
    assert host in compose
    mounts = [str(each).split(":") for each in compose["grafana"]["volumes"]]
    inside = {target: source for source, target, *_ in mounts}
    assert inside[boards["providers"][0]["options"]["path"]] == "./deploy/grafana/dashboards"
    assert inside["/etc/grafana/provisioning"] == "./deploy/grafana/provisioning"

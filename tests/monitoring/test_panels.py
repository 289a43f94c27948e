"""The declared panels: what they ask exists, what they link to exists, and their lines are the thresholds."""

import re
from dataclasses import fields, replace

import pytest

from monitoring.alerts import ALERTS
from monitoring.panel import GRID_WIDTH, QUESTIONS, Panel
from monitoring.panels import ANNOTATIONS, PANELS, number_of, panels_of, path_of
from monitoring.reference import declared
from monitoring.runbook import SECTIONS
from monitoring.thresholds import Thresholds
from tests.style_bar import ROOT

_EIGHT = {
    "win-rate", "calibration", "drift-psi", "drift-ks", "score-distribution", "markout", "fill-rate", "ladder",
    "parity-and-schema", "rollouts-and-modes",
}  # fmt: skip
_NO_METRICS = {
    "by", "max", "min", "sum", "count", "rate", "increase", "topk", "clamp_min", "clamp_max", "histogram_quantile",
    "vector", "or", "and", "$__rate_interval",
}  # fmt: skip
_FROM_ELSEWHERE = {"canary_alert_sample", "ladder_rise_ratio"}
"""Conditions of alerts beside a panel's line: a sample size, a comparison with the past."""


def test_ids_are_anchors_and_name_one_panel_each() -> None:
    """They stand in links of alerts, so they are short, and none is given twice."""
    ids = [panel.id for panel in PANELS]
    assert len(set(ids)) == len(ids)
    assert [each for each in ids if not re.fullmatch(r"[a-z]+(-[a-z]+)*", each)] == []


def test_the_panels_of_the_public_dashboard_are_among_them() -> None:
    """Win rate, calibration, drift, scores, markout and fill, ladder, parity and schema, rollouts and modes."""
    assert {panel.id for panel in PANELS} >= _EIGHT


def test_every_alert_links_to_a_panel() -> None:
    """Whoever is paged sees the cause."""
    assert {alert.panel for alert in ALERTS} <= {panel.id for panel in PANELS}
    assert path_of("win-rate").endswith("viewPanel=1")
    with pytest.raises(KeyError, match="no panel 'nosuch'"):
        number_of("nosuch")


@pytest.mark.parametrize("panel", PANELS, ids=lambda panel: panel.id)
def test_a_panel_can_be_read(panel: Panel) -> None:
    """It has a description, a section of the runbook, a place in the grid; its limits lie on one side."""
    assert panel.description.endswith(".")
    assert panel.runbook in SECTIONS
    assert panel.question in QUESTIONS
    assert 0 < panel.width <= GRID_WIDTH
    assert len({limit.trouble for limit in panel.limits}) <= 1


@pytest.mark.parametrize("panel", PANELS, ids=lambda panel: panel.id)
def test_what_is_asked_for_is_a_metric_of_ours(panel: Panel) -> None:
    """With labels that it has: a renamed metric breaks this, not a panel."""
    labels = {each.name: {*each.labels, "le"} for each in declared()}
    for query in panel.queries:
        for word, chosen in re.findall(
            r"([a-z][a-z0-9_]*)(?:\{([^}]*)\})?", re.sub(r'"[^"]*"', '""', query.expression)
        ):
            name = word.removesuffix("_bucket")
            if name in labels:
                assert set(re.findall(r"(\w+)(?:=~?|!~)", chosen)) <= labels[name], query.expression
        by = {label for group in re.findall(r"by \(([^)]*)\)", query.expression) for label in group.split(", ")}
        named = set(
            re.findall(r"[a-z][a-z0-9_]+", re.sub(r'"[^"]*"|by \([^)]*\)|\{[^}]*\}|\[[^]]*\]', "", query.expression))
        )
        assert {each.removesuffix("_bucket") for each in named - _NO_METRICS} <= set(labels), query.expression
        assert set(query.labels) <= by, query.expression


def test_the_annotations_name_their_labels() -> None:
    """Rollbacks by reason, switches by their ends."""
    for each in ANNOTATIONS:
        assert set(re.findall(r"{{(\w+)}}", each.text)) <= set(re.findall(r"\w+", each.expression))


@pytest.mark.parametrize("name", sorted(each.name for each in fields(Thresholds)))
def test_another_threshold_is_another_line(name: str) -> None:
    """Every number that alerts compare with moves a panel, apart from those no panel has a line for."""
    before = Thresholds()
    moved = replace(before, **{name: getattr(before, name) * 2 + 1})
    assert (panels_of(moved) != PANELS) is (name not in _FROM_ELSEWHERE)


def test_the_page_lists_every_panel_in_its_row() -> None:
    """A panel that comes or goes breaks this, not a reader."""
    page = (ROOT / "docs/dashboards.md").read_text(encoding="utf-8")
    for question, text in QUESTIONS.items():
        titles = ", ".join(panel.title for panel in PANELS if panel.question == question)
        assert f"| {text} | {titles} |" in page

"""Panels with their answers: what is beyond a limit, and what a Prometheus is asked."""

import math

import pytest

from monitoring.panel import Annotation, Limit, Query
from tests.tidegate.boards import START, answering, panel, plain, series
from tidegate.board import Shown, taken
from tidegate.prometheus import Prometheus


@pytest.mark.parametrize(
    ("values", "standing"),
    [((0.4, 0.3), "quiet"), ((0.4, 0.2), "beyond"), ((0.2, 0.4), "was beyond"), ((0.2, math.nan), "beyond"),
     ((math.nan,), "quiet"), ((), "quiet")],
)  # fmt: skip
def test_a_panel_stands_by_its_newest_value(values: tuple[float, ...], standing: str) -> None:
    """The newest that is a number."""
    assert Shown(panel(), [series("full", *values)]).standing == standing


def test_a_limit_about_one_series_leaves_the_others_alone() -> None:
    """And a moving limit is not held against a limit."""
    limited = panel(limits=(Limit(0.05, "above", "alert", of="ECE"),))
    assert Shown(limited, [series("ECE", 0.01), series("Brier", 0.2)]).standing == "quiet"
    assert Shown(limited, [series("ECE", 0.06)]).crossed == list(limited.limits)
    assert Shown(panel(), [series("line", 0.1, is_limit=True)]).standing == "quiet"


def test_every_question_is_asked_over_the_stretch() -> None:
    """Series are named by their legend, in order; marks are the beginnings of what held."""
    moved = [(START + at, 1.0) for at in (10.0, 11.0, 30.0)]
    table = {
        "status/config": {"yaml": "global:\n  scrape_interval: 1s\n"},
        'rate(x{route=~".*"}[4s])': _matrix(
            [("paper", [(START, 0.5)]), ("full", [(START, math.inf), (START + 1, 0.4)])]
        ),
        "moved": _matrix([("markout", moved)]),
        "alerts": {"alerts": [{"labels": {"alertname": "StaleBook"}, "state": "firing", "annotations": {}}]},
    }
    asked = panel(queries=(Query('rate(x{route=~"$route"}[$__rate_interval])', "{{route}}"),))
    with answering(table) as url:
        found = taken(Prometheus(url), [asked], [Annotation("m", "moved", "moved {{route}}", "red")], START, START + 60)
    assert [each.name for each in found.shown[0].series] == ["full", "paper"]
    assert found.shown[0].series[0].points == [(START, math.inf), (START + 1, 0.4)]
    assert [(mark.at - START, mark.text) for mark in found.marks] == [(10.0, "moved markout"), (30.0, "moved markout")]
    assert [(each.name, each.state) for each in found.firing] == [("StaleBook", "firing")]


def _matrix(answers: list[tuple[str, list[tuple[float, float]]]]) -> dict[str, object]:
    return {
        "resultType": "matrix",
        "result": [
            {"metric": {"route": route}, "values": [[at, plain(value)] for at, value in points]}
            for route, points in answers
        ],
    }

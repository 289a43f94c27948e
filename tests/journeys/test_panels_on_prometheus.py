"""The panels on a real Prometheus over real services: every question is answered, and the snapshot shows the answers.

One market of half an hour, played at full speed, is shared by all tests.
"""

import io
import math
import re
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from rich.console import Console

from bus.messages import ControlEvent
from bus.publisher import Publisher
from bus.streams import CONTROL
from config.settings import Settings, load
from monitoring.panel import Panel, Query
from monitoring.panels import ANNOTATIONS, PANELS
from tests.bus.servers import needs_redis
from tests.journeys.played import mirror, overrides, services
from tests.journeys.waiting import until
from tidegate.board import Board, taken
from tidegate.prometheus import PROGRAM, Answer, Prometheus, PrometheusError, watching
from tidegate.snapshot import Asked, run

pytestmark = [
    needs_redis,
    pytest.mark.skipif(shutil.which(PROGRAM) is None, reason="needs a prometheus on PATH (apt-get install prometheus)"),
]
_SECONDS = 60.0
_RATE = "10s"
_WHEN_MOVED = frozenset({
    ("parity-and-schema", "refused: {{reason}}"),
    ("fail-safe", "because of {{reason}}"),
    ("halts", "{{reason}}"),
    ("drift-psi", "{{feature}} drifted"),
    ("drift-ks", "{{feature}} drifted"),
})  # fmt: skip
"""Reasons are drawn when they move, features when they drift; what stands beside them is always there."""
_WITHDRAWN = ("rollouts-and-modes", "rollback: {{reason}}")
_TRADED = {
    "ROLLOUT_MODE": "canary", "ROLLOUT_CANARY_FRACTION": "0.5", "FEED_MINUTES": "60",
    "RELEASE_OBSERVE": "winrate_delta,winrate_seq,psi_feature,ks_feature,calibration,throughput,markout,fill_rate,"
    "post_promotion,precision_halt,shadow_quality,shadow_money",
    "EVALUATION_DRIFT_MIN_EFFECTIVE_ROWS": "5", "RISK_DRIFT_ROWS": "600", "RISK_DRIFT_HOURS": "0.2",
    "RISK_DRIFT_LOOK_SECONDS": "5", "RISK_GAP_SCAN_MINUTES": "1",
    "RECORDER_COMPACT_MINUTES": "1", "GATES_MAX_OPEN_ORDERS": "1000", "GATES_LOSS_STREAK": "10000",
    "GATES_DAILY_LOSS_CAP": "1000000",
}  # fmt: skip
"""Everything that a panel shows happens within minutes of this market, and no guard ends it."""


@dataclass(frozen=True)
class Scene:
    """The running stack as the tests see it."""

    settings: Settings
    prometheus: Prometheus
    redis_url: str
    start: float

    @property
    def board(self) -> Board:
        """What every panel shows by now."""
        return taken(self.prometheus, PANELS, ANNOTATIONS, self.start, _now())


def _now() -> float:
    return time.time_ns() / 1e9


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    """A model and its canary trade, a version is withdrawn, and a Prometheus has looked until all is there."""
    folder = tmp_path_factory.mktemp("panels")
    models = mirror(folder)
    models.put("active", 1, 0.2)
    models.put("shadow", 2, 0.2)
    start = _now()
    with services(folder, **_TRADED) as stack:
        ports = {beat.metrics_port for beat in stack.heartbeats().values()}
        targets = {"tidegate": [f"127.0.0.1:{port}" for port in ports]}
        with watching(targets, folder / "prometheus") as prometheus:
            settings = load(environ=overrides(folder, **_TRADED))
            found = Scene(settings, prometheus, stack.bus.address, start)
            until(lambda: _missing(found) <= {_WITHDRAWN} or None, _SECONDS, "an answer to the panels' questions")
            event = ControlEvent("ROLLBACK", "WARN", "", "", "operator", "tests", time.time_ns(), "", "", "a test")
            publisher = Publisher(stack.bus, "tests", time.time_ns)
            publisher.publish(CONTROL, event, message_id="withdrawn")
            publisher.flush()
            until(lambda: _missing(found) == set() or None, _SECONDS, "an answer to all of the panels' questions")
            # The newest look of a range may lie a step before what was counted just now.
            until(lambda: found.board.marks or None, _SECONDS, "a mark of the withdrawal")
            yield found


def _missing(scene: Scene) -> set[tuple[str, str]]:
    """Panels and legends without a single number."""
    return {
        (panel.id, query.legend)
        for panel in PANELS
        for query in panel.queries
        if _is_asked(panel, query) and not any(map(_is_number, scene.prometheus.now(query.asked(_RATE))))
    }


def _is_asked(panel: Panel, query: Query) -> bool:
    return (panel.id, query.legend) not in _WHEN_MOVED


def _is_number(answer: Answer) -> bool:
    return math.isfinite(answer.points[-1][1])


@pytest.mark.parametrize("panel", PANELS, ids=lambda panel: panel.id)
def test_every_question_is_answered_with_the_labels_of_its_legend(scene: Scene, panel: Panel) -> None:
    """No panel is empty, and no line is nameless."""
    for query in panel.queries:
        answers = scene.prometheus.now(query.asked(_RATE))
        assert any(map(_is_number, answers)) or not _is_asked(panel, query), query.expression
        for each in answers:
            assert set(query.labels) <= set(each.labels), (query.expression, each.labels)


def test_what_happened_is_seen(scene: Scene) -> None:
    """Numbers that a reader would look for first are there, and are the stack's."""
    shown = {each.panel.id: each for each in scene.board.shown}
    orders = {each.name: max(value for _, value in each.points) for each in shown["orders"].series}
    assert orders["accepted"] > 0.0
    assert {each.name for each in shown["models"].series} == {
        "active: version 1", "shadow: version 2", "canary: version 2",
    }  # fmt: skip
    assert {each.name: each.last for each in shown["mode"].series} == {"paper": 1.0, "real": 0.0}
    meant = next(each for each in shown["canary-fraction"].series if each.name == "meant")
    assert max(value for _, value in meant.points) == 0.5
    assert sum(each.last for each in shown["score-distribution"].series if not math.isnan(each.last)) > 0.0


def test_a_withdrawal_is_marked_in_every_panel(scene: Scene) -> None:
    """With its reason, at the moment it was counted; the panel of rollbacks says that its limit was crossed."""
    board = scene.board
    assert [mark.text for mark in board.marks] == ["rollback: operator"]
    assert board.start < board.marks[0].at < board.end
    assert next(each for each in board.shown if each.panel.id == "rollouts-and-modes").standing != "quiet"


def test_a_question_that_is_none_is_refused_by_name(scene: Scene) -> None:
    """Prometheus' own words come through."""
    with pytest.raises(PrometheusError, match="parse error"):
        scene.prometheus.now("sum by (")


def test_the_snapshot_of_a_prometheus(scene: Scene, tmp_path: Path) -> None:
    """Every panel is on the page, drawn; nothing on it leads to another host."""
    out = tmp_path / "snapshot.html"
    assert run(scene.settings, Asked(out, scene.prometheus.url, last=60.0), Console(quiet=True)) == 0
    page = out.read_text(encoding="utf-8")
    assert [panel.id for panel in PANELS if f'id="{panel.id}"' not in page] == []
    assert page.count("<svg") == len(PANELS)
    assert "no data yet" not in page
    assert re.findall(r"(?:src|href)=[\"'](?!#|[./\w-]+runbook\.md#)", page) == []


def test_a_prometheus_of_our_own_looks_for_a_while(scene: Scene, tmp_path: Path) -> None:
    """Without one to ask, one is started over the services that run, with the alerts' rules, and ended."""
    out = tmp_path / "snapshot.html"
    assert run(scene.settings, Asked(out, watch=4.0, redis_url=scene.redis_url), Console(quiet=True)) == 0
    page = out.read_text(encoding="utf-8")
    assert "full" in page
    assert "active: version 1" in page


def test_without_any_prometheus_the_values_of_now_are_shown(
    scene: Scene, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And it is said what is missing, and how to have it."""
    monkeypatch.setenv("PATH", str(tmp_path))
    told = Console(record=True, width=400, file=io.StringIO())
    out = tmp_path / "snapshot.html"
    assert run(scene.settings, Asked(out, redis_url=scene.redis_url), told) == 0
    assert "no prometheus on PATH" in told.export_text()
    page = out.read_text(encoding="utf-8")
    assert "values of this moment alone" in page
    assert "rollback_total (reason operator) <b>1</b>" in page

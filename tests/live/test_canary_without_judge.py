"""A canary whose judge is gone: the real scorer and the real risk on one bus, risk dies, comes back, dies again."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
import structlog

from bus.codec import decode
from bus.messages import ControlEvent, Score
from bus.publisher import Publisher
from bus.streams import CANDIDATES, CONTROL, SCORES
from live.ai_scorer import AiScorer
from live.host import Host
from live.judge_watch import UNJUDGED
from live.risk import Risk
from live.worker import at_once
from registry.rollout import RolloutState, write
from tests.live.hosting import Stage
from tests.live.mirrors import Models, candidate
from tests.live.parts import parts
from tests.live.risk_market import InlineWorker

PATIENCE = 15.0
SECTIONS = {"rollout": {"mode": "canary", "canary_fraction": 1.0, "judge_silence_seconds": PATIENCE}}


class Scene:
    """Two services, each a host of its own; either can be killed and started again."""

    def __init__(self, folder: Path) -> None:
        self.stage, self.folder = Stage(), folder
        self.models = Models(folder / "store", folder / "mirror")
        self.models.put("active", 1)
        self.models.put("shadow", 2)
        self.roll(epoch=1)
        self.engine = Publisher(self.stage.bus, "signal_engine", self.stage.clock.wall_ns)
        self.hosts: dict[str, Host] = {}
        self.scorer()
        self.risk()

    def roll(self, epoch: int, mode: str = "canary") -> None:
        """The rollout as a move leaves it; every canary has a salt of its own."""
        at = datetime.fromtimestamp(self.stage.clock.wall_ns() / 1e9, UTC)
        state = RolloutState(
            epoch=epoch, mode=mode, canary_fraction=1.0, salt=f"s{epoch}", reason="", by="tests", at=at,  # type: ignore[arg-type]
        )  # fmt: skip
        write(self.models.root, state)

    def scorer(self) -> None:
        """Start ai_scorer."""
        self._start("ai_scorer")

    def risk(self) -> None:
        """Start risk."""
        self._start("risk")

    def die(self, name: str) -> None:
        """A process is gone: nothing of it runs any more."""
        del self.hosts[name]

    def pass_seconds(self, seconds: float) -> None:
        """Time goes by for those who live."""
        for _ in range(round(seconds / 0.25)):
            self.stage.clock.advance(seconds=0.25)
            for host in self.hosts.values():
                host.step()

    def route(self) -> str:
        """Say a candidate of now; returns the route of its score."""
        now = self.stage.clock.wall_ns()
        said = candidate(0, id=f"BTCUSDT-{now}", t_ns=now, local_ns=now, session_ns=now - 1)
        self.engine.publish(CANDIDATES, said, message_id=said.id)
        self.engine.flush()
        self.pass_seconds(0.5)
        found = [decode(each).body for each in self.stage.bus.recent(SCORES, 1_000)]
        return next(each.route for each in found if isinstance(each, Score) and each.candidate_id == said.id)

    def told(self) -> list[tuple[str, str, str]]:
        """(event, severity, route) of all that was said for want of a judge."""
        found = [decode(each).body for each in self.stage.bus.recent(CONTROL, 1_000)]
        events = [each for each in found if isinstance(each, ControlEvent) and each.reason == UNJUDGED]
        return [(each.event, each.severity, each.route) for each in events]

    def metric(self, name: str) -> float | None:
        """One value of /metrics."""
        return self.stage.metrics.registry.get_sample_value(name)

    def _start(self, name: str) -> None:
        stage = self.stage
        made_of = parts(self.folder, {**SECTIONS, "registry": {"mirror": str(self.models.root)}})
        log = structlog.wrap_logger(structlog.ReturnLogger(), processors=[])
        host = Host(name, stage.bus, stage.clock, stage.metrics, log, made_of.settings, perf=stage.clock.mono_ns)
        var = self.folder / name
        var.mkdir(exist_ok=True)
        of = replace(made_of, clock=stage.clock, out=host.output(name), metrics=stage.metrics,
                     log=log, var=var)  # fmt: skip
        host.add(AiScorer(of, at_once) if name == "ai_scorer" else Risk(of, InlineWorker()))
        host.start()
        self.hosts[name] = host


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    """A canary that is judged."""
    made = Scene(tmp_path)
    made.pass_seconds(2 * PATIENCE)
    assert made.route() == "canary"
    assert made.told() == []
    yield made


def test_a_canary_without_a_judge_has_no_share_until_verdicts_flow_again(scene: Scene) -> None:
    """Fenced after the patience, told once, counted once; the judge back, the share is."""
    scene.die("risk")
    scene.pass_seconds(PATIENCE - 6.0)  # the last verdict may be five seconds old
    assert scene.route() == "canary"
    scene.pass_seconds(10.0)
    assert scene.route() == "paper"
    assert scene.told() == [("HALT", "WARN", "canary")]
    assert (scene.metric("canary_unjudged"), scene.metric("canary_fraction_target")) == (1.0, 0.0)
    assert scene.metric("unjudged_canaries_total") == 1.0
    scene.pass_seconds(60.0)
    assert scene.route() == "paper"
    scene.risk()
    scene.pass_seconds(3.0)
    assert scene.route() == "canary"
    assert scene.told() == [("HALT", "WARN", "canary"), ("RESUME", "INFO", "canary")]
    assert (scene.metric("canary_unjudged"), scene.metric("canary_fraction_target")) == (0.0, 1.0)


def test_a_scorer_that_is_started_again_does_not_give_it_back(scene: Scene) -> None:
    """What it had said itself tells it so, however long it was away."""
    scene.die("risk")
    scene.pass_seconds(PATIENCE + 1.0)
    scene.die("ai_scorer")
    scene.pass_seconds(1.0)
    scene.stage.metrics.canary_unjudged.set(0)  # a new process begins with no figure
    scene.scorer()
    assert scene.route() == "paper"
    assert scene.metric("canary_unjudged") == 1.0
    scene.risk()
    scene.pass_seconds(3.0)
    assert scene.route() == "canary"
    assert [event for event, _, _ in scene.told()] == ["HALT", "RESUME"]


def test_a_withdrawal_meanwhile_lifts_the_halt_and_the_next_canary_begins_afresh(scene: Scene) -> None:
    """Nothing is left that would hold off the canary after it."""
    scene.die("risk")
    scene.pass_seconds(PATIENCE + 1.0)
    scene.roll(epoch=2, mode="disabled")
    scene.pass_seconds(1.0)
    assert [event for event, _, _ in scene.told()] == ["HALT", "RESUME"]
    scene.roll(epoch=3)
    scene.pass_seconds(1.0)
    assert scene.route() == "canary"

"""The scorer under a real host that is killed at random points while models are swapped: each candidate scored once."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from random import Random

import msgspec
import pytest
import structlog

from bus.codec import decode, decode_dead
from bus.messages import Approval, Candidate, Score
from bus.protocol import Entry
from bus.streams import APPROVED, CANDIDATES, SCORES, dead_letters
from live.ai_scorer import AiScorer
from live.host import Host
from live.worker import at_once
from tests.live.hosting import Stage, fake, only
from tests.live.mirrors import Models, candidate
from tests.live.parts import parts, settings

CANDIDATES_GIVEN = 60
CHANCE = 0.005
"""Of each point at which a process may die; a message that three processes died with is set aside as poison."""


class Killed(Exception):
    """The process is gone."""


class Run:
    """A signal engine in a host that lives on, and a scorer in one that is killed and started again."""

    def __init__(self, tmp_path: Path, models: Models, seed: int) -> None:
        self.stage, self._tmp_path, self._models, self._rng = Stage(), tmp_path, models, Random(seed)
        self.kills = 0
        self.engine = self.stage.host(fake("signal_engine"), name="engine")
        self.host: Host | None = None
        self._born()

    def _crash(self, _point: str) -> None:
        if self._rng.random() < CHANCE:
            raise Killed

    def _born(self) -> None:
        knobs = {"registry": {"mirror": str(self._models.root)}, "signals": {"ttl_ms": 10_000}}
        host = Host(
            "scorer", self.stage.bus, self.stage.clock, self.stage.metrics, structlog.get_logger(), settings(knobs),
            perf=self.stage.clock.mono_ns, crash=self._crash,
        )  # fmt: skip
        given = replace(parts(self._tmp_path, knobs), clock=self.stage.clock, out=host.output("ai_scorer"))
        host.add(AiScorer(given, at_once))
        self.host = host
        self._guarded(host.start)

    def _guarded(self, act: Callable[[], object]) -> None:
        try:
            act()
        except Killed:
            self.kills += 1
            self.host = None

    def say(self, body: Candidate) -> None:
        """The engine says a candidate."""
        only(self.engine, "signal_engine").out.publish(CANDIDATES, body, message_id=body.id)
        self.engine.step()

    def step(self) -> None:
        """A step of the scorer's host, or its start where it is gone."""
        self.stage.clock.advance(seconds=0.02)
        if self.host is None:
            self._born()
        else:
            self._guarded(self.host.step)

    def settle(self) -> None:
        """Let the scorer work without being killed."""
        self._rng = Random()
        self._rng.random = lambda: 1.0  # type: ignore[method-assign]  # nobody is killed any more
        for _ in range(20):
            self.step()

    def set_aside(self) -> set[str]:
        """Ids of candidates that came back too often."""
        dead = self.stage.bus.recent(dead_letters(CANDIDATES), 1_000)
        return {decode(Entry(CANDIDATES, "1-0", decode_dead(each).data, 0)).header.id for each in dead}

    def of(self, stream: str) -> list[object]:
        """Every body on a stream."""
        return [decode(entry).body for entry in self.stage.bus.recent(stream, 10_000)]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Models:
    """Two versions, made once."""
    root = tmp_path_factory.mktemp("crashes")
    models = Models(root / "store", root / "mirror")
    models.put("active", 2, tau=0.45)
    models.put("active", 1, tau=0.45)
    return models


@pytest.mark.parametrize("seed", range(10))
def test_every_candidate_is_scored_once_by_one_model(tmp_path: Path, store: Models, seed: int) -> None:
    """Whatever was killed: one score and one decision each, and the approval that the score speaks of."""
    models = Models(store.folder, tmp_path / "mirror", dict(store.sha256))
    models.put("active", 1)
    run = Run(tmp_path, models, seed)
    for number in range(CANDIDATES_GIVEN):
        run.say(fresh(candidate(number), run.stage))
        if number % 5 == 0:
            models.put("active", 1 + number // 5 % 2)
        run.step()
        run.step()
    run.settle()
    scores = [each for each in run.of(SCORES) if isinstance(each, Score)]
    approvals = [each for each in run.of(APPROVED) if isinstance(each, Approval)]
    scored, aside = [each.candidate_id for each in scores], run.set_aside()
    assert run.kills > 0
    assert len(scored) == len(set(scored))
    assert set(scored) | aside == {candidate(k).id for k in range(CANDIDATES_GIVEN)}
    wanted = {each.candidate_id: each.judgements[0].version for each in scores if each.approved}
    found = {each.id: each.version for each in approvals}
    assert len(found) == len(approvals)
    assert found.items() <= wanted.items()
    assert wanted.keys() - found.keys() <= aside


def fresh(body: Candidate, stage: Stage) -> Candidate:
    """The candidate as of now: its id stays, its market is fresh."""
    return msgspec.structs.replace(body, local_ns=stage.clock.wall_ns())

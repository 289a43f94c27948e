"""Risk under a real host that is killed at random points: no candidate is lost, and none is told two different ends."""

from pathlib import Path
from random import Random

import pytest
import structlog

from bus import streams
from bus.codec import decode
from bus.messages import BookImage, Outcome, Score
from bus.streams import OUTCOMES, SCORES
from live.host import Host
from live.risk import Risk
from live.service import Parts
from market.barriers import UNRESOLVED
from market.columns import BOOK_RESET
from tests.live.hosting import Fake, Stage, fake, only
from tests.live.parts import START_NS, parts, settings
from tests.live.risk_market import SECOND, InlineWorker, image, score

SECONDS = 16


class Killed(Exception):
    """The process is gone."""


def _market() -> list[BookImage]:
    """A price that wanders a few ticks of 1 bp each quarter of a second."""
    rng, mid, books = Random(4), 100_000, []
    for quarter in range(4 * (SECONDS + 12)):
        mid += rng.choice([-10, 0, 10])
        flags = BOOK_RESET if not quarter else 0
        books.append(image(START_NS + quarter * SECOND // 4, mid, mid + 1, flags=flags))
    return books


class Run:
    """A collector and a scorer in one host that lives on, and risk in one that is killed."""

    def __init__(self, tmp_path: Path, seed: int, chance: float) -> None:
        self.stage = Stage()
        self._tmp_path = tmp_path
        self._rng = Random(seed)
        self._chance = chance
        self.kills = 0
        self.feeder = self.stage.host(fake("collector"), fake("ai_scorer"), name="feeder")
        self.risk = self._born()

    def _crash(self, _point: str) -> None:
        if self._rng.random() < self._chance:
            raise Killed

    def _born(self) -> Host | None:
        knobs = {"label": {"horizon_seconds": 10.0}, "registry": {"mirror": str(self._tmp_path / "none")}}
        found = parts(self._tmp_path, knobs)
        host = Host(
            "risk", self.stage.bus, self.stage.clock, self.stage.metrics, structlog.get_logger(), settings(knobs),
            perf=self.stage.clock.mono_ns, crash=self._crash,
        )  # fmt: skip
        of = Parts(
            found.settings, found.symbols, self.stage.clock, host.output("risk"), self.stage.metrics, found.log,
            found.wake, found.var,
        )  # fmt: skip
        try:
            host.add(Risk(of, InlineWorker()))
            host.start()
        except Killed:
            self.kills += 1
            return None
        return host

    def step(self) -> None:
        """Let risk work for a step; a killed one is started again in the next."""
        if self.risk is None:
            self.risk = self._born()
            return
        try:
            self.risk.step()
        except Killed:
            self.kills += 1
            self.risk = None

    def feed(self, book: BookImage, scored: Score | None) -> None:
        """The market goes on, whatever becomes of risk."""
        collector: Fake = only(self.feeder, "collector")
        self.stage.clock.advance_to(book.local_ns)
        collector.out.publish(
            streams.book(book.symbol), book, message_id=f"{book.exchange_ns}", writer=f"collector:{book.symbol}"
        )
        if scored is not None:
            only(self.feeder, "ai_scorer").out.publish(SCORES, scored, message_id=scored.candidate_id)
        self.feeder.step()

    def outcomes(self) -> list[Outcome]:
        """What stands on the stream."""
        found = [decode(entry).body for entry in self.stage.bus.recent(OUTCOMES, 100_000)]
        return [body for body in found if isinstance(body, Outcome)]


def _played(tmp_path: Path, seed: int, chance: float) -> Run:
    run = Run(tmp_path, seed, chance)
    for quarter, book in enumerate(_market()):
        is_candidate = quarter % 4 == 0 and quarter < 4 * SECONDS
        run.feed(book, score(book, 1 if quarter % 8 else -1) if is_candidate else None)
        run.step()
    run._chance = 0.0
    for _ in range(60):
        run.stage.clock.advance(seconds=0.1)
        run.step()
    return run


@pytest.mark.parametrize("seed", range(3))
def test_killed_anywhere_risk_tells_the_end_of_every_candidate(tmp_path: Path, seed: int) -> None:
    """Each has one end, the one an undisturbed run gives: the streams still hold what a dead process did not see."""
    wanted = {each.candidate_id: each for each in _played(tmp_path / "calm", seed, 0.0).outcomes()}
    assert len(wanted) == SECONDS
    assert UNRESOLVED not in {each.outcome for each in wanted.values()}
    assert len({each.outcome for each in wanted.values()}) > 1
    run = _played(tmp_path / "killed", seed, 0.03)
    assert run.kills > 5
    told = run.outcomes()
    assert {each.candidate_id for each in told} == set(wanted)
    for each in told:
        assert each == wanted[each.candidate_id]

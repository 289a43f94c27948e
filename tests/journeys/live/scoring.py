"""A signal engine, played, and counting what a scorer made of its candidates."""

import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from bus.client import RedisBus
from bus.codec import decode
from bus.errors import BusUnavailable
from bus.messages import Approval, Score
from bus.publisher import Publisher
from bus.streams import APPROVED, CANDIDATES, SCORES
from tests.journeys.live.processes import Process, Site, wait
from tests.live.mirrors import Models, candidate

LASTING = {"SIGNALS_TTL_MS": "60000"}
"""What is redelivered behind a restart is still scored."""


class PlayedEngine:
    """Says a candidate each step."""

    def __init__(self, url: str) -> None:
        self.bus = RedisBus(url)
        self._publisher = Publisher(self.bus, "signal_engine", time.time_ns)
        self.said: list[str] = []

    def step(self) -> str:
        """A candidate of now; returns its id."""
        now = time.time_ns()
        made = candidate(len(self.said), id=f"BTCUSDT-{now}", t_ns=now, local_ns=now, session_ns=now - 1)
        self.said.append(made.id)
        self._publisher.publish(CANDIDATES, made, message_id=made.id)
        with suppress(BusUnavailable):  # it waits
            self._publisher.flush()
        return made.id

    def play(self, holds: Callable[[], bool], what: str) -> None:
        """Play on until something holds."""

        def stepped() -> bool:
            self.step()
            return holds()

        wait(stepped, what)

    def close(self) -> None:
        """Give up the connection."""
        self.bus.close()


@dataclass
class Scored:
    """What a scorer said."""

    scores: list[Score]
    approvals: list[Approval]

    @property
    def by_version(self) -> dict[str, int]:
        """The version of the active model that judged each candidate."""
        return {
            score.candidate_id: judged.version
            for score in self.scores
            for judged in score.judgements
            if judged.slot == "active"
        }


def scored(place: Site) -> Scored:
    """Read the streams."""
    scores = [decode(entry).body for entry in place.bus.recent(SCORES, 100_000)]
    approvals = [decode(entry).body for entry in place.bus.recent(APPROVED, 100_000)]
    return Scored(
        [body for body in scores if isinstance(body, Score)],
        [body for body in approvals if isinstance(body, Approval)],
    )


def scoring(place: Site, engine: PlayedEngine, **knobs: str) -> Process:
    """A scorer that has scored a candidate."""
    scorer = place.start("ai_scorer", **{**LASTING, **knobs})
    engine.play(lambda: place.is_ready(scorer), "the scorer")
    first = engine.step()
    wait(lambda: first in scored(place).by_version, "the first score")
    return scorer


def check(place: Site, engine: PlayedEngine) -> Scored:
    """Every candidate is scored once, by one active model; what that one approved is approved once."""
    wait(lambda: set(engine.said) <= set(scored(place).by_version), "a score of each candidate")
    found = scored(place)
    times = Counter(score.candidate_id for score in found.scores)
    again = {key: count for key, count in times.items() if count > 1}
    assert not again, f"scored again: {again} of {len(engine.said)}"
    assert set(times) == set(engine.said)
    for score in found.scores:
        assert [judged.slot for judged in score.judgements].count("active") == 1
    wanted = Counter(score.candidate_id for score in found.scores if score.approved)
    assert Counter(approval.candidate_id for approval in scored(place).approvals) == wanted
    return found


def models_of(place: Site) -> Models:
    """The mirror the processes of a site score by, and room for bundles."""
    return Models(place.folder / "bundles", place.folder / "mirror")

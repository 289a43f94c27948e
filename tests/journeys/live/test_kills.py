"""kill -9 of services at chosen and at random moments: every approval has one fate, no order is sent twice."""

import random

import pytest

from tests.journeys.live.flow import settled
from tests.journeys.live.played import Played
from tests.journeys.live.processes import Site
from tests.journeys.live.scoring import PlayedEngine, check, models_of, scoring

POINTS = ("after_read", "after_intent", "after_send", "after_result", "before_ack", "torn")
MOST = {"REDIS_MAX_DELIVERIES": "50"}
"""A message is not set aside as poison for dying so often with others."""
HOST_POINTS = ("handled", "committed", "written", "settled")


@pytest.mark.parametrize("points", [POINTS[:3], POINTS[3:], HOST_POINTS], ids="-".join)
def test_an_executor_that_dies_at_every_point(place: Site, market: Played, points: tuple[str, ...]) -> None:
    """Faults 1 to 5: read, written down, sent, answered, about to acknowledge, half written; each redelivered once."""
    for point in points:
        doomed = place.start(point, "3", module="tests.journeys.live.doomed", **MOST)
        market.play(lambda doomed=doomed: not doomed.is_running, f"the death at {point}")  # type: ignore[misc]
        assert doomed.wait() == -9, doomed.text()
    assert "acted" in settled(place, market, place.start("executor", **MOST)).fates.values()


def test_an_executor_killed_at_random(place: Site, market: Played) -> None:
    """Wherever it is: in a start, in a write, in a wait."""
    rng = random.Random(5)
    for _ in range(4):
        executor = place.start("executor", **MOST)
        market.play(lambda executor=executor: place.is_ready(executor), "the executor")  # type: ignore[misc]
        market.more(rng.randint(1, 4))
        executor.kill()
        market.more(1)
    settled(place, market, place.start("executor", **MOST))


def test_a_scorer_killed_at_random(place: Site) -> None:
    """Candidates it had in hand are delivered again; each is scored once, and approved once if it is."""
    models_of(place).put("active", 1)
    engine, rng = PlayedEngine(place.server.url), random.Random(7)
    try:
        for _ in range(3):
            scorer = scoring(place, engine, **MOST)
            for _ in range(rng.randint(5, 60)):
                engine.step()
            scorer.kill()
            engine.step()
        scorer = scoring(place, engine, **MOST)
        found = check(place, engine)
        assert scorer.end() == 0
        assert found.approvals
        assert not all(score.approved for score in found.scores)
    finally:
        engine.close()

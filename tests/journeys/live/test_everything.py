"""Every service a process of its own, each killed with kill -9, then all of them at once: from market to outcome
nothing is lost and nothing is done twice."""

from collections import Counter

import pytest

from bus.codec import decode
from bus.messages import Candidate, Outcome
from bus.protocol import Bus
from bus.streams import CANDIDATES, OUTCOMES
from tests.journeys.live.counted import check, is_drained
from tests.journeys.live.flow import found, is_at_rest
from tests.journeys.live.played import Played
from tests.journeys.live.processes import Process, Site
from tests.journeys.live.scoring import LASTING, models_of, scored

SERVICES = ("signal_engine", "ai_scorer", "executor", "risk")
VENUE_SPEED = 100
"""The two minutes of market that the engine's windows hold are over in little more than a second."""
KNOBS = {**LASTING, "REDIS_MAX_DELIVERIES": "50", "RISK_PRECISION_FLOOR": "0", "RISK_VOLATILITY_HALT_BPS": "10000",
         "RISK_MAX_TRADES_PER_HOUR": "10000000", "GATES_FAT_FINGER_BPS": "10000", "RISK_MAX_LOSS": "1000000",
         "RISK_MAX_DRAWDOWN": "1000000", "GATES_DAILY_LOSS_CAP": "1000000"}  # fmt: skip


@pytest.mark.slow
def test_each_killed_and_then_all(place: Site) -> None:
    """Candidates, scores, approvals, orders, outcomes: each follows from the one before, once."""
    models_of(place).put("active", 1, tau=0.5)
    market = Played(place.server.url, each=0, speed=VENUE_SPEED)
    try:
        running = {name: place.start(name, **KNOBS) for name in SERVICES}
        trade(place, market, running)
        for name in SERVICES:
            running[name].kill()
            running[name] = place.start(name, **KNOBS)
            trade(place, market, running)
        for process in running.values():
            process.kill()
        running = {name: place.start(name, **KNOBS) for name in SERVICES}
        trade(place, market, running)
        assert running["signal_engine"].end() == 0
        market.play(lambda: is_scored(place), "a score of each candidate")
        market.play(lambda: is_drained(place.bus) and is_at_rest(found(place)), "every position's end")
        market.play(lambda: not unresolved(place), "the outcomes")
        assert [running[name].end() for name in ("ai_scorer", "executor", "risk")] == [0, 0, 0]
        count(place)
    finally:
        market.close()


def trade(place: Site, market: Played, running: dict[str, Process]) -> None:
    """Play until everything runs, and a candidate and an order more are there than before."""
    market.play(lambda: all(place.is_ready(each) for each in running.values()), "the services")
    seen, acted = len(candidates(place.bus)), len(found(place).ledger.state.approvals)
    market.play(lambda: len(candidates(place.bus)) > seen + 5, "candidates")
    market.play(lambda: len(found(place).ledger.state.approvals) > acted, "an approval that is acted on")


def candidates(bus: Bus) -> list[str]:
    """The id of every candidate that was said."""
    bodies = [decode(entry).body for entry in bus.recent(CANDIDATES, 1_000_000)]
    return [body.id for body in bodies if isinstance(body, Candidate)]


def outcomes(bus: Bus) -> list[str]:
    """The candidate of every outcome that was said."""
    bodies = [decode(entry).body for entry in bus.recent(OUTCOMES, 1_000_000)]
    return [body.candidate_id for body in bodies if isinstance(body, Outcome)]


def is_scored(place: Site) -> bool:
    """Whether every candidate has its score."""
    return set(candidates(place.bus)) <= set(scored(place).by_version)


def unresolved(place: Site) -> set[str]:
    """Candidates without an outcome."""
    return set(candidates(place.bus)) - set(outcomes(place.bus))


def count(place: Site) -> None:
    """Look at every link of the chain."""
    said = candidates(place.bus)
    assert max(Counter(said).values()) == 1, "a candidate was said twice"
    judged = scored(place)
    assert Counter(score.candidate_id for score in judged.scores) == Counter(said)
    approved = [approval.id for approval in judged.approvals]
    assert Counter(approved) == Counter(score.candidate_id for score in judged.scores if score.approved)
    check(found(place), approved)
    assert Counter(outcomes(place.bus)) == Counter(said)

"""When a soak kills whom: drawn from a seed, so that a soak can be run again as it was."""

from dataclasses import dataclass
from random import Random
from typing import Final

OFTEN: Final = ("ai_scorer", "executor", "risk", "model_sync", "redis")
"""Killed every few seconds: they go on where they were."""
SELDOM: Final = ("collector", "signal_engine")
"""Killed now and then: the engine's windows begin anew, and for two minutes there are no candidates to lose."""
EVERYTHING: Final = "everything"
KILLED_SHARE: Final = 2.0 / 3.0
"""Of a soak's time; in the rest nobody dies, so that memory can be told from a start."""
_GAP_SECONDS = (4.0, 14.0)
_AWAY_SECONDS = (0.0, 3.0)
_SELDOM_SECONDS = 240.0
_LAST_SHARE = 0.95


@dataclass(frozen=True, slots=True)
class Kill:
    """kill -9 of a victim, `at_seconds` after the begin, and a start again `away_seconds` later."""

    at_seconds: float
    victim: str
    away_seconds: float


def plan(seed: int, minutes: float) -> list[Kill]:
    """Return the kills of a soak in order of time; the last one takes every service and Redis at once."""
    rng = Random(seed)
    end = minutes * 60.0 * KILLED_SHARE
    found: list[Kill] = []
    deck: list[str] = []
    at = rng.uniform(*_GAP_SECONDS)
    while at < end * _LAST_SHARE - _GAP_SECONDS[0]:
        if not deck:
            deck = rng.sample(OFTEN, len(OFTEN))
        found.append(Kill(at, deck.pop(), rng.uniform(*_AWAY_SECONDS)))
        at += rng.uniform(*_GAP_SECONDS)
    last = end * _LAST_SHARE
    times = [last - _SELDOM_SECONDS * step for step in range(1, 1 + int(last / _SELDOM_SECONDS))]
    turns = enumerate(reversed(times))
    found += [Kill(each, SELDOM[turn % len(SELDOM)], rng.uniform(*_AWAY_SECONDS)) for turn, each in turns]
    found.append(Kill(last, EVERYTHING, rng.uniform(*_AWAY_SECONDS)))
    return sorted(found, key=lambda kill: kill.at_seconds)

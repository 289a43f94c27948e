"""What a seed stands for: which faults this run has, how often, and on what terms it trades."""

from dataclasses import dataclass
from random import Random

from tests.live.simulation.venue import Weather

STEPS = 45


@dataclass(frozen=True)
class Plan:
    """One run. Chances are per step, per message or per call."""

    seed: int
    mode: str
    max_restarts: int
    steps: int
    crash: float
    power: float
    upstream_crash: float
    approve: float
    again: float
    late_approval: float
    drop: float
    hold: float
    repeat: float
    gap: float
    stall: float
    bus_fault: float
    wipe: float
    crit: float
    halt: float
    resume: float
    graceful: float
    wall: float
    poison: float
    disk_full: float
    weather: Weather


def plan_of(seed: int) -> Plan:
    """The plan of a seed: each kind of fault is there or not, so that some runs have few and long stretches of work."""
    rng = Random(f"plan {seed}")

    def maybe(most: float, share: float = 0.5) -> float:
        return rng.random() * most if rng.random() < share else 0.0

    weather = Weather(
        lost_reply=maybe(0.2), lost_request=maybe(0.2), late=maybe(0.15), silent=maybe(0.1, 0.3), limit=maybe(0.1, 0.3),
        reject=maybe(0.1, 0.3), post_only=maybe(0.4), hidden=maybe(0.6), drop=maybe(0.4), repeat=maybe(0.5),
        reorder=maybe(0.5), fill=0.05 + rng.random() * 0.5, partial=rng.random() * 0.7, query_fails=maybe(0.3),
        cancel_lost=maybe(0.3),
    )  # fmt: skip
    return Plan(
        seed=seed,
        mode="paper" if rng.random() < 0.12 else "real",
        max_restarts=3 if rng.random() < 0.15 else 1_000,
        steps=STEPS,
        crash=maybe(0.02, 0.6),
        power=rng.random(),
        upstream_crash=maybe(0.03, 0.3),
        approve=0.1 + rng.random() * 0.4,
        again=maybe(0.3),
        late_approval=maybe(0.3),
        drop=maybe(0.02, 0.3),
        hold=maybe(0.1, 0.3),
        repeat=maybe(0.2),
        gap=maybe(0.03, 0.4),
        stall=maybe(0.03, 0.4),
        bus_fault=maybe(0.1, 0.4),
        wipe=maybe(0.01, 0.25),
        crit=maybe(0.02, 0.3),
        halt=maybe(0.03, 0.3),
        resume=maybe(0.08, 0.6),
        graceful=maybe(0.01, 0.3),
        wall=maybe(0.02, 0.3),
        poison=maybe(0.02, 0.2),
        disk_full=maybe(0.03, 0.2),
        weather=weather,
    )

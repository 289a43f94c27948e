"""What a seed stands for: which faults this run has, how often, and on what terms it trades."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from random import Random
from typing import Any

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
    silence: float
    downtime: float
    zombie: float
    weather: Weather
    whole: bool = False
    """Every service, not the executor alone behind a script."""


_SILENT = Weather(
    lost_reply=0.15, lost_request=0.1, late=0.15, silent=0.05, post_only=0.2, hidden=0.4, drop=0.4, repeat=0.3,
    reorder=0.4, fill=0.3, partial=0.6, query_fails=0.1, cancel_lost=0.2,
)  # fmt: skip
THEMES: Mapping[str, Mapping[str, Any]] = {
    "mixed": {},
    "crits": {
        "mode": "real", "crit": 0.03, "resume": 0.25, "crash": 0.004, "wall": 0.05, "graceful": 0.0, "halt": 0.0,
        "max_restarts": 1_000, "drop": 0.0, "gap": 0.0, "steps": 80, "downtime": 0.1, "poison": 0.0, "wipe": 0.0,
    },
    "clocks": {
        "mode": "real", "crit": 0.03, "resume": 0.4, "crash": 0.004, "wall": 0.12, "graceful": 0.0, "halt": 0.0,
        "max_restarts": 1_000, "drop": 0.0, "gap": 0.0, "steps": 80, "downtime": 0.9, "poison": 0.0, "wipe": 0.0,
        "bus_fault": 0.0, "stall": 0.0, "silence": 0.0, "approve": 0.6,
    },
    "nobody": {
        "mode": "real", "crit": 0.01, "resume": 0.0, "crash": 0.006, "wall": 0.0, "graceful": 0.0, "halt": 0.0,
        "max_restarts": 1_000, "drop": 0.0, "gap": 0.0, "steps": 120, "poison": 0.0, "wipe": 0.0, "bus_fault": 0.0,
    },
    "repeats": {"again": 0.4, "repeat": 0.3, "mode": "real", "approve": 0.6, "halt": 0.0},
    "silent_venue": {
        "mode": "real", "crit": 0.0, "halt": 0.0, "drop": 0.0, "gap": 0.0, "disk_full": 0.0, "approve": 0.6,
        "crash": 0.0005, "weather": _SILENT,
    },
    "halts": {
        "halt": 0.1, "crash": 0.006, "resume": 0.0, "crit": 0.0, "steps": 60, "drop": 0.0, "gap": 0.0, "approve": 0.7,
        "poison": 0.0,
    },
    "restarts": {"crash": 0.008, "power": 0.8, "approve": 0.6, "drop": 0.0, "gap": 0.0, "steps": 60},
    "silence": {"silence": 0.1, "approve": 0.6, "crash": 0.0, "drop": 0.0},
    "backlog": {"stall": 0.1, "approve": 0.8, "wipe": 0.0},
    "zombies": {"mode": "real", "zombie": 0.08, "approve": 0.8, "crit": 0.0, "halt": 0.0, "drop": 0.0, "gap": 0.0},
    "whole": {"whole": True, "zombie": 0.0, "poison": 0.0},
    "deaths": {
        "whole": True, "zombie": 0.0, "poison": 0.0, "steps": 60, "wipe": 0.0, "crash": 0.008, "upstream_crash": 0.05,
        "bus_fault": 0.0,
    },
    "paper": {"mode": "paper"},
    "full_disk": {"disk_full": 0.1, "approve": 0.6, "halt": 0.0},
}  # fmt: skip
"""What a run is about: kinds of faults that it has for certain, or not at all. A seed has the theme of its number."""
_EVERY = ("mixed", "mixed", "silent_venue", "whole", "restarts", "mixed", "halts", "crits", "silence", "backlog")


def plan_of(seed: int, theme: str = "") -> Plan:
    """The plan of a seed: each kind of fault is there or not, so that some runs have few and long stretches of work."""
    plan = _mixed(seed)
    return replace(plan, **THEMES[theme or _EVERY[seed % len(_EVERY)]])


def _mixed(seed: int) -> Plan:
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
        silence=maybe(0.05, 0.2),
        downtime=0.5,
        zombie=maybe(0.02, 0.2),
        weather=weather,
    )

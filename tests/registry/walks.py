"""Random walks over the registrar's verbs, and a death at a chosen step of a move."""

from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random
from typing import Literal

from registry.errors import MoveRefused
from registry.promotion import Registrar
from registry.states import Actor, Moved, State, Subject
from tests.registry.stores import HUMAN, PIPELINE, SENSOR, World


class Killed(BaseException):
    """The process is gone; no handler of ours may hold it up."""


@dataclass
class Death:
    """Comes at the step number `at`, counted from 0; `seen` are the steps that were taken."""

    at: int | None = None
    strike: Callable[[], None] | None = None
    seen: list[str] = field(default_factory=list)

    def __call__(self, step: str) -> None:
        self.seen.append(step)
        if self.at == len(self.seen) - 1:
            if self.strike:
                self.strike()
            raise Killed(step)


@dataclass(frozen=True)
class Asked:
    """Who is asked for a move, and for which version."""

    registrar: Registrar
    world: World
    version: int
    tx: str

    def promote(self, to: Literal["shadow", "canary", "active"], by: Actor, trial: str = "", **options: bool) -> Moved:
        """A promotion, on the verdict of a trial if one is named."""
        evidence = self.world.verdict(trial, self.version) if trial else None
        return self.registrar.promote(self.version, to, by, "a reason", evidence, tx=self.tx, **options)

    def ramp(self, fraction: float) -> Moved:
        """Another share for the canary."""
        evidence = self.world.verdict("canary", self.version, "hold")
        return self.registrar.ramp(fraction, SENSOR, "a reason", evidence, tx=self.tx)

    def withdraw(self, by: Actor, subject: Subject) -> Moved:
        """A rollback."""
        return self.registrar.rollback(by, "winrate_seq", "a reason", subject=subject, tx=self.tx)


VERBS: dict[str, Callable[[Asked], Moved]] = {
    "enter": lambda a: a.registrar.enter(a.version, PIPELINE, "trained", tx=a.tx),
    "shadow": lambda a: a.promote("shadow", SENSOR),
    "shadow again": lambda a: a.promote("shadow", HUMAN),
    "canary": lambda a: a.promote("canary", SENSOR, "shadow"),
    "canary by force": lambda a: a.promote("canary", HUMAN, force=True),
    "ramp": lambda a: a.ramp(0.5),
    "less": lambda a: a.ramp(0.05),
    "active": lambda a: a.promote("active", SENSOR, "canary"),
    "active by hand": lambda a: a.promote("active", HUMAN, force=True),
    "rollback": lambda a: a.withdraw(SENSOR, "canary"),
    "go back": lambda a: a.withdraw(HUMAN, "active"),
    "inconclusive": lambda a: a.registrar.inconclusive(SENSOR, "cap", tx=a.tx),
    "reject": lambda a: a.registrar.reject(a.version, PIPELINE, "gate failed", tx=a.tx),
    "archive": lambda a: a.registrar.archive(a.version, HUMAN, "no use", tx=a.tx),
    "quarantine": lambda a: a.registrar.quarantine(a.version, SENSOR, "another sha256", tx=a.tx),
    "reinstate": lambda a: a.registrar.reinstate(a.version, HUMAN, "looked into it", {"note": a.tx}, tx=a.tx),
    "disable": lambda a: a.registrar.disable_rollout(HUMAN, "quiet night", tx=a.tx),
    "enable": lambda a: a.registrar.enable_rollout(HUMAN, "all well", {"clean_evaluations": 3}, tx=a.tx),
}
_BY_STATE: dict[State | None, tuple[str, ...]] = {
    None: ("enter",),
    "candidate": ("shadow", "shadow", "active by hand", "reject"),
    "shadow": ("canary", "canary by force", "canary by force", "archive"),
    "canary": ("ramp", "less", "active by hand", "active by hand", "rollback", "inconclusive", "disable"),
    "active": ("go back",),
    "archived": ("shadow again", "active by hand"),
    "rejected": ("reinstate",),
    "rolled_back": ("reinstate",),
    "quarantined": (),
}
"""What has a chance to pass its guards."""


def step(world: World, random: Random, tx: str, steps: Callable[[str], None]) -> Callable[..., bool]:
    """Choose a move, and return what makes it: True when it was made or known, False when a guard refused it."""
    world.passes(minutes=random.choice((1, 20, 600, 2_000)))
    head = world.registrar().head()
    is_disabled = head.rollout is not None and head.rollout.mode == "disabled"
    version = random.choice([each for each in world.store.known if head.states.get(each) != "quarantined"] or [1])
    name = random.choice(_BY_STATE[head.states.get(version)])
    if is_disabled and random.random() < 0.2:
        name = "enable"
    elif random.random() < 0.1:
        name = random.choice([verb for verb in VERBS if verb != "quarantine" or random.random() < 0.2])

    def make(steps: Callable[[str], None] = steps) -> bool:
        try:
            VERBS[name](Asked(world.registrar(steps), world, version, tx))
        except MoveRefused:
            return False
        return True

    return make

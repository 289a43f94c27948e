"""The states of a version, the slots it may stand in, and the records that a move is described by.

    candidate -> shadow -> canary -> active -> archived        side exits: rejected, rolled_back, quarantined

A version's state lives in the journal and in its MLflow tags; slots are what aliases and the mirror show. The canary is
the version in the shadow slot while the rollout gives it a share. What may follow what is `registry.transitions`.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

import msgspec
from msgspec import Struct

from registry.rollout import RolloutState

State = Literal["candidate", "shadow", "canary", "active", "archived", "rejected", "rolled_back", "quarantined"]
Transition = Literal[
    "candidate", "shadow", "canary", "ramp", "active", "rollback", "inconclusive", "reject", "archive", "quarantine",
    "reinstate", "enable", "disable", "adopt", "revert",
]  # fmt: skip
"""What a move is called.

candidate T1; shadow T2; canary T3; ramp gives the canary another share; active T4, with T9 for the version it
displaces, and the first activation of all; rollback T5 (of the canary) and T6 (of the active version); inconclusive T7;
reject T8; archive ends a version's time in the shadow slot; quarantine T10; reinstate T11; enable T12; disable takes
the rollout away; adopt takes over an alias that was moved past tidegate, revert puts it back.
"""
ActorKind = Literal["human", "sensor", "pipeline", "scorer"]
Subject = Literal["canary", "active"]
Direction = Literal["up", "down"]
"""Up: MLflow first, and an interrupted move is undone. Down: what trades first, and it is finished."""
Effect = Literal["mlflow", "announce"]
"""What a move may leave for later: the registry's aliases and tags, and the event on the bus."""
Severity = Literal["INFO", "WARN", "CRIT"]
Told = Literal["PROMOTION", "ROLLBACK", "MODE_SWITCH", "ALERT"]

ALIASES = ("candidate", "shadow", "active", "previous")
"""What MLflow shows of the slots."""


@dataclass(frozen=True, slots=True)
class Actor:
    """Who moves a version: `human:anna`, `sensor:verdict`, `pipeline:train_job`, `scorer:ai_scorer`."""

    kind: ActorKind
    name: str

    def __str__(self) -> str:
        return f"{self.kind}:{self.name}"


class Slots(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The version in each slot. The canary is the shadow version while `Head.canary` is set."""

    active: int | None = None
    previous: int | None = None
    shadow: int | None = None


class Standing(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where everything stands behind a move; the journal's INTENT holds it, so that recovery need not decide again.

    `active_history` is newest first, the active version included; a version that was withdrawn stays in it, its state
    says so. `rollbacks` are the times of the newest rollbacks, newest first.
    """

    slots: Slots = Slots()
    rollout: RolloutState | None = None
    canary: int | None = None
    canary_since: datetime | None = None
    active_since: datetime | None = None
    active_history: tuple[int, ...] = ()
    rollbacks: tuple[datetime, ...] = ()


class Pending(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An effect of a committed move that is still to be had: MLflow was away, or the bus."""

    tx: str
    effect: Effect


class Head(Standing, frozen=True, kw_only=True):
    """The journal, folded. `hash` is that of the INTENT of the last committed move, which manifest and MLflow repeat;
    `pending` is what others have yet to hear of.

    `unfinished` names a move that was begun and neither committed nor aborted: between its INTENT and `recover` the
    mirror may show either side of it, so whoever follows the head keeps still.
    """

    epoch: int = 0
    states: dict[int, State] = {}
    hash: str = ""
    pending: tuple[Pending, ...] = ()
    unfinished: str = ""

    @property
    def candidate(self) -> int | None:
        """The newest version that is a candidate: what alias `candidate` names."""
        return max((version for version, state in self.states.items() if state == "candidate"), default=None)

    @property
    def control(self) -> int | None:
        """The displaced version that is scored beside the one promoted over it, while it holds the shadow slot."""
        shadow = self.slots.shadow
        is_control = shadow is not None and shadow == self.slots.previous and self.states.get(shadow) == "archived"
        return shadow if is_control else None

    @property
    def aliases(self) -> dict[str, int]:
        """What the registry's aliases should name."""
        slots = self.slots
        named = {
            "candidate": self.candidate,
            "shadow": slots.shadow,
            "active": slots.active,
            "previous": slots.previous,
        }
        return {alias: version for alias, version in named.items() if version is not None}

    def is_cooling(self, now: datetime) -> bool:
        """Whether a rollback is so near that nothing may be promoted."""
        until = self.rollout.cooldown_until if self.rollout else None
        return until is not None and now < until


@dataclass(frozen=True, slots=True)
class ReleaseRules:
    """The guards' limits; `config.release_sections.Release.rules()` builds it."""

    auto_shadow: bool = True
    auto_canary: bool = False
    auto_promote: bool = False
    auto_rollback: bool = True
    external_moves: Literal["revert", "adopt"] = "revert"
    ramp: tuple[float, ...] = (0.1, 0.25, 0.5)
    step_hours: float = 6.0
    min_hours: float = 24.0
    freeze: tuple[str, ...] = ()
    cooldown_minutes: float = 15.0
    max_rollbacks_per_hour: int = 2
    rollback_window: int = 3
    clean_evaluations: int = 3
    evidence_seconds: float = 15.0

    @property
    def sha256(self) -> str:
        """The hash of the limits, written into every INTENT."""
        return hashlib.sha256(msgspec.json.encode(asdict(self), order="sorted")).hexdigest()

    @property
    def cooldown(self) -> timedelta:
        """How long nothing is promoted behind a rollback."""
        return timedelta(minutes=self.cooldown_minutes)


@dataclass(frozen=True, slots=True)
class Request:
    """What somebody wants moved, and why. `reason` is a short code (a metric label on the way down), `text` a sentence.

    `evidence` of a promotion is a Verdict as a mapping: trial, version, decision, at_ns, and its numbers. `force` is a
    human's override of evidence, times and freezes; it overrides no parity, no schema, no cooldown.
    """

    transition: Transition
    version: int | None
    by: Actor
    reason: str
    text: str = ""
    evidence: Mapping[str, Any] | None = None
    force: bool = False
    subject: Subject | None = None  # of a rollback: None is the canary if one runs, else the active version
    target: int | None = None  # of a rollback of the active version: where to; None is the previous one
    fraction: float | None = None
    salt: str = ""
    adopted: Slots | None = None


@dataclass(frozen=True, slots=True)
class Facts:
    """What the registry says of the version on the move; `is_known` False: the journal alone is asked."""

    is_known: bool = False
    model_id: str = ""
    sha256: str = ""
    schema_hash: str = ""
    data_hash: str = ""
    wanted_schema: str = ""
    parity: str = ""
    failed_gates: tuple[str, ...] = ()
    is_new_evidence: bool = True


@dataclass(frozen=True, slots=True)
class Announcement:
    """What the bus is told of a move, which may need two; `tx` is the id of the message, told twice when in doubt."""

    event: Told
    severity: Severity
    source: str
    target: str
    reason: str
    by: str
    at: datetime
    text: str
    tx: str


class Event(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The part of an announcement that a plan decides."""

    event: Told
    severity: Severity
    source: str
    target: str


@dataclass(frozen=True, slots=True)
class Plan:
    """A move that may be made: `after` and the changed `states` hold once it is committed.

    `version` is the one that is moved, where the request left it open.
    """

    direction: Direction
    source: str
    target: str
    after: Standing
    states: dict[int, State]
    events: tuple[Event, ...]
    version: int | None = None


@dataclass(frozen=True, slots=True)
class Refusal:
    """A move that may not be made: `code` is short and stable, `text` says what was wanted, found, and what to do."""

    code: str
    text: str


@dataclass(frozen=True, slots=True)
class Moved:
    """What a move led to. `effects` says of each whether it was done or is pending; `was_known` marks a repetition."""

    epoch: int
    tx: str
    transition: Transition
    head: Head
    effects: Mapping[Effect, Literal["done", "pending"]]
    was_known: bool = False

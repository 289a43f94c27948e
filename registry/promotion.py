"""The one writer of the registry: moves versions between states, as one journalled, crash-safe, idempotent move each.

    models/registry/journal.jsonl   INTENT and COMMIT or ABORT of every move, hash-chained (registry.journal)
    models/registry/evidence/       what each move was decided on, by sha256
    models/registry/                the mirror, which live trades with (registry.manifest, registry.rollout)

Live never imports this: it reads the head with `registry.journal.read_head`, acts on itself, and says so on the bus.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from registry.effects import Announce, Store
from registry.states import Actor, Effect, Head, ReleaseRules, Subject, Transition


@dataclass(frozen=True, slots=True)
class Moved:
    """What a move led to. `effects` says of each whether it was done or is pending; `was_known` marks a repetition."""

    epoch: int
    tx: str
    transition: Transition
    head: Head
    effects: dict[Effect, Literal["done", "pending"]]
    was_known: bool = False


@dataclass(frozen=True, slots=True)
class ScorerView:
    """What a scorer says it scores with: the version in a slot, and the epoch of the rollout it goes by."""

    active: int | None
    shadow: int | None
    rollout_epoch: int
    age_seconds: float


@dataclass(frozen=True, slots=True)
class Reconciliation:
    """What a look at journal, mirror, MLflow and scorers found. `divergences` are sentences; none: all agree.

    `settled` names the effects that were caught up with, `moved` the adoption or reverting of an external move.
    """

    head: Head
    divergences: tuple[str, ...] = ()
    settled: tuple[str, ...] = ()
    moved: Moved | None = None


class Registrar:
    """Moves versions. One lock a move, so any number of processes may hold a Registrar of the same folder.

    `now` gives the time, zone-aware UTC. `announce` tells the bus; it may raise, the telling is then pending. `steps`
    is called with the name of every step of a move just before it is taken: tests crash there.
    Every move raises MoveRefused (code, text), EpochConflict when `expect_epoch` is not the head's, JournalBroken
    (line), FileError; and `tx`, when given again, returns what it led to the first time.
    """

    def __init__(
        self,
        store: Store,
        root: Path,
        rules: ReleaseRules,
        *,
        now: Callable[[], datetime],
        announce: Announce,
        steps: Callable[[str], None] = lambda _: None,
        schema_hash: str | None = None,
    ) -> None: ...

    def head(self) -> Head:
        """Return where everything stands, from the journal alone."""
        raise NotImplementedError

    def enter(
        self, version: int, by: Actor, reason: str, evidence: Mapping[str, Any] | None = None, *, tx: str | None = None
    ) -> Moved:
        """T1: make a registered version a candidate."""
        raise NotImplementedError

    def promote(
        self,
        version: int,
        to: Literal["shadow", "canary", "active"],
        by: Actor,
        reason: str,
        evidence: Mapping[str, Any] | None = None,
        *,
        force: bool = False,
        expect_epoch: int | None = None,
        tx: str | None = None,
    ) -> Moved:
        """T2, T3, T4, or the first activation. A version that was active before comes back as a rollback (T6)."""
        raise NotImplementedError

    def ramp(
        self,
        fraction: float,
        by: Actor,
        reason: str,
        evidence: Mapping[str, Any] | None = None,
        *,
        force: bool = False,
        expect_epoch: int | None = None,
        tx: str | None = None,
    ) -> Moved:
        """Give the canary another share."""
        raise NotImplementedError

    def rollback(
        self,
        by: Actor,
        reason_code: str,
        text: str,
        evidence: Mapping[str, Any] | None = None,
        *,
        subject: Subject | None = None,
        expect_epoch: int | None = None,
        tx: str | None = None,
    ) -> Moved:
        """T5 when a canary runs (unless `subject` is active), else T6. `reason_code` is a label of rollback_total."""
        raise NotImplementedError

    def inconclusive(self, by: Actor, reason: str, evidence: Mapping[str, Any] | None = None, **options: Any) -> Moved:
        """T7: the canary goes back to shadow, without a verdict."""
        raise NotImplementedError

    def reject(
        self, version: int, by: Actor, reason: str, evidence: Mapping[str, Any] | None = None, **options: Any
    ) -> Moved:
        """T8: a candidate or shadow failed a gate."""
        raise NotImplementedError

    def archive(self, version: int, by: Actor, reason: str, **options: Any) -> Moved:
        """Take a version, or the control of a promotion, out of the shadow slot."""
        raise NotImplementedError

    def quarantine(
        self, version: int, by: Actor, reason: str, evidence: Mapping[str, Any] | None = None, **options: Any
    ) -> Moved:
        """T10: its hash is not the one it was registered with. The active version goes by a rollback."""
        raise NotImplementedError

    def reinstate(
        self, version: int, by: Actor, reason: str, evidence: Mapping[str, Any] | None = None, **options: Any
    ) -> Moved:
        """T11: a human makes a withdrawn version a candidate again, on new evidence."""
        raise NotImplementedError

    def disable_rollout(self, by: Actor, reason: str, **options: Any) -> Moved:
        """Take the rollout away; a canary goes back to shadow."""
        raise NotImplementedError

    def enable_rollout(
        self, by: Actor, reason: str, evidence: Mapping[str, Any] | None = None, **options: Any
    ) -> Moved:
        """T12: the cooldown is over, and the evaluations since were clean."""
        raise NotImplementedError

    def recover(self) -> Moved | None:
        """Finish or abort the move that a crash left open, and return it when it was finished."""
        raise NotImplementedError

    def reconcile(self, scorers: Mapping[str, ScorerView] | None = None) -> Reconciliation:
        """Catch up with pending effects, find external moves and revert or adopt them, say what differs."""
        raise NotImplementedError

"""The one writer of the registry: moves versions between states, as one journalled, crash-safe, idempotent move each.

    models/registry/journal.jsonl   INTENT and COMMIT or ABORT of every move, hash-chained (registry.journal)
    models/registry/evidence/       what each move was decided on, by sha256
    models/registry/                the mirror, which live trades with (registry.manifest, registry.rollout)

Live never imports this: it reads the head with `registry.journal.read_head`, acts on itself, and says so on the bus.
"""

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from market.feature_spec import schema_hash as computed_schema_hash
from registry.effects import Announce, Store
from registry.errors import MoveRefused
from registry.moves import Mover
from registry.reconciliation import Reconciliation, ScorerView, reconcile
from registry.states import Actor, Head, Moved, Plan, Refusal, ReleaseRules, Request, Subject, Transition

__all__ = ["Actor", "Moved", "Reconciliation", "Registrar", "ScorerView"]

Evidence = Mapping[str, Any]


class Registrar:
    """Moves versions. One lock a move, so any number of processes and threads may hold one each of the same folder.

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
    ) -> None:
        self._mover = Mover(store, root, rules, now, announce, steps, schema_hash or computed_schema_hash())

    def head(self) -> Head:
        """Return where everything stands, from the journal alone."""
        return self._mover.head

    def weigh(self, request: Request, head: Head | None = None) -> Plan | Refusal:
        """What a request would lead to, from a head other than the journal's too. Nothing is changed."""
        return self._mover.weigh(request, head or self.head())

    def enter(
        self, version: int, by: Actor, reason: str, evidence: Evidence | None = None, *, tx: str | None = None
    ) -> Moved:
        """T1: make a registered version a candidate."""
        return self._mover.move(_request("candidate", version, by, reason, evidence), None, tx)

    def promote(
        self,
        version: int,
        to: Literal["shadow", "canary", "active"],
        by: Actor,
        reason: str,
        evidence: Evidence | None = None,
        *,
        force: bool = False,
        expect_epoch: int | None = None,
        tx: str | None = None,
        fraction: float | None = None,
    ) -> Moved:
        """T2, T3, T4, or the first activation. A version that was active before comes back as a rollback (T6).

        `fraction` is the canary's first share, that of release.ramp unless given. A bundle that is not what was
        registered is quarantined (T10), and the move refused.
        """
        if to == "active" and self._was_active(version):
            back = Request("rollback", None, by, "operator" if reason else "", reason, evidence, force)
            back = replace(back, subject="active", target=version)
            return self._mover.move(back, expect_epoch, tx)
        request = replace(_request(to, version, by, reason, evidence, force=force), fraction=fraction)
        try:
            return self._mover.move(request, expect_epoch, tx)
        except MoveRefused as refused:
            if refused.code == "corrupt":
                with suppress(MoveRefused):
                    self.quarantine(version, by, refused.text)
            raise

    def ramp(
        self,
        fraction: float,
        by: Actor,
        reason: str,
        evidence: Evidence | None = None,
        *,
        force: bool = False,
        expect_epoch: int | None = None,
        tx: str | None = None,
    ) -> Moved:
        """Give the canary another share; a smaller one needs no evidence."""
        request = _request("ramp", self.head().canary, by, reason, evidence, force=force)
        return self._mover.move(replace(request, fraction=fraction), expect_epoch, tx)

    def rollback(
        self,
        by: Actor,
        reason_code: str,
        text: str,
        evidence: Evidence | None = None,
        *,
        subject: Subject | None = None,
        version: int | None = None,
        expect_epoch: int | None = None,
        tx: str | None = None,
    ) -> Moved:
        """T5 when a canary runs (unless `subject` is active), else T6. `reason_code` is a label of rollback_total.

        Whoever is no human says the subject. `version`, when given, is what must be running there. Where there is no
        version to go back to, a sensor's call takes the rollout away, tells it as critical, and is refused.
        """
        request = Request("rollback", version, by, reason_code, text, evidence, subject=subject)
        try:
            return self._mover.move(request, expect_epoch, tx)
        except MoveRefused as refused:
            if refused.code != "no_previous" or by.kind == "human":
                raise
            with suppress(MoveRefused):
                disable = Request("disable", None, by, reason_code, text, evidence)
                self._mover.move(disable, expect_epoch, f"{tx}:disable" if tx else None)
            raise

    def inconclusive(
        self,
        by: Actor,
        reason: str,
        evidence: Evidence | None = None,
        *,
        expect_epoch: int | None = None,
        tx: str | None = None,
    ) -> Moved:
        """T7: the canary goes back to shadow, without a verdict."""
        return self._mover.move(_request("inconclusive", self.head().canary, by, reason, evidence), expect_epoch, tx)

    def reject(
        self,
        version: int,
        by: Actor,
        reason: str,
        evidence: Evidence | None = None,
        *,
        expect_epoch: int | None = None,
        tx: str | None = None,
    ) -> Moved:
        """T8: a candidate or shadow failed a gate."""
        return self._mover.move(_request("reject", version, by, reason, evidence), expect_epoch, tx)

    def archive(
        self, version: int, by: Actor, reason: str, *, expect_epoch: int | None = None, tx: str | None = None
    ) -> Moved:
        """Take a version, or the control of a promotion, out of the shadow slot."""
        return self._mover.move(_request("archive", version, by, reason), expect_epoch, tx)

    def quarantine(
        self,
        version: int,
        by: Actor,
        reason: str,
        evidence: Evidence | None = None,
        *,
        expect_epoch: int | None = None,
        tx: str | None = None,
    ) -> Moved:
        """T10: its hash is not the one it was registered with. The active version, and the canary, are rolled back."""
        return self._mover.move(_request("quarantine", version, by, reason, evidence), expect_epoch, tx)

    def reinstate(
        self,
        version: int,
        by: Actor,
        reason: str,
        evidence: Evidence | None = None,
        *,
        expect_epoch: int | None = None,
        tx: str | None = None,
    ) -> Moved:
        """T11: a human makes a withdrawn version a candidate again, on evidence that was not used before."""
        return self._mover.move(_request("reinstate", version, by, reason, evidence), expect_epoch, tx)

    def disable_rollout(
        self, by: Actor, reason: str, *, expect_epoch: int | None = None, tx: str | None = None
    ) -> Moved:
        """Take the rollout away; a canary goes back to shadow."""
        return self._mover.move(_request("disable", None, by, reason), expect_epoch, tx)

    def enable_rollout(
        self,
        by: Actor,
        reason: str,
        evidence: Evidence | None = None,
        *,
        force: bool = False,
        expect_epoch: int | None = None,
        tx: str | None = None,
    ) -> Moved:
        """T12: the cooldown is over, and the evaluations since were clean: evidence {"clean_evaluations": 3}."""
        return self._mover.move(_request("enable", None, by, reason, evidence, force=force), expect_epoch, tx)

    def recover(self) -> Moved | None:
        """Finish or abort the move that a crash left open, and return it when it was finished."""
        return self._mover.recover()

    def reconcile(self, scorers: Mapping[str, ScorerView] | None = None) -> Reconciliation:
        """Catch up with pending effects, find external moves and revert or adopt them, say what differs."""
        return reconcile(self._mover, scorers or {})

    def _was_active(self, version: int) -> bool:
        head = self.head()
        is_set_aside = head.states.get(version) in ("archived", "rolled_back", "quarantined")
        return is_set_aside and version in head.active_history and head.slots.active not in (None, version)


def _request(
    transition: Transition,
    version: int | None,
    by: Actor,
    text: str,
    evidence: Evidence | None = None,
    *,
    force: bool = False,
) -> Request:
    """A request whose reason is told in a sentence; the label that goes with it is who asked."""
    code = "operator" if by.kind == "human" else by.name
    return Request(transition, version, by, code if text.strip() else "", text, evidence, force)

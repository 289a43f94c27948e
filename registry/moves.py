"""One move: guards, evidence, INTENT, effects, COMMIT, so that a crash at any step is finished or undone later.

    up     MLflow, manifest, rollout, links, event          interrupted before the manifest: aborted, MLflow told again
    down   rollout (the fence), manifest, links, event, MLflow     interrupted anywhere: finished; MLflow may be late

The write of the manifest is the point of no return: it is one file, and names the move's line in the journal.
"""

import dataclasses
import hashlib
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Literal

from registry import evidence, journal, rollout
from registry.effects import Announce, Store, announcements, tell_mlflow
from registry.errors import (
    BundleError,
    EpochConflict,
    JournalBroken,
    ManifestError,
    MoveRefused,
    RegistryError,
    UnknownVersion,
)
from registry.files import locked
from registry.guards import Case
from registry.journal import Abort, Commit, Done, Folded, HeadReader, Intent
from registry.manifest import Cause, Kept, Mirror
from registry.slots import SLOTS, Slot
from registry.states import Effect, Facts, Head, Moved, Plan, Refusal, ReleaseRules, Request, Slots
from registry.transitions import decide

LOCK_FOLDER = "moves"
"""Holds the lock of who moves; the mirror's own lock is taken and given back within it."""
_ASKS_MLFLOW = ("candidate", "shadow", "canary", "active", "adopt")


@dataclass(slots=True)
class Mover:
    """Makes moves below one mirror. `schema_hash` is that of the rows this release computes."""

    store: Store
    root: Path
    rules: ReleaseRules
    now: Callable[[], datetime]
    announce: Announce
    steps: Callable[[str], None]
    schema_hash: str
    _reader: HeadReader = field(init=False)

    def __post_init__(self) -> None:
        self._reader = HeadReader(self.root)

    @property
    def head(self) -> Head:
        """Where everything stands, by the journal alone."""
        return self._reader.look()

    def move(self, request: Request, expect_epoch: int | None = None, tx: str | None = None) -> Moved:
        """Make a move; raises MoveRefused, EpochConflict, JournalBroken, ManifestError, FileError."""
        with self.held() as folded:
            head = folded.head
            name = tx or f"{request.transition}-{head.epoch + 1}"
            if name in folded.moves:
                return _moved(folded, folded.moves[name], was_known=True)
            if expect_epoch not in (None, head.epoch):
                raise EpochConflict(
                    f"the registry is at epoch {head.epoch}, expected {expect_epoch}: somebody moved first; look again"
                )
            salt = hashlib.sha256(f"{name}:{folded.tip}".encode()).hexdigest()[:16]
            request = dataclasses.replace(request, salt=salt)
            case = Case(head, request, self._facts(request, folded), self.rules, self.now())
            plan = decide(case)
            if isinstance(plan, Refusal):
                raise MoveRefused(plan.code, plan.text)
            kept = self._kept(plan.after.slots, head.slots, is_down=plan.direction == "down")
            intent = self._intent(name, case, plan)
            self.steps("intent")
            journal.append(self.root, intent, folded)
            self._perform(folded, intent, kept)
            return _moved(folded, intent, was_known=False)

    def weigh(self, request: Request, head: Head) -> Plan | Refusal:
        """Say what a request would lead to from a head, by all that is known now; nothing is changed.

        Raises MoveRefused when the registry is asked and does not answer, JournalBroken, ManifestError.
        """
        return decide(Case(head, request, self._facts(request, self._reader.folded()), self.rules, self.now()))

    def recover(self) -> Moved | None:
        """Finish or abort the move that was left open; None when there was none, or it was aborted."""
        with locked(self.root / LOCK_FOLDER):
            folded = self._reader.folded()
            intent = folded.open
            self._settle_open(folded)
            is_finished = intent is not None and intent.tx in folded.moves
            return _moved(folded, intent, was_known=True) if intent and is_finished else None

    @contextmanager
    def held(self) -> Iterator[Folded]:
        """Hold the registry: nobody else moves meanwhile, and nothing is left open."""
        with locked(self.root / LOCK_FOLDER):
            folded = self._reader.folded()
            self._settle_open(folded)
            yield folded

    def settle(self, folded: Folded, *, with_mlflow: bool = True) -> tuple[Effect, ...]:
        """Catch up with the effects that are pending and can be had now, and name them. For who holds the registry."""
        settled: dict[Effect, None] = {}
        late = [each.tx for each in folded.head.pending if each.effect == "mlflow"]
        if late and with_mlflow and self._told(folded.head, folded, set()):
            for tx in late:
                journal.append(self.root, Done(tx=tx, at=self.now(), effect="mlflow"), folded)
            settled["mlflow"] = None
        for each in folded.head.pending:
            if each.effect == "announce" and self._announced(folded.moves[each.tx]):
                journal.append(self.root, Done(tx=each.tx, at=self.now(), effect="announce"), folded)
                settled["announce"] = None
        return tuple(settled)

    def mend(self, folded: Folded) -> None:
        """Bring the mirror in step with the head, whoever changed it. For who holds the registry."""
        kept = self._kept(folded.head.slots, Slots(), is_down=True)
        self._turn(folded.moves[folded.newest], folded.head.hash, kept)

    def tell(self, head: Head, folded: Folded, versions: set[int]) -> None:
        """Tell MLflow of a head; raises RegistryError, or what the database beneath it raises."""
        by_version = {version: folded.last_move(version) for version in sorted(versions)}
        tell_mlflow(self.store, head, by_version)

    def _facts(self, request: Request, folded: Folded) -> Facts:
        is_new = True
        if request.evidence:
            sha256 = evidence.sha256_of(request.evidence)
            is_new = all((each.evidence, each.version) != (sha256, request.version) for each in folded.moves.values())
        if request.transition not in _ASKS_MLFLOW or request.version is None:
            return Facts(is_new_evidence=is_new)
        try:
            found = self.store.version(request.version)
        except UnknownVersion:
            return Facts(is_new_evidence=is_new)
        except Exception as error:  # what MLflow and its database raise has no end
            raise MoveRefused("registry_down", f"nothing was moved, MLflow does not answer: {error}") from error
        failed = tuple(key for key, value in found.tags.items() if key.startswith("gate.") and value == "failed")
        return Facts(
            is_known=True,
            model_id=found.model_id,
            sha256=found.sha256,
            schema_hash=found.schema_hash,
            data_hash=found.data_hash,
            wanted_schema=self.schema_hash,
            parity=found.tags.get("parity", ""),
            failed_gates=failed,
            is_new_evidence=is_new,
        )

    def _intent(self, tx: str, case: Case, plan: Plan) -> Intent:
        request = case.request
        return Intent(
            tx=tx,
            epoch=case.head.epoch + 1,
            at=case.now,
            transition=request.transition,
            version=plan.version if request.version is None else request.version,
            direction=plan.direction,
            source=plan.source,
            target=plan.target,
            by=str(request.by),
            reason=request.reason,
            text=request.text,
            evidence=evidence.keep(self.root, request.evidence),
            policy=self.rules.sha256,
            force=request.force,
            events=plan.events,
            states=plan.states,
            after=plan.after,
        )

    def _perform(self, folded: Folded, intent: Intent, kept: Mapping[Slot, Kept | None]) -> None:
        """Do all that is outside the journal, then commit; MLflow first on the way up, last on the way down."""
        if intent.direction == "up":
            self.steps("mlflow")
            try:
                self.tell(folded.ahead, folded, set(intent.states) | folded.late_versions)
            except Exception as error:  # what MLflow and its database raise has no end
                self._abort(folded, intent, f"MLflow: {error}")
                raise MoveRefused("registry_down", f"nothing was moved, MLflow does not answer: {error}") from error
        self._turn(intent, folded.open_hash, kept)
        self._finish(folded, intent)

    def _turn(self, intent: Intent, line_hash: str, kept: Mapping[Slot, Kept | None]) -> None:
        """What live goes by. Every write of it says the same again when it is done again."""
        mirror, wanted = Mirror(self.root), intent.after.rollout
        cause = Cause(
            at=intent.at.isoformat().replace("+00:00", "Z"), by=intent.by, reason=intent.text or intent.reason
        )
        if intent.direction == "down":
            self.steps("fence")
            _write_rollout(self.root, wanted)
        self.steps("manifest")
        mirror.decide(intent.epoch, line_hash, kept, cause)
        if intent.direction == "up":
            self.steps("rollout")
            _write_rollout(self.root, wanted)
        for slot, copy in kept.items():
            self.steps(f"link {slot}")
            mirror.point(slot, copy)

    def _finish(self, folded: Folded, intent: Intent) -> None:
        """Tell the bus, and MLflow of what came down; then the move holds, whoever has yet to hear of it."""
        effects: dict[Effect, Literal["done", "pending"]] = {"mlflow": "done"}
        if intent.events:
            self.steps("announce")
            effects["announce"] = "done" if self._announced(intent) else "pending"
        if intent.direction == "down":
            self.steps("mlflow")
            if not self._told(folded.ahead, folded, set(intent.states)):
                effects["mlflow"] = "pending"
        self.steps("commit")
        journal.append(self.root, Commit(tx=intent.tx, epoch=intent.epoch, at=self.now(), effects=effects), folded)

    def _settle_open(self, folded: Folded) -> None:
        """What a crash left: a move past its point of no return, or downward, is finished; another is aborted."""
        intent, decided = folded.open, Mirror(self.root).manifest().head
        if decided and decided not in folded.hashes:
            raise JournalBroken(
                folded.lines + 1,
                f"{self.root / journal.JOURNAL_FILE}, behind line {folded.lines}: the mirror's manifest names the line "
                f"with hash {decided[:16]}, which is not there; it was cut or rewritten, restore it from a copy",
            )
        if intent is None:
            return
        if intent.direction == "down" or decided == folded.open_hash:
            kept = self._kept(intent.after.slots, folded.head.slots, is_down=True)
            self._turn(intent, folded.open_hash, kept)
            self._finish(folded, intent)
        else:
            self._abort(folded, intent, "interrupted before it was decided")

    def _abort(self, folded: Folded, intent: Intent, text: str) -> None:
        record = Abort(tx=intent.tx, epoch=intent.epoch, at=self.now(), text=text, effects={"mlflow": "pending"})
        journal.append(self.root, record, folded)

    def _announced(self, intent: Intent) -> bool:
        try:
            for each in announcements(intent):
                self.announce(each)
        except Exception:  # a bus that is away in whatever way stops no move
            return False
        return True

    def _told(self, head: Head, folded: Folded, versions: set[int]) -> bool:
        try:
            self.tell(head, folded, versions | folded.late_versions)
        except Exception:  # what MLflow and its database raise has no end, and none of it stops a rollback
            return False
        return True

    def _kept(self, slots: Slots, before: Slots, *, is_down: bool) -> dict[Slot, Kept | None]:
        """The bundles that the slots shall hold, verified, and fetched when the mirror has no sound copy.

        What is to trade must be there. Of the other slots one that cannot be had is left empty on the way down, and
        refuses a promotion into it.
        """
        kept: dict[Slot, Kept | None] = {}
        for slot in SLOTS:
            version, is_new = getattr(slots, slot), getattr(slots, slot) != getattr(before, slot)
            if version is None and slots.active is None and not is_new:
                continue  # before the first activation the mirror is not ours alone
            try:
                kept[slot] = None if version is None else self._copy(version)
            except RegistryError as error:
                if slot == "active" and is_down and not is_new:
                    continue  # what trades is not moved: a canary comes down whatever has become of that copy
                if slot == "active" or (is_new and not is_down):
                    code = "corrupt" if isinstance(error, BundleError) else "no_copy"
                    raise MoveRefused(
                        code, f"nothing was moved, the bundle of version {version} cannot be had: {error}"
                    ) from error
                kept[slot] = None
        return kept

    def _copy(self, version: int) -> Kept:
        mirror = Mirror(self.root)
        known = mirror.manifest().find(version)
        if known is not None and (kept := mirror.kept(version, known.sha256)):
            return kept
        try:
            found = self.store.version(version)
            with tempfile.TemporaryDirectory(prefix=".fetched-", dir=self.root) as beside:
                return mirror.keep(self.store.download(found, Path(beside) / "bundle"), found.sha256)
        except RegistryError:
            raise
        except Exception as error:  # what MLflow and its database raise has no end
            raise ManifestError(f"{self.root}: no sound copy of version {version}, and MLflow: {error}") from error


def _write_rollout(root: Path, wanted: rollout.RolloutState | None) -> None:
    if wanted is None:
        return
    try:
        found = rollout.read(root)
    except ManifestError:
        found = None
    if found != wanted:
        rollout.write(root, wanted)


def _moved(folded: Folded, intent: Intent, *, was_known: bool) -> Moved:
    effects = dict(folded.effects[intent.tx])
    return Moved(intent.epoch, intent.tx, intent.transition, folded.head, effects, was_known)

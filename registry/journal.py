"""The journal of every move: one JSON object a line, each holding the hash of the one before.

    {"prev": ..., "hash": sha256(prev + record), "record": {"kind": "INTENT", ...}}

A move is its INTENT, which says all that is to be, and its COMMIT, or ABORT; DONE tells of an effect that came later.
Only `registry.promotion` appends, under its lock. A line without its end was never acknowledged: a crash left it,
readers pass over it, and the next append takes it away.
"""

import hashlib
import os
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Literal

import msgspec
from msgspec import Raw, Struct

from registry.errors import FileError, JournalBroken, ManifestError
from registry.files import sync_folder
from registry.states import Direction, Effect, Event, Head, Pending, Standing, State, Transition

JOURNAL_FILE = "journal.jsonl"


class Intent(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="kind", tag="INTENT"):
    """A move that passed its guards. `evidence` and `policy` are sha256 of what it was decided on and by."""

    tx: str
    epoch: int
    at: datetime
    transition: Transition
    version: int | None
    direction: Direction
    source: str
    target: str
    by: str
    reason: str
    text: str
    evidence: str
    policy: str
    force: bool
    events: tuple[Event, ...]
    states: dict[int, State]
    after: Standing


class Commit(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="kind", tag="COMMIT"):
    """The move holds."""

    tx: str
    epoch: int
    at: datetime
    effects: dict[Effect, Literal["done", "pending"]]


class Abort(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="kind", tag="ABORT"):
    """The move does not hold. `mlflow` is pending when the registry may have heard of it and has to be told again."""

    tx: str
    epoch: int
    at: datetime
    text: str
    effects: dict[Effect, Literal["done", "pending"]]


class Done(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="kind", tag="DONE"):
    """An effect of a move was caught up with."""

    tx: str
    at: datetime
    effect: Effect


Record = Intent | Commit | Abort | Done


class _Line(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    prev: str
    hash: str
    record: Raw


@dataclass(slots=True)
class Folded:
    """What the lines read so far come to; `take` takes the next one."""

    head: Head = field(default_factory=Head)
    lines: int = 0
    size: int = 0  # bytes
    tip: str = ""
    open: Intent | None = None
    open_hash: str = ""
    moves: dict[str, Intent] = field(default_factory=dict)  # committed, by tx
    ended: dict[str, Intent] = field(default_factory=dict)  # committed or aborted, by tx
    newest: str = ""  # tx of the last committed move
    effects: dict[str, dict[Effect, Literal["done", "pending"]]] = field(default_factory=dict)  # as they are by now
    hashes: set[str] = field(default_factory=set)

    @property
    def ahead(self) -> Head:
        """The head as it is once the open move is committed."""
        return self.head if self.open is None else self._behind(self.open)

    @property
    def late_versions(self) -> set[int]:
        """The versions that MLflow has yet to hear of."""
        late = [self.ended[each.tx] for each in self.head.pending if each.effect == "mlflow"]
        return {version for intent in late for version in intent.states}

    def last_move(self, version: int) -> Intent | None:
        """The newest move that gave a version its state, the open one included; None before it was entered."""
        moves = [*self.moves.values(), *([self.open] if self.open else [])]
        return next((each for each in reversed(moves) if version in each.states), None)

    def take(self, line: bytes, where: Path) -> Record:
        """Check one line, without its end, against the chain and take it in; raises JournalBroken naming it."""
        number = self.lines + 1
        record = self._checked(line, number, where)
        said = f"{where}, line {number}"
        if isinstance(record, Intent):
            if self.open is not None:
                raise JournalBroken(number, f"{said}: {record.tx} begins while {self.open.tx} is open")
            self.open, self.open_hash = record, self.tip
            self.head = msgspec.structs.replace(self.head, unfinished=record.tx)
        elif isinstance(record, Done):
            self._done(record)
        else:
            if self.open is None or self.open.tx != record.tx:
                found = self.open.tx if self.open else "none"
                raise JournalBroken(number, f"{said}: ends {record.tx}, the open move is {found}")
            self._end(self.open, record)
        self.lines, self.size = number, self.size + len(line) + 1
        return record

    def _checked(self, line: bytes, number: int, where: Path) -> Record:
        said = f"{where}, line {number}"
        try:
            read = msgspec.json.decode(line, type=_Line)
            record: Record = msgspec.json.decode(read.record, type=Record)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise JournalBroken(number, f"{said}: not a record of the journal: {error}; {_MEND}") from error
        if read.prev != self.tip:
            raise JournalBroken(
                number,
                f"{said}: follows a line with hash {read.prev[:16] or 'none'}, the line before has "
                f"{self.tip[:16] or 'none'}; {_MEND}",
            )
        wanted = _hash(read.prev, bytes(read.record))
        if read.hash != wanted or msgspec.json.encode(read) != line:
            raise JournalBroken(number, f"{said}: has hash {read.hash[:16]}, what it says has {wanted[:16]}; {_MEND}")
        self.tip = read.hash
        self.hashes.add(read.hash)
        return record

    def _end(self, intent: Intent, record: Commit | Abort) -> None:
        head = self._behind(intent) if isinstance(record, Commit) else self.head
        if isinstance(record, Commit):
            self.moves[record.tx], self.newest = intent, record.tx
        self.ended[record.tx] = intent
        self.effects[record.tx] = dict(record.effects)
        left = [Pending(tx=record.tx, effect=effect) for effect, how in record.effects.items() if how == "pending"]
        # Whoever told the registry of this move told it of all the moves before, too.
        is_told = record.effects.get("mlflow") == "done"
        kept = [each for each in self.head.pending if not (is_told and each.effect == "mlflow")]
        self.head = msgspec.structs.replace(head, unfinished="", pending=(*kept, *left))
        self.open, self.open_hash = None, ""

    def _behind(self, intent: Intent) -> Head:
        after = {name: getattr(intent.after, name) for name in Standing.__struct_fields__}
        states = self.head.states | intent.states
        return msgspec.structs.replace(self.head, **after, epoch=intent.epoch, states=states, hash=self.open_hash)

    def _done(self, record: Done) -> None:
        self.effects.get(record.tx, {})[record.effect] = "done"
        kept = [each for each in self.head.pending if (each.tx, each.effect) != (record.tx, record.effect)]
        self.head = msgspec.structs.replace(self.head, pending=tuple(kept))


_MEND = "restore the file from a copy, its lines are never changed"


class HeadReader:
    """Follows the journal below a mirror; a look costs one stat while nothing was appended, else the new lines."""

    def __init__(self, root: Path) -> None:
        self._path = root / JOURNAL_FILE
        self._stamp: object = None
        self._inode = 0
        self._folded = Folded()

    def look(self) -> Head:
        """Return the head; an empty one without a journal. Raises JournalBroken, and ManifestError when unreadable."""
        return self.folded().head

    def folded(self) -> Folded:
        """As look, with all that the journal holds."""
        try:
            found = self._path.stat()
        except FileNotFoundError:
            self._stamp, self._folded = None, Folded()
            return self._folded
        except OSError as error:
            raise ManifestError(f"{self._path}: {error.strerror or error}; check path and rights") from error
        stamp = (found.st_ino, found.st_size, found.st_mtime_ns)
        if stamp == self._stamp:
            return self._folded
        if found.st_ino != self._inode or found.st_size < self._folded.size:
            self._folded = Folded()
        try:
            with self._path.open("rb") as file:
                file.seek(self._folded.size)
                content = file.read()
        except OSError as error:
            raise ManifestError(f"{self._path}: {error.strerror or error}; check path and rights") from error
        self._stamp = None  # until all lines are in: a broken one is told of again with the next look
        whole = content.rfind(b"\n") + 1
        try:
            for line in content[:whole].split(b"\n")[:-1]:
                self._folded.take(line, self._path)
        except JournalBroken:
            self._folded = Folded()
            raise
        self._inode, self._stamp = found.st_ino, stamp
        return self._folded


def read_head(root: Path) -> Head:
    """Return where everything stands below a mirror, read anew. Raises as HeadReader.look."""
    return HeadReader(root).look()


def append(root: Path, record: Record, folded: Folded) -> None:
    """Write one line behind those that were folded, to the disk, and take it in; for who holds the registrar's lock.

    Raises FileError, and the journal is as it was.
    """
    path = root / JOURNAL_FILE
    raw = msgspec.json.encode(record)
    line = msgspec.json.encode(_Line(prev=folded.tip, hash=_hash(folded.tip, raw), record=Raw(raw)))
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        is_new = not path.exists()
        with path.open("r+b" if not is_new else "x+b") as file:
            end = _end_of_lines(file.read())
            file.truncate(end)
            file.seek(end)
            try:
                file.write(line + b"\n")
                file.flush()
                os.fsync(file.fileno())
            except OSError:
                file.truncate(end)
                raise
        if is_new:
            sync_folder(path.parent)
    except OSError as error:
        raise FileError(f"{path}: {error.strerror or error}; nothing was changed") from error
    folded.take(line, path)


def _end_of_lines(content: bytes) -> int:
    return content.rfind(b"\n") + 1


def _hash(prev: str, raw: bytes) -> str:
    return hashlib.sha256(prev.encode() + raw).hexdigest()

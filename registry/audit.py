"""The journal, read by people: does its chain hold, what was moved by whom and why, and on what evidence."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from registry import evidence as evidence_files
from registry.effects import HEAD_TAG
from registry.errors import JournalBroken
from registry.evidence import EVIDENCE_FOLDER
from registry.journal import JOURNAL_FILE, Folded, HeadReader, Intent
from registry.manifest import Mirror


@dataclass(frozen=True, slots=True)
class Verified:
    """What the chain was found to be. `line` is the first broken one, counted from 1; None when all hold."""

    lines: int
    moves: int
    line: int | None
    text: str
    head_hash: str

    @property
    def holds(self) -> bool:
        """Whether everything is as it was written."""
        return not self.text


def verify(root: Path, tags: Mapping[str, str] | None = None) -> Verified:
    """Check every line against the chain, every evidence file against its name, and the chain against its anchors.

    The anchors are the mirror's manifest and, when given, MLflow's tags of the registered model: a journal that was
    rewritten, or cut short, as a whole has a sound chain and does not hold what they name. Changes nothing.
    """
    path = root / JOURNAL_FILE
    folded = Folded()
    content = path.read_bytes() if path.exists() else b""
    lines = content.split(b"\n")
    try:
        for line in lines[:-1]:
            folded.take(line, path)
    except JournalBroken as broken:
        return Verified(folded.lines, len(folded.moves), broken.line, str(broken), folded.head.hash)
    text, number = "", None
    if lines[-1]:
        number = folded.lines + 1
        text = f"{path}, line {number}: it has no end, a crash left it or it was cut; the next move takes it away"
    text = text or _anchors(root, folded, tags or {}) or _evidence(root, folded)
    return Verified(folded.lines, len(folded.moves), number, text, folded.head.hash)


def moves(root: Path) -> tuple[Intent, ...]:
    """Every committed move, oldest first. Raises JournalBroken and ManifestError."""
    return tuple(HeadReader(root).folded().moves.values())


def log(root: Path, n: int = 20) -> tuple[Intent, ...]:
    """The newest n committed moves, newest first. Raises as moves does."""
    return tuple(reversed(moves(root)))[:n]


def evidence(root: Path, sha256: str) -> dict[str, Any]:
    """What a move was decided on, by its sha256 or the beginning of it; raises ManifestError."""
    return evidence_files.find(root, sha256)


def _anchors(root: Path, folded: Folded, tags: Mapping[str, str]) -> str:
    named = {f"{root}/manifest.json": Mirror(root).manifest().head, f"MLflow's tag {HEAD_TAG}": tags.get(HEAD_TAG, "")}
    for where, found in named.items():
        if found and found not in folded.hashes:
            return (
                f"{root / JOURNAL_FILE}: {where} names the line with hash {found[:16]}, which is not in the journal;"
                " it was rewritten or cut, restore it from a copy"
            )
    return ""


def _evidence(root: Path, folded: Folded) -> str:
    for intent in folded.moves.values():
        if not intent.evidence:
            continue
        path = root / EVIDENCE_FOLDER / f"{intent.evidence}.json"
        try:
            found = hashlib.sha256(path.read_bytes()).hexdigest()
        except OSError as error:
            return f"{path}: {error.strerror}; it is the evidence of {intent.tx}, restore it from a copy"
        if found != intent.evidence:
            return f"{path}: its content has sha256 {found[:16]}; it is the evidence of {intent.tx}, restore it"
    return ""

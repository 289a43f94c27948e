"""A move of the registry as a person reads it: who moved what, when and why, on which numbers, and what holds now.

Everything is read from the journal and its evidence, so a record can be made again at any time and says the same.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from monitoring.runbook import link_of, section_of
from pipelines.notification import Notice, Urgency
from registry import evidence
from registry.errors import JournalBroken, ManifestError
from registry.journal import HeadReader, Intent
from registry.states import Head, Transition

DOWN: tuple[Transition, ...] = ("rollback", "inconclusive", "reject", "quarantine", "disable", "revert")
"""Moves whose run shows the section of the runbook for their reason; the others show the operator's commands."""

_DONE: Mapping[Transition, str] = {
    "candidate": "entered as candidate",
    "shadow": "became the shadow",
    "canary": "became the canary",
    "ramp": "was given another share",
    "active": "became active",
    "rollback": "was rolled back",
    "inconclusive": "went back to shadow, without a verdict",
    "reject": "was rejected",
    "archive": "left the shadow slot",
    "quarantine": "was quarantined",
    "reinstate": "was reinstated as candidate",
    "enable": "The rollout was enabled",
    "disable": "The rollout was disabled",
    "adopt": "was taken over from MLflow",
    "revert": "was put back in MLflow",
}


@dataclass(frozen=True, slots=True)
class MoveRecord:
    """One committed move. `evidence` is what it was decided on, `evidence_problem` why that cannot be shown.

    `head` is where everything stands now, which may be behind later moves.
    """

    intent: Intent
    evidence: Mapping[str, Any]
    evidence_problem: str
    head: Head

    @property
    def title(self) -> str:
        """One line: what became of which version."""
        intent = self.intent
        done = _DONE[intent.transition]
        what = done if intent.version is None else f"version {intent.version} {done}"
        return f"{what} (epoch {intent.epoch})"

    @property
    def runbook(self) -> str:
        """Where to read on: page and anchor."""
        return link_of(self._topic)

    @property
    def section(self) -> str:
        """The runbook's section, as `tidegate runbook SECTION` takes it."""
        return section_of(self._topic)

    @property
    def why(self) -> str:
        """The reason's code and its sentence."""
        return ": ".join(part for part in (self.intent.reason, self.intent.text) if part)

    def facts(self) -> dict[str, str]:
        """What a person looks for first, in that order."""
        intent, after = self.intent, self.intent.after
        slots = {"active": after.slots.active, "previous": after.slots.previous, "shadow": after.slots.shadow}
        rollout = after.rollout
        share = f"{rollout.mode}, {rollout.canary_fraction:.0%} for the canary" if rollout else "as configured"
        cooldown = f", cooldown until {_clock(rollout.cooldown_until)}" if rollout and rollout.cooldown_until else ""
        return {
            "who": intent.by + (" (forced)" if intent.force else ""),
            "when": _clock(intent.at),
            "why": self.why,
            "from": intent.source or "-",
            "to": intent.target or "-",
            "slots since": ", ".join(f"{name} {version or '-'}" for name, version in slots.items()),
            "rollout since": share + cooldown,
            "transaction": intent.tx,
            "evidence sha256": intent.evidence or "none",
            "runbook": f"{self.runbook} (tidegate runbook {self.section})",
        }

    def story(self) -> str:
        """The whole move as Markdown: facts, breaches, and the numbers beside their limits."""
        parts = [f"### {self.title}", _table(("", ""), self.facts().items())]
        if breaches := [*self.evidence.get("breaches", [])]:
            rows = [(each["reason"], _number(each["value"]), _number(each["limit"]), each["text"]) for each in breaches]
            parts.append(_table(("breach", "found", "limit", "in words"), rows))
        numbers, limits = self.evidence.get("numbers", {}), self.evidence.get("limits", {})
        if numbers:
            rows3 = [(name, _number(value), _number(limits.get(name, ""))) for name, value in numbers.items()]
            parts.append(_table(("number", "found", "limit"), rows3))
        if self.evidence_problem:
            parts.append(f"The evidence cannot be shown: {self.evidence_problem}")
        return "\n\n".join(parts)

    def notice(self) -> Notice:
        """What people are told of it."""
        urgency: Urgency = "info"
        if self.intent.transition in DOWN:
            urgency = "warning"
        elif self.intent.transition in ("canary", "active"):
            urgency = "success"
        return Notice(self.title, f"{self.why}; by {self.intent.by}; see {self.runbook}", urgency)

    @property
    def _topic(self) -> str:
        return self.intent.reason if self.intent.transition in DOWN else "operator"


def read_record(root: Path, tx: str) -> MoveRecord:
    """Read a committed move below a mirror.

    Raises KeyError when the journal holds no such move, JournalBroken when a line of it was changed, ManifestError
    when it cannot be read.
    """
    folded = HeadReader(root).folded()
    intent = folded.moves[tx]
    found, problem = _evidence(root, intent.evidence)
    return MoveRecord(intent, found, problem, folded.head)


def journal_problem(root: Path) -> str:
    """What is wrong with the journal, naming the line; empty while the chain holds."""
    try:
        HeadReader(root).look()
    except JournalBroken as broken:
        return str(broken)
    return ""


def _evidence(root: Path, sha256: str) -> tuple[Mapping[str, Any], str]:
    if not sha256:
        return {}, ""
    try:
        return evidence.find(root, sha256), ""
    except (ManifestError, OSError) as error:
        return {}, str(error)


def _table(heads: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [f"| {' | '.join(heads)} |", "|" + "---|" * len(heads)]
    return "\n".join([*lines, *(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in row)} |" for row in rows)])


def _number(value: object) -> str:
    return f"{value:,.6g}" if isinstance(value, int | float) else str(value)


def _clock(at: datetime) -> str:
    return at.isoformat(sep=" ", timespec="milliseconds")

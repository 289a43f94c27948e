"""The guards that several moves share: is the version fit, is the time right, does the evidence say so."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from registry.freezes import frozen_by
from registry.rollout import Mode, RolloutState
from registry.states import Event, Facts, Head, Refusal, ReleaseRules, Request, Severity, Standing, State

KEPT = 20
"""Versions and rollbacks that the head remembers; the journal remembers all."""
_EXACT = "0 margin mismatches, 0 flips"
"""How the tag `parity` of a version begins whose graph answers bit for bit as its model does."""


@dataclass(frozen=True, slots=True)
class Case:
    """A request and all it is judged by. `now` is zone-aware."""

    head: Head
    request: Request
    facts: Facts
    rules: ReleaseRules
    now: datetime

    @property
    def version(self) -> int:
        """The version asked for; 0, which no version has, when none is."""
        return self.request.version or 0

    @property
    def state(self) -> State | None:
        """The state of the version asked for, None before it was entered."""
        return self.head.states.get(self.version)

    def after(self, **changes: Any) -> Standing:
        """The standing behind the move: as it is but for the changes."""
        held = {name: getattr(self.head, name) for name in Standing.__struct_fields__}
        return Standing(**held | changes)

    def rollout(
        self, mode: Mode, fraction: float = 0.0, salt: str = "", cooldown: timedelta | None = None
    ) -> RolloutState:
        """The rollout behind the move, of the epoch it makes. A cooldown goes on whatever follows it."""
        before = self.head.rollout.cooldown_until if self.head.rollout else None
        return RolloutState(
            epoch=self.head.epoch + 1,
            mode=mode,
            canary_fraction=fraction,
            salt=salt,
            cooldown_until=self.now + cooldown if cooldown is not None else before,
            reason=self.request.text or self.request.reason,
            by=str(self.request.by),
            at=self.now,
        )

    def mode_event(self, target: Mode, severity: Severity = "INFO") -> Event:
        """The switch of the rollout's mode."""
        source = self.head.rollout.mode if self.head.rollout else "full"
        return Event(event="MODE_SWITCH", severity=severity, source=source, target=target)

    def wrong_state(self, to: str, *wanted: State) -> Refusal:
        """The version is in no state from which the move starts."""
        version, state = self.version, self.state
        if state in ("rolled_back", "quarantined", "rejected"):
            return Refusal("withdrawn", f"version {version} is {state}; only a human's reinstatement lets it be {to}")
        found = state or "not entered yet"
        return Refusal("state", f"version {version} is {found}; to become {to} it must be {' or '.join(wanted)}")


def moment(at: datetime) -> str:
    """A zone-aware moment as people read it: 2026-01-07 12:00:00 UTC."""
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


def by_itself(case: Case, knob: str) -> Refusal | None:
    """Whether a sensor asks for what release.KNOB leaves to a human."""
    if case.request.by.kind != "sensor" or getattr(case.rules, knob):
        return None
    return Refusal("not_automatic", f"release.{knob} is off: {case.request.by} leaves this move to a human")


def newest_first(version: int, history: tuple[int, ...]) -> tuple[int, ...]:
    """The history with a version in front."""
    return (version, *(each for each in history if each != version))[:KEPT]


def unfit(case: Case) -> Refusal | None:
    """What is wrong with the version itself; no force overrides it."""
    version, facts = case.version, case.facts
    if not facts.is_known:
        return Refusal("unknown_version", f"the registry has no version {version}; look up its number or id")
    if not facts.parity.startswith(_EXACT):
        return Refusal(
            "no_parity",
            f"version {version} has parity proof {facts.parity or 'none'!r}, wanted {_EXACT!r}; export it again",
        )
    if facts.schema_hash != facts.wanted_schema:
        return Refusal(
            "schema",
            f"version {version} is of feature schema {facts.schema_hash[:16] or 'none'}, this release computes "
            f"{facts.wanted_schema[:16]}; train again, or run the release it was trained with",
        )
    if facts.failed_gates:
        return Refusal("gates", f"version {version} failed {', '.join(facts.failed_gates)}; train again")
    return None


def wrong_time(case: Case) -> Refusal | None:
    """Cooldown, which nothing overrides, and freezes, which a human may."""
    rollout = case.head.rollout
    if rollout is not None and rollout.cooldown_until is not None and case.head.is_cooling(case.now):
        ends = moment(rollout.cooldown_until)
        return Refusal("cooldown", f"nothing is promoted in the cooldown, until {ends}: {rollout.reason}")
    freeze = frozen_by(case.rules.freeze, case.now)
    if freeze is not None and not case.request.force:
        return Refusal("freeze", f"nothing is promoted in the freeze {freeze} (release.freeze)")
    return None


def unproven(case: Case, trial: str, *decisions: str) -> Refusal | None:
    """Whether the evidence is no fresh verdict of this trial and version that says one of `decisions`."""
    if case.request.force:
        return None
    found = case.request.evidence
    wanted = f"a verdict of the {trial} trial of version {case.request.version} that says {' or '.join(decisions)}"
    if not found:
        return Refusal("no_evidence", f"wanted {wanted}, found none; wait for it, or force the move with a reason")
    if found.get("trial") != trial or found.get("version") != case.request.version:
        return Refusal(
            "wrong_evidence", f"wanted {wanted}, found one of {found.get('trial')} {found.get('version')}; look again"
        )
    age = case.now.timestamp() - float(found.get("at_ns", 0)) / 1e9
    if age > case.rules.evidence_seconds:
        return Refusal(
            "stale_evidence",
            f"the verdict is {age:.0f} s old, release.evidence_seconds {case.rules.evidence_seconds:g}",
        )
    if found.get("decision") not in decisions:
        return Refusal("not_proven", f"wanted {wanted}, it says {found.get('decision')}")
    return None

"""Heads, facts and requests for the guards, which are pure: no files, no clock."""

from datetime import UTC, datetime, timedelta
from typing import Any

from msgspec.structs import replace

from registry.guards import Case
from registry.rollout import RolloutState
from registry.states import Actor, Facts, Head, Plan, Refusal, ReleaseRules, Request, Slots, Transition
from registry.transitions import decide

NOW = datetime(2026, 1, 7, 12, tzinfo=UTC)  # a Wednesday
HUMAN, SENSOR, PIPELINE, SCORER = (
    Actor("human", "anna"), Actor("sensor", "verdict"), Actor("pipeline", "train_job"), Actor("scorer", "ai_scorer"),
)  # fmt: skip
RULES = ReleaseRules(auto_canary=True, auto_promote=True)
FIT = Facts(
    is_known=True, model_id="m", sha256="ab", schema_hash="5c", data_hash="da", wanted_schema="5c",
    parity="0 margin mismatches, 0 flips in 9 rows",
)  # fmt: skip
ROLLOUT = RolloutState(epoch=7, mode="canary", canary_fraction=0.5, salt="s", reason="r", by="b", at=NOW)
ACTIVE = Head(
    epoch=7, slots=Slots(active=2, previous=1, shadow=3),
    states={1: "archived", 2: "active", 3: "shadow", 4: "candidate"},
    active_history=(2, 1), rollout=replace(ROLLOUT, mode="full", canary_fraction=0.0, salt=""),
)  # fmt: skip
"""Version 3 is the shadow beside version 2, which was active after version 1."""
CANARY = replace(
    ACTIVE, states={**ACTIVE.states, 3: "canary"}, canary=3, canary_since=NOW - timedelta(hours=30),
    rollout=replace(ROLLOUT, at=NOW - timedelta(hours=10)),
)  # fmt: skip
"""Version 3 is the canary, for thirty hours, and has half of it for ten."""
COOLING = replace(ACTIVE, rollout=replace(ROLLOUT, mode="disabled", cooldown_until=NOW + timedelta(minutes=1)))


def rolled_out(head: Head, **changes: Any) -> Head:
    """A head whose rollout is another."""
    assert head.rollout is not None
    return replace(head, rollout=replace(head.rollout, **changes))


def verdict(trial: str, version: int = 3, decision: str = "promote", age_seconds: float = 1.0) -> dict[str, Any]:
    """What risk said of a trial."""
    return {"trial": trial, "version": version, "decision": decision, "at_ns": (NOW.timestamp() - age_seconds) * 1e9}


def asked(
    transition: Transition, version: int | None = 3, by: Actor = SENSOR, *, head: Head = CANARY, facts: Facts = FIT,
    rules: ReleaseRules = RULES, now: datetime = NOW, **options: Any,
) -> Plan | Refusal:  # fmt: skip
    """What a request leads to."""
    return decide(Case(head, Request(transition, version, by, "reason", "a reason", **options), facts, rules, now))


def planned(*args: Any, **options: Any) -> Plan:
    """What a request leads to that is granted."""
    found = asked(*args, **options)
    assert isinstance(found, Plan), found
    return found


def refused(*args: Any, **options: Any) -> str:
    """The code of a request that is refused."""
    found = asked(*args, **options)
    assert isinstance(found, Refusal), found
    assert found.text
    return found.code

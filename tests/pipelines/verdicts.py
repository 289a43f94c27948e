"""Heads of the journal and verdicts of risk for the tests of the release sensors."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from bus.heartbeats import Heartbeat, write
from bus.messages import Breach, Decision, Trial, Verdict
from bus.protocol import Bus
from bus.publisher import Publisher
from bus.streams import VERDICTS
from config.release_sections import Release
from pipelines.registrar import Heard, nanoseconds
from registry.rollout import RolloutState
from registry.states import Head, Slots, State

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)  # a Tuesday
SALT = "pepper"
ACTIVE, SHADOW = 1, 2
AUTOMATIC = Release(auto_canary=True, auto_promote=True)
BREACH = Breach("winrate_delta", 0.47, 0.5, "win rate 47 % is 8 points under the active version's")


def rollout(share: float = 0.1, *, hours: float = 0.0, **changes: Any) -> RolloutState:
    """The rollout of a canary that has had this share for some hours."""
    return RolloutState(
        **{
            "epoch": 5, "mode": "canary", "canary_fraction": share, "salt": SALT, "reason": "test", "by": "human:anna",
            "at": NOW - timedelta(hours=hours),
        } | changes
    )  # fmt: skip


def head(**changes: Any) -> Head:
    """Version 1 is active and has been for a day, version 2 its shadow."""
    states: dict[int, State] = {ACTIVE: "active", SHADOW: "shadow"}
    return Head(
        **{
            "epoch": 5, "slots": Slots(active=ACTIVE, shadow=SHADOW), "states": states,
            "active_since": NOW - timedelta(days=1),
        } | changes
    )  # fmt: skip


def canary_head(share: float = 0.1, *, hours: float = 0.0, days: float = 2.0, **changes: Any) -> Head:
    """Version 2 is the canary, with this share for so many hours, canary for so many days."""
    held = {"canary": SHADOW, "canary_since": NOW - timedelta(days=days), "rollout": rollout(share, hours=hours)}
    return head(**{"states": {ACTIVE: "active", SHADOW: "canary"}, **held, **changes})


def heard(trial: Trial, decision: Decision, *, age_seconds: float = 1.0, **changes: Any) -> dict[Trial, Heard]:
    """What risk said of a trial a second ago: of version 2 beside version 1, or of the active version."""
    about: dict[str, Any] = {
        "trial": trial, "decision": decision, "version": ACTIVE if trial == "active" else SHADOW, "model_id": "m",
        "against": 0 if trial == "active" else ACTIVE, "epoch": 5, "salt": SALT if trial == "canary" else "",
        "breaches": [BREACH] if decision == "roll_back" else [], "observed": [],
        "numbers": {"sample_canary": 700.0, "winrate_canary": 0.47}, "limits": {"sample_canary": 500.0},
        "budget_used": 0.4, "since_ns": 77, "signal_ns": 88, "at_ns": nanoseconds(NOW) - round(age_seconds * 1e9),
    }  # fmt: skip
    return {trial: Heard("1764000000000-0", Verdict(**(about | changes)))}


def beat(service: str, *, age_seconds: float = 1.0, state: str = "running", **status: Any) -> dict[str, Heartbeat]:
    """The heartbeat of a service, a second old."""
    at_ns = nanoseconds(NOW) - round(age_seconds * 1e9)
    return {service: Heartbeat(service, at_ns, 1, 7, state, True, 0, [], [], status)}


def say(bus: Bus, *verdicts: Mapping[Trial, Heard], writer: str = "risk") -> None:
    """Publish verdicts as risk does."""
    voice = Publisher(bus, writer, lambda: nanoseconds(NOW))
    for number, said in enumerate(verdicts):
        for trial, heard_ in said.items():
            voice.publish(VERDICTS, heard_.verdict, message_id=f"{trial}-{number}")
    voice.flush()


def live_is_there(bus: Bus, **times: float) -> None:
    """Leave the heartbeats of a live side that trades with version 1, its shadow version 2."""
    models = {"active": {"id": "m-1", "version": ACTIVE}, "shadow": {"id": "m-2", "version": SHADOW}}
    for beats in (beat("risk", **times), beat("ai_scorer", **times, models=models, rollout={"epoch": 5})):
        for each in beats.values():
            write(bus, each)

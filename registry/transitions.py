"""What may follow what: the guards of every move, pure. A request becomes a Plan, or a Refusal that says why.

T numbers are those of `registry.states.Transition`. A rollback is blocked by no cooldown, freeze or missing evidence; a
promotion by each of them. No guard lets a version be active that was neither canary nor active before, but the first.
"""

from collections.abc import Callable

from msgspec.structs import replace

from registry import withdrawals
from registry.guards import Case, by_itself, moment, newest_first, unfit, unproven, wrong_time
from registry.states import Event, Plan, Refusal, State, Transition


def decide(case: Case) -> Plan | Refusal:
    """Say what a request leads to."""
    request = case.request
    if request.by.kind == "scorer":
        return Refusal("actor", f"{request.by} may fence its own canary and report; it moves no version")
    if not request.reason or not request.by.name:
        return Refusal("no_reason", f"{request.transition} by {str(request.by)!r}: say who moves it and why")
    if request.force and request.by.kind != "human":
        return Refusal("actor", f"{request.by} may not force a move; a human may, with a reason")
    return _DECIDE[request.transition](case)


def _candidate(case: Case) -> Plan | Refusal:
    version, facts = case.version, case.facts
    if not facts.is_known:
        return Refusal("unknown_version", f"the registry has no version {version}; register it first")
    if case.state is not None:
        return Refusal("already", f"version {version} was entered before and is {case.state}")
    if not facts.sha256 or not facts.data_hash:
        found = f"sha256 {facts.sha256 or 'none'} and data hash {facts.data_hash or 'none'}"
        return Refusal("no_lineage", f"version {version} has {found}; train and register it with both")
    if facts.failed_gates:
        return Refusal("gates", f"version {version} failed {', '.join(facts.failed_gates)}; train again")
    return Plan("up", "", "candidate", case.after(), {version: "candidate"}, ())


def _shadow(case: Case) -> Plan | Refusal:
    head, version, state = case.head, case.version, case.state
    if refusal := by_itself(case, "auto_shadow") or unfit(case):
        return refusal
    if head.slots.shadow == version and state in ("shadow", "canary"):
        return Refusal("already", f"version {version} is the {state} already")
    is_again = state == "archived" and case.request.by.kind == "human" and version != head.slots.previous
    if state != "candidate" and not is_again:
        return case.wrong_state("shadow", "candidate")
    if head.canary is not None:
        return Refusal("canary_running", f"version {head.canary} is the canary; let it end, or roll it back first")
    changed: dict[int, State] = {version: "shadow"}
    displaced = head.slots.shadow
    if displaced is not None and head.states.get(displaced) == "shadow":
        changed[displaced] = "archived"  # not candidate again, or the two would displace each other for ever
    after = case.after(slots=replace(head.slots, shadow=version))
    return Plan("up", state or "", "shadow", after, changed, ())


def _canary(case: Case) -> Plan | Refusal:
    head, version, request = case.head, case.version, case.request
    fraction = request.fraction if request.fraction is not None else case.rules.ramp[0]
    if refusal := by_itself(case, "auto_canary") or unfit(case):
        return refusal
    if head.canary is not None:
        code = "already" if head.canary == version else "canary_running"
        return Refusal(code, f"version {head.canary} is the canary; one at a time")
    if case.state != "shadow" or head.slots.shadow != version:
        return case.wrong_state("canary", "shadow")
    if head.slots.active is None:
        return Refusal("no_active", f"version {version} has nothing to be held against; activate a version first")
    if not 0 < fraction <= 1:
        return Refusal("fraction", f"a canary's share must be over 0 and at most 1, was {fraction}")
    if refusal := wrong_time(case) or _disabled(case) or unproven(case, "shadow", "promote"):
        return refusal
    rollout = case.rollout("canary", fraction, request.salt)
    after = case.after(canary=version, canary_since=case.now, rollout=rollout)
    return Plan("up", "shadow", "canary", after, {version: "canary"}, (case.mode_event("canary"),))


def _ramp(case: Case) -> Plan | Refusal:
    head, request, fraction = case.head, case.request, case.request.fraction or 0.0
    if head.canary is None or head.rollout is None:
        return Refusal("no_canary", "no canary runs; promote a shadow to canary first")
    if request.version != head.canary:
        return Refusal("not_running", f"version {request.version} is not the canary, version {head.canary} is")
    if not 0 < fraction <= 1:
        return Refusal("fraction", f"a canary's share must be over 0 and at most 1, was {fraction}")
    before = head.rollout.canary_fraction
    if fraction == before:
        return Refusal("already", f"version {head.canary} has a share of {fraction:g} already")
    after = case.after(rollout=case.rollout("canary", fraction, head.rollout.salt))
    source, target = f"canary {before:g}", f"canary {fraction:g}"
    if fraction < before:  # less of a canary needs no proof
        return Plan("down", source, target, after, {}, ())
    if refusal := by_itself(case, "auto_canary") or wrong_time(case):
        return refusal
    hours, wanted = (case.now - head.rollout.at).total_seconds() / 3600, case.rules.step_hours
    if hours < wanted and not request.force:
        return Refusal("too_early", f"the share is {before:g} for {hours:.2f} h, release.step_hours {wanted:g}")
    if refusal := unproven(case, "canary", "promote", "hold"):
        return refusal
    return Plan("up", source, target, after, {}, ())


def _active(case: Case) -> Plan | Refusal:
    head, version = case.head, case.version
    if head.slots.active == version:
        return Refusal("already", f"version {version} is active already")
    if refusal := unfit(case):
        return refusal
    if head.slots.active is None:
        return _first(case)
    if refusal := by_itself(case, "auto_promote"):
        return refusal
    if case.state != "canary":
        return case.wrong_state("active", "canary")
    if refusal := wrong_time(case) or _unfinished(case) or unproven(case, "canary", "promote"):
        return refusal
    displaced = head.slots.active
    after = case.after(
        slots=replace(head.slots, active=version, previous=displaced, shadow=displaced),
        canary=None,
        canary_since=None,
        active_since=case.now,
        active_history=newest_first(version, head.active_history),
        rollout=case.rollout("full"),
    )
    told = Event(event="PROMOTION", severity="INFO", source=str(displaced), target=str(version))
    return Plan(
        "up", "canary", "active", after, {version: "active", displaced: "archived"}, (told, case.mode_event("full"))
    )


def _first(case: Case) -> Plan | Refusal:
    """The first activation: there is nothing that a canary could be held against."""
    version, state, by = case.version, case.state, case.request.by
    if by.kind not in ("human", "pipeline"):
        return Refusal("actor", f"{by} may not activate the first version; a human or a pipeline may")
    if state not in ("candidate", "shadow"):
        return case.wrong_state("active", "candidate", "shadow")
    slots = case.head.slots
    after = case.after(
        slots=replace(slots, active=version, shadow=None if slots.shadow == version else slots.shadow),
        active_since=case.now,
        active_history=(version,),
        rollout=case.rollout("full"),
    )
    told = Event(event="PROMOTION", severity="INFO", source="", target=str(version))
    return Plan("up", state, "active", after, {version: "active"}, (told,))


def _unfinished(case: Case) -> Refusal | None:
    """Whether the canary was too short, or never got the whole ramp, which a human may pass over."""
    head, rules, version = case.head, case.rules, case.version
    hours = (case.now - head.canary_since).total_seconds() / 3600 if head.canary_since else 0.0
    if hours < rules.min_hours and not case.request.force:
        return Refusal(
            "too_early", f"version {version} is canary for {hours:.2f} h, release.min_hours {rules.min_hours:g}"
        )
    share = head.rollout.canary_fraction if head.rollout else 0.0
    if share < rules.ramp[-1] and case.request.by.kind != "human":
        return Refusal(
            "ramp_unfinished", f"version {version} has a share of {share:g}, release.ramp ends at {rules.ramp[-1]:g}"
        )
    return None


def _disabled(case: Case) -> Refusal | None:
    rollout = case.head.rollout
    if rollout is None or rollout.mode != "disabled" or case.request.force:
        return None
    return Refusal("disabled", f"the rollout is disabled since {moment(rollout.at)}: {rollout.reason}; enable it first")


def _reinstate(case: Case) -> Plan | Refusal:
    version, state, by = case.version, case.state, case.request.by
    if by.kind != "human":
        return Refusal("actor", f"{by} may not reinstate a version; a human may, with a reason and new evidence")
    if state not in ("rolled_back", "rejected"):
        found = state or "not entered yet"
        return Refusal("state", f"version {version} is {found}; only a rolled_back or rejected one is reinstated")
    if not case.request.evidence or not case.facts.is_new_evidence:
        return Refusal("no_evidence", f"version {version} is {state}; say by what new evidence it is good now")
    return Plan("up", state, "candidate", case.after(), {version: "candidate"}, ())


def _enable(case: Case) -> Plan | Refusal:
    by, rollout, wanted = case.request.by, case.head.rollout, case.rules.clean_evaluations
    if by.kind != "human":
        return Refusal("actor", f"{by} may not enable the rollout; a human may")
    if rollout is None or rollout.mode != "disabled":
        return Refusal("already", "the rollout is not disabled")
    if rollout.cooldown_until is not None and case.head.is_cooling(case.now):
        return Refusal("cooldown", f"the cooldown ends at {moment(rollout.cooldown_until)}; nothing shortens it")
    clean = (case.request.evidence or {}).get("clean_evaluations", 0)
    if clean < wanted and not case.request.force:
        return Refusal(
            "no_evidence",
            f"{clean} clean verdicts in a row, release.clean_evaluations {wanted}; force the move with a reason",
        )
    return Plan("up", "disabled", "enabled", case.after(rollout=case.rollout("full")), {}, (case.mode_event("full"),))


def _revert(case: Case) -> Plan | Refusal:
    told = Event(event="ALERT", severity="WARN", source="", target=str(case.head.slots.active or ""))
    return Plan("down", "external", "reverted", case.after(), {}, (told,))


_DECIDE: dict[Transition, Callable[[Case], Plan | Refusal]] = {
    "candidate": _candidate,
    "shadow": _shadow,
    "canary": _canary,
    "ramp": _ramp,
    "active": _active,
    "rollback": withdrawals.rollback,
    "inconclusive": withdrawals.inconclusive,
    "reject": withdrawals.reject,
    "archive": withdrawals.archive,
    "quarantine": withdrawals.quarantine,
    "reinstate": _reinstate,
    "enable": _enable,
    "disable": withdrawals.disable,
    "adopt": withdrawals.adopt,
    "revert": _revert,
}

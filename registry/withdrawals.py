"""The moves that take something away: they ask for no proof, and fence before they write anything else."""

from datetime import timedelta

from msgspec.structs import replace

from registry.guards import KEPT, Case, by_itself, moment, newest_first, unfit
from registry.states import Event, Plan, Refusal, Severity, Slots, State


def rollback(case: Case) -> Plan | Refusal:
    """T5, T6."""
    head, request = case.head, case.request
    if refusal := by_itself(case, "auto_rollback"):
        return refusal
    if request.by.kind != "human" and request.subject is None:
        # Once the canary is withdrawn, a second report of it would else withdraw the active version.
        return Refusal("no_subject", f"{request.by} must say which is withdrawn: the canary or the active version")
    subject = request.subject or ("canary" if head.canary is not None else "active")
    running = head.canary if subject == "canary" else head.slots.active
    if running is None:
        return Refusal(f"no_{subject}", f"there is no {subject} version to withdraw")
    told = (request.evidence or {}).get("version", running)
    if request.version not in (None, running) or told != running:
        return Refusal("not_running", f"version {request.version or told} is not the {subject} one, {running} is")
    if subject == "canary":
        return _withdraw_canary(case, running, "rolled_back")
    return _go_back(case, running, "rolled_back")


def quarantine(case: Case) -> Plan | Refusal:
    """T10; of the version that trades, and of the canary, it is a rollback."""
    head, version, state = case.head, case.version, case.state
    if state is None or state == "quarantined":
        return Refusal("state", f"version {version} is {state or 'not entered yet'}; there is nothing to quarantine")
    if version == head.canary:
        return _withdraw_canary(case, version, "quarantined")
    if version == head.slots.active:
        return _go_back(case, version, "quarantined")
    return _put_aside(case, "quarantined")


def inconclusive(case: Case) -> Plan | Refusal:
    """T7: no verdict within the cap is no promotion, and no rollback either."""
    canary = case.head.canary
    if canary is None or canary != case.request.version:
        return Refusal("no_canary", f"version {case.request.version} is not the canary, {canary or 'none'} is")
    after = case.after(canary=None, canary_since=None, rollout=case.rollout("full"))
    return Plan("down", "canary", "shadow", after, {canary: "shadow"}, (case.mode_event("full"),))


def disable(case: Case) -> Plan | Refusal:
    """Take the rollout away, whatever it was; a canary is a shadow again."""
    head = case.head
    if head.rollout is not None and head.rollout.mode == "disabled":
        return Refusal("already", f"the rollout is disabled since {moment(head.rollout.at)}: {head.rollout.reason}")
    changed: dict[int, State] = {} if head.canary is None else {head.canary: "shadow"}
    after = case.after(canary=None, canary_since=None, rollout=case.rollout("disabled"))
    told = case.mode_event("disabled", "INFO" if case.request.by.kind == "human" else "CRIT")
    return Plan("down", "enabled", "disabled", after, changed, (told,))


def reject(case: Case) -> Plan | Refusal:
    """T8."""
    if case.state not in ("candidate", "shadow"):
        return case.wrong_state("rejected", "candidate", "shadow")
    return _put_aside(case, "rejected")


def archive(case: Case) -> Plan | Refusal:
    """End the time of a version in the shadow slot, that of the control behind a promotion included."""
    head, version, state = case.head, case.version, case.state
    if version == head.control:
        after = case.after(slots=replace(head.slots, shadow=None))
        return Plan("down", "archived", "archived", after, {}, ())
    if state not in ("candidate", "shadow", "rejected", "rolled_back"):
        found = state or "not entered yet"
        return Refusal("state", f"version {version} is {found}; only what neither trades nor is kept is archived")
    return _put_aside(case, "archived")


def adopt(case: Case) -> Plan | Refusal:
    """Take over slots that somebody set in MLflow; no canary outlives another active or shadow version."""
    head, slots = case.head, case.request.adopted or Slots()
    if slots.active is None:
        return Refusal("no_active", "alias active is gone; exactly one version is active")
    for version in (slots.active, slots.shadow):
        if version is not None and head.states.get(version) in ("quarantined", "rejected", "rolled_back"):
            return Refusal("withdrawn", f"version {version} is {head.states[version]} and is not adopted")
    if refusal := unfit(case):
        return refusal
    is_same = (slots.active, slots.shadow) == (head.slots.active, head.slots.shadow)
    changed: dict[int, State] = {}
    if not is_same:
        changed = {each: "archived" for each, state in head.states.items() if state in ("active", "shadow", "canary")}
        if slots.shadow is not None and slots.shadow not in (slots.previous, slots.active):
            changed[slots.shadow] = "shadow"
        changed[slots.active] = "active"
    history = newest_first(slots.active, head.active_history)
    previous = slots.previous if slots.previous in history[1:] else _healthy(history[1:], head.states | changed)
    after = case.after(
        slots=replace(slots, previous=previous, shadow=None if slots.shadow == slots.active else slots.shadow),
        canary=head.canary if is_same else None,
        canary_since=head.canary_since if is_same else None,
        active_since=head.active_since if slots.active == head.slots.active else case.now,
        active_history=history,
        rollout=head.rollout if is_same else case.rollout("disabled"),
    )
    source = str(head.slots.active or "")
    told = Event(event="PROMOTION", severity="WARN", source=source, target=str(slots.active))
    return Plan("up", "external", "adopted", after, changed, (told,))


def _withdraw_canary(case: Case, version: int, state: State) -> Plan:
    head = case.head
    after = case.after(
        slots=replace(head.slots, shadow=None),
        canary=None,
        canary_since=None,
        rollout=case.rollout("disabled", cooldown=case.rules.cooldown),
        rollbacks=(case.now, *head.rollbacks)[:KEPT],
    )
    return Plan("down", "canary", state, after, {version: state}, _told(case, version, head.slots.active), version)


def _go_back(case: Case, version: int, state: State) -> Plan | Refusal:
    """T6: the version before trades again, and the one before that is the previous one."""
    head = case.head
    target = head.slots.previous if case.request.target is None else case.request.target
    if target is None:
        return Refusal(
            "no_previous",
            f"version {version} is active and there is no healthy version before it to go back to; disable the "
            "rollout (everything on paper), and promote another version",
        )
    if refusal := _not_one_to_go_back_to(case, version, target):
        return refusal
    changed: dict[int, State] = {version: state, target: "active"}
    if head.canary is not None:
        changed[head.canary] = "shadow"
    history = newest_first(target, head.active_history)
    after = case.after(
        slots=Slots(
            active=target,
            previous=_healthy(history[1:], head.states | changed),
            shadow=None if head.slots.shadow == target else head.slots.shadow,
        ),
        canary=None,
        canary_since=None,
        active_since=case.now,
        active_history=history,
        rollout=case.rollout("disabled", cooldown=case.rules.cooldown),
        rollbacks=(case.now, *head.rollbacks)[:KEPT],
    )
    return Plan("down", "active", state, after, changed, _told(case, version, target), version)


def _not_one_to_go_back_to(case: Case, version: int, target: int) -> Refusal | None:
    window = case.rules.rollback_window
    recent = [each for each in case.head.active_history if each != version][:window]
    state = case.head.states.get(target)
    if target not in recent:
        return Refusal(
            "not_recent",
            f"version {target} is none of the last {window} that were active before version {version} ({recent}, "
            "release.rollback_window); it becomes active by way of shadow and canary",
        )
    if state == "quarantined" or (state != "archived" and not case.request.force):
        return Refusal("withdrawn", f"version {target} is {state}; going back to it must be forced, with a reason")
    return None


def _told(case: Case, version: int, target: int | None) -> tuple[Event, ...]:
    """A rollback is told as it is; the one too many within an hour as critical, which stops real trading."""
    recent = sum(case.now - at < timedelta(hours=1) for at in case.head.rollbacks)
    is_flapping = recent + 1 >= case.rules.max_rollbacks_per_hour
    severity: Severity = "CRIT" if is_flapping else "WARN"
    withdrawn = Event(event="ROLLBACK", severity=severity, source=str(version), target=str(target or ""))
    is_disabled = case.head.rollout is not None and case.head.rollout.mode == "disabled"
    return (withdrawn,) if is_disabled else (withdrawn, case.mode_event("disabled"))


def _put_aside(case: Case, to: State) -> Plan:
    head, version = case.head, case.version
    changed: dict[int, State] = {version: to}
    slots = head.slots
    if slots.shadow == version:
        slots = replace(slots, shadow=None)
    if slots.previous == version:
        older = [each for each in head.active_history if each != slots.active]
        slots = replace(slots, previous=_healthy(older, head.states | changed))
    return Plan("down", case.state or "", to, case.after(slots=slots), changed, ())


def _healthy(history: tuple[int, ...] | list[int], states: dict[int, State]) -> int | None:
    return next((each for each in history if states.get(each) == "archived"), None)

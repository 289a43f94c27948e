"""Which move of the registry is due, by what risk said last and where the versions stand: pure, asked by the sensors.

The registrar's guards decide whether a move may be made; here is decided whether anybody should ask for it by itself.
What is due stays due until it is done, so nothing is lost when a look is missed; each move has a transaction id that
follows from what caused it, so asking twice moves once.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal, TypeGuard

from bus.heartbeats import Heartbeat
from bus.messages import Trial, Verdict
from config.release_sections import Release
from pipelines.registrar import Heard, nanoseconds
from registry.freezes import frozen_by
from registry.states import Head

LIVE = ("ai_scorer", "risk")
"""The services whose word a promotion rests on."""
Verb = Literal["shadow", "canary", "active", "ramp", "rollback", "inconclusive", "reject", "archive"]


@dataclass(frozen=True, slots=True)
class Due:
    """A move to be asked for. `reason` is a short code, `text` the sentence behind it, `tx` its transaction id.

    `fraction` is a ramp's share; `heard` the verdict it rests on, `expect_epoch` where the journal stood.
    """

    verb: Verb
    version: int
    reason: str
    text: str
    tx: str
    expect_epoch: int
    heard: Heard | None = None
    fraction: float | None = None


@dataclass(frozen=True, slots=True)
class Standstill:
    """Nothing is due, and why."""

    text: str


def due_withdrawal(
    head: Head, said: Mapping[Trial, Heard], release: Release, now: datetime, refused: Collection[str] = ()
) -> Due | Standstill:
    """The withdrawal that is due: of the canary first, then of the active version, then of a shadow.

    `refused` names transactions that were just refused: what cannot be withdrawn keeps nothing else where it is.

    A verdict counts only for the very trial it is about: a canary's by its salt, the active version's since it became
    that. However old it is, it stands until a newer one says otherwise.
    """
    if not release.auto_rollback:
        return Standstill("release.auto_rollback is off: a person withdraws versions")
    for due in (_canary_out(head, said.get("canary")), _active_out(head, said.get("active"))):
        if due and due.tx not in refused:
            return due
    for due in (_shadow_out(head, said.get("shadow")), _cap_reached(head, said.get("canary"), release, now)):
        if due and due.tx not in refused:
            return due
    return Standstill(_standing(said))


def due_promotion(
    head: Head, said: Mapping[Trial, Heard], release: Release, ceiling: float, now: datetime
) -> Due | Standstill:
    """The promotion that is due: of the canary on its ramp or to active, of the shadow to canary, of a candidate.

    `ceiling` is the share that people configured at most: live goes by the smaller of it and the ramp's step, so a
    ramp climbs all the same, and without any share there is no canary. Nothing is due in a freeze or a cooldown.
    """
    if freeze := frozen_by(release.freeze, now):
        return Standstill(f"frozen: {freeze}")
    if head.is_cooling(now) and head.rollout and head.rollout.cooldown_until:
        return Standstill(f"cooldown until {head.rollout.cooldown_until:%H:%M:%S} behind {head.rollout.reason}")
    if head.canary is not None:
        return _canary_up(head, head.canary, said.get("canary"), release, now)
    if head.slots.shadow is not None and head.control is None:
        return _shadow_up(head, head.slots.shadow, said.get("shadow"), release, ceiling, now)
    return _into_shadow(head, release, now)


def next_share(ramp: Sequence[float], share: float) -> float | None:
    """The next step of a ramp above a share; None behind the last."""
    return next((step for step in ramp if step > share), None)


def silence(
    head: Head, said: Mapping[Trial, Heard], beats: Mapping[str, Heartbeat], release: Release, now: datetime
) -> str:
    """What of the live side's evidence is missing or old, as a sentence; empty when all of it is fresh.

    risk speaks of the active version every few seconds, so its silence is told from that: a version that has only just
    become active is given release.evidence_seconds.
    """
    missing = [f"{name}: {why}" for name in LIVE if (why := _not_alive(beats.get(name), release, now))]
    is_new = head.active_since is not None and _age(nanoseconds(head.active_since), now) <= release.evidence_seconds
    heard = said.get("active")
    if head.slots.active is not None and not is_new and _is_stale(heard, release, now):
        age = f"for {_age(heard.verdict.at_ns, now):,.0f} s" if heard else "yet"
        missing.append(f"risk has given no verdict on the active version {age}")
    return "; ".join(missing)


def _canary_out(head: Head, heard: Heard | None) -> Due | None:
    if not _withdraws(heard, head.canary) or heard.verdict.salt != (head.rollout.salt if head.rollout else ""):
        return None
    return _withdrawal(head, heard, "rollback", f"verdict-canary-{heard.verdict.version}-{heard.verdict.salt}")


def _active_out(head: Head, heard: Heard | None) -> Due | None:
    if not _withdraws(heard, head.slots.active):
        return None
    if head.active_since and heard.verdict.at_ns < nanoseconds(head.active_since):
        return None
    tx = f"verdict-active-{heard.verdict.version}-{heard.verdict.since_ns}"
    return _withdrawal(head, heard, "rollback", tx)


def _shadow_out(head: Head, heard: Heard | None) -> Due | None:
    tested = None if head.canary is not None or head.control is not None else head.slots.shadow
    if not _withdraws(heard, tested) or heard.verdict.against != (head.slots.active or 0):
        return None
    tx = f"verdict-shadow-{heard.verdict.version}-{heard.verdict.since_ns}"
    return _withdrawal(head, heard, "reject", tx)


def _withdraws(heard: Heard | None, version: int | None) -> TypeGuard[Heard]:
    """Whether a verdict withdraws this very version."""
    return heard is not None and heard.verdict.decision == "roll_back" and heard.verdict.version == version


def _withdrawal(head: Head, heard: Heard, verb: Verb, tx: str) -> Due:
    breaches = heard.verdict.breaches
    reason = breaches[0].reason if breaches else "other"
    text = "; ".join(breach.text for breach in breaches) or "risk withdraws it and names no breach"
    return Due(verb, heard.verdict.version, reason, text, tx, head.epoch, heard)


def _cap_reached(head: Head, heard: Heard | None, release: Release, now: datetime) -> Due | None:
    """T7: a canary without a verdict is not promoted by running out of time, nor kept for ever."""
    if head.canary is None or head.canary_since is None or head.rollout is None:
        return None
    about = heard if heard and heard.verdict.version == head.canary else None
    if about and about.verdict.decision == "promote":
        return None
    numbers = about.verdict.numbers if about else {}
    trades, days = numbers.get("sample_canary", 0.0), (now - head.canary_since) / timedelta(days=1)
    # risk says so itself; the caps are held here too, for a canary of which nothing is heard.
    if not numbers.get("inconclusive") and trades < release.cap_trades and days < release.cap_days:
        return None
    text = f"no verdict after {trades:,.0f} canary trades and {days:.1f} days; the caps are {release.cap_trades:,} "
    text += f"trades and {release.cap_days:g} days"
    tx = f"inconclusive-{head.canary}-{head.rollout.salt}"
    return Due("inconclusive", head.canary, "inconclusive", text, tx, head.epoch, about)


def _canary_up(head: Head, canary: int, heard: Heard | None, release: Release, now: datetime) -> Due | Standstill:
    if not release.auto_promote:
        return Standstill(f"version {canary} is the canary; release.auto_promote is off: a person promotes it")
    rollout, since = head.rollout, head.canary_since
    if rollout is None or since is None or heard is None or _is_stale(heard, release, now):
        return Standstill(f"version {canary} is the canary; there is no fresh verdict on it, and none is no health")
    verdict = heard.verdict
    if verdict.version != canary or verdict.salt != rollout.salt:
        return Standstill(f"version {canary} is the canary; risk still speaks of version {verdict.version}")
    if verdict.decision == "roll_back" or verdict.breaches:
        return Standstill(f"version {canary} is the canary; it is to be withdrawn: {_reasons(verdict)}")
    share = rollout.canary_fraction
    stay = (now - rollout.at) / timedelta(hours=1)
    if stay < release.step_hours:
        return Standstill(f"version {canary} has had {share:.0%} for {stay:.1f} of {release.step_hours:g} hours")
    higher = next_share(release.ramp, share)
    if higher is not None and not verdict.numbers.get("sample_canary"):
        return Standstill(
            f"version {canary} has had {share:.0%} for {stay:.1f} hours, and no trade of it was judged yet"
        )
    if higher is not None:
        text = f"no breach in {stay:.1f} hours at {share:.0%}"
        tx = f"ramp-{canary}-{rollout.salt}-{higher:g}"
        return Due("ramp", canary, "ramp", text, tx, head.epoch, heard, higher)
    hours = (now - since) / timedelta(hours=1)
    if verdict.decision != "promote":
        return Standstill(f"version {canary} is at {share:.0%}, the last step; the evidence does not promote it yet")
    if hours < release.min_hours:
        return Standstill(f"version {canary} passed after {hours:.1f} hours; it stays for {release.min_hours:g}")
    text = f"passed at {share:.0%} after {hours:.1f} hours: {in_words(verdict)}"
    return Due("active", canary, "canary_passed", text, f"promote-active-{canary}-{head.epoch}", head.epoch, heard)


def _shadow_up(
    head: Head, shadow: int, heard: Heard | None, release: Release, ceiling: float, now: datetime
) -> Due | Standstill:
    if not release.auto_canary:
        return Standstill(f"version {shadow} is the shadow; release.auto_canary is off: a person makes it the canary")
    if heard is None or _is_stale(heard, release, now):
        return Standstill(f"version {shadow} is the shadow; there is no fresh verdict on it, and none is no health")
    verdict = heard.verdict
    if verdict.version != shadow or verdict.against != (head.slots.active or 0):
        return Standstill(f"version {shadow} is the shadow; risk still speaks of {verdict.version}")
    if verdict.decision != "promote" or verdict.breaches:
        return Standstill(
            f"version {shadow} is the shadow; the evidence does not make it the canary: {in_words(verdict)}"
        )
    if ceiling <= 0.0:
        return Standstill(f"version {shadow} is good enough, but the configured rollout gives a canary no share")
    text = f"good enough for a share of the trade: {in_words(verdict)}"
    return Due("canary", shadow, "shadow_passed", text, f"promote-canary-{shadow}-{head.epoch}", head.epoch, heard)


def _into_shadow(head: Head, release: Release, now: datetime) -> Due | Standstill:
    control, candidate = head.control, head.candidate
    if control is not None:
        days = (now - head.active_since) / timedelta(days=1) if head.active_since else release.watch_days
        if days < release.watch_days:
            return Standstill(
                f"version {head.slots.active} is watched beside version {control} for {days:.1f} of "
                f"{release.watch_days:g} days"
            )
        if candidate is None or not release.auto_shadow:
            text = f"version {head.slots.active} was watched for {days:.1f} days"
            return Due("archive", control, "watched", text, f"archive-{control}-{head.epoch}", head.epoch)
    if candidate is None:
        return Standstill("no version is on trial, and there is no candidate")
    if not release.auto_shadow:
        return Standstill(f"version {candidate} is a candidate; release.auto_shadow is off: a person takes it in")
    text = "its gates are green"
    return Due("shadow", candidate, "gates_green", text, f"promote-shadow-{candidate}-{head.epoch}", head.epoch)


def _is_stale(heard: Heard | None, release: Release, now: datetime) -> bool:
    return heard is None or _age(heard.verdict.at_ns, now) > release.evidence_seconds


def _not_alive(beat: Heartbeat | None, release: Release, now: datetime) -> str:
    if beat is None:
        return "no heartbeat"
    if beat.state != "running":
        return f"it is {beat.state}"
    age = _age(beat.at_ns, now)
    return f"its heartbeat is {age:,.0f} s old" if age > release.evidence_seconds else ""


def _age(at_ns: int, now: datetime) -> float:
    return (nanoseconds(now) - at_ns) / 1e9


def _reasons(verdict: Verdict) -> str:
    return ", ".join(breach.reason for breach in verdict.breaches) or "no breach named"


def in_words(verdict: Verdict) -> str:
    """What a verdict rests on, as a person reads it; limits in brackets."""
    numbers, limits = verdict.numbers, verdict.limits
    if not numbers:
        return "nothing counted"
    if verdict.trial == "canary":
        told = f"{numbers.get('sample_canary', 0.0):,.0f} canary trades"
        told += f", win rate {numbers.get('winrate_canary', 0.0):.3f}"
        told += f" against {numbers.get('winrate_baseline_active', 0.0):.3f}"
    else:
        told = f"{numbers.get('candidates', 0.0):,.0f} candidates, Brier {numbers.get('brier_gap', 0.0):+.4f}"
    if verdict.trial == "active":
        return told
    found = [
        f"evidence that it is {words} {numbers[name]:,.3g} ({limits[name]:g})"
        for words, name in (("worse", "evidence_worse"), ("no worse", "evidence_not_worse"))
        if name in numbers and name in limits
    ]
    return ", ".join([told, *found])


def _standing(said: Mapping[Trial, Heard]) -> str:
    return "nothing to withdraw: " + (", ".join(_told(said)) or "risk has said nothing yet")


def _told(said: Mapping[Trial, Heard]) -> Iterator[str]:
    for trial, heard in said.items():
        yield f"{trial} version {heard.verdict.version} {heard.verdict.decision.replace('_', ' ')}"

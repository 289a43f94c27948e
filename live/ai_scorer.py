"""The scorer: every candidate judged by the active, the shadow and the canary model in one pass, routed, and approved
where the model of its route says yes.

A candidate is scored once: one that comes again finds its score remembered, also from before a restart. What the models
are comes from the mirror alone.
"""

import time
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from bus.messages import Approval, Candidate, ControlEvent, ModelSlot, Received, Score, Severity, Verdict
from bus.streams import APPROVED, CONTROL, SCORES, VERDICTS, candidates
from live.candidate_check import REASONS, Reason, Wanted, features, refusal
from live.judge_watch import UNJUDGED, JudgeWatch
from live.judging import Panel, approval, judge
from live.model_slots import Change, Engine, Load, LoadedModel, ModelSlots, Refusal, severity_of
from live.rollout import Rollout, RolloutWatch, seed_of
from live.routing import RealizedShare
from live.service import Parts, Subscription
from live.worker import Run, Worker, at_once
from market.feature_spec import FEATURE_NAMES, schema_hash
from monitoring.metrics import SLOTS

NAME: Final = "ai_scorer"
MOST_REMEMBERED: Final = 4_096
LOOK_NS: Final = 10_000_000
"""Links and rollout are looked at this often."""
_READ_AGAIN: Final = 256


class AiScorer:
    """The service. `run` has models loaded (a worker's thread unless told otherwise), `perf` is for latencies alone.

    `load_one` is how: `live.model_slots.load`, unless a simulation brings a lighter one.
    """

    name = NAME

    def __init__(
        self,
        parts: Parts,
        run: Run | None = None,
        perf: Callable[[], int] = time.perf_counter_ns,
        load_one: Load | None = None,
    ) -> None:
        self._parts, self._perf = parts, perf
        settings, mirror = parts.settings, parts.settings.registry.mirror
        rule = settings.candidate.rule()
        self._wanted = Wanted(frozenset(parts.symbols), schema_hash(), rule.id, settings.signals.ttl_ms * 1_000_000)
        self._worker = Worker(f"{NAME}-models")
        engine = Engine(self._wanted.schema_hash, rule, settings.label.rule(), settings.registry.trust())
        self._slots = ModelSlots(mirror, engine, run or self._worker.submit, parts.wake, load_one)
        self._started_ns = parts.clock.wall_ns()
        self._watch = RolloutWatch(settings.rollout, mirror, self._started_ns)
        self._judge = JudgeWatch(settings.rollout.judge_silence_seconds)
        self._is_unjudged = False
        self._rollout = Rollout("disabled", 0.0, settings.rollout.seed, 0, "not started")
        self._panel: Panel | None = None
        self._looked_ns = parts.clock.mono_ns()
        self._scores: OrderedDict[str, Score] = OrderedDict()
        self._approved: OrderedDict[str, Approval] = OrderedDict()
        self._told: set[tuple[str, ...]] = set()
        self._realized = RealizedShare()
        self._refused: dict[Reason, int] = dict.fromkeys(REASONS, 0)
        for reason in REASONS:
            parts.metrics.score_refused_total.labels(reason)
        self._scores_total = {slot: parts.metrics.scores_total.labels(slot) for slot in SLOTS}
        self._model_score = {slot: parts.metrics.model_score.labels(slot) for slot in SLOTS}

    def subscriptions(self) -> Sequence[Subscription]:
        """Candidates as a group, control events, verdicts, and what it said itself before a restart."""
        return [
            *(Subscription(candidates(shard), group=NAME) for shard in range(self._parts.settings.shard.count)),
            Subscription(CONTROL, start=f"recent:{_READ_AGAIN}"),
            Subscription(SCORES, start=f"recent:{_READ_AGAIN}"),
            Subscription(APPROVED, start=f"recent:{_READ_AGAIN}"),
            Subscription(VERDICTS, start=f"recent:{_READ_AGAIN}"),
        ]

    def start(self) -> None:
        """Load what the mirror holds; the registry is not asked."""
        self._slots.look(at_once)
        self._swap()
        self._roll()
        if self._panel is None:
            self._alert("WARN", ("no_model",), f"no active model in {self._parts.settings.registry.mirror}")

    def handle(self, received: Received) -> None:
        """Score a candidate, heed a control event, or remember what an earlier run said."""
        body = received.body
        if isinstance(body, Candidate):
            known = self._scores.get(body.id)
            if known is None:
                self._take(received, body)
            elif known.approved and body.id not in self._approved:
                self._approve_late(body, known)
        elif isinstance(body, ControlEvent):
            self._heed(body, received.header.received_ns)
        elif isinstance(body, Score):
            _remember(self._scores, body.candidate_id, body)
        elif isinstance(body, Approval):
            _remember(self._approved, body.candidate_id, body)
        elif isinstance(body, Verdict):
            self._hear(body)

    def tick(self) -> None:
        """Between two messages: put in models that are loaded, and look at links and rollout."""
        now_ns = self._parts.clock.mono_ns()
        if now_ns - self._looked_ns >= LOOK_NS:
            self._looked_ns = now_ns
            self._slots.look()
            self._roll()
        self._swap()

    def status(self) -> Mapping[str, Any]:
        """Models by slot, the rollout that holds, the canary's realized share, and what was refused."""
        rollout, active, shadow = self._rollout, self._slots.model("active"), self._slots.model("shadow")
        models = {"active": active, "shadow": shadow, "canary": shadow if rollout.has_canary else None}
        return {
            "ready": active is not None,
            "text": "" if active else "no active model: nothing is approved; promote one, or start model_sync",
            "models": {slot: {"id": each.id, "version": each.version} for slot, each in models.items() if each},
            "rollout": {
                "mode": rollout.mode,
                "canary_fraction": rollout.canary_fraction,
                "epoch": rollout.epoch,
                "reason": rollout.reason,
            },
            "realized_fraction": self._realized.share,
            "unjudged": self._is_unjudged,
            "refused": {reason: count for reason, count in self._refused.items() if count},
        }

    def stop(self) -> None:
        """End the worker; what it may still be loading is needed by nobody."""
        self._worker.stop(1.0)

    # Candidates

    def _take(self, received: Received, candidate: Candidate) -> None:
        """Score a candidate that may be scored, else count why not."""
        reason = refusal(candidate, received.header, self._wanted, self._parts.clock.wall_ns())
        if reason is None and self._panel is None:
            reason = "no_model"
        if reason is None:
            row = features(candidate)
            if np.isfinite(row).all():
                self._score(candidate, row)
                return
            for index in np.flatnonzero(~np.isfinite(row)):
                self._parts.metrics.feature_not_finite_total.labels(FEATURE_NAMES[index]).inc()
            reason = "not_finite"
        self._refuse(candidate, reason)

    def _score(self, candidate: Candidate, row: NDArray[np.float32]) -> None:
        panel = self._panel
        assert panel is not None, "a candidate is scored only where there is an active model"  # noqa: S101
        begin = self._perf()
        score = judge(candidate, row, panel, self._throw_out_shadow)
        leave = approval(candidate, score, panel, self._wanted.ttl_ns)
        metrics = self._parts.metrics
        metrics.score_seconds.observe((self._perf() - begin) / 1e9)
        _remember(self._scores, candidate.id, score)
        self._parts.out.publish(SCORES, score, message_id=candidate.id)
        if leave is not None:
            self._approve(leave)
        for judgement in score.judgements:
            self._scores_total[judgement.slot].inc()
            self._model_score[judgement.slot].observe(judgement.probability)
        self._realized.add(score.route)
        self._show_share()

    def _show_share(self) -> None:
        self._parts.metrics.canary_fraction_realized.set(self._realized.share)
        self._parts.metrics.canary_fraction_sample.set(self._realized.sample)

    def _approve_late(self, candidate: Candidate, score: Score) -> None:
        """A candidate that came again: say the approval that a crash swallowed, by the very score that was said."""
        is_late = self._parts.clock.wall_ns() > candidate.local_ns + self._wanted.ttl_ns
        leave = approval(candidate, score, self._panel, self._wanted.ttl_ns) if self._panel else None
        if is_late or leave is None:
            self._refuse(candidate, "stale" if is_late else "no_model")
        else:
            self._approve(leave)

    def _approve(self, leave: Approval) -> None:
        _remember(self._approved, leave.id, leave)
        self._parts.out.publish(APPROVED, leave, message_id=leave.id)
        self._parts.metrics.approvals_total.labels(leave.symbol, leave.route).inc()
        self._parts.log.debug("approved", signal=leave.id, symbol=leave.symbol, route=leave.route, model=leave.model_id)

    def _refuse(self, candidate: Candidate, reason: Reason) -> None:
        self._refused[reason] += 1
        self._parts.metrics.score_refused_total.labels(reason).inc()
        self._parts.log.debug("score_refused", signal=candidate.id, symbol=candidate.symbol, reason=reason)

    # Models and rollout

    def _swap(self) -> None:
        """Put in what is loaded; the pause of it is what candidates wait."""
        begin = self._perf()
        changes = self._slots.take()
        if not changes:
            return
        self._seat()
        self._parts.metrics.model_swap_seconds.observe((self._perf() - begin) / 1e9)
        for change in changes:
            self._show(change)

    def _seat(self) -> None:
        active, shadow = self._slots.model("active"), self._slots.model("shadow")
        self._panel = (
            None if active is None else Panel(active, shadow, self._rollout, self._parts.settings.signals.shadow)
        )

    def _roll(self) -> None:
        """Go by the rollout that holds now."""
        rollout = self._watch.look(self._parts.clock.wall_ns())
        if self._watch.problem:
            self._alert("WARN", ("rollout", self._watch.problem), self._watch.problem)
        if rollout.has_canary and not self._slots.is_current("shadow"):
            # The share is for the version the slot names. What still scores there is the one before it.
            reason = "the shadow slot's version is not loaded"
            rollout = Rollout("disabled", 0.0, rollout.seed, rollout.epoch, reason)
        is_unjudged = self._judge.look(self._parts.clock.mono_ns(), has_canary=rollout.has_canary)
        if is_unjudged:
            reason = f"unjudged: no verdict on the canary for {self._judge.silent_seconds:.0f} s; is risk running?"
            rollout = Rollout("disabled", 0.0, rollout.seed, rollout.epoch, UNJUDGED)
        if is_unjudged != self._is_unjudged:
            self._is_unjudged = is_unjudged
            self._tell_of_judge(reason if is_unjudged else "verdicts on the canary, or no canary any more")
        if rollout == self._rollout:
            return
        before, self._rollout = self._rollout, rollout
        self._seat()
        self._parts.metrics.canary_fraction_target.set(rollout.canary_fraction)
        if rollout.canary_fraction != before.canary_fraction:
            self._realized.restart()
            self._show_share()
        self._parts.log.info("rollout", mode=rollout.mode, fraction=rollout.canary_fraction, reason=rollout.reason)
        shadow = self._slots.model("shadow")
        self._inform("canary", shadow if before.has_canary else None, shadow if rollout.has_canary else None)

    def _heed(self, event: ControlEvent, signal_ns: int) -> None:
        """Withdraw the canary at once when somebody says so.

        `signal_ns` is when the message arrived that gave the canary away, 0 where a person or a pipeline says it.
        """
        if (event.by, event.reason) == (NAME, UNJUDGED):
            if event.at_ns < self._started_ns:  # an earlier run's: it holds until a verdict is heard
                self._judge.remember(is_silent=event.event == "HALT")
                self._is_unjudged = self._judge.is_silent
                self._parts.metrics.canary_unjudged.set(self._is_unjudged)
                self._roll()
            return
        is_fence = event.event == "ROLLBACK" or (event.event == "HALT" and event.route == "canary")
        if not is_fence:
            return
        had_canary = self._rollout.has_canary
        if not self._watch.fence(event.reason, event.at_ns):
            return
        self._parts.log.warning("canary_fenced", reason=event.reason, by=event.by)
        self._roll()
        if had_canary and not self._rollout.has_canary:
            took_ns = self._parts.clock.wall_ns() - (signal_ns or event.at_ns)
            self._parts.metrics.rollback_signal_to_effect_seconds.observe(max(0, took_ns) / 1e9)

    def _hear(self, verdict: Verdict) -> None:
        """A verdict: on the canary that runs, its judge is there."""
        seed, shadow = self._parts.settings.rollout.seed, self._slots.model("shadow")
        is_known = shadow is not None and verdict.version == shadow.version
        if verdict.trial == "canary" and is_known and seed_of(seed, verdict.salt) == self._watch.seed:
            self._judge.hear(verdict.at_ns, self._parts.clock.wall_ns())

    def _tell_of_judge(self, text: str) -> None:
        """The canary has lost its share for want of a judge, or has it again."""
        metrics, now_ns = self._parts.metrics, self._parts.clock.wall_ns()
        metrics.canary_unjudged.set(self._is_unjudged)
        if self._is_unjudged:
            metrics.unjudged_canaries_total.inc()
        self._parts.log.warning("canary_unjudged", holds=self._is_unjudged, text=text)
        event = ControlEvent(
            event="HALT" if self._is_unjudged else "RESUME", severity="WARN" if self._is_unjudged else "INFO",
            source="", target="", reason=UNJUDGED, by=NAME, at_ns=now_ns, symbol="", route="canary", text=text,
        )  # fmt: skip
        self._parts.out.publish(CONTROL, event, message_id=f"{NAME}-{event.event.lower()}-{UNJUDGED}-{now_ns}")

    def _throw_out_shadow(self, error: Exception) -> None:
        """A shadow that fails while it scores does so no more; another version may take its place."""
        shadow = self._slots.throw_out("shadow")
        self._seat()
        if shadow is not None:
            self._inform("shadow", shadow, None)
            self._inform("canary", shadow if self._rollout.has_canary else None, None)
            self._alert("WARN", ("shadow", shadow.id, "failed"), f"shadow {shadow.id} failed to score: {error!r}")

    def _show(self, change: Change) -> None:
        """Count a change of the models, and tell of it."""
        slot, metrics = change.slot, self._parts.metrics
        if isinstance(change, Refusal):
            metrics.model_swap_refused_total.labels(slot, change.reason).inc()
            if change.reason == "parity":
                metrics.onnx_parity_fail_total.inc()
            text = f"{slot}: {change.bundle} refused ({change.reason}), the one before stays: {change.text}"
            self._alert(severity_of(slot), (slot, change.bundle, change.reason), text, change.reason, change.bundle)
            return
        metrics.model_swaps_total.labels(slot).inc()
        self._inform(slot, change.before, change.now)
        if slot == "shadow" and self._rollout.has_canary:
            self._inform("canary", change.before, change.now)
        model, before = (each.id if each else "" for each in (change.now, change.before))
        self._parts.log.info("model_swapped", slot=slot, model=model, before=before)

    def _inform(self, slot: ModelSlot, before: LoadedModel | None, now: LoadedModel | None) -> None:
        info = self._parts.metrics.model_info
        for model, value in ((before, 0), (now, 1)):
            if model is not None:
                info.labels(slot, model.id, str(model.version)).set(value)

    def _alert(
        self, severity: Severity, about: tuple[str, ...], text: str, refusal: str = "", bundle: str = ""
    ) -> None:
        """Tell of something once. Of a bundle that was refused, `source` says why and `target` which."""
        if about in self._told:
            return
        self._told.add(about)
        now_ns = self._parts.clock.wall_ns()
        self._parts.log.error("ai_scorer_alert", severity=severity, text=text)
        alert = ControlEvent(
            event="ALERT", severity=severity, source=refusal, target=bundle, reason="model_error", by=NAME,
            at_ns=now_ns, symbol="", route="", text=text,
        )  # fmt: skip
        self._parts.out.publish(CONTROL, alert, message_id=f"{NAME}-{'-'.join(about)[:160]}-{now_ns}")


def _remember(known: OrderedDict[str, Any], key: str, value: object) -> None:
    known[key] = value
    while len(known) > MOST_REMEMBERED:
        known.popitem(last=False)

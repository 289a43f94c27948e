"""The evidence on releases as it comes in: trials begin and end as versions move, verdicts are told, the bad stops.

A version that is found bad is stopped at once, by a halt: of the canary's route, or, for the version that trades, by
CRIT. Whoever moves versions hears the verdict and withdraws it; the halt holds until the rollout's epoch, or the active
version, has changed.
"""

from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Final

from bus.messages import ControlEvent, Outcome, Report, Score, Trial, Verdict
from bus.streams import VERDICTS
from evaluation.drift_gate import DriftView
from evaluation.false_rollback import lookup
from evaluation.trials import Metric
from evaluation.verdict import Drift, Guards
from live.errors import TrialLogUnreadable
from live.evidence import Folded
from live.guards import Call
from live.maturing import Maturing
from live.release_gauges import ReleaseGauges
from live.running_trial import RunningTrial
from live.service import Parts
from live.standing import Key, Standings
from live.trial_evidence import Draw, Draws, executed, filled, judged
from live.trial_log import prune, running
from live.trial_rows import Begun
from live.watch import Watch

PARITY: Final = "parity"
"""What an alert of ai_scorer names as its source when a bundle failed its golden rows; its target is the bundle."""
_AGAIN_NS: Final = 5_000_000_000
Entries = Callable[[int], float]
"""Entries of the last hour that were not before a time."""
Precision = Callable[[str], float | None]
"""Of a route, "" for all: share of approved candidates that reached the target, None of nothing."""
_SCOPE: Final[Mapping[Trial, str]] = {"canary": "canary", "active": ""}
"""The route that a halt of a trial's version is for."""


class ReleaseWatch:
    """The trials of one risk service. `watch` calls its halts."""

    def __init__(self, parts: Parts, watch: Watch) -> None:
        settings = parts.settings
        self._parts, self._watch = parts, watch
        self._policy = settings.release.policy()
        self._folder = parts.var / "trials"
        self._standings = Standings(settings.rollout, settings.registry.mirror)
        self._standing = self._standings.look(parts.clock.wall_ns())
        self._trials: dict[Trial, RunningTrial] = {}
        self._maturing, self._draws = Maturing(), Draws()
        self._gauges = ReleaseGauges(parts.metrics)
        self._parity: deque[tuple[int, str]] = deque(maxlen=100)
        self._drift: DriftView | None = None
        self._drift_of = ""
        self._canary_is_real = False
        self._fills: dict[tuple[str, str], tuple[Report, Draw]] = {}
        self._entries: Entries = lambda _: 0.0
        self._precision: Precision = lambda _: None
        self._disk_failed = False

    def start(self, folded: Folded) -> None:
        """Go on with the trials of an earlier run; what had ended and was not counted yet counts now."""
        self._warn_of_luck()
        self._folder.mkdir(parents=True, exist_ok=True)
        for path in running(self._folder):
            try:
                found, damage = RunningTrial.go_on(path, self._policy, self._refused)
            except TrialLogUnreadable as unreadable:
                damage = str(unreadable)
                path.rename(path.with_suffix(".damaged"))
            else:
                older = self._trials.pop(found.begun.trial, None)
                if older is not None:
                    older.end(self._parts.clock.wall_ns(), "another one runs")
                self._trials[found.begun.trial] = found
            if damage:
                self._watch.alert("journal_error", damage)
        for opened in folded.open.values():
            self._draws.add(opened.id, opened.salt, opened.canary_fraction)
        for outcome in folded.ended.values():
            self._draws.add(outcome.candidate_id, outcome.salt, outcome.canary_fraction)
            self._maturing.put(outcome)
        for trial in self._trials.values():
            self._take_up(trial)
        self._follow()

    def on_score(self, score: Score) -> None:
        """A candidate was routed."""
        self._draws.add(score.candidate_id, score.salt, score.canary_fraction)

    def on_outcome(self, outcome: Outcome) -> None:
        """A candidate has ended; it counts when its horizon is over."""
        self._maturing.put(outcome)

    def on_report(self, report: Report) -> None:
        """Something became of an order."""
        draw = self._draws.of(report.approval_id)
        if report.route == "canary" and draw.salt:
            self._canary_is_real = report.is_real
        if (value := filled(report)) is not None:
            self._executed(report, draw, "fill", value)

    def on_fill(self, report: Report) -> None:
        """An order has traded; an entry's markout comes by `on_markout` under (report id, route)."""
        if report.leg != "entry":
            return
        self._fills[report.id, report.route] = report, self._draws.of(report.approval_id)
        if len(self._fills) > 4_096:
            del self._fills[next(iter(self._fills))]

    def on_markout(self, key: tuple[str, str], value: float) -> None:
        """The markout of a fill after a second, basis points, NaN where there is none."""
        known = self._fills.pop(key, None)
        if known is not None:
            self._executed(*known, "markout", value)

    def on_control(self, event: ControlEvent) -> None:
        """A bundle failed its golden rows, or a person has lifted a halt."""
        if event.event == "ALERT" and event.source == PARITY:
            self._parity.append((self._parts.clock.wall_ns(), event.target))
            self._guard()
            for trial in self._trials.values():
                self._look(trial, self._parts.clock.wall_ns())
        elif event.event == "RESUME":
            for trial in self._trials.values():
                if trial.fold.is_lost and _halt_of(trial) not in self._watch.halts:
                    trial.forget_decision()

    def on_drift(self, view: DriftView | None, model_id: str) -> None:
        """How the features lie by the newest look at them, against this model's card; None while there was none."""
        self._drift, self._drift_of = view, model_id

    def tick(self, horizon_ns: int) -> None:
        """Count what has matured and judge by it."""
        at_ns = self._parts.clock.wall_ns()
        for outcome in self._maturing.ripe(at_ns, horizon_ns):
            for trial in self._trials.values():
                row = judged(outcome, trial.begun, self._standing.control, at_ns)
                if row is not None and trial.take(row):
                    self._look(trial, at_ns)
        for trial in self._trials.values():
            if trial.is_fresh:
                self._look(trial, at_ns)
            trial.flush()

    def each_second(self, entries: Entries, precision: Precision) -> None:
        """Follow the versions, measure, judge by the time; say again what nobody may forget."""
        self._entries, self._precision = entries, precision
        self._follow()
        self._guard()
        at_ns = self._parts.clock.wall_ns()
        for trial in self._trials.values():
            self._look(trial, at_ns)
            trial.flush()
            if trial.told_ns is None or at_ns - trial.told_ns >= _AGAIN_NS:
                self._tell(trial, at_ns)

    def status(self) -> Mapping[str, Any]:
        """What `tidegate status` shows of each trial."""
        return {
            name: {
                "version": trial.begun.version,
                "decision": trial.fold.said.decision if trial.fold.said else "hold",
                "breaches": [each.reason for each in trial.fold.said.breaches] if trial.fold.said else [],
                "rows": trial.fold.rows,
                "since_ns": trial.begun.since_ns,
            }
            for name, trial in self._trials.items()
        }

    def to_sync(self) -> list[int]:
        """Return descriptors of the logs that were written to. Raises OSError."""
        found = (trial.to_sync() for trial in self._trials.values())
        return [descriptor for descriptor in found if descriptor is not None]

    def stop(self) -> None:
        """End; the trials go on in the next run."""
        for trial in self._trials.values():
            trial.close()

    # Versions

    def _follow(self) -> None:
        """Let trials begin and end as the versions stand now."""
        at_ns = self._parts.clock.wall_ns()
        self._standing = self._standings.look(at_ns)
        wanted = self._standing.trials()
        for name, trial in list(self._trials.items()):
            if trial.is_of(wanted.get(name)) or self._must_hold(trial):
                continue
            del self._trials[name]
            trial.end(at_ns, "the versions have moved on")
            self._gauges.ended(name)
            if trial.fold.is_lost and (halt := _halt_of(trial)) in self._watch.halts:
                self._watch.act([Call("RESUME", "INFO", halt[0], "the version was withdrawn", route=halt[2])])
            if name in _SCOPE:
                self._watch.forget_judged(_SCOPE[name])
        for name, key in wanted.items():
            if name not in self._trials:
                self._begin(key, at_ns)
        for trial in self._trials.values():
            self._stop_bad(trial)

    def _begin(self, key: Key, at_ns: int) -> None:
        since_ns = at_ns
        if key.trial == "canary" and self._standing.since_ns:
            since_ns = min(at_ns, self._standing.since_ns)
        horizon_ns = round(self._parts.settings.label.horizon_seconds * 1e9)
        begun = Begun(*key, self._standing.rollout.epoch, since_ns, horizon_ns)
        try:
            prune(self._folder)
            trial = RunningTrial.begin(self._folder, begun, self._policy, self._refused)
        except OSError as refused:
            self._refused(refused)
            return
        self._trials[key.trial] = trial
        self._parts.log.info("trial_begun", trial=key.trial, version=key.version, against=key.against, salt=key.salt)

    def _warn_of_luck(self) -> None:
        """Say so when the win-rate rule, as configured, withdraws too many canaries that are as good as the others."""
        release, most = self._parts.settings.release, self._parts.settings.rollout.canary_fraction
        shares = [share for step in release.ramp if 0.0 < (share := min(step, most)) < 1.0]
        delta = release.winrate_delta_pp / 100.0
        rate, share = max(((lookup(release.min_sample, delta, each), each) for each in shares), default=(0.0, 0.0))
        if rate > release.false_rollback_budget:
            text = (
                f"release.min_sample {release.min_sample} and release.winrate_delta_pp {release.winrate_delta_pp:g} "
                f"withdraw {rate:.1%} of equal canaries that have {share:.0%} of the signals, the budget is "
                f"{release.false_rollback_budget:.1%}: raise one of them"
            )
            self._watch.alert("winrate_delta", text)

    def _must_hold(self, trial: RunningTrial) -> bool:
        """Whether a canary that was found bad is still to be held off: its withdrawal is written under a new epoch."""
        is_bad_canary = trial.begun.trial == "canary" and trial.fold.is_lost
        return is_bad_canary and self._standing.rollout.epoch == trial.fenced_epoch

    def _take_up(self, trial: RunningTrial) -> None:
        """Hold what an earlier run held, without calling it a second time."""
        said = trial.fold.said
        if trial.fold.is_lost and said is not None and _halt_of(trial) in self._watch.halts:
            trial.fenced_epoch = said.epoch

    # Evidence

    def _executed(self, report: Report, draw: Draw, metric: Metric, value: float) -> None:
        at_ns = self._parts.clock.wall_ns()
        is_compared = not (report.is_real or self._canary_is_real)
        for trial in self._trials.values():
            row = executed(report, trial.begun, draw, metric, value, is_compared=is_compared, at_ns=at_ns)
            if row is not None and trial.take(row):
                self._look(trial, at_ns)
            trial.flush()

    def _guard(self) -> None:
        """Hand each trial what was measured beside its rows."""
        at_ns, standing = self._parts.clock.wall_ns(), self._standing
        release, risk = self._parts.settings.release, self._parts.settings.risk
        since_ns = at_ns - round(release.parity_minutes * 60e9)
        before = standing.previous or standing.active
        for name, trial in self._trials.items():
            bundle = f"v{trial.begun.version}-"
            beside = Guards(
                parity_failures=sum(at >= since_ns and which.startswith(bundle) for at, which in self._parity),
                drifts=self._drifts(name),
                precision_floor=risk.precision_floor,
            )
            if name == "active":
                p95 = before.entries_per_hour_p95 if before else 0.0
                entries = self._entries(trial.begun.since_ns)  # those before are another version's
                beside = replace(beside, entries_per_hour=entries, previous_entries_p95=p95 or None)
            halt = self._watch.halts.get(("precision_halt", "", _SCOPE.get(name, "-")))
            if halt is not None and halt.at_ns >= trial.begun.since_ns:  # an older one is of the version before
                beside = replace(beside, precision=self._precision(_SCOPE[name]))
            trial.guard(beside, at_ns)

    def _drifts(self, trial: Trial) -> tuple[Drift, ...]:
        """What drift says of a trial's version: nothing by another card than the active one's.

        It lies in the data, so it withdraws one thing at a time: the canary first, and the active version when it is
        over its line for the whole time again since the canary was found bad, or the rollout was changed.
        """
        standing, view, hold_seconds = self._standing, self._drift, self._parts.settings.release.drift_minutes * 60.0
        if view is None or standing.active is None or standing.active.model_id != self._drift_of:
            return ()
        if trial != "active":
            return _drifts(view, hold_seconds, 0)
        since_ns = standing.since_ns if standing.since_ns <= self._parts.clock.wall_ns() else 0  # not of another clock
        if (canary := self._trials.get("canary")) is None:
            return _drifts(view, hold_seconds, since_ns)
        if canary.fold.said is not None and canary.fold.is_lost:
            return _drifts(view, hold_seconds, max(since_ns, canary.fold.said.at_ns))
        # Its turn has not come: shown, and over for no time at all, not even where release.drift_minutes is 0.
        return tuple(replace(each, over_seconds=-1.0) for each in _drifts(view, hold_seconds, 0))

    # Verdicts

    def _look(self, trial: RunningTrial, at_ns: int) -> None:
        if trial.look(at_ns, against=self._against(trial), epoch=self._standing.rollout.epoch) is not None:
            self._stop_bad(trial)
            self._tell(trial, at_ns)

    def _stop_bad(self, trial: RunningTrial) -> None:
        """Halt what a version does that was found bad; a canary anew when a move has let it go on."""
        said, epoch, name = trial.fold.said, self._standing.rollout.epoch, trial.begun.trial
        if said is None or not trial.fold.is_lost or name not in _SCOPE:
            return
        if trial.fenced_epoch is None or (name == "canary" and trial.fenced_epoch != epoch):
            trial.fenced_epoch = epoch
            text = f"{name} version {said.version}: " + "; ".join(each.text for each in said.breaches)
            severity: Any = "WARN" if name == "canary" else "CRIT"
            self._watch.act([Call("HALT", severity, _halt_of(trial)[0], text, route=_SCOPE[name])])

    def _tell(self, trial: RunningTrial, at_ns: int) -> None:
        said = trial.told(at_ns, against=self._against(trial), epoch=self._standing.rollout.epoch)
        if said is not None:
            self._publish(said)

    def _publish(self, said: Verdict) -> None:
        id_ = f"risk-verdict-{said.trial}-{said.version}-{said.at_ns}"
        self._parts.out.publish(VERDICTS, said, message_id=id_)
        self._gauges.show(said)

    def _against(self, trial: RunningTrial) -> int:
        return self._standing.control if trial.begun.trial == "active" else trial.begun.against

    def _refused(self, refused: Exception) -> None:
        """A disk that refuses does not stop the watching: it is told of, and memory goes on."""
        if not self._disk_failed:
            self._disk_failed = True
            self._watch.alert("journal_error", f"{self._folder}: {refused}; a restart would lose evidence of trials")


def _halt_of(trial: RunningTrial) -> tuple[str, str, str]:
    """The halt by which a bad version is stopped: reason, symbol, route."""
    said = trial.fold.said
    reason = said.breaches[0].reason if said and said.breaches else "other"
    return reason, "", _SCOPE.get(trial.begun.trial, "")


def _drifts(view: DriftView, hold_seconds: float, since_ns: int) -> tuple[Drift, ...]:
    """What the looks saw: time over a line runs from look to look, so a view that grows old grows no worse.

    Nothing before `since_ns` counts. A feature that blocks has been over for long enough, also where two windows
    without a common row said so sooner.
    """
    found: list[Drift] = []
    for each in view.features:
        over_ns = max(each.over_since_ns, since_ns)
        seconds = max(0, view.at_ns - over_ns) / 1e9 if each.over_since_ns else 0.0
        if each.state == "block" and (over_ns == each.over_since_ns or seconds >= view.span_seconds):
            seconds = max(seconds, hold_seconds)
        found += [
            Drift("psi", each.name, each.psi, each.psi_line, seconds, each.armed),
            Drift("ks", each.name, each.ks, each.ks_line, seconds, each.armed),
        ]
    return tuple(found)

"""Verdicts as metrics: what the evidence says, how far it is from its limits, and which gates are breached."""

from bus.messages import Trial, Verdict
from monitoring.metrics import DECISIONS, RELEASE_GATES, Metrics

_EVIDENCE = "evidence_"


class ReleaseGauges:
    """Carries verdicts over."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics

    def show(self, said: Verdict) -> None:
        """Show the newest verdict of a trial."""
        metrics, trial, numbers = self._metrics, said.trial, said.numbers
        for decision in DECISIONS:
            metrics.release_decision.labels(trial, decision).set(decision == said.decision)
        for gauge, values in ((metrics.release_evidence, numbers), (metrics.release_evidence_limit, said.limits)):
            for name, value in values.items():
                if name.startswith(_EVIDENCE):
                    gauge.labels(trial, name.removeprefix(_EVIDENCE)).set(value)
        metrics.release_sample.labels(trial).set(numbers.get("sample_canary", numbers.get("candidates", 0.0)))
        metrics.release_budget_used.labels(trial).set(said.budget_used)
        breached = {gate_of(each.reason) for each in (*said.breaches, *said.observed)}
        for gate in RELEASE_GATES:
            metrics.gate_breached.labels(trial, gate).set(gate in breached)
        if "winrate_gap" in numbers:
            # The verdict's gap is the active route's win rate less the canary's.
            for bound, name in (("mean", "winrate_gap"), ("low", "winrate_gap_high"), ("high", "winrate_gap_low")):
                metrics.release_gap.labels(bound).set(-numbers[name])

    def ended(self, trial: Trial) -> None:
        """Show that a trial is over: nothing is decided in it any more."""
        for decision in DECISIONS:
            self._metrics.release_decision.labels(trial, decision).set(0)
        for gate in RELEASE_GATES:
            self._metrics.gate_breached.labels(trial, gate).set(0)
        self._metrics.release_sample.labels(trial).set(0)
        self._metrics.release_budget_used.labels(trial).set(0)


def gate_of(reason: str) -> str:
    """Return the gate behind a reason: psi_feature_NAME is psi_feature's."""
    return next((gate for gate in ("psi_feature", "ks_feature") if reason.startswith(gate)), reason)

"""What the evidence of a trial means under a policy: promote, hold or roll back, with the limits that were passed.

Pure: the same evidence under the same policy is the same verdict, so a recorded trial can be judged again.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Literal

from evaluation.trials import (
    METRIC_WEIGHTS,
    ActiveEvidence,
    ActiveTrial,
    CanaryEvidence,
    CanaryTrial,
    ShadowEvidence,
    ShadowTrial,
)

Decision = Literal["promote", "hold", "roll_back"]

SAMPLE_RATIO_EVIDENCE = 1_000.0
"""Evidence at which routing is taken as broken: once in 1,000 canaries by luck."""


@dataclass(frozen=True, slots=True)
class Policy:
    """Every limit a verdict is made by; `Release.policy()` builds it from the section `release`. Shares, not percent.

    `observe` names the gates that only say what they would do.
    """

    observe: frozenset[str]
    shadow_min_candidates: int
    shadow_margin: float
    shadow_evidence: float
    min_sample: int
    winrate_delta: float
    alpha: float
    alpha_promote: float
    seq_min_sample: int
    cap_trades: int
    cap_seconds: float
    drift_seconds: float
    ece_block: float
    ece_min_rows: int
    throughput_ratio: float
    markout_floor_bps: float
    fill_rate_floor: float
    execution_min_sample: int
    detector_threshold: float

    def shadow_trial(self) -> ShadowTrial:
        """Return a shadow's trial that has seen nothing."""
        return ShadowTrial(self.shadow_margin, self.ece_block, self.shadow_min_candidates, self.shadow_evidence)

    def canary_trial(self, salt: str) -> CanaryTrial:
        """Return the trial of the canary with this salt that has seen nothing."""
        return CanaryTrial(salt, self.winrate_delta, self.seq_min_sample)

    def active_trial(self) -> ActiveTrial:
        """Return the trial of a version that has just become active."""
        return ActiveTrial(self.ece_block)


@dataclass(frozen=True, slots=True)
class Drift:
    """One feature's PSI or KS: its value, its line, for how long it has been over, and whether the gate is armed."""

    kind: Literal["psi", "ks"]
    feature: str
    value: float
    line: float
    over_seconds: float
    is_armed: bool


@dataclass(frozen=True, slots=True)
class Guards:
    """What live measured of the version on trial beside the bets; a field left out is not known and blocks nothing.

    `parity_failures` within `release.parity_minutes`. `entries_per_hour` against the 95 % quantile of the release
    before. Markout in bps after 1 s over `markout_fills` fills, fill rate over `fill_orders` entries. `ece` is the
    debiased calibration error of `ece_rows` candidates. `precision` with its floor is given when risk halts on it.
    """

    parity_failures: int = 0
    drifts: tuple[Drift, ...] = ()
    entries_per_hour: float = 0.0
    previous_entries_p95: float | None = None
    markout_bps: float = 0.0
    markout_fills: int = 0
    fill_rate: float = 0.0
    fill_orders: int = 0
    ece: float = 0.0
    ece_rows: int = 0
    precision: float | None = None
    precision_floor: float = 0.0


@dataclass(frozen=True, slots=True)
class Evidence:
    """What a verdict is made of: a trial's evidence, the guards, and how long the trial has run."""

    found: ShadowEvidence | CanaryEvidence | ActiveEvidence
    guards: Guards = field(default_factory=Guards)
    elapsed_seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Breach:
    """One limit that the evidence is beyond. `reason` is a gate's name; psi_feature and ks_feature name the feature."""

    gate: str
    reason: str
    value: float
    limit: float
    text: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a trial's evidence says. `observed` are breaches of gates that only watch.

    `is_inconclusive`: the canary reached its cap without an answer. `budget_used` is the share, 0 to 1, of the evidence
    at which the trial's own test withdraws the version.
    """

    decision: Decision
    breaches: tuple[Breach, ...]
    observed: tuple[Breach, ...]
    numbers: dict[str, float]
    limits: dict[str, float]
    budget_used: float
    is_inconclusive: bool = False


def decide(policy: Policy, evidence: Evidence) -> Verdict:
    """Return the verdict. A breach of a gate that decides rolls back, whatever speaks for the version."""
    found = evidence.found
    if isinstance(found, ShadowEvidence):
        return _verdict(policy, evidence, *_shadow(policy, found))
    if isinstance(found, CanaryEvidence):
        return _verdict(policy, evidence, *_canary(policy, found, evidence.elapsed_seconds))
    return _verdict(policy, evidence, *_active(policy, found))


Judgement = tuple[list[Breach], bool, bool, float, dict[str, float], dict[str, float]]
"""What one kind of trial adds: its breaches, whether it would promote, whether it is at its cap, the share of budget
used, its numbers and its limits."""


def _verdict(
    policy: Policy,
    evidence: Evidence,
    breaches: list[Breach],
    would_promote: bool,
    at_cap: bool,
    budget_used: float,
    numbers: dict[str, float],
    limits: dict[str, float],
) -> Verdict:
    breaches += _guard_breaches(policy, evidence)
    deciding = tuple(breach for breach in breaches if breach.gate not in policy.observe)
    clear = not any(_is_over(each) and f"{each.kind}_feature" not in policy.observe for each in evidence.guards.drifts)
    decision: Decision = "roll_back" if deciding else "promote" if would_promote and clear else "hold"
    return Verdict(
        decision=decision,
        breaches=deciding,
        observed=tuple(breach for breach in breaches if breach.gate in policy.observe),
        numbers=numbers | _guard_numbers(evidence.guards) | {"elapsed_seconds": evidence.elapsed_seconds},
        limits=limits,
        budget_used=min(budget_used, 1.0),
        is_inconclusive=at_cap and decision == "hold",
    )


def _shadow(policy: Policy, found: ShadowEvidence) -> Judgement:
    limit = policy.shadow_evidence
    breaches = []
    if found.worse >= limit:
        text = f"worse than the active version by {found.brier_gap:.4f} Brier over {found.candidates} candidates"
        breaches.append(Breach("shadow_quality", "shadow_quality", found.worse, limit, text))
    if found.money_worse >= limit:
        text = f"wins less where only one of the two would trade, {found.disagreements} candidates"
        breaches.append(Breach("shadow_money", "shadow_money", found.money_worse, limit, text))
    breaches += _calibration(policy, found.calibration)
    would_promote = found.candidates >= policy.shadow_min_candidates and found.not_worse >= limit
    numbers = {
        "candidates": float(found.candidates),
        "brier_gap": found.brier_gap,
        "evidence_worse": found.worse,
        "evidence_not_worse": found.not_worse,
        "evidence_money_worse": found.money_worse,
        "evidence_money_better": found.money_better,
        "disagreements": float(found.disagreements),
        "evidence_calibration": found.calibration,
    }
    limits = {
        "candidates": float(policy.shadow_min_candidates),
        "brier_gap": policy.shadow_margin,
        "evidence_worse": limit,
        "evidence_not_worse": limit,
        "evidence_money_worse": limit,
        "evidence_calibration": policy.detector_threshold,
    }
    return breaches, would_promote, False, found.worse / limit, numbers, limits


def _canary(policy: Policy, found: CanaryEvidence, elapsed_seconds: float) -> Judgement:
    limit, limit_promote = 1.0 / policy.alpha, 1.0 / policy.alpha_promote
    guardrails = all(each < limit for each in found.by_metric.values()) and found.sample_ratio < SAMPLE_RATIO_EVIDENCE
    would_promote = found.canary_trades >= policy.min_sample and found.not_worse >= limit_promote and guardrails
    numbers = {
        "sample_canary": float(found.canary_trades),
        "sample_active": float(found.active_trades),
        "winrate_canary": found.canary_winrate,
        "winrate_baseline_active": found.active_winrate,
        "winrate_gap": found.gap,
        "winrate_gap_low": found.gap_low,
        "winrate_gap_high": found.gap_high,
        "evidence_worse": found.worse,
        "evidence_not_worse": found.not_worse,
        "evidence_sample_ratio": found.sample_ratio,
        "candidates": float(found.candidates),
        "canary_candidates": float(found.canary_candidates),
        "foreign": float(found.foreign),
    } | {f"evidence_worse_{metric}": found.by_metric[metric] for metric in METRIC_WEIGHTS}
    limits = {
        "sample_canary": float(policy.min_sample),
        "cap_trades": float(policy.cap_trades),
        "cap_seconds": policy.cap_seconds,
        "winrate_gap": policy.winrate_delta,
        "evidence_worse": limit,
        "evidence_not_worse": limit_promote,
        "evidence_sample_ratio": SAMPLE_RATIO_EVIDENCE,
    }
    at_cap = found.canary_trades >= policy.cap_trades or elapsed_seconds >= policy.cap_seconds
    return list(_winrate(policy, found)), would_promote, at_cap, found.worse / limit, numbers, limits


def _active(policy: Policy, found: ActiveEvidence) -> Judgement:
    limit = policy.detector_threshold
    breaches = list(_calibration(policy, found.calibration))
    if found.detector >= limit:
        text = f"worse than the version before by {found.brier_gap:.4f} Brier over {found.compared} candidates"
        breaches.append(Breach("post_promotion", "post_promotion", found.detector, limit, text))
    numbers = {
        "candidates": float(found.candidates),
        "compared": float(found.compared),
        "brier_gap": found.brier_gap,
        "evidence_detector": found.detector,
        "evidence_calibration": found.calibration,
    }
    limits = {"evidence_detector": limit, "evidence_calibration": limit}
    return breaches, False, False, max(found.detector, found.calibration) / limit, numbers, limits


def _winrate(policy: Policy, found: CanaryEvidence) -> Iterator[Breach]:
    """The runbook's rule word for word, cumulative and against the active route of the same time; then the bet."""
    floor = found.active_winrate - policy.winrate_delta
    if found.active_trades and found.canary_trades >= policy.min_sample and found.canary_winrate < floor:
        text = (
            f"win rate {found.canary_winrate:.4f} of {found.canary_trades} canary trades is under"
            f" {found.active_winrate:.4f} of the active route less {policy.winrate_delta:.3f}"
        )
        yield Breach("winrate_delta", "winrate_delta", found.canary_winrate, floor, text)
    if found.worse >= 1.0 / policy.alpha:
        text = f"evidence that the canary is worse, after {found.canary_trades} canary trades: {found.worse:.3g}"
        yield Breach("winrate_seq", "winrate_seq", found.worse, 1.0 / policy.alpha, text)


def _calibration(policy: Policy, evidence: float) -> Iterator[Breach]:
    if evidence >= policy.detector_threshold:
        text = f"evidence that scores miss the truth by more than {policy.ece_block:g}: {evidence:.3g}"
        yield Breach("calibration", "calibration", evidence, policy.detector_threshold, text)


def _guard_breaches(policy: Policy, evidence: Evidence) -> Iterator[Breach]:
    guards = evidence.guards
    checks: tuple[Callable[[Policy, Guards], Iterator[Breach]], ...] = (_parity, _ece)
    if not isinstance(evidence.found, ShadowEvidence):
        # A shadow trades nothing, and drift of its input is no fault of it: that only delays its promotion.
        checks += (_drift, _throughput, _execution, _precision)
    for check in checks:
        yield from check(policy, guards)


def _parity(_: Policy, guards: Guards) -> Iterator[Breach]:
    if guards.parity_failures > 0:
        text = f"{guards.parity_failures} parity failures within the window"
        yield Breach("onnx_parity_fail", "onnx_parity_fail", float(guards.parity_failures), 0.0, text)


def _ece(policy: Policy, guards: Guards) -> Iterator[Breach]:
    if guards.ece_rows >= policy.ece_min_rows and guards.ece > policy.ece_block:
        text = f"debiased calibration error {guards.ece:.4f} over {guards.ece_rows} candidates"
        yield Breach("calibration", "calibration", guards.ece, policy.ece_block, text)


def _is_over(drift: Drift) -> bool:
    return drift.is_armed and drift.value > drift.line


def _drift(policy: Policy, guards: Guards) -> Iterator[Breach]:
    for drift in guards.drifts:
        if _is_over(drift) and drift.over_seconds >= policy.drift_seconds:
            gate = f"{drift.kind}_feature"
            text = f"{drift.kind.upper()} of {drift.feature} over its line for {drift.over_seconds:.0f} s"
            yield Breach(gate, f"{gate}_{drift.feature}", drift.value, drift.line, text)


def _throughput(policy: Policy, guards: Guards) -> Iterator[Breach]:
    if guards.previous_entries_p95 is None:
        return
    limit = policy.throughput_ratio * guards.previous_entries_p95
    if guards.entries_per_hour > limit:
        text = (
            f"{guards.entries_per_hour:.0f} entries in an hour, the release before: {guards.previous_entries_p95:.0f}"
        )
        yield Breach("throughput", "throughput", guards.entries_per_hour, limit, text)


def _execution(policy: Policy, guards: Guards) -> Iterator[Breach]:
    least = policy.execution_min_sample
    if guards.markout_fills >= least and guards.markout_bps < policy.markout_floor_bps:
        text = f"mean markout {guards.markout_bps:.2f} bps over {guards.markout_fills} fills"
        yield Breach("markout", "markout", guards.markout_bps, policy.markout_floor_bps, text)
    if guards.fill_orders >= least and guards.fill_rate < policy.fill_rate_floor:
        text = f"fill rate {guards.fill_rate:.3f} over {guards.fill_orders} entries"
        yield Breach("fill_rate", "fill_rate", guards.fill_rate, policy.fill_rate_floor, text)


def _precision(_: Policy, guards: Guards) -> Iterator[Breach]:
    if guards.precision is not None and guards.precision < guards.precision_floor:
        text = f"precision {guards.precision:.3f} is under its floor"
        yield Breach("precision_halt", "precision_halt", guards.precision, guards.precision_floor, text)


def _guard_numbers(guards: Guards) -> dict[str, float]:
    """What the guards measured, those alone that are known."""
    numbers = {"parity_failures": float(guards.parity_failures), "drift_over": float(sum(map(_is_over, guards.drifts)))}
    numbers["drift_armed"] = float(sum(drift.is_armed for drift in guards.drifts))
    if guards.ece_rows:
        numbers |= {"ece": guards.ece, "ece_rows": float(guards.ece_rows)}
    if guards.previous_entries_p95 is not None:
        numbers |= {"entries_per_hour": guards.entries_per_hour, "previous_entries_p95": guards.previous_entries_p95}
    if guards.markout_fills:
        numbers |= {"markout_bps": guards.markout_bps, "markout_fills": float(guards.markout_fills)}
    if guards.fill_orders:
        numbers |= {"fill_rate": guards.fill_rate, "fill_orders": float(guards.fill_orders)}
    if guards.precision is not None:
        numbers["precision"] = guards.precision
    return numbers

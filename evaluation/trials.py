"""The three trials a version stands, each a fold over observations in the order in which their candidates were decided.

Only matured candidates may be fed: decided, and their whole horizon behind them, in both routes; otherwise fast losses
arrive before slow wins. A trial is cheap (a few microseconds an observation), and what it knows is `state()`.
"""

from dataclasses import dataclass, field
from math import isfinite
from statistics import NormalDist
from typing import Literal

from evaluation.errors import BadSample
from evaluation.paired import (
    BRIER_STAKES,
    ORDER_STAKES,
    CalibrationBet,
    EDetector,
    GateBet,
    HorizonBet,
    Ordering,
    PairedBet,
    brier_difference,
)
from evaluation.sequential import Centre, Fold, Gap, LabelBet, SampleRatio

Metric = Literal["winrate", "markout", "fill", "latency"]
METRIC_WEIGHTS: dict[Metric, float] = {"winrate": 0.4, "markout": 0.3, "fill": 0.15, "latency": 0.15}
"""Share of the evidence that each metric of a canary may bring; one that is never seen keeps evidence 1."""

MARKOUT_BOUND_BPS = 5.0

_AIM_SHARE = 0.6  # a shadow's HorizonBet aims at limit / 0.6: with its weight of 0.7 that is above the limit


@dataclass(frozen=True, slots=True)
class Judged:
    """One matured candidate, traded or not, as two versions judged it.

    `probability` and `approves` are those of the version on trial, `other_probability` (None without another version)
    and `other_approves` those of the one beside it. `has_won` is the barrier label. `is_apart`: no candidate of its
    symbol that was counted as apart lies within a horizon before it. Neighbours share their market, so their outcome,
    and two versions differ on them in one way: a bet takes those apart alone, else it takes one piece of luck for
    sixty. What is only counted, counts all.
    """

    has_won: bool
    probability: float
    approves: bool
    other_probability: float | None = None
    other_approves: bool = False
    is_apart: bool = True


@dataclass(frozen=True, slots=True)
class Routed:
    """One matured candidate of a canary, on either route: approved or not, won or not.

    `fraction` is the chance that the canary's label had when the candidate was routed, `salt` the canary's.
    """

    salt: str
    fraction: float
    is_canary: bool
    is_approved: bool
    has_won: bool


@dataclass(frozen=True, slots=True)
class Executed:
    """One figure of an order of an approved candidate, on either route.

    `value` is bps for markout (positive is good), and 1 or 0 for fill (the entry filled) and latency (within its
    limit). Routed's `salt` and `fraction`.
    """

    salt: str
    fraction: float
    is_canary: bool
    metric: Metric
    value: float


@dataclass(frozen=True, slots=True)
class ShadowEvidence:
    """What a shadow's trial knows. `brier_gap` is the mean of d, positive when the shadow is worse."""

    candidates: int
    brier_gap: float
    worse: float  # peaks of the bets, as all below
    not_worse: float
    money_worse: float
    money_better: float
    disagreements: int
    calibration: float


@dataclass(frozen=True, slots=True)
class CanaryEvidence:
    """What a canary's trial knows: counts by route, and the peaks of its bets."""

    candidates: int
    canary_candidates: int
    canary_trades: int
    canary_wins: int
    active_trades: int
    active_wins: int
    foreign: int  # observations of another salt, or without a share: not counted
    worse: float
    not_worse: float
    by_metric: dict[Metric, float]  # evidence that the canary is worse, each metric by itself
    sample_ratio: float
    gap: float  # win rate of active less canary
    gap_low: float
    gap_high: float

    @property
    def canary_winrate(self) -> float:
        """Share of the canary's trades that won; 0 without a trade."""
        return self.canary_wins / self.canary_trades if self.canary_trades else 0.0

    @property
    def active_winrate(self) -> float:
        """The same of the active route since the canary began."""
        return self.active_wins / self.active_trades if self.active_trades else 0.0


@dataclass(frozen=True, slots=True)
class ActiveEvidence:
    """What is known of the version that trades. `detector` is 0 without a version beside it."""

    candidates: int
    compared: int
    brier_gap: float
    detector: float
    calibration: float


@dataclass(slots=True)
class ShadowTrial(Fold):
    """A shadow beside the active version, paired: counted on every candidate, bet on those apart.

    It is worse by three bets whose weighted mean is the evidence: 0.7 on a HorizonBet of the ordering, aimed at
    `horizon` candidates, 0.15 each on fixed stakes on the ordering and on the Brier difference. It is not worse by a
    bet against "worse by `margin` Brier or more". `limit` is the evidence that decides.
    """

    RUNNING = (
        "candidates", "difference", "worse_peak", "not_worse_peak", "ordering", "aimed", "ordered", "brier",
        "not_worse", "money", "calibration",
    )  # fmt: skip
    margin: float
    calibration_margin: float
    horizon: int
    limit: float
    candidates: int = 0
    difference: float = 0.0
    worse_peak: float = 1.0
    not_worse_peak: float = 1.0
    ordering: Ordering = field(default_factory=Ordering)
    aimed: HorizonBet = field(init=False)
    ordered: PairedBet = field(default_factory=lambda: PairedBet(ORDER_STAKES))
    brier: PairedBet = field(default_factory=lambda: PairedBet(BRIER_STAKES))
    not_worse: PairedBet = field(default_factory=lambda: PairedBet(BRIER_STAKES))
    money: GateBet = field(default_factory=GateBet)
    calibration: CalibrationBet = field(init=False)

    def __post_init__(self) -> None:
        self.aimed = HorizonBet(self.horizon, NormalDist().inv_cdf(1.0 - _AIM_SHARE / self.limit))
        self.calibration = CalibrationBet(self.calibration_margin)

    def take(self, seen: Judged) -> None:
        """Take one candidate that both versions judged. Raises BadSample where only one did, or scores are none."""
        if seen.other_probability is None:
            raise BadSample("a shadow's trial wants candidates judged by both versions, found one without the active's")
        _check(seen)
        y = 1.0 if seen.has_won else 0.0
        difference, bound = brier_difference(seen.probability, seen.other_probability, y)
        self.candidates += 1
        self.difference += difference
        if not seen.is_apart:
            return
        order, order_bound = self.ordering.take(seen.probability, seen.other_probability, y)
        self.brier.take(difference, bound)
        self.ordered.take(order, order_bound)
        self.aimed.take(order, order_bound)
        self.not_worse.take(self.margin - difference, bound + self.margin)
        self.money.take(seen.approves, seen.other_approves, y)
        self.calibration.take(seen.probability, y)
        worse = 0.7 * self.aimed.evidence + 0.15 * self.ordered.evidence + 0.15 * self.brier.evidence
        self.worse_peak = max(self.worse_peak, worse)
        self.not_worse_peak = max(self.not_worse_peak, self.not_worse.evidence)

    def evidence(self) -> ShadowEvidence:
        """Return what is known so far."""
        return ShadowEvidence(
            candidates=self.candidates,
            brier_gap=self.difference / self.candidates if self.candidates else 0.0,
            worse=self.worse_peak,
            not_worse=self.not_worse_peak,
            money_worse=self.money.worse_peak,
            money_better=self.money.better_peak,
            disagreements=self.money.rows,
            calibration=self.calibration.peak,
        )


@dataclass(slots=True)
class MetricBet(Fold):
    """One metric of a canary: its running mean and the bet that the canary is worse."""

    RUNNING = ("centre", "worse")
    centre: Centre = field(default_factory=Centre)
    worse: LabelBet = field(default_factory=lambda: LabelBet(is_worse=True))

    def take(self, fraction: float, is_canary: bool, y: float) -> None:
        """Take one trade's y in [0, 1]."""
        self.worse.take(fraction, is_canary, y, self.centre.value)
        self.centre.take(y)


@dataclass(slots=True)
class CanaryTrial(Fold):
    """A canary beside the active route at the same time, of one salt.

    `delta` is the win rate by which a canary may be lower (a share), `seq_min_sample` the canary trades before the
    label bet counts.
    """

    RUNNING = (
        "candidates", "canary_candidates", "canary_trades", "canary_wins", "active_trades", "active_wins", "foreign",
        "worse_peak", "winrate", "not_worse", "markout", "fill", "latency", "ratio", "gap",
    )  # fmt: skip
    salt: str
    delta: float
    seq_min_sample: int
    candidates: int = 0
    canary_candidates: int = 0
    canary_trades: int = 0
    canary_wins: int = 0
    active_trades: int = 0
    active_wins: int = 0
    foreign: int = 0
    worse_peak: float = 0.0
    winrate: MetricBet = field(default_factory=MetricBet)
    not_worse: LabelBet = field(init=False)
    markout: MetricBet = field(default_factory=MetricBet)
    fill: MetricBet = field(default_factory=MetricBet)
    latency: MetricBet = field(default_factory=MetricBet)
    ratio: SampleRatio = field(default_factory=SampleRatio)
    gap: Gap = field(default_factory=Gap)

    def __post_init__(self) -> None:
        self.not_worse = LabelBet(is_worse=False, margin=self.delta)

    def take(self, seen: Routed | Executed) -> None:
        """Take one observation; those of another canary, or of no canary, are counted and left aside.

        Raises BadSample for a value that is not finite, or no share where one is wanted.
        """
        if seen.salt != self.salt or not 0.0 < seen.fraction < 1.0:
            self.foreign += 1
        elif isinstance(seen, Routed):
            self._routed(seen)
        else:
            self._executed(seen)

    def evidence(self) -> CanaryEvidence:
        """Return what is known so far."""
        gap, low, high = self.gap.interval()
        return CanaryEvidence(
            candidates=self.candidates,
            canary_candidates=self.canary_candidates,
            canary_trades=self.canary_trades,
            canary_wins=self.canary_wins,
            active_trades=self.active_trades,
            active_wins=self.active_wins,
            foreign=self.foreign,
            worse=self.worse_peak,
            not_worse=self.not_worse.peak,
            by_metric={metric: self._bet(metric).worse.peak for metric in METRIC_WEIGHTS},
            sample_ratio=self.ratio.peak,
            gap=gap,
            gap_low=low,
            gap_high=high,
        )

    def _routed(self, seen: Routed) -> None:
        self.candidates += 1
        self.canary_candidates += seen.is_canary
        self.ratio.take(seen.fraction, seen.is_canary)
        if not seen.is_approved:
            return
        y = 1.0 if seen.has_won else 0.0
        if seen.is_canary:
            self.canary_trades += 1
            self.canary_wins += seen.has_won
        else:
            self.active_trades += 1
            self.active_wins += seen.has_won
        centre = self.winrate.centre.value
        self.not_worse.take(seen.fraction, seen.is_canary, y, centre)
        self.gap.take(seen.fraction, seen.is_canary, y, centre)
        self.winrate.take(seen.fraction, seen.is_canary, y)
        self._look()

    def _executed(self, seen: Executed) -> None:
        y = seen.value
        if not (isfinite(y) if seen.metric == "markout" else 0.0 <= y <= 1.0):
            raise BadSample(
                f"{seen.metric} must be {'finite bps' if seen.metric == 'markout' else '0 to 1'}, found {y}"
            )
        if seen.metric == "markout":
            y = 0.5 + min(max(y, -MARKOUT_BOUND_BPS), MARKOUT_BOUND_BPS) / (2.0 * MARKOUT_BOUND_BPS)
        self._bet(seen.metric).take(seen.fraction, seen.is_canary, y)
        self._look()

    def _look(self) -> None:
        if self.canary_trades < self.seq_min_sample:
            return
        found = (
            METRIC_WEIGHTS["winrate"] * self.winrate.worse.evidence
            + METRIC_WEIGHTS["markout"] * self.markout.worse.evidence
            + METRIC_WEIGHTS["fill"] * self.fill.worse.evidence
            + METRIC_WEIGHTS["latency"] * self.latency.worse.evidence
        )
        self.worse_peak = max(self.worse_peak, found)

    def _bet(self, metric: Metric) -> MetricBet:
        bet: MetricBet = getattr(self, metric)
        return bet


@dataclass(slots=True)
class ActiveTrial(Fold):
    """The version that trades, since it became active; with the version before beside it, its detector watches."""

    RUNNING = (
        "candidates", "compared", "difference", "detector_peak", "ordering", "ordered", "brier", "calibration"
    )  # fmt: skip
    calibration_margin: float
    candidates: int = 0
    compared: int = 0
    difference: float = 0.0
    detector_peak: float = 0.0
    ordering: Ordering = field(default_factory=Ordering)
    ordered: EDetector = field(default_factory=lambda: EDetector(ORDER_STAKES))
    brier: EDetector = field(default_factory=lambda: EDetector(BRIER_STAKES))
    calibration: CalibrationBet = field(init=False)

    def __post_init__(self) -> None:
        self.calibration = CalibrationBet(self.calibration_margin)

    def take(self, seen: Judged) -> None:
        """Take one candidate that the version judged, and the version before if it still does."""
        _check(seen)
        y = 1.0 if seen.has_won else 0.0
        self.candidates += 1
        if seen.is_apart:
            self.calibration.take(seen.probability, y)
        if seen.other_probability is None:
            return
        difference, bound = brier_difference(seen.probability, seen.other_probability, y)
        self.compared += 1
        self.difference += difference
        if not seen.is_apart:
            return
        self.brier.take(difference, bound)
        self.ordered.take(*self.ordering.take(seen.probability, seen.other_probability, y))
        self.detector_peak = max(self.detector_peak, 0.5 * (self.brier.evidence + self.ordered.evidence))

    def evidence(self) -> ActiveEvidence:
        """Return what is known so far."""
        return ActiveEvidence(
            candidates=self.candidates,
            compared=self.compared,
            brier_gap=self.difference / self.compared if self.compared else 0.0,
            detector=self.detector_peak,
            calibration=self.calibration.peak,
        )


def _check(seen: Judged) -> None:
    """Refuse scores that are no probabilities: one NaN would end the evidence for good."""
    for p in (seen.probability, seen.other_probability):
        if p is not None and not 0.0 <= p <= 1.0:
            raise BadSample(f"a judged candidate's probabilities must lie in 0 to 1, found {p}")

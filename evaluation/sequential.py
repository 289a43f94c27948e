"""Evidence that may be looked at after every observation: bets whose wealth a true hypothesis lets grow only by luck.

A bet starts with wealth 1 and multiplies it by 1 + stake x gain. While its hypothesis holds, the gain's mean given the
past is not above 0, so the wealth ever reaches 1/alpha with a chance of at most alpha (Ville 1939), however often
somebody looks. Several stakes are held side by side and averaged, since the best one depends on the unknown effect.
Everything here is a fold: the same observations in the same order leave the same floats, and `state` / `restore` carry
them over a restart unchanged.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import log, sqrt
from typing import Any, ClassVar

LABEL_STAKES = (0.15, 0.22, 0.32, 0.45, 0.65, 0.95, 1.4)
PAIRED_STAKES = (0.5, 1.0, 2.0, 4.0)
GATE_STAKES = (0.05, 0.1, 0.2, 0.4, 0.8)
RATIO_STAKES = (0.05, 0.1, 0.2, 0.4, 0.8)
CALIBRATION_STAKES = (0.1, 0.2, 0.4, 0.8)
"""Stakes of each bet: about the mean over the variance of the gains that should be found soon."""

HALF_LIFE_TRADES = 500.0
_KEPT = 0.5 ** (1.0 / HALF_LIFE_TRADES)
_PRIOR_TRADES = 10.0
_LOWEST_CENTRE, _HIGHEST_CENTRE = 0.2, 0.8
_MOST_LOST = 0.9  # share of its wealth that a bet can lose at once
_MOST_WEALTH = 1e250  # wealth above it is forgotten, which only weakens a bet; products stay finite


class Fold:
    """What has figures that grow with observations: `state` gives them as plain numbers, `restore` takes them back."""

    __slots__ = ()
    RUNNING: ClassVar[tuple[str, ...]] = ()
    """Fields that observations change; the others are given at birth."""

    def state(self) -> dict[str, Any]:
        """Return the running figures: numbers, lists of numbers, and the same of the folds inside, by field."""
        found: dict[str, Any] = {}
        for name in self.RUNNING:
            value = getattr(self, name)
            found[name] = value.state() if isinstance(value, Fold) else list(value) if type(value) is list else value
        return found

    def restore(self, state: Mapping[str, Any]) -> None:
        """Take back what `state` returned, float for float. Raises KeyError where a field is missing."""
        for name in self.RUNNING:
            value = getattr(self, name)
            if isinstance(value, Fold):
                value.restore(state[name])
            else:
                setattr(self, name, list(state[name]) if type(value) is list else state[name])


def grow(wealth: list[float], stakes: tuple[float, ...], most: float, gain: float) -> float:
    """Multiply each wealth by 1 + stake x gain, stakes cut at `most`, and return their mean afterwards."""
    total = 0.0
    for index, stake in enumerate(stakes):
        grown = min(wealth[index] * (1.0 + (stake if stake < most else most) * gain), _MOST_WEALTH)
        wealth[index] = grown
        total += grown
    return total / len(stakes)


def _ones(stakes: tuple[float, ...]) -> list[float]:
    return [1.0] * len(stakes)


@dataclass(slots=True)
class Centre(Fold):
    """The mean of y in [0, 1] over the trades before, both routes pooled: newer trades weigh more, by a half-life of
    500 trades, and 10 trades at 0.5 stand in at the start.
    """

    RUNNING = ("total", "weight")
    total: float = 0.5 * _PRIOR_TRADES
    weight: float = _PRIOR_TRADES

    @property
    def value(self) -> float:
        """The mean, within [0.2, 0.8]: a bet around an extreme one would have to be tiny."""
        mean = self.total / self.weight
        return min(max(mean, _LOWEST_CENTRE), _HIGHEST_CENTRE)

    def take(self, y: float) -> None:
        """Count one trade more."""
        self.total = self.total * _KEPT + y
        self.weight = self.weight * _KEPT + 1.0


@dataclass(slots=True)
class LabelBet(Fold):
    """Bets on the route's label: is the canary's mean of y lower than that of the active route at the same time?

    With the known chance f of the canary's label R, s = (f - R)(y - c) has mean f (1 - f)(mean_active - mean_canary)
    (Lindon and Malek 2022; bets as in Waudby-Smith and Ramdas 2024). A swing that both routes share cancels out.
    `is_worse` bets on s, against "the canary is not worse". Otherwise the bet is on f (1 - f) margin - s, against "the
    canary is worse by `margin` or more".
    """

    RUNNING = ("wealth", "evidence", "peak")
    is_worse: bool
    margin: float = 0.0
    wealth: list[float] = field(default_factory=lambda: _ones(LABEL_STAKES))
    evidence: float = 1.0
    peak: float = 1.0

    def take(self, fraction: float, is_canary: bool, y: float, centre: float) -> None:
        """Bet on one trade: chance of its label in (0, 1), label, y in [0, 1], and the mean of y known before it."""
        spread = fraction * (1.0 - fraction)
        score = (fraction - 1.0 if is_canary else fraction) * (y - centre)
        gain = score if self.is_worse else spread * self.margin - score
        bound = max(fraction, 1.0 - fraction) * max(centre, 1.0 - centre) + spread * self.margin
        self.evidence = grow(self.wealth, LABEL_STAKES, _MOST_LOST / bound, gain)
        self.peak = max(self.peak, self.evidence)


@dataclass(slots=True)
class PairedBet(Fold):
    """Bets on the paired difference of squared errors, d = (p - y)^2 - (p_other - y)^2, of every matured candidate.

    Henzi and Ziegel 2022; Choe and Ramdas 2023. `is_worse` bets on d, against "p is not worse". Otherwise the bet is
    on margin - d, against "p is worse by `margin` Brier or more". A stake is cut where the two scores, known before
    y, could make it lose too much at once.
    """

    RUNNING = ("wealth", "evidence", "peak")
    is_worse: bool
    margin: float = 0.0
    wealth: list[float] = field(default_factory=lambda: _ones(PAIRED_STAKES))
    evidence: float = 1.0
    peak: float = 1.0

    def take(self, difference: float, bound: float) -> None:
        """Bet on one candidate's d, which cannot leave [-bound, bound]; see `brier_difference`."""
        gain = difference if self.is_worse else self.margin - difference
        self.evidence = grow(self.wealth, PAIRED_STAKES, _MOST_LOST / (bound + self.margin + 1e-9), gain)
        self.peak = max(self.peak, self.evidence)


@dataclass(slots=True)
class EDetector(Fold):
    """Watches d of PairedBet for a change to the worse: M <- (1 + M)(1 + stake d), a new bet begun at each candidate.

    The mean of M over the stakes reaches A on average not sooner than after A candidates while nothing is wrong
    (e-detector, Shin, Ramdas and Rinaldo 2024; Shiryaev-Roberts form). Long good times are no credit.
    """

    RUNNING = ("wealth", "evidence", "peak")
    wealth: list[float] = field(default_factory=lambda: [0.0] * len(PAIRED_STAKES))
    evidence: float = 0.0
    peak: float = 0.0

    def take(self, difference: float, bound: float) -> None:
        """Take one candidate's d within [-bound, bound]."""
        wealth = self.wealth
        for index in range(len(wealth)):
            wealth[index] += 1.0
        self.evidence = grow(wealth, PAIRED_STAKES, _MOST_LOST / (bound + 1e-9), difference)
        self.peak = max(self.peak, self.evidence)


@dataclass(slots=True)
class GateBet(Fold):
    """Bets on the candidates that only one of two models takes: are those of the first worth less?

    g = y - c where only the first takes it, c - y where only the other does, with y in {0, 1} and c the mean of y over
    the candidates before that either took. `worse` bets on -g, `better` on g.
    """

    RUNNING = ("centre", "worse", "better", "worse_evidence", "better_evidence", "worse_peak", "better_peak", "rows")
    centre: Centre = field(default_factory=Centre)
    worse: list[float] = field(default_factory=lambda: _ones(GATE_STAKES))
    better: list[float] = field(default_factory=lambda: _ones(GATE_STAKES))
    worse_evidence: float = 1.0
    better_evidence: float = 1.0
    worse_peak: float = 1.0
    better_peak: float = 1.0
    rows: int = 0

    def take(self, takes: bool, other_takes: bool, y: float) -> None:
        """Take one matured candidate; those that neither takes, or both do, bear no evidence."""
        if takes is not other_takes:
            centre = self.centre.value
            gain = y - centre if takes else centre - y
            most = _MOST_LOST / max(centre, 1.0 - centre)
            self.worse_evidence = grow(self.worse, GATE_STAKES, most, -gain)
            self.better_evidence = grow(self.better, GATE_STAKES, most, gain)
            self.worse_peak = max(self.worse_peak, self.worse_evidence)
            self.better_peak = max(self.better_peak, self.better_evidence)
            self.rows += 1
        if takes or other_takes:
            self.centre.take(y)


@dataclass(slots=True)
class SampleRatio(Fold):
    """Bets that the canary's label comes with another chance than the one logged: then no figure by route is to be
    trusted. Over all candidates, approved or not; both directions.
    """

    RUNNING = ("more", "less", "evidence", "peak")
    more: list[float] = field(default_factory=lambda: _ones(RATIO_STAKES))
    less: list[float] = field(default_factory=lambda: _ones(RATIO_STAKES))
    evidence: float = 1.0
    peak: float = 1.0

    def take(self, fraction: float, is_canary: bool) -> None:
        """Take one candidate's logged chance of the canary's label, in (0, 1), and its label."""
        gain = 1.0 - fraction if is_canary else -fraction
        more, less = grow(self.more, RATIO_STAKES, 1.0, gain), grow(self.less, RATIO_STAKES, 1.0, -gain)
        self.evidence = 0.5 * (more + less)
        self.peak = max(self.peak, self.evidence)


@dataclass(slots=True)
class CalibrationBet(Fold):
    """Watches for scores that miss the truth by more than `margin`, by an e-detector of four kinds of bet.

    A bet's gain is v (y - p) - |v| margin, with v of 1 and -1 (level), and of p less its mean, both signs (slope);
    Arnold, Henzi and Ziegel 2023. While |P(win | p) - p| <= margin the mean between false alarms at A is not below A.
    """

    RUNNING = ("wealth", "centre", "evidence", "peak", "rows")
    margin: float
    wealth: list[float] = field(default_factory=lambda: [0.0] * (4 * len(CALIBRATION_STAKES)))
    centre: Centre = field(default_factory=Centre)
    evidence: float = 0.0
    peak: float = 0.0
    rows: int = 0

    def take(self, p: float, y: float) -> None:
        """Take one matured candidate's score and label."""
        miss, lean = y - p, 2.0 * (p - self.centre.value)
        wealth, width, total = self.wealth, len(CALIBRATION_STAKES), 0.0
        for kind, lever in enumerate((1.0, -1.0, lean, -lean)):
            gain = lever * miss - abs(lever) * self.margin
            most = _MOST_LOST / (abs(lever) * (1.0 + self.margin) + 1e-9)
            for index, stake in enumerate(CALIBRATION_STAKES, start=kind * width):
                grown = (1.0 + wealth[index]) * (1.0 + min(stake, most) * gain)
                wealth[index] = min(grown, _MOST_WEALTH)
                total += wealth[index]
        self.evidence = total / len(wealth)
        self.peak = max(self.peak, self.evidence)
        self.centre.take(p)
        self.rows += 1


@dataclass(slots=True)
class Gap(Fold):
    """How much lower the canary's mean of y is than the active route's, with an interval that holds at every look.

    The mean of s / (f (1 - f)) with s as in LabelBet. The interval is the asymptotic confidence sequence of
    Waudby-Smith, Arbour, Sinha, Kennedy and Ramdas (2024): Robbins' normal mixture with the running variance.
    """

    RUNNING = ("rows", "total", "squares")
    rows: int = 0
    total: float = 0.0
    squares: float = 0.0

    def take(self, fraction: float, is_canary: bool, y: float, centre: float) -> None:
        """Take one trade, as LabelBet does."""
        value = (fraction - 1.0 if is_canary else fraction) * (y - centre) / (fraction * (1.0 - fraction))
        self.rows += 1
        self.total += value
        self.squares += value * value

    def interval(self, alpha: float = 0.05) -> tuple[float, float, float]:
        """Return (gap, low, high), active less canary; (0, -1, 1) while too little is known. Two-sided at 1 - alpha."""
        if self.rows < 2:
            return 0.0, -1.0, 1.0
        mean = self.total / self.rows
        variance = max(self.squares / self.rows - mean * mean, 0.0)
        mixed = self.rows * _MIXTURE + 1.0
        half = sqrt(variance) * sqrt(2.0 * mixed / (self.rows * self.rows * _MIXTURE) * log(sqrt(mixed) / alpha))
        return mean, max(mean - half, -1.0), min(mean + half, 1.0)


_MIXTURE = 1.6e-3  # rho^2 that makes Gap's interval shortest at about 5,000 trades: (-2 log a + log(1 - 2 log a)) / n


def brier_difference(p: float, other: float, y: float) -> tuple[float, float]:
    """Return d = (p - y)^2 - (other - y)^2 of scores in [0, 1] and y in {0, 1}, and the most |d| could be for any y."""
    apart, both = p - other, p + other
    return apart * (both - 2.0 * y), abs(apart) * max(both, 2.0 - both)

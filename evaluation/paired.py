"""Two models judge the same candidates: bets on which of them is worse, as evaluation.sequential's bets by route.

Paired on every candidate, these see in a thousand candidates what a share of routed trades does not show in sixty
thousand. Observations come in the order of their decisions, matured ones alone (Henzi and Ziegel 2022).
"""

from dataclasses import dataclass, field
from math import erf, exp, pi, sqrt

from evaluation.sequential import KEPT, MOST_LOST, MOST_WEALTH, PRIOR_TRADES, Centre, Fold, grow, ones

BRIER_STAKES = (0.7, 1.5, 3.0)
ORDER_STAKES = (0.25, 0.5, 1.0)
GATE_STAKES = (0.05, 0.1, 0.2, 0.4, 0.8)
CALIBRATION_STAKES = (0.2, 0.6)
"""Stakes of each bet: about the mean over the variance of the gains that should be found soon."""

_TINY = 1e-9  # keeps a stake finite where two scores are equal
_PRIOR_VARIANCE = 0.01  # of scores, worth PRIOR_TRADES candidates
_PRIOR_ORDER_VARIANCE, _PRIOR_ORDER_ROWS = 0.06, 50.0  # of ordering's gains, before the first of them
_MOST_STAKED = 0.5  # of a HorizonBet's wealth: it stakes most when it nears its horizon


def brier_difference(p: float, other: float, y: float) -> tuple[float, float]:
    """Return d = (p - y)^2 - (other - y)^2 of scores in [0, 1] and y in {0, 1}, and the most |d| could be for any y."""
    apart, both = p - other, p + other
    return apart * (both - 2.0 * y), abs(apart) * max(both, 2.0 - both)


@dataclass(slots=True)
class Spread(Fold):
    """Running mean and variance of a score, newer ones weighing more; a prior stands in at the start."""

    RUNNING = ("total", "squares", "weight")
    total: float = 0.5 * PRIOR_TRADES
    squares: float = _PRIOR_VARIANCE * PRIOR_TRADES
    weight: float = PRIOR_TRADES

    def standard(self, p: float) -> float:
        """Return p's distance from the mean in deviations, by what was known before p, and count p."""
        apart = p - self.total / self.weight
        standard = apart / sqrt(self.squares / self.weight)
        self.total = self.total * KEPT + p
        self.squares = self.squares * KEPT + apart * apart
        self.weight = self.weight * KEPT + 1.0
        return standard


@dataclass(slots=True)
class Ordering(Fold):
    """Whether one model puts winners less above losers than another: g = (z_other - z)(y - c).

    z are the models' scores in deviations from their own running mean, c the running share of wins. The mean of g is
    the difference of the covariances with winning: what is left of a Brier difference when calibration, which a model
    can be given afterwards, is left out, and so half the noise.
    """

    RUNNING = ("mine", "others", "centre")
    mine: Spread = field(default_factory=Spread)
    others: Spread = field(default_factory=Spread)
    centre: Centre = field(default_factory=Centre)

    def take(self, p: float, other: float, y: float) -> tuple[float, float]:
        """Return g of one candidate, and the most |g| could be for any y."""
        apart = self.others.standard(other) - self.mine.standard(p)
        centre = self.centre.value
        self.centre.take(y)
        return apart * (y - centre), abs(apart) * max(centre, 1.0 - centre)


@dataclass(slots=True)
class PairedBet(Fold):
    """Bets that a gain has a mean above 0. A stake is cut where the gain's bound, known before y, could cost too much.

    The gain is `brier_difference` or `Ordering`'s against "p is not worse", and margin - d against "p is worse by
    `margin` Brier or more" (Choe and Ramdas 2023).
    """

    RUNNING = ("wealth", "evidence")
    stakes: tuple[float, ...]
    wealth: list[float] = field(init=False)
    evidence: float = 1.0

    def __post_init__(self) -> None:
        self.wealth = ones(self.stakes)

    def take(self, gain: float, bound: float) -> None:
        """Bet on one candidate's gain, which cannot leave [-bound, bound]."""
        self.evidence = grow(self.wealth, self.stakes, MOST_LOST / (bound + _TINY), gain)


@dataclass(slots=True)
class HorizonBet(Fold):
    """Bets so that its wealth reaches `aim` with the best chance by its `horizon`-th gain, and stops there.

    By the normal approximation the stake is that of the payoff "aim if the sum of gains is in its upper 1/aim tail
    at the horizon" (as an option is replicated); each stake is known before its gain, so Ville's bound does not lean
    on the approximation. It decides where a mixture of fixed stakes still waits, as a test at a fixed sample would.
    """

    RUNNING = ("rows", "total", "squares", "evidence")
    horizon: int
    quantile: float  # of the standard normal at 1 - 1/aim
    rows: int = 0
    total: float = 0.0
    squares: float = _PRIOR_ORDER_VARIANCE * _PRIOR_ORDER_ROWS
    evidence: float = 1.0

    def take(self, gain: float, bound: float) -> None:
        """Bet on one gain within [-bound, bound]; nothing behind the horizon."""
        if self.rows >= self.horizon:
            return
        stake = min(self._stake(), _MOST_STAKED / (bound + _TINY))
        self.evidence *= 1.0 + stake * gain
        self.rows += 1
        self.total += gain
        self.squares += gain * gain

    def _stake(self) -> float:
        deviation = sqrt(self.squares / (self.rows + _PRIOR_ORDER_ROWS))
        left = sqrt(self.horizon - self.rows)
        ahead = (self.total / deviation - self.quantile * sqrt(self.horizon)) / left
        if ahead < -_FAR:  # the ratio below is near -ahead there, and 0/0 in floats
            return -ahead / (deviation * left)
        chance = 0.5 * (1.0 + erf(ahead / sqrt(2.0)))
        return exp(-0.5 * ahead * ahead) / sqrt(2.0 * pi) / (chance * deviation * left)


_FAR = 6.0  # deviations


@dataclass(slots=True)
class EDetector(Fold):
    """Watches a gain of PairedBet for a change above 0: M <- (1 + M)(1 + stake x gain), a bet begun at each candidate.

    The mean of M over the stakes reaches A on average not sooner than after A candidates while nothing is wrong
    (e-detector, Shin, Ramdas and Rinaldo 2024; Shiryaev-Roberts form). Long good times are no credit.
    """

    RUNNING = ("wealth", "evidence")
    stakes: tuple[float, ...]
    wealth: list[float] = field(init=False)
    evidence: float = 0.0

    def __post_init__(self) -> None:
        self.wealth = [0.0] * len(self.stakes)

    def take(self, gain: float, bound: float) -> None:
        """Take one candidate's gain within [-bound, bound]."""
        wealth = self.wealth
        for index in range(len(wealth)):
            wealth[index] += 1.0
        self.evidence = grow(wealth, self.stakes, MOST_LOST / (bound + _TINY), gain)


@dataclass(slots=True)
class GateBet(Fold):
    """Bets on the candidates that only one of two models takes: are those of the first worth less?

    g = y - c where only the first takes it, c - y where only the other does, with y in {0, 1} and c the mean of y over
    the candidates before that either took. `worse` bets on -g, `better` on g.
    """

    RUNNING = ("centre", "worse", "better", "worse_evidence", "better_evidence", "worse_peak", "better_peak", "rows")
    centre: Centre = field(default_factory=Centre)
    worse: list[float] = field(default_factory=lambda: ones(GATE_STAKES))
    better: list[float] = field(default_factory=lambda: ones(GATE_STAKES))
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
            most = MOST_LOST / max(centre, 1.0 - centre)
            self.worse_evidence = grow(self.worse, GATE_STAKES, most, -gain)
            self.better_evidence = grow(self.better, GATE_STAKES, most, gain)
            self.worse_peak = max(self.worse_peak, self.worse_evidence)
            self.better_peak = max(self.better_peak, self.better_evidence)
            self.rows += 1
        if takes or other_takes:
            self.centre.take(y)


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
            most = MOST_LOST / (abs(lever) * (1.0 + self.margin) + _TINY)
            for index, stake in enumerate(CALIBRATION_STAKES, start=kind * width):
                grown = (1.0 + wealth[index]) * (1.0 + min(stake, most) * gain)
                wealth[index] = min(grown, MOST_WEALTH)
                total += wealth[index]
        self.evidence = total / len(wealth)
        self.peak = max(self.peak, self.evidence)
        self.centre.take(p)
        self.rows += 1

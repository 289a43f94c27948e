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

WORSE_STAKES = (0.28, 0.45, 0.75)
NOT_WORSE_STAKES = (0.15, 0.25, 0.4)
RATIO_STAKES = (0.1, 0.3, 0.8)
"""Stakes: about the mean over the variance of the gains to be found. At a share of 0.1 the first fit a canary 7 to 20
points worse, the second one that is 4 to 10 points better than worse by the margin."""

HALF_LIFE_TRADES = 500.0
KEPT = 0.5 ** (1.0 / HALF_LIFE_TRADES)
PRIOR_TRADES = 10.0
_LOWEST_CENTRE, _HIGHEST_CENTRE = 0.2, 0.8
MOST_LOST = 0.9  # share of its wealth that a bet can lose at once
MOST_WEALTH = 1e250  # wealth above it is forgotten, which only weakens a bet; products stay finite


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
        grown = wealth[index] * (1.0 + (stake if stake < most else most) * gain)
        wealth[index] = grown if grown < MOST_WEALTH else MOST_WEALTH
        total += wealth[index]
    return total / len(stakes)


def ones(stakes: tuple[float, ...]) -> list[float]:
    """Return the wealth before the first bet: 1 with each stake."""
    return [1.0] * len(stakes)


@dataclass(slots=True)
class Centre(Fold):
    """The mean of y in [0, 1] over the trades before, both routes pooled: newer trades weigh more, by a half-life of
    500 trades, and 10 trades at 0.5 stand in at the start.
    """

    RUNNING = ("total", "weight")
    total: float = 0.5 * PRIOR_TRADES
    weight: float = PRIOR_TRADES

    @property
    def value(self) -> float:
        """The mean, within [0.2, 0.8]: a bet around an extreme one would have to be tiny."""
        mean = self.total / self.weight
        return min(max(mean, _LOWEST_CENTRE), _HIGHEST_CENTRE)

    def take(self, y: float) -> None:
        """Count one trade more."""
        self.total = self.total * KEPT + y
        self.weight = self.weight * KEPT + 1.0


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
    stakes: tuple[float, ...] = field(init=False)
    wealth: list[float] = field(init=False)
    evidence: float = 1.0
    peak: float = 1.0

    def __post_init__(self) -> None:
        self.stakes = WORSE_STAKES if self.is_worse else NOT_WORSE_STAKES
        self.wealth = ones(self.stakes)

    def take(self, fraction: float, is_canary: bool, y: float, centre: float) -> None:
        """Bet on one trade: chance of its label in (0, 1), label, y in [0, 1], and the mean of y known before it."""
        spread = fraction * (1.0 - fraction)
        score = (fraction - 1.0 if is_canary else fraction) * (y - centre)
        gain = score if self.is_worse else spread * self.margin - score
        bound = max(fraction, 1.0 - fraction) * max(centre, 1.0 - centre) + spread * self.margin
        self.evidence = grow(self.wealth, self.stakes, MOST_LOST / bound, gain)
        self.peak = max(self.peak, self.evidence)


@dataclass(slots=True)
class SampleRatio(Fold):
    """Bets that the canary's label comes with another chance than the one logged: then no figure by route is to be
    trusted. Over all candidates, approved or not; both directions.
    """

    RUNNING = ("more", "less", "evidence", "peak")
    more: list[float] = field(default_factory=lambda: ones(RATIO_STAKES))
    less: list[float] = field(default_factory=lambda: ones(RATIO_STAKES))
    evidence: float = 1.0
    peak: float = 1.0

    def take(self, fraction: float, is_canary: bool) -> None:
        """Take one candidate's logged chance of the canary's label, in (0, 1), and its label."""
        gain = 1.0 - fraction if is_canary else -fraction
        more, less = grow(self.more, RATIO_STAKES, 1.0, gain), grow(self.less, RATIO_STAKES, 1.0, -gain)
        self.evidence = 0.5 * (more + less)
        self.peak = max(self.peak, self.evidence)


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

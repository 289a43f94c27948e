"""Candidates that two models judge, drawn: an active version and a shadow that sees the truth less or as clearly.

Log odds of winning are normal; each model reads them with noise of its own deviation, 90 % of it shared, gives the
calibrated probability of its reading, and takes the best 30 %.
"""

from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from evaluation.trials import Judged

ACTIVE_NOISE = 0.6
EQUAL, SLIGHTLY_WORSE, WORSE, MUCH_WORSE = 0.6, 0.75, 0.9, 1.3
"""Noise of a shadow whose trades win as often as the active version's, and 1.3, 2.5 and 4.7 points less often."""

_SKILL, _SHARED, _TAKEN = 0.6, 0.9, 0.3


@dataclass(frozen=True, slots=True)
class Pairs:
    """One replay: what the trial takes, in order."""

    seen: list[Judged]

    def winrate_gap(self) -> tuple[int, int, int, int]:
        """Return (wins, trades) of the active version's and (wins, trades) of the shadow's own choice."""
        active = [each.has_won for each in self.seen if each.other_approves]
        shadow = [each.has_won for each in self.seen if each.approves]
        return sum(active), len(active), sum(shadow), len(shadow)


def draw(shadow_noise: float, candidates: int, seed: int) -> Pairs:
    """Draw one replay; the same arguments give the same candidates."""
    rng = np.random.default_rng(seed)
    odds = rng.normal(0.0, _SKILL, candidates)
    won = rng.random(candidates) < _chance(odds)
    shared = rng.normal(size=candidates)
    active, active_takes = _judged(odds, shared, ACTIVE_NOISE, rng)
    shadow, shadow_takes = _judged(odds, shared, shadow_noise, rng)
    columns = (won, shadow, shadow_takes, active, active_takes)
    return Pairs([Judged(*row) for row in zip(*(column.tolist() for column in columns), strict=True)])


def _chance(odds: np.ndarray) -> np.ndarray:
    return 1.0 / (1.0 + np.exp(-odds))


def _judged(
    odds: np.ndarray, shared: np.ndarray, noise: float, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    own = rng.normal(size=odds.size)
    reading = odds + noise * (_SHARED * shared + np.sqrt(1.0 - _SHARED**2) * own)
    total = _SKILL**2 + noise**2
    takes = reading > NormalDist().inv_cdf(1.0 - _TAKEN) * np.sqrt(total)
    return _chance(0.97 * reading * _SKILL**2 / total), takes

"""Canaries that never happened: how often a policy rolls back a good one, and how soon a bad one.

The verdict's rules compiled, over arrays of trades; tests hold them to evaluation.trials float for float. The drawn
market is unkind on purpose: a swing of the win rate that both routes share, and outcomes that come in bursts.
"""

from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import NDArray

from evaluation.sequential import KEPT, MOST_LOST, NOT_WORSE_STAKES, PRIOR_TRADES, WORSE_STAKES
from evaluation.trials import MARKOUT_BOUND_BPS, METRIC_WEIGHTS

_WORSE, _NOT_WORSE = np.array(WORSE_STAKES), np.array(NOT_WORSE_STAKES)
_WEIGHTS = np.array(tuple(METRIC_WEIGHTS.values()))
METRICS = len(METRIC_WEIGHTS)

CAP_TRADES = 2_000


@dataclass(frozen=True, slots=True)
class Scenario:
    """How trades are drawn. Shares, and points of win rate as shares; bursts of `burst` trades share their luck.

    `worse` is by how much the canary's win rate is lower. The regime is an AR(1) of the log odds with deviation
    `regime` and a half-life of about 700 trades. Within a burst each outcome is the burst's with chance `alike`.
    `has_executions` draws markout, fill and latency beside the win, alike on both routes.
    """

    worse: float = 0.0
    fraction: float = 0.1
    winrate: float = 0.55
    regime: float = 0.4
    burst: int = 10
    alike: float = 0.5
    has_executions: bool = False


@dataclass(frozen=True, slots=True)
class Limits:
    """The part of a Policy that the simulation asks for, as Policy has it."""

    min_sample: int = 500
    delta: float = 0.05
    alpha: float = 0.02
    alpha_promote: float = 0.05
    seq_min_sample: int = 50
    cap_trades: int = 2_000


@dataclass(frozen=True, slots=True)
class Endings:
    """Canary trades at which each rule first decided, int64[canaries], 0 where it did not within the cap."""

    seed: NDArray[np.int64]
    label: NDArray[np.int64]
    rolled_back: NDArray[np.int64]
    promoted: NDArray[np.int64]  # only where it was not rolled back before

    def rate(self) -> float:
        """Share of the canaries that were rolled back."""
        return float(np.mean(self.rolled_back > 0))

    def median(self) -> float:
        """Median canary trades to the rollback, canaries without one counted as never (inf)."""
        return float(np.median(np.where(self.rolled_back > 0, self.rolled_back, np.inf)))


def simulate(scenario: Scenario, limits: Limits, canaries: int, seed: int) -> Endings:
    """Run canaries with a look after every trade; the same seed gives the same endings."""
    found = np.zeros((canaries, 4), np.int64)
    for row in range(canaries):
        trades = draw(scenario, limits.cap_trades, seed * 1_000_003 + row)
        ending = fold(trades.is_canary, trades.values, scenario.fraction, scenario.has_executions, *_plain(limits))
        found[row] = ending[:4]
    return Endings(*found.T)


@dataclass(frozen=True, slots=True)
class Trades:
    """Trades in order: is_canary bool[n], and y of each metric float64[n, 4], in the order of METRIC_WEIGHTS."""

    is_canary: NDArray[np.bool_]
    values: NDArray[np.float64]


def draw(scenario: Scenario, canary_trades: int, seed: int) -> Trades:
    """Draw trades until the canary has had so many."""
    s = scenario
    is_canary, values = _draw(
        canary_trades, s.fraction, s.winrate, s.worse, s.regime, s.burst, s.alike, s.has_executions, seed % 2**32
    )
    return Trades(is_canary, values)


def _plain(limits: Limits) -> tuple[int, float, float, float, int]:
    return limits.min_sample, limits.delta, limits.alpha, limits.alpha_promote, limits.seq_min_sample


@njit(cache=True)
def _draw(
    canary_trades: int,
    fraction: float,
    winrate: float,
    worse: float,
    regime: float,
    burst: int,
    alike: float,
    has_executions: bool,
    seed: int,
) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:  # pragma: no cover - compiled
    np.random.seed(seed)
    most = int(canary_trades / fraction * 1.5) + 1_000
    is_canary, values = np.zeros(most, np.bool_), np.full((most, METRICS), 0.5)
    swing, left, luck, drift, canary = np.random.normal() * regime, 0, 0.0, 0.0, 0
    odds = np.log(winrate / (1.0 - winrate))
    for row in range(most):
        swing = 0.999 * swing + regime * np.sqrt(1.0 - 0.999**2) * np.random.normal()
        if left == 0:
            left, luck, drift = burst, np.random.random(), np.random.normal()
        left -= 1
        is_canary[row] = np.random.random() < fraction
        chance = 1.0 / (1.0 + np.exp(-(odds + swing))) - (worse if is_canary[row] else 0.0)
        is_alike = np.random.random() < alike
        values[row, 0] = 1.0 if (luck if is_alike else np.random.random()) < chance else 0.0
        if has_executions:
            bps = 2.0 * (drift if is_alike else np.random.normal())
            values[row, 1] = 0.5 + min(max(bps, -MARKOUT_BOUND_BPS), MARKOUT_BOUND_BPS) / (2.0 * MARKOUT_BOUND_BPS)
            values[row, 2] = 1.0 if np.random.random() < 0.6 else 0.0
            values[row, 3] = 1.0 if np.random.random() < 0.98 else 0.0
        canary += is_canary[row]
        if canary == canary_trades:
            return is_canary[: row + 1], values[: row + 1]
    return is_canary, values


@njit(cache=True)
def fold(
    is_canary: NDArray[np.bool_],
    values: NDArray[np.float64],
    fraction: float,
    has_executions: bool,
    min_sample: int,
    delta: float,
    alpha: float,
    alpha_promote: float,
    seq_min_sample: int,
) -> tuple[int, int, int, int, float, float]:  # pragma: no cover - compiled
    """Return the canary trades at the first decision of (seed's rule, label bet, either, promotion), 0 for none, and
    the label bet's and the promotion's evidence at the end. As CanaryTrial folds a Routed and its Executed, and
    verdict.decide looks after each; it goes on behind a decision.
    """
    wealth, good = np.ones((METRICS, _WORSE.size)), np.ones(_NOT_WORSE.size)
    evidence, totals, weights = np.ones(METRICS), np.full(METRICS, 0.5 * PRIOR_TRADES), np.full(METRICS, PRIOR_TRADES)
    peak, good_peak = 0.0, 1.0
    peaks = np.ones(METRICS)
    trades, wins = np.zeros(2), np.zeros(2)
    seed, label, either, promoted = 0, 0, 0, 0
    spread = fraction * (1.0 - fraction) * delta
    most_share = max(fraction, 1.0 - fraction)
    for row in range(is_canary.size):
        route = int(is_canary[row])
        trades[route] += 1.0
        wins[route] += values[row, 0]
        n = int(trades[1])
        share = fraction - 1.0 if is_canary[row] else fraction
        for metric in range(METRICS if has_executions else 1):
            y = values[row, metric]
            centre = min(max(totals[metric] / weights[metric], 0.2), 0.8)
            score, bound = share * (y - centre), most_share * max(centre, 1.0 - centre)
            if metric == 0:
                good_peak = max(good_peak, _grow(good, _NOT_WORSE, MOST_LOST / (bound + spread), spread - score))
            evidence[metric] = _grow(wealth[metric], _WORSE, MOST_LOST / bound, score)
            peaks[metric] = max(peaks[metric], evidence[metric])
            totals[metric] = totals[metric] * KEPT + y
            weights[metric] = weights[metric] * KEPT + 1.0
            if n >= seq_min_sample:
                found = 0.0
                for each in range(METRICS):
                    found += _WEIGHTS[each] * evidence[each]
                peak = max(peak, found)
        if seed == 0 and trades[0] > 0 and n >= min_sample and wins[1] / n < wins[0] / trades[0] - delta:
            seed = n
        if label == 0 and peak >= 1.0 / alpha:
            label = n
        if either == 0 and (seed > 0 or label > 0):
            either = n
        if promoted == 0 and either == 0 and n >= min_sample and good_peak >= 1.0 / alpha_promote:
            promoted = n if peaks.max() < 1.0 / alpha else 0
    return seed, label, either, promoted, peak, good_peak


@njit(cache=True)
def _grow(
    wealth: NDArray[np.float64], stakes: NDArray[np.float64], most: float, gain: float
) -> float:  # pragma: no cover - compiled
    total = 0.0
    for index in range(wealth.size):
        wealth[index] *= 1.0 + min(stakes[index], most) * gain
        total += wealth[index]
    return total / wealth.size


def last_gaps(
    scenario: Scenario, canary_trades: int, deltas: NDArray[np.float64], canaries: int, seed: int
) -> NDArray[np.int64]:
    """Return int64[canaries, deltas]: the last canary trade at which its win rate was lower by more than delta."""
    found = np.zeros((canaries, deltas.size), np.int64)
    for row in range(canaries):
        trades = draw(scenario, canary_trades, seed * 1_000_003 + row)
        _last_gaps(trades.is_canary, trades.values, deltas, found[row])
    return found


@njit(cache=True)
def _last_gaps(
    is_canary: NDArray[np.bool_], values: NDArray[np.float64], deltas: NDArray[np.float64], out: NDArray[np.int64]
) -> None:  # pragma: no cover - compiled
    trades, wins = np.zeros(2), np.zeros(2)
    for row in range(is_canary.size):
        route = int(is_canary[row])
        trades[route] += 1.0
        wins[route] += values[row, 0]
        if trades[0] > 0.0 and trades[1] > 0.0:
            for each in range(deltas.size):
                if wins[1] / trades[1] < wins[0] / trades[0] - deltas[each]:
                    out[each] = int(trades[1])

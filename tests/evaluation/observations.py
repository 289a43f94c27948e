"""Observations of a drawn canary, as its trial takes them."""

from collections.abc import Iterator

from evaluation.canary_simulation import Trades
from evaluation.trials import MARKOUT_BOUND_BPS, METRIC_WEIGHTS, Executed, Routed

SALT = "salt"


def observed(trades: Trades, fraction: float, *, has_executions: bool = False) -> Iterator[Routed | Executed]:
    """Yield each trade's outcome, and behind it the figures of its order."""
    others = list(METRIC_WEIGHTS)[1:]
    for is_canary, (won, *values) in zip(trades.is_canary.tolist(), trades.values.tolist(), strict=True):
        yield Routed(SALT, fraction, is_canary, is_approved=True, has_won=won == 1.0)
        for metric, y in zip(others, values if has_executions else (), strict=has_executions):
            value = (y - 0.5) * 2.0 * MARKOUT_BOUND_BPS if metric == "markout" else y
            yield Executed(SALT, fraction, is_canary, metric, value)

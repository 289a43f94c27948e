"""Questions to ask of a model beside its gates, on simulated days whose truth is known: is every group of features
worth its cost, are the parameters where they should be, would a simpler model do, how does it age, where is it weak?

A day to learn from, the days behind it to judge by; measured is the AUC of the direction of entries that touch a
barrier, as in `benchmarks.simulator_effect`. Run with `python -m benchmarks.model_questions`.
"""

from collections import defaultdict
from collections.abc import Mapping
from typing import Any, Final

import lightgbm as lgb
import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from benchmarks.rows import row, show
from benchmarks.simulator_effect import Entries, entries
from evaluation.calibration import ece_debiased
from evaluation.discrimination import auc
from market.barriers import STOP, TARGET, BarrierRule
from market.feature_spec import FEATURE_NAMES
from market.simulator_rule import SimulatorRule

FIRST_DAY, AGES, SEED = 19_950, (2, 4, 8), 7
BARRIER: Final = BarrierRule(0.00048, 0.00048, 60.0)
OURS: Final[Mapping[str, float]] = {
    "num_leaves": 31,
    "learning_rate": 0.05,
    "min_child_samples": 200,
    "n_estimators": 150,
}
NEIGHBOURS: Final[Mapping[str, Mapping[str, float]]] = {
    "15 leaves": {"num_leaves": 15},
    "63 leaves": {"num_leaves": 63},
    "learning rate 0.025, twice the trees": {"learning_rate": 0.025, "n_estimators": 300},
    "learning rate 0.1, half the trees": {"learning_rate": 0.1, "n_estimators": 75},
    "100 rows a leaf": {"min_child_samples": 100},
    "400 rows a leaf": {"min_child_samples": 400},
}
GROUPS: Final[Mapping[str, tuple[str, ...]]] = {
    "imbalance of the queues": ("queue_imbalance", "microprice"),
    "order-flow imbalance": ("ofi",),
    "prints": ("taker", "trade_flow", "trade_intensity", "trade_count"),
    "moves": ("mid_return", "ema_gap", "last_trade_gap"),
    "volatility and spread": ("volatility", "spread"),
    "the book's shape": ("depth", "price_gap", "width", "cancel_rate"),
}
"""By what stands in a feature's name; the first that fits."""
_VOLATILITY = FEATURE_NAMES.index("realised_volatility_ewm_64s_bps")


class Day:
    """The entries of a day that touch a barrier: rows float32[n, F], won bool[n], side int8[n]."""

    def __init__(self, day: int) -> None:
        found: Entries = entries(FIRST_DAY + day, SimulatorRule(), BARRIER, SEED)
        told = np.isin(found.outcome, (TARGET, STOP))
        self.rows, self.won, self.side = found.rows[told], found.outcome[told] == TARGET, found.side[told]

    def judged(self, win: NDArray[np.float64]) -> float:
        """The AUC of the direction."""
        up = np.where(self.side > 0, win, 1.0 - win)
        return auc(up, (self.won == (self.side > 0)).astype(np.int8))


def run() -> list[dict[str, Any]]:
    """Return the rows {name, value, unit, ratio, goal, holds}; differences are against our parameters on day 1."""
    first, next_day = Day(0), Day(1)
    model = _grown(first)
    ours = next_day.judged(_told(model, next_day.rows))
    return [
        row("AUC of our parameters, a day later", ours, ""),
        *_groups(first, next_day, ours),
        *(
            row(f"parameters: {name}", next_day.judged(_told(_grown(first, changed), next_day.rows)) - ours, "AUC")
            for name, changed in NEIGHBOURS.items()
        ),
        *_simpler(first, next_day, ours),
        *(row(f"age: {age} days, against a model one day old", _aged(model, age), "AUC") for age in AGES),
        *_slices(next_day, _told(model, next_day.rows)),
    ]


def _aged(model: lgb.LGBMClassifier, age: int) -> float:
    """What a model has lost after so many days: days differ, so a fresh one is judged on the same day."""
    day = Day(age)
    fresh = _grown(Day(age - 1))
    return day.judged(_told(model, day.rows)) - day.judged(_told(fresh, day.rows))


def _grown(
    day: Day, changed: Mapping[str, float] | None = None, columns: NDArray[np.int64] | None = None
) -> lgb.LGBMClassifier:
    parameters: dict[str, Any] = {**OURS, **(changed or {})}
    model = lgb.LGBMClassifier(num_threads=1, verbose=-1, random_state=SEED, **parameters)
    return model.fit(day.rows if columns is None else day.rows[:, columns], day.won)


def _told(model: lgb.LGBMClassifier, rows: NDArray[np.float32]) -> NDArray[np.float64]:
    return np.asarray(model.predict_proba(rows))[:, 1]


def _groups(first: Day, next_day: Day, ours: float) -> list[dict[str, Any]]:
    """What each group of features is worth: a model without it, against ours."""
    groups: dict[str, list[int]] = defaultdict(list)
    for place, name in enumerate(FEATURE_NAMES):
        groups[_group(name)].append(place)
    rows = []
    for name, places in groups.items():
        kept = np.setdiff1d(np.arange(len(FEATURE_NAMES)), places)
        value = next_day.judged(_told(_grown(first, columns=kept), next_day.rows[:, kept])) - ours
        rows.append(row(f"features: without {name} ({len(places)})", value, "AUC"))
    return rows


def _group(name: str) -> str:
    return next(group for group, words in GROUPS.items() if any(word in name for word in words))


def _simpler(first: Day, next_day: Day, ours: float) -> list[dict[str, Any]]:
    """A straight line through all features, and the one feature that tells most by itself."""
    line = make_pipeline(StandardScaler(), LogisticRegression(max_iter=500)).fit(first.rows, first.won)
    ranks = [rankdata(first.rows[:, k]) / len(first.won) for k in range(len(FEATURE_NAMES))]
    alone = [abs(auc(rank, first.won) - 0.5) for rank in ranks]
    best = int(np.argmax(alone))
    single = make_pipeline(StandardScaler(), LogisticRegression()).fit(first.rows[:, [best]], first.won)
    return [
        row("simpler: logistic regression of all features",
            next_day.judged(line.predict_proba(next_day.rows)[:, 1]) - ours, "AUC"),
        row(f"simpler: {FEATURE_NAMES[best]} alone",
            next_day.judged(single.predict_proba(next_day.rows[:, [best]])[:, 1]) - ours, "AUC"),
    ]  # fmt: skip


def _slices(day: Day, win: NDArray[np.float64]) -> list[dict[str, Any]]:
    """By side, by quarter of the day, by thirds of the volatility: AUC of the win, and calibration."""
    volatility = day.rows[:, _VOLATILITY]
    thirds = np.searchsorted(np.quantile(volatility, (1 / 3, 2 / 3)), volatility)
    quarters = np.arange(len(day.won)) * 4 // len(day.won)
    slices = {
        "longs": day.side > 0, "shorts": day.side < 0,
        **{f"quarter {each + 1} of the day's entries": quarters == each for each in range(4)},
        **{f"{name} volatility": thirds == each for each, name in enumerate(("low", "middle", "high"))},
    }  # fmt: skip
    rows = []
    for name, taken in slices.items():
        rows.append(row(f"slice: {name}, AUC of the win", auc(win[taken], day.won[taken]), ""))
        rows.append(row(f"slice: {name}, calibration error", ece_debiased(win[taken], day.won[taken]), ""))
    return rows


if __name__ == "__main__":
    show(run())

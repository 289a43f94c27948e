"""Light stand-ins for the two heavy parts: the compiled kernel and the model. Everything around them is real."""

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from bus.messages import Score
from live.model_slots import Engine, LoadedModel
from live.schedules import Found, Job
from market.barriers import BarrierRule
from market.feature_spec import COLUMN_NAMES, N_COLUMNS
from market.stepper import Stepper

_PRESSURE, _SPREAD = COLUMN_NAMES.index("queue_imbalance_5"), COLUMN_NAMES.index("spread_ticks")
_OTHER = next(index for index in range(N_COLUMNS) if index not in (_PRESSURE, _SPREAD))
WARM_EVENTS = 4
BROKEN_EVERY = 13


def is_broken(t_ns: int) -> bool:
    """Whether the row of this moment has a feature that is no number."""
    return t_ns // 1_000_000 % BROKEN_EVERY == 0


class Market:
    """Whether there is anything to find."""

    is_quiet = False


class LightStepper(Stepper):
    """A kernel that computes nothing: valid after a few events, a row made of its time, now and then not finite."""

    __slots__ = ("events", "market")

    def __init__(self, market: Market) -> None:
        self.market = market
        self.row: NDArray[np.float32] = np.zeros(N_COLUMNS, np.float32)
        self.reset()

    def reset(self) -> None:
        """Forget everything."""
        self.events, self.t_ns = 0, -(2**63)

    def warm(self) -> None:
        """Nothing is compiled."""

    def book(self, exchange_ns: int, flags: int, *ladders: Sequence[int]) -> bool:
        """Take a book."""
        return self._take(exchange_ns)

    def trade(self, exchange_ns: int, price_ticks: int, size_lots: int, aggressor: int) -> bool:
        """Take a print."""
        return self._take(exchange_ns)

    def _take(self, exchange_ns: int) -> bool:
        self.t_ns = max(self.t_ns, exchange_ns)
        self.events += 1
        number = self.t_ns // 1_000_000
        self.row.fill(number % 97)
        self.row[_SPREAD] = 1.0
        self.row[_PRESSURE] = 0.5 if number % 2 else -0.5
        if is_broken(self.t_ns):
            self.row[_OTHER] = np.nan
        return self.events > WARM_EVENTS and not self.market.is_quiet


class LightScorer:
    """A model that likes two candidates of three."""

    def __init__(self, version: int) -> None:
        self.card = SimpleNamespace(id=f"m{version}", thresholds=SimpleNamespace(tau_entry=0.5))

    def answer(self, row: NDArray[np.float32]) -> tuple[float, float]:
        """Margin and probability."""
        return 0.0, 0.7 if float(np.nansum(row)) % 3 else 0.3


def load_light(root: Any, slot: str, engine: Engine) -> LoadedModel:
    """What the mirror's link names: v1-..., v2-... ."""
    version = int((root / slot).readlink().name[1:].partition("-")[0])
    return LoadedModel(cast("Any", LightScorer(version)), version, BarrierRule(0.0008, 0.0008, 4.0, False))


class IdleWorker:
    """Does none of the scheduled looks: they read the lake and ask the venue, which is not simulated."""

    def submit(self, name: str, job: Job) -> None:
        """Drop it."""

    def found(self) -> Sequence[Found]:
        """Nothing."""
        return ()

    def close(self) -> None:
        """Nothing runs."""


def judged_by(score: Score) -> tuple[str, ...]:
    """Which active models judged a score."""
    return tuple(each.model_id for each in score.judgements if each.slot == "active")

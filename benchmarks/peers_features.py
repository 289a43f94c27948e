"""The kernel's features in numpy, pandas and polars, the way each would write them.

The formulas stand here once, in an algebra that each library fills in: shifts, sums over time windows, values as of a
time ago, decayed sums and averages over time. Two differ by definition: pandas weighs its `ewm(times=)` by
observation, and numpy has no way to write a recursion, so it leaves the averages out. The peers are given the book
carried onto trade rows, which the kernel does itself.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
from numpy.typing import NDArray

from market.events import LEVELS

Arrays = dict[str, NDArray[Any]]
SIDES = ("bid", "ask")


def table(events: NDArray[np.int64]) -> Arrays:
    """Return the events as columns, the last book carried onto trade rows; seconds count from the first event."""
    last_book = np.maximum.accumulate(np.where(events[:, 1] == 0, np.arange(len(events)), 0))
    books = events[last_book, 5:]
    columns: Arrays = {name: events[:, k].copy() for name, k in (("t", 0), ("trade", 1), ("price", 3), ("signed", 4))}
    names = [f"{side}_{what}_{k}" for what in ("ticks", "lots") for side in SIDES for k in range(LEVELS)]
    columns |= {name: np.ascontiguousarray(books[:, k]) for k, name in enumerate(names)}
    return columns | {"seconds": (columns["t"] - columns["t"][0]) * 1e-9}


def numpy_features(columns: Arrays) -> Arrays:
    """Compute with cumulative sums and searches; the averages are left out."""
    algebra = _Numpy(columns["t"], columns["seconds"])
    base = columns | _base(columns, algebra)
    with np.errstate(invalid="ignore"):  # no trade yet: 0 / 0, in rows that are not valid
        return _ladder(base) | _windows(base, algebra) | _decayed(base, algebra)


def pandas_features(frame: pd.DataFrame) -> pd.DataFrame:
    """Compute with rolling time windows, shifts and `ewm(times=)` on a frame indexed by time."""
    algebra = _Pandas(frame.index, frame["seconds"])
    base = {name: frame[name] for name in frame.columns}
    base |= _base(base, algebra)
    ladder = _ladder(base)
    return pd.DataFrame(ladder | _windows(base, algebra) | _decayed(base, algebra) | _averages(base | ladder, algebra))


def pandas_frame(columns: Arrays) -> pd.DataFrame:
    """Return the table with a time index."""
    return pd.DataFrame(columns, index=pd.to_datetime(columns["t"], unit="ns"))


def polars_features(frame: pl.DataFrame) -> pl.DataFrame:
    """Compute with lazy expressions: rolling_sum_by, ewm_mean_by, cumulative sums."""
    algebra = _Polars()
    columns = {name: pl.col(name) for name in frame.columns}
    base = _base(columns, algebra)
    columns |= {name: pl.col(name) for name in base}
    ladder = _ladder(columns)
    known = columns | {name: pl.col(name) for name in ladder}
    features = _windows(known, algebra) | _decayed(known, algebra) | _averages(known, algebra)
    lazy = frame.lazy().with_columns(**base).with_columns(**ladder)
    return lazy.select(*ladder, **features).collect()


class _Algebra(ABC):
    """What the formulas need beyond arithmetic."""

    @abstractmethod
    def before(self, x: Any) -> Any:
        """Return the value one event before; the first stands for itself."""

    @abstractmethod
    def choose(self, condition: Any, then: Any, otherwise: Any) -> Any: ...

    @abstractmethod
    def largest(self, xs: list[Any]) -> Any: ...

    @abstractmethod
    def as_of(self, x: Any, ago_ns: int) -> Any:
        """Return the latest value at least so long ago."""

    @abstractmethod
    def total(self, x: Any, window_ns: int) -> Any:
        """Return the sum over (t - window, t]."""

    @abstractmethod
    def decayed(self, x: Any, tau_seconds: int) -> Any: ...

    @abstractmethod
    def average(self, x: Any, tau_seconds: int) -> Any: ...

    @abstractmethod
    def latest(self, x: Any, where: Any) -> Any:
        """Return the value at the last event where the condition held, nan before."""


class _Numpy(_Algebra):
    def __init__(self, t: NDArray[np.int64], seconds: NDArray[np.float64]) -> None:
        self._t, self._seconds = t, seconds
        self._starts: dict[int, NDArray[np.int64]] = {}
        self._growth: dict[int, NDArray[np.float64]] = {}

    def before(self, x: Any) -> Any:
        return np.concatenate([x[:1], x[:-1]])

    def choose(self, condition: Any, then: Any, otherwise: Any) -> Any:
        return np.where(condition, then, otherwise)

    def largest(self, xs: list[Any]) -> Any:
        return np.maximum.reduce(xs)

    def as_of(self, x: Any, ago_ns: int) -> Any:
        return x[np.maximum(self._start(ago_ns) - 1, 0)]

    def total(self, x: Any, window_ns: int) -> Any:
        sums = np.concatenate([[0], np.cumsum(x)])
        return sums[1:] - sums[self._start(window_ns)]

    def decayed(self, x: Any, tau_seconds: int) -> Any:
        if tau_seconds not in self._growth:
            self._growth[tau_seconds] = np.exp(self._seconds / tau_seconds)
        return np.cumsum(x * self._growth[tau_seconds]) / self._growth[tau_seconds]

    def average(self, x: Any, tau_seconds: int) -> Any:
        raise TypeError(
            f"numpy has no recursion for an average of {len(x)} values over {tau_seconds} s; leave its columns out"
        )

    def latest(self, x: Any, where: Any) -> Any:
        place = np.maximum.accumulate(np.where(where, np.arange(len(x)), -1))
        return np.where(place < 0, np.nan, x[place])

    def _start(self, window_ns: int) -> NDArray[np.int64]:
        if window_ns not in self._starts:
            self._starts[window_ns] = np.searchsorted(self._t, self._t - window_ns, side="right")
        return self._starts[window_ns]


class _Pandas(_Algebra):
    def __init__(self, index: pd.Index, seconds: pd.Series) -> None:
        self._index, self._seconds = index, seconds

    def before(self, x: Any) -> Any:
        return x.shift(1, fill_value=x.iloc[0])

    def choose(self, condition: Any, then: Any, otherwise: Any) -> Any:
        return pd.Series(np.where(condition, then, otherwise), self._index)

    def largest(self, xs: list[Any]) -> Any:
        return pd.concat(xs, axis=1).max(axis=1)

    def as_of(self, x: Any, ago_ns: int) -> Any:
        past = pd.DataFrame({"t": self._index, "x": x.to_numpy()})
        wanted = pd.DataFrame({"t": self._index - pd.Timedelta(ago_ns, "ns")})
        return pd.Series(pd.merge_asof(wanted, past, on="t")["x"].to_numpy(), self._index)

    def total(self, x: Any, window_ns: int) -> Any:
        return x.rolling(pd.Timedelta(window_ns, "ns")).sum()

    def decayed(self, x: Any, tau_seconds: int) -> Any:
        growth = np.exp(self._seconds / tau_seconds)
        return (x * growth).cumsum() / growth

    def average(self, x: Any, tau_seconds: int) -> Any:
        return x.ewm(halflife=pd.Timedelta(tau_seconds * np.log(2), "s"), times=self._index).mean()

    def latest(self, x: Any, where: Any) -> Any:
        return x.where(where).ffill()


class _Polars(_Algebra):
    def before(self, x: Any) -> Any:
        return x.shift(1).fill_null(strategy="backward")

    def choose(self, condition: Any, then: Any, otherwise: Any) -> Any:
        return pl.when(condition).then(then).otherwise(otherwise)

    def largest(self, xs: list[Any]) -> Any:
        return pl.max_horizontal(xs)

    def as_of(self, x: Any, ago_ns: int) -> Any:
        place = pl.col("t").search_sorted(pl.col("t") - ago_ns, side="right").cast(pl.Int64) - 1
        return x.gather(place.clip(lower_bound=0))

    def total(self, x: Any, window_ns: int) -> Any:
        return x.rolling_sum_by("t", f"{window_ns}i")

    def decayed(self, x: Any, tau_seconds: int) -> Any:
        growth = (pl.col("seconds") / tau_seconds).exp()
        return (x * growth).cum_sum() / growth

    def average(self, x: Any, tau_seconds: int) -> Any:
        return x.ewm_mean_by("t", half_life=f"{round(tau_seconds * 1e9 * np.log(2))}i")

    def latest(self, x: Any, where: Any) -> Any:
        return pl.when(where).then(x).forward_fill()


def _base(c: dict[str, Any], a: _Algebra) -> dict[str, Any]:
    """Return what several features share."""
    mid2 = c["bid_ticks_0"] + c["ask_ticks_0"]
    spread = c["ask_ticks_0"] - c["bid_ticks_0"]
    both = c["bid_lots_0"] + c["ask_lots_0"]
    flows, shrunk = zip(*(_flow(c, a, k) for k in range(5)), strict=True)
    move = mid2 - a.before(mid2)
    base = {
        "mid2": mid2,
        "spread": spread,
        "micro2": mid2 + spread * (c["bid_lots_0"] - c["ask_lots_0"]) / both,
        "ofi_1": flows[0],
        "ofi_5": sum(flows[1:], start=flows[0]),
        "cancel": a.largest([s * 1 for s in shrunk]) * (1 - c["trade"]),
        "square": move * move,
        "volume": abs(c["signed"]),
    }
    for side in SIDES:
        for levels in (5, 10):
            base[f"{side}_{levels}"] = sum(c[f"{side}_lots_{k}"] for k in range(levels))
    return base


def _flow(c: dict[str, Any], a: _Algebra, k: int) -> tuple[Any, Any]:
    """Return the order flow of one level, and whether it shrank."""
    bid, ask, bid_lots, ask_lots = (c[f"{s}_{w}_{k}"] for w in ("ticks", "lots") for s in SIDES)
    bid_was, ask_was, bid_lots_were, ask_lots_were = (a.before(x) for x in (bid, ask, bid_lots, ask_lots))
    flow = (
        bid_lots * (bid >= bid_was)
        - bid_lots_were * (bid <= bid_was)
        - ask_lots * (ask <= ask_was)
        + ask_lots_were * (ask >= ask_was)
    )
    shrunk = ((bid == bid_was) & (bid_lots < bid_lots_were)) | ((ask == ask_was) & (ask_lots < ask_lots_were))
    return flow, shrunk


def _ladder(c: dict[str, Any]) -> dict[str, Any]:
    bps = 1e4 / c["mid2"]
    features = {
        "spread_ticks": c["spread"] * 1.0,
        "spread_bps": 2.0 * c["spread"] * bps,
        "microprice_gap_bps": (c["micro2"] - c["mid2"]) * bps,
        "queue_imbalance_1": (c["bid_lots_0"] - c["ask_lots_0"]) / (c["bid_lots_0"] + c["ask_lots_0"]),
        "mid_ticks": c["mid2"] * 0.5,
        "microprice_ticks": c["micro2"] * 0.5,
    }
    for levels in (5, 10):
        bid, ask = c[f"bid_{levels}"], c[f"ask_{levels}"]
        features[f"queue_imbalance_{levels}"] = (bid - ask) / (bid + ask)
    for side, sign in (("bid", 1), ("ask", -1)):
        features[f"{side}_depth_1_lots"] = c[f"{side}_lots_0"] * 1.0
        for levels in (5, 10):
            depth = c[f"{side}_{levels}"]
            worth = sum(c[f"{side}_ticks_{k}"] * c[f"{side}_lots_{k}"] for k in range(levels))
            features[f"{side}_depth_{levels}_lots"] = depth * 1.0
            features[f"{side}_price_gap_{levels}_bps"] = sign * (c["mid2"] - 2.0 * worth / depth) * bps
            features[f"{side}_width_{levels}_bps"] = sign * (c["mid2"] - 2.0 * c[f"{side}_ticks_{levels - 1}"]) * bps
    return features


def _windows(c: dict[str, Any], a: _Algebra) -> dict[str, Any]:
    bps = 1e4 / c["mid2"]
    flow, volume = a.total(c["signed"], 10**9), a.total(c["volume"], 10**9)
    updates = a.total(1 - c["trade"], 2 * 10**9)
    traded = c["trade"] == 1
    recent = c["seconds"] - a.latest(c["seconds"], traded) <= 64.0
    gap = (2.0 * a.latest(c["price"], traded) - c["mid2"]) * bps
    return {
        "microprice_velocity_200ms_bps": (c["micro2"] - a.as_of(c["micro2"], 2 * 10**8)) * bps,
        "mid_return_1s_bps": (c["mid2"] - a.as_of(c["mid2"], 10**9)) * bps,
        "ofi_1_1s": a.total(c["ofi_1"], 10**9) * 1.0,
        "ofi_5_1s": a.total(c["ofi_5"], 10**9) * 1.0,
        "taker_imbalance_1s": a.choose(volume > 0, flow / a.largest([volume, volume * 0 + 1]), 0.0),
        "trade_count_1s": a.total(c["trade"], 10**9) * 1.0,
        "last_trade_gap_bps": a.choose(recent, gap, 0.0),
        "realised_volatility_1500ms_bps": a.total(c["square"], 15 * 10**8) ** 0.5 * bps,
        "cancel_rate_2s": a.total(c["cancel"], 2 * 10**9) / a.largest([updates, updates * 0 + 1]),
    }


def _decayed(c: dict[str, Any], a: _Algebra) -> dict[str, Any]:
    bps, features = 1e4 / c["mid2"], {}
    for tau in (4, 16, 64):
        features[f"ofi_1_ewm_{tau}s"] = a.decayed(c["ofi_1"], tau)
        features[f"ofi_5_ewm_{tau}s"] = a.decayed(c["ofi_5"], tau)
        features[f"trade_flow_ewm_{tau}s_lots"] = a.decayed(c["signed"], tau)
        features[f"trade_intensity_ewm_{tau}s"] = a.decayed(c["trade"], tau) / tau
    for tau in (16, 64):
        features[f"taker_imbalance_ewm_{tau}s"] = a.decayed(c["signed"], tau) / a.decayed(c["volume"], tau)
        features[f"realised_volatility_ewm_{tau}s_bps"] = a.decayed(c["square"], tau) ** 0.5 * bps
    usual = a.decayed(c["square"], 64) * (1.5 / 64.0)
    features["volatility_regime"] = _regime(a, a.total(c["square"], 15 * 10**8), usual * 0.25, usual * 2.25)
    return features


def _averages(c: dict[str, Any], a: _Algebra) -> dict[str, Any]:
    bps, features = 1e4 / c["mid2"], {}
    for tau in (1, 4, 16, 64):
        features[f"ema_gap_{tau}s_bps"] = (c["mid2"] - a.average(c["mid2"], tau)) * bps
    for tau in (4, 16, 64):
        features[f"queue_imbalance_5_ewm_{tau}s"] = a.average(c["queue_imbalance_5"], tau)
    depth, spread = c["bid_10"] + c["ask_10"], a.average(c["spread"], 64)
    ratio = depth / a.average(depth, 64)
    return features | {
        "queue_imbalance_10_ewm_64s": a.average(c["queue_imbalance_10"], 64),
        "depth_ratio_64s": ratio,
        "spread_regime": _regime(a, c["spread"], spread * 0.75, spread * 1.5),
        "depth_regime": _regime(a, ratio, ratio * 0 + 0.7, ratio * 0 + 1.3),
    }


def _regime(a: _Algebra, x: Any, low: Any, high: Any) -> Any:
    return a.choose(x < low, 0.0, a.choose(x > high, 2.0, 1.0))


PEERS: dict[str, tuple[Callable[[Arrays], Any], Callable[[Any], Any]]] = {
    "polars": (pl.DataFrame, polars_features),
    "pandas": (pandas_frame, pandas_features),
    "numpy": (dict, numpy_features),
}
"""How each peer's table is built (not counted), and the work itself."""

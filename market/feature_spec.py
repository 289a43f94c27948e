"""What each column of the kernel means: name, unit, window, formula, source, and what happens to it in a mirror.

The order of `FEATURES` is the order of the kernel's output columns: the model's inputs first, then two columns of
context that no model sees. Prices enter relative to the mid in basis points, sizes in lots. Symbols used below: b_l,
a_l the price and B_l, A_l the size of level l (1 is the touch); m = (b_1 + a_1) / 2; (t-w, t] a window that ends at
the event; S_tau[x] a decayed sum, S <- S exp(-dt/tau) + x at each event; E_tau[x] an exponential average over time,
E <- x + (E - x) exp(-dt/tau).

Sources:
    CKS      Cont, Kukanov, Stoikov, The Price Impact of Order Book Events, J. Financial Econometrics 12 (2014), 2.1
    XGH      Xu, Gould, Howison, Multi-Level Order-Flow Imbalance in a Limit Order Book (2018), section 2
    Stoikov  Stoikov, The Micro-Price, Quantitative Finance 18 (2018), section 2 (the weighted mid)
    GO       Gould, Bonart, Queue Imbalance as a One-Tick-Ahead Price Predictor (2016), section 3
    ABDL     Andersen, Bollerslev, Diebold, Labys, Modeling and Forecasting Realized Volatility (2003), section 2
    ZM       Zumbach, Müller, Operators on Inhomogeneous Time Series (2001), section 3 (next-point interpolation)
    HS       Hasbrouck, Saar, Low-Latency Trading, J. Financial Markets 16 (2013), section 3
    own      defined here
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from market.events import BadEvent

KERNEL_VERSION = 1
"""Raise it whenever the same events would give other bits."""


@dataclass(frozen=True, slots=True)
class Feature:
    """One output column.

    `symmetry` says what mirroring the market (bids for asks, buys for sells) does: "even" leaves the value, "odd"
    negates it, "swap:NAME" exchanges it with the column of that name.
    """

    name: str
    unit: str
    window: str
    formula: str
    source: str
    symmetry: str


def _family(template: Feature) -> list[Feature]:
    """Return one feature for each word of the template's window, put where `{}` stands in name and formula."""
    fill = template.window.split()
    return [replace(template, window=w, name=template.name.format(w), formula=template.formula.format(w)) for w in fill]


def _ladder(stem: str, unit: str, windows: str, formula: str, source: str) -> list[Feature]:
    """Return the bid's features, then the ask's: partners in the mirror."""
    return [
        Feature(
            f"{side}_{stem.format(w)}", unit, f"{w} levels", formula.format(w), source, f"swap:{other}_{stem.format(w)}"
        )
        for side, other in (("bid", "ask"), ("ask", "bid"))
        for w in windows.split()
    ]


_BOOK = [
    Feature("spread_ticks", "ticks", "now", "a_1 - b_1", "own", "even"),
    Feature("spread_bps", "bps", "now", "(a_1 - b_1) / m", "own", "even"),
    Feature("microprice_gap_bps", "bps", "now", "(a_1 - b_1) / 2 (B_1 - A_1) / (B_1 + A_1) / m", "Stoikov", "odd"),
    *_family(
        Feature("queue_imbalance_{}", "share", "1 5 10", "(D_b - D_a) / (D_b + D_a), D depth of {} levels", "GO", "odd")
    ),
    *_ladder("depth_{}_lots", "lots", "1 5 10", "sum of the sizes of the first {} levels", "own"),
    *_ladder("price_gap_{}_bps", "bps", "5 10", "|m - sum p_l Q_l / sum Q_l| / m over {} levels", "own"),
    *_ladder("width_{}_bps", "bps", "5 10", "|m - p_l| / m, l the deepest level there is among {}", "own"),
]

_WINDOWS = [
    Feature("microprice_velocity_200ms_bps", "bps", "200 ms", "(micro(t) - micro(t - 200 ms)) / m", "Stoikov", "odd"),
    Feature("mid_return_1s_bps", "bps", "1 s", "(m(t) - m(t - 1 s)) / m", "own", "odd"),
    Feature("ofi_1_1s", "lots", "1 s", "sum of e_n of the touch over (t - 1 s, t]", "CKS", "odd"),
    Feature("ofi_5_1s", "lots", "1 s", "sum of e_n of the first 5 levels over (t - 1 s, t]", "XGH", "odd"),
    *_family(Feature("ofi_1_ewm_{}", "lots", "4s 16s 64s", "S_{}[e_n of the touch]", "CKS", "odd")),
    *_family(Feature("ofi_5_ewm_{}", "lots", "4s 16s 64s", "S_{}[e_n of the first 5 levels]", "XGH", "odd")),
    *_family(Feature("trade_flow_ewm_{}_lots", "lots", "4s 16s 64s", "S_{}[signed trade size]", "ZM", "odd")),
    *_family(Feature("trade_intensity_ewm_{}", "1/s", "4s 16s 64s", "S_{0}[1 for a trade] / {0}", "ZM", "even")),
    Feature(
        "taker_imbalance_1s", "share", "1 s", "(buys - sells) / (buys + sells) in lots, 0 without trades", "own", "odd"
    ),
    *_family(
        Feature(
            "taker_imbalance_ewm_{}",
            "share",
            "16s 64s",
            "S_{0}[buys - sells] / S_{0}[buys + sells], 0 below 0.001 lots",
            "ZM",
            "odd",
        )
    ),
    Feature("trade_count_1s", "count", "1 s", "trades in (t - 1 s, t]", "own", "even"),
    Feature("last_trade_gap_bps", "bps", "64 s", "(last trade price - m) / m, 0 when it is older", "own", "odd"),
]

_STATE = [
    Feature(
        "realised_volatility_1500ms_bps", "bps", "1500 ms", "sqrt(sum dm^2) / m over (t - 1500 ms, t]", "ABDL", "even"
    ),
    *_family(Feature("realised_volatility_ewm_{}_bps", "bps", "16s 64s", "sqrt(S_{}[dm^2]) / m", "ABDL", "even")),
    *_family(Feature("ema_gap_{}_bps", "bps", "1s 4s 16s 64s", "(m - E_{}[m]) / m", "ZM", "odd")),
    *_family(Feature("queue_imbalance_5_ewm_{}", "share", "4s 16s 64s", "E_{}[queue_imbalance_5]", "ZM", "odd")),
    Feature("queue_imbalance_10_ewm_64s", "share", "64s", "E_64s[queue_imbalance_10]", "ZM", "odd"),
    Feature(
        "cancel_rate_2s",
        "share",
        "2 s",
        "share of the book updates in (t - 2 s, t] that shrink one of the first 5 levels at an unchanged price",
        "HS",
        "even",
    ),
    Feature("depth_ratio_64s", "ratio", "64s", "D / E_64s[D], D the lots of 10 levels on both sides", "own", "even"),
    Feature(
        "spread_regime", "0/1/2", "64s", "0 below 0.75 E_64s[spread], 2 above 1.5 E_64s[spread], else 1", "own", "even"
    ),
    Feature(
        "volatility_regime",
        "0/1/2",
        "64s",
        "sum dm^2 over 1.5 s against S_64s[dm^2] 1.5/64: 0 below a quarter, 2 above 2.25 times, else 1",
        "own",
        "even",
    ),
    Feature("depth_regime", "0/1/2", "64s", "0 when depth_ratio_64s is below 0.7, 2 above 1.3, else 1", "own", "even"),
]

_CONTEXT = [
    Feature("mid_ticks", "ticks", "now", "m", "own", "even"),
    Feature("microprice_ticks", "ticks", "now", "(b_1 A_1 + a_1 B_1) / (A_1 + B_1)", "Stoikov", "even"),
]

FEATURES: tuple[Feature, ...] = (*_BOOK, *_WINDOWS, *_STATE, *_CONTEXT)
CONTEXT_NAMES: tuple[str, ...] = tuple(f.name for f in _CONTEXT)
COLUMN_NAMES: tuple[str, ...] = tuple(f.name for f in FEATURES)
FEATURE_NAMES: tuple[str, ...] = COLUMN_NAMES[: -len(CONTEXT_NAMES)]
"""The model's inputs, in the order of its columns."""
N_FEATURES = len(FEATURE_NAMES)
N_COLUMNS = len(COLUMN_NAMES)

_ODD = np.array([f.symmetry == "odd" for f in FEATURES[:N_FEATURES]])
_PARTNER = np.array(
    [
        FEATURE_NAMES.index(f.symmetry.removeprefix("swap:")) if f.symmetry.startswith("swap:") else k
        for k, f in enumerate(FEATURES[:N_FEATURES])
    ]
)


def schema_hash(features: Sequence[Feature] = FEATURES, version: int = KERNEL_VERSION) -> str:
    """Return the sha256 (hex) over names, units and windows in order and the kernel version.

    Two sides that agree on it agree on what every column of a row means.
    """
    columns = [[f.name, f.unit, f.window] for f in features]
    text = json.dumps({"columns": columns, "kernel_version": version}, separators=(",", ":"), sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def orient(rows: NDArray[np.float32], sides: NDArray[np.int8]) -> NDArray[np.float32]:
    """Return float32[n, N_FEATURES] in which every row reads as if it were a long.

    Rows of side -1 get their odd features negated and their bid and ask partners exchanged, to the bit; rows of
    side +1 are copied. Orienting twice gives the first rows again. Raises BadEvent for another width or length.
    """
    if rows.ndim != 2 or rows.shape[1] != N_FEATURES or sides.shape != rows.shape[:1]:
        raise BadEvent(
            f"orient wants rows [n, {N_FEATURES}] and sides [n], got {list(rows.shape)} and {list(sides.shape)}; pass "
            f"the model's inputs without the context columns"
        )
    oriented = np.array(rows, np.float32)
    short = np.flatnonzero(sides < 0)
    mirrored = oriented[np.ix_(short, _PARTNER)]
    mirrored[:, _ODD] = np.negative(mirrored[:, _ODD])
    oriented[short] = mirrored
    return oriented


def orient_row(row: NDArray[np.float32], side: int) -> NDArray[np.float32]:
    """Return one row float32[N_FEATURES] as `orient` does, for the live side: a tenth of the time, the same bits.

    A row of side +1 is returned as it is, not copied. Raises BadEvent for another width.
    """
    if row.shape != (N_FEATURES,):
        raise BadEvent(f"orient_row wants a row [{N_FEATURES}], got {list(row.shape)}; pass the model's inputs alone")
    if side > 0:
        return row
    mirrored: NDArray[np.float32] = row[_PARTNER]
    np.negative(mirrored, mirrored, where=_ODD)
    return mirrored

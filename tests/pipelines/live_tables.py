"""Rows of live's tables by hand, written to a lake as the recorder would leave them."""

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

import numpy as np
from numpy.typing import NDArray

from archive.layout import TABLES, day_bounds_ns
from archive.live_tables import KIND_CODES, LEG_CODES, LIVE_SCORES, OUTCOMES, REPORTS, ROUTE_CODES, key
from archive.store import Lake
from market.barriers import STOP, TARGET
from market.feature_spec import COLUMN_NAMES, schema_hash

DAY = date(2026, 1, 8)
START_NS = day_bounds_ns(DAY)[0] + 36_000_000_000_000
SECOND_NS = 1_000_000_000
SYMBOL = "BTCUSDT"
Columns = dict[str, NDArray[Any]]


def at(second: float) -> int:
    """A time of the day of these tests."""
    return START_NS + round(second * SECOND_NS)


def filled(table: str, rows: int, **given: Any) -> Columns:
    """Columns of a table: zeros, NaN in floats, but for what is given (a value or one a row)."""
    found = {
        name: np.full(rows, np.nan if dtype.kind == "f" else 0, dtype) for name, dtype in TABLES[table].columns.items()
    }
    for name, value in given.items():
        found[name] = np.full(rows, value).astype(TABLES[table].columns[name])
        found[name][:] = value
    return found


def judged(
    rows: int, *, shadow: int = 2, canary_share: float = 0.0, skill: float = 0.3, seed: int = 1, **more: Any
) -> Columns:
    """Outcomes, one a second: version 1 is active, `shadow` (0: none) sees `skill` of what decides, 1 sees 0.3."""
    rng = np.random.default_rng(seed)
    hidden = rng.normal(size=rows)
    truth = 1.0 / (1.0 + np.exp(-hidden))
    won = rng.random(rows) < truth
    scores = {name: _seen(hidden, part, rng) for name, part in (("active", 0.3), ("shadow", skill))}
    is_canary = (rng.random(rows) < canary_share) & bool(shadow)
    other: Any = scores["shadow"] if shadow else np.nan
    given = {
        "t_ns": [at(second) for second in range(rows)],
        "side": 1,
        "outcome": np.where(won, TARGET, STOP),
        "route": np.where(is_canary, ROUTE_CODES.index("canary"), ROUTE_CODES.index("paper")),
        "approved": np.where(is_canary, other, scores["active"]) >= 0.5,
        "active_version": 1, "active_probability": scores["active"], "active_tau": 0.5,
        "shadow_version": shadow, "shadow_probability": other, "shadow_tau": 0.5 if shadow else np.nan,
        "canary_version": shadow if canary_share else 0,
        "canary_probability": other if canary_share else np.nan, "canary_tau": 0.5 if canary_share else np.nan,
    }  # fmt: skip
    return filled(OUTCOMES, rows, **given | more)


def scored(outcomes: Mapping[str, NDArray[Any]], **more: Any) -> Columns:
    """The scores of candidates, with kernel rows that depend on their number alone."""
    rows = len(outcomes["t_ns"])
    shared = {name: outcomes[name] for name in TABLES[LIVE_SCORES].columns if name in outcomes}
    kernel = np.random.default_rng(3).normal(size=(rows, len(COLUMN_NAMES))).astype(np.float32)
    head = filled(LIVE_SCORES, rows, schema_key=key(schema_hash()), local_ns=outcomes["t_ns"], **shared | more)
    return head | {name: kernel[:, place].copy() for place, name in enumerate(COLUMN_NAMES)}


def report(second: float, kind: str, *, order: int = 1, leg: str = "entry", **more: Any) -> dict[str, Any]:
    """One report of an order on the candidate of second 0, unless `t_ns` says otherwise."""
    facts = {
        "local_ns": at(second), "exchange_ns": at(second), "t_ns": at(0), "kind": KIND_CODES.index(kind),
        "leg": LEG_CODES.index(leg), "order_key": order, "side": 1, "route": ROUTE_CODES.index("paper"),
        "report_key": key(f"{second} {kind} {order} {leg}"), "fee_quote": 0.0, "net_quote": 0.0, "net_bps": 0.0,
    }  # fmt: skip
    return facts | more


def put_reports(lake: Lake, *reports: Mapping[str, Any]) -> None:
    """Write reports in the order of their arrival."""
    ordered = sorted(reports, key=lambda each: each["local_ns"])
    columns = {
        name: np.array([each.get(name, 0) for each in ordered], dtype)
        for name, dtype in TABLES[REPORTS].columns.items()
    }
    lake.write(REPORTS, SYMBOL, DAY, columns, source="live")


def put(lake: Lake, outcomes: Columns, symbol: str = SYMBOL, day: date = DAY, **scores: Any) -> None:
    """Write outcomes and the scores behind them."""
    lake.write(OUTCOMES, symbol, day, outcomes, source="live")
    lake.write(LIVE_SCORES, symbol, day, scored(outcomes, **scores), source="live", schema_hash=schema_hash())


def a_trade(second: int, order: int, *, lots: int = 3, net_bps: float = -2.0, **more: Any) -> Sequence[dict[str, Any]]:
    """An entry on the candidate of a second that filled in two steps, and its round trip."""
    common = {"t_ns": at(second), **more}
    return (
        report(second + 0.1, "accepted", order=order, **common),
        report(second + 0.5, "partial", order=order, filled_lots=1, **common),
        report(second + 0.9, "filled", order=order, filled_lots=lots, **common),
        report(second + 5.0, "filled", order=order + 10_000, leg="exit", filled_lots=lots, **common | {"side": -1}),
        report(
            second + 5.1, "closed", order=order + 10_000, leg="exit", net_quote=net_bps / 10, net_bps=net_bps, **common
        ),
    )


def _seen(hidden: NDArray[np.float64], part: float, rng: np.random.Generator) -> NDArray[np.float64]:
    noisy = part * hidden + (1 - part) * 0.5 * rng.normal(size=len(hidden))
    return np.asarray(1.0 / (1.0 + np.exp(-noisy)))

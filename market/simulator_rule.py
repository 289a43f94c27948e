"""What the simulated market is like: the rule of its order flow, the regimes of its day, and midnight.

A day of a symbol depends on (seed, symbol, day) alone, so days can be made in any order and on many machines. What
two neighbouring days share is the midnight between them: its price is a mean-reverting walk made of one seeded step
a day, and the flow of a day is a Brownian bridge from its first midnight to its last. So price goes on across
midnight although neither day has seen the other.
"""

import hashlib
import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from market.events import BadRule
from market.symbols import Symbol

NS_PER_SECOND = 1_000_000_000
DAY_NS = 86_400 * NS_PER_SECOND

Regime = Literal["normal", "event", "high_volatility"]

# Multipliers of a stretch of the day: volatility, order rate, spread, depth, jump rate, order-flow effect.
SPAN_FIELDS = ("volatility", "rate", "spread", "depth", "jumps", "effect")
_REGIMES: dict[str, tuple[float, ...]] = {
    "normal": (1.0, 1.0, 1.0, 1.0, 1.0, 1.0),
    "event": (2.0, 5.0, 8.0, 0.4, 6.0, 1.0),
    "high_volatility": (3.0, 2.0, 1.0, 0.6, 1.0, 1.0),
}

# One step of the walk of midnights is forgotten at this rate a day; steps older than the limit weigh nothing.
_WALK_MEMORY = 0.9
_WALK_STEPS = 64


@dataclass(frozen=True, slots=True)
class RegimeSpan:
    """A stretch of every simulated UTC day, in seconds after midnight, which is unlike the rest of it."""

    regime: Regime
    start_second: float = 0.0
    end_second: float = 86_400.0

    def __post_init__(self) -> None:
        if self.regime not in _REGIMES:
            raise BadRule(f"regime must be one of {', '.join(_REGIMES)}, was {self.regime!r}")
        if not 0.0 <= self.start_second < self.end_second <= 86_400.0:
            raise BadRule(
                f"{self.regime}: wanted 0 <= start < end <= 86400 s, found {self.start_second} to {self.end_second}"
            )


@dataclass(frozen=True, slots=True)
class Drift:
    """From `start_ns` to `end_ns` the named property of the flow (one of SPAN_FIELDS) is `factor` times its usual."""

    field: str
    factor: float
    start_ns: int
    end_ns: int

    def __post_init__(self) -> None:
        if self.field not in SPAN_FIELDS:
            raise BadRule(f"drifted feature must be one of {', '.join(SPAN_FIELDS)}, was {self.field!r}")
        if not math.isfinite(self.factor) or (self.factor <= 0.0 and self.field != "effect"):
            raise BadRule(f"drift of {self.field}: factor must be finite and above 0 (effect: any), was {self.factor}")


@dataclass(frozen=True, slots=True)
class SimulatorRule:
    """The market to simulate; sizes are quote-currency notional, distances basis points, so one rule fits any symbol.

    `orders_per_second` counts limit orders and cancels, `trades_per_second` prints; `volatility_bps` is the standard
    deviation of price after one second of an even day; `order_flow_effect` is the share of that variance, at horizons
    well above `effect_horizon_seconds`, which comes from a slow pressure that also leans on queues and takers: 0 makes
    direction unpredictable. `level_gap_bps` is the mean distance of neighbouring levels and `hold_bps` how far the
    fair price runs before the quotes follow. Raises BadRule.
    """

    start_price: float = 60_000.0
    depth_interval_ms: int = 500
    orders_per_second: float = 20.0
    trades_per_second: float = 1.0
    volatility_bps: float = 0.6
    order_flow_effect: float = 0.5
    effect_horizon_seconds: float = 30.0
    spread_ticks: float = 1.0
    level_gap_bps: float = 0.085
    levels_each_side: int = 128
    hold_bps: float = 0.6
    touch_notional: float = 260_000.0
    trade_notional: float = 3_200.0
    latency_ms: float = 2.0
    regimes: tuple[RegimeSpan, ...] = ()

    def __post_init__(self) -> None:
        positive = (
            "start_price", "depth_interval_ms", "orders_per_second", "trades_per_second", "volatility_bps",
            "effect_horizon_seconds", "spread_ticks", "level_gap_bps", "hold_bps", "touch_notional", "trade_notional",
        )  # fmt: skip
        for name in positive:
            if not (math.isfinite(getattr(self, name)) and getattr(self, name) > 0):
                raise BadRule(f"{name} must be above 0, was {getattr(self, name)}")
        if not 0.0 <= self.order_flow_effect < 1.0:
            raise BadRule(f"order_flow_effect must be a share from 0 to 1, was {self.order_flow_effect}")
        if not 16 <= self.levels_each_side <= 1_000:
            raise BadRule(f"levels_each_side must be 16 to 1000, was {self.levels_each_side}")
        if not 0.0 <= self.latency_ms <= 10_000.0:
            raise BadRule(f"latency_ms must be 0 to 10000, was {self.latency_ms}")


def usual_rule(symbol: str, depth_interval_ms: int, order_flow_effect: float) -> SimulatorRule:
    """Return the market that is simulated unless somebody asks for another: the same for training and for live."""
    return SimulatorRule(
        start_price=_START_PRICES.get(symbol, _OTHER_START_PRICE),
        depth_interval_ms=depth_interval_ms,
        order_flow_effect=order_flow_effect,
        regimes=_USUAL_REGIMES,
    )


_START_PRICES = {"BTCUSDT": 60_000.0, "ETHUSDT": 3_000.0}
_OTHER_START_PRICE = 100.0
_USUAL_REGIMES = (RegimeSpan("event", 48_600.0, 49_200.0), RegimeSpan("high_volatility", 50_400.0, 57_600.0))
"""Every day has ten minutes of news at 13:30 and two wild hours from 14:00, UTC."""


def seed_of(*parts: object) -> int:
    """Return 64 bits that depend on every part: the one way randomness enters a simulation."""
    text = "/".join(str(part) for part in parts)
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "little")


def midnight_price(symbol: Symbol, day_number: int, seed: int, rule: SimulatorRule) -> float:
    """Return the fair price at the start of UTC day `day_number` (days since 1970), which also ends the day before.

    The logarithm is start_price plus an autoregressive walk; one step has the volatility of an even day.
    """
    step_bps = rule.volatility_bps * math.sqrt(86_400.0)
    walk_bps = sum(
        step_bps * _WALK_MEMORY**age * _bell(seed_of(seed, symbol.name, "midnight", day_number - age))
        for age in range(_WALK_STEPS)
    )
    return rule.start_price * math.exp(walk_bps * 1e-4)


def multipliers(rule: SimulatorRule, drifts: tuple[Drift, ...], day_number: int) -> NDArray[np.float64]:
    """Return the day cut where anything changes: float64[k, 7], end in seconds after midnight, then SPAN_FIELDS.

    Later regimes win over earlier ones; drifts multiply.
    """
    day_ns = day_number * DAY_NS
    places = [((d.start_ns - day_ns) / 1e9, (d.end_ns - day_ns) / 1e9) for d in drifts]
    edges = {span.start_second for span in rule.regimes} | {span.end_second for span in rule.regimes} | {86_400.0}
    edges |= {second for place in places for second in place}
    ends = sorted(second for second in edges if 0.0 < second <= 86_400.0)
    rows = np.ones((len(ends), 1 + len(SPAN_FIELDS)))
    for row, (start, end) in zip(rows, zip([0.0, *ends], ends, strict=False), strict=True):
        row[0] = end
        for span in rule.regimes:
            if span.start_second <= start < span.end_second:
                row[1:] = _REGIMES[span.regime]
        for drift, (first, last) in zip(drifts, places, strict=True):
            if first <= start < last:
                row[1 + SPAN_FIELDS.index(drift.field)] *= drift.factor
    return rows


def _bell(bits: int) -> float:
    """Turn 64 random bits into a standard normal number (Box and Muller 1958)."""
    radius = math.sqrt(-2.0 * math.log(((bits >> 32) + 1) / 2.0**32))
    return radius * math.cos(2.0 * math.pi * (bits & 0xFFFFFFFF) / 2.0**32)

"""The features straight from their definitions in `market.feature_spec`, slowly and in plain Python.

Nothing here is incremental: each row looks at all events since the last reset again. Sums over windows and decayed
sums are written as sums, levels as lists; only the averages are recursions, as their definition is.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from market.columns import BOOK_RESET

SECOND_NS = 1_000_000_000
Ladder = list[tuple[int, int]]


@dataclass
class Moment:
    """One event and the book as it stands after it."""

    ns: int
    is_trade: bool
    price: int = 0
    signed: int = 0
    bids: Ladder = field(default_factory=list)
    asks: Ladder = field(default_factory=list)
    flows: list[int] = field(default_factory=lambda: [0] * 5)
    shrunk: bool = False
    usable: bool = True
    square: int = 0
    prices: tuple[Ladder, Ladder] = ([], [])


def expected(events: NDArray[np.int64]) -> Iterator[dict[str, float] | None]:
    """Yield for each event the features by name, or None where the row must not be valid."""
    past: list[Moment] = []
    for row in events.tolist():
        now = _moment(row)
        if not now.is_trade and row[2] & BOOK_RESET:
            past = []
        if not past and (now.is_trade or not now.usable):
            yield None
            continue
        _join(past, now)
        past.append(now)
        late = now.ns - past[0].ns >= 120 * SECOND_NS
        yield _features(past) if late and now.usable else None


def _moment(row: list[int]) -> Moment:
    if row[1]:
        return Moment(row[0], True, price=row[3], signed=row[4])
    bids = list(zip(row[5:15], row[25:35], strict=True))
    asks = list(zip(row[15:25], row[35:45], strict=True))
    usable = bids[0][1] > 0 and asks[0][1] > 0 and bids[0][0] <= asks[0][0]
    return Moment(row[0], False, bids=bids, asks=asks, usable=usable)


def _join(past: list[Moment], now: Moment) -> None:
    """Give the moment what depends on the one before: a trade its book, a book its flow and its move."""
    if now.is_trade:
        before = past[-1]
        now.bids, now.asks, now.usable, now.prices = before.bids, before.asks, before.usable, before.prices
        return
    now.prices = (now.bids, now.asks) if now.usable else past[-1].prices
    if past:
        before = past[-1]
        now.flows = [
            _bid_flow(b, was_b) + _ask_flow(a, was_a)
            for b, was_b, a, was_a in list(zip(now.bids, before.bids, now.asks, before.asks, strict=True))[:5]
        ]
        pairs = [*zip(now.bids[:5], before.bids, strict=False), *zip(now.asks[:5], before.asks, strict=False)]
        now.shrunk = any(level[0] == was[0] and level[1] < was[1] for level, was in pairs)
        now.square = (_mid2(now) - _mid2(before)) ** 2


def _bid_flow(now: tuple[int, int], was: tuple[int, int]) -> int:
    if now[0] > was[0]:
        return now[1]
    return now[1] - was[1] if now[0] == was[0] else -was[1]


def _ask_flow(now: tuple[int, int], was: tuple[int, int]) -> int:
    if now[0] < was[0]:
        return -now[1]
    return was[1] - now[1] if now[0] == was[0] else was[1]


def _mid2(moment: Moment) -> int:
    bids, asks = moment.prices
    return bids[0][0] + asks[0][0]


def _micro(moment: Moment) -> float:
    (bid, bid_lots), (ask, ask_lots) = moment.prices[0][0], moment.prices[1][0]
    return (bid * ask_lots + ask * bid_lots) / (bid_lots + ask_lots)


def _imbalance(moment: Moment, levels: int) -> float:
    bid, ask = (sum(lots for _, lots in side[:levels]) for side in moment.prices)
    return (bid - ask) / (bid + ask)


def _depth(moment: Moment) -> int:
    return sum(lots for side in moment.prices for _, lots in side)


def _spread(moment: Moment) -> int:
    return moment.prices[1][0][0] - moment.prices[0][0][0]


def _features(past: list[Moment]) -> dict[str, float]:
    return _ladder_features(past[-1]) | _window_features(past) | _decayed_features(past) | _average_features(past)


def _ladder_features(now: Moment) -> dict[str, float]:
    mid = _mid2(now) / 2
    row = {
        "spread_ticks": _spread(now),
        "spread_bps": _spread(now) / mid * 1e4,
        "microprice_gap_bps": (_micro(now) - mid) / mid * 1e4,
        "mid_ticks": mid,
        "microprice_ticks": _micro(now),
    }
    for levels in (1, 5, 10):
        row[f"queue_imbalance_{levels}"] = _imbalance(now, levels)
        for side, ladder in zip(("bid", "ask"), now.prices, strict=True):
            present = [(price, lots) for price, lots in ladder[:levels] if lots]
            depth = sum(lots for _, lots in present)
            row[f"{side}_depth_{levels}_lots"] = depth
            mean = sum(price * lots for price, lots in present) / depth
            row[f"{side}_price_gap_{levels}_bps"] = abs(mid - mean) / mid * 1e4
            row[f"{side}_width_{levels}_bps"] = abs(mid - present[-1][0]) / mid * 1e4
    return row


def _window_features(past: list[Moment]) -> dict[str, float]:
    now, mid = past[-1], _mid2(past[-1]) / 2
    second, two = _within(past, 1.0), _within(past, 2.0)
    updates = [m for m in two if not m.is_trade]
    volume = sum(abs(m.signed) for m in second)
    trades = [m for m in past if m.is_trade and now.ns - m.ns <= 64 * SECOND_NS]
    return {
        "microprice_velocity_200ms_bps": (_micro(now) - _micro(_before(past, 0.2))) / mid * 1e4,
        "mid_return_1s_bps": (mid - _mid2(_before(past, 1.0)) / 2) / mid * 1e4,
        "ofi_1_1s": sum(m.flows[0] for m in second),
        "ofi_5_1s": sum(sum(m.flows) for m in second),
        "taker_imbalance_1s": sum(m.signed for m in second) / volume if volume else 0.0,
        "trade_count_1s": sum(m.is_trade for m in second),
        "last_trade_gap_bps": (trades[-1].price - mid) / mid * 1e4 if trades else 0.0,
        "realised_volatility_1500ms_bps": math.sqrt(sum(m.square for m in _within(past, 1.5))) / 2 / mid * 1e4,
        "cancel_rate_2s": sum(m.shrunk for m in updates) / len(updates) if updates else 0.0,
    }


def _within(past: list[Moment], seconds: float) -> list[Moment]:
    return [m for m in past if m.ns > past[-1].ns - round(seconds * SECOND_NS)]


def _before(past: list[Moment], seconds: float) -> Moment:
    """Return the latest moment at least so long ago, or the first there is."""
    return ([past[0]] + [m for m in past if m.ns <= past[-1].ns - round(seconds * SECOND_NS)])[-1]


def _decayed_features(past: list[Moment]) -> dict[str, float]:
    mid, row = _mid2(past[-1]) / 2, {}
    for tau in (4, 16, 64):
        row[f"ofi_1_ewm_{tau}s"] = _decayed(past, tau, lambda m: m.flows[0])
        row[f"ofi_5_ewm_{tau}s"] = _decayed(past, tau, lambda m: sum(m.flows))
        row[f"trade_flow_ewm_{tau}s_lots"] = flow = _decayed(past, tau, lambda m: m.signed)
        row[f"trade_intensity_ewm_{tau}s"] = _decayed(past, tau, lambda m: m.is_trade) / tau
        volume = _decayed(past, tau, lambda m: abs(m.signed))
        row[f"taker_imbalance_ewm_{tau}s"] = flow / volume if volume >= 1e-3 else 0.0
        row[f"realised_volatility_ewm_{tau}s_bps"] = math.sqrt(_decayed(past, tau, lambda m: m.square)) / 2 / mid * 1e4
    usual = _decayed(past, 64, lambda m: m.square) * 1.5 / 64
    found = sum(m.square for m in _within(past, 1.5))
    return row | {"volatility_regime": 0.0 if found < usual / 4 else 2.0 if found > usual * 2.25 else 1.0}


def _decayed(past: list[Moment], tau: float, value: Callable[[Moment], float]) -> float:
    now = past[-1].ns
    total = math.fsum(value(m) * math.exp(-(now - m.ns) / SECOND_NS / tau) for m in past)
    return total if abs(total) >= 1e-9 else 0.0


def _average_features(past: list[Moment]) -> dict[str, float]:
    now, mid = past[-1], _mid2(past[-1]) / 2
    row = {f"ema_gap_{tau}s_bps": (mid - _average(past, tau, _mid2) / 2) / mid * 1e4 for tau in (1, 4, 16, 64)}
    for tau in (4, 16, 64):
        row[f"queue_imbalance_5_ewm_{tau}s"] = _average(past, tau, lambda m: _imbalance(m, 5))
    spread, ratio = _average(past, 64, _spread), _depth(now) / _average(past, 64, _depth)
    return row | {
        "queue_imbalance_10_ewm_64s": _average(past, 64, lambda m: _imbalance(m, 10)),
        "depth_ratio_64s": ratio,
        "spread_regime": 0.0 if _spread(now) < 0.75 * spread else 2.0 if _spread(now) > 1.5 * spread else 1.0,
        "depth_regime": 0.0 if ratio < 0.7 else 2.0 if ratio > 1.3 else 1.0,
    }


def _average(past: list[Moment], tau: float, value: Callable[[Moment], float]) -> float:
    mean, ns = float(value(past[0])), past[0].ns
    for moment in past[1:]:
        weight = math.exp(-(moment.ns - ns) / SECOND_NS / tau)
        mean, ns = weight * mean + (1.0 - weight) * value(moment), moment.ns
    return mean

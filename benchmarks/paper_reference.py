"""hftbacktest's partial fill exchange over a recorded evening: what our matching is held equal to."""

import time
from pathlib import Path
from typing import Any

import numpy as np
from hftbacktest import GTX, LIMIT, BacktestAsset, HashMapMarketDepthBacktest
from hftbacktest.data.utils import binancefutures
from numba import njit
from numpy.typing import NDArray

from benchmarks.paper_replay import ENTRY_NS, FIRST_NS, LIFE_STEPS, LOT, RESPONSE_NS, STEP_NS, TICK, Life, Run

MOST_PAIRS = 2_000
_STATES = {1: "new", 2: "expired", 3: "filled", 4: "canceled", 5: "partial"}


def events(capture: Path, folder: Path) -> NDArray[Any]:
    """The capture as hftbacktest's own converter reads it; the file is folder/events.npz."""
    binancefutures.convert(
        str(capture), str(folder / "events.npz"), combined_stream=True, base_latency=5_000_000, buffer_size=3_000_000
    )
    found: NDArray[Any] = np.load(folder / "events.npz")["data"]
    return found


def reference(folder: Path, model: tuple[str, float], size_lots: float) -> Run:
    """What hftbacktest makes of the orders."""
    asset = (
        BacktestAsset()
        .data([str(folder / "events.npz")])
        .linear_asset(1.0)
        .constant_order_latency(ENTRY_NS, RESPONSE_NS)
        .partial_fill_exchange()
        .trading_value_fee_model(0.0, 0.0)
        .tick_size(TICK)
        .lot_size(LOT)
    )
    name, n = model
    asset = asset.risk_adverse_queue_model() if name == "risk_averse" else asset.power_prob_queue_model3(n)
    engine = HashMapMarketDepthBacktest([asset])
    pairs = np.zeros((MOST_PAIRS, 3), np.int64)
    lives = np.zeros((2 * MOST_PAIRS + 1, 3), np.float64)
    times = np.zeros(2 * MOST_PAIRS + 1, np.int64)
    begin = time.perf_counter()
    count = _trade(engine, pairs, lives, times, FIRST_NS, STEP_NS, LIFE_STEPS, size_lots * LOT)
    seconds = time.perf_counter() - begin
    engine.close()
    ended = {
        number: Life(_STATES[int(lives[number, 0])], round(lives[number, 1] / LOT), int(times[number]))
        for number in range(1, 2 * count + 1)
        if lives[number, 2]
    }
    return Run(ended, [(int(a), int(b), int(c)) for a, b, c in pairs[:count]], seconds)


@njit
def _trade(
    engine: Any,
    pairs: NDArray[Any],
    lives: NDArray[Any],
    times: NDArray[Any],
    first_ns: int,
    step_ns: int,
    life_steps: int,
    size: float,
) -> int:
    """Send a pair every step and fill pairs (ns, bid, ask), lives (state, leaves, 1) and times; return how many."""
    count = 0
    engine.elapse(first_ns)
    while count < len(pairs) and engine.elapse(step_ns) == 0:
        depth = engine.depth(0)
        old = 2 * (count - life_steps) + 1
        if old >= 1:
            for number in (old, old + 1):
                order = engine.orders(0).get(number)
                if order is not None and order.cancellable:
                    engine.cancel(0, number, False)
        pairs[count, 0] = engine.current_timestamp
        pairs[count, 1] = depth.best_bid_tick
        pairs[count, 2] = depth.best_ask_tick
        engine.submit_buy_order(0, 2 * count + 1, depth.best_bid, size, GTX, LIMIT, False)
        engine.submit_sell_order(0, 2 * count + 2, depth.best_ask, size, GTX, LIMIT, False)
        count += 1
    for number in range(1, 2 * count + 1):
        order = engine.orders(0).get(number)
        if order is not None:
            lives[number, 0] = order.status
            lives[number, 1] = order.leaves_qty
            lives[number, 2] = 1
            times[number] = order.exch_timestamp
    return count

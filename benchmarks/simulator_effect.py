"""Can the simulated market be learned, and only as much as it should be? A model of one day, judged on the next.

    python -m benchmarks.simulator_effect

A plain LightGBM on the kernel's features of the first day (candidates every second, barriers on executable prices)
tells the direction of the second day's entries that touch a barrier. Prints a Markdown table, kept in
docs/simulator.md.
"""

from dataclasses import replace
from typing import NamedTuple

import lightgbm as lgb
import numpy as np
from numpy.typing import NDArray

from evaluation.discrimination import auc
from market import features
from market.barriers import STOP, TARGET, BarrierRule
from market.candidates import CandidateRule, select
from market.labels import triple_barrier
from market.simulator import simulate_columns
from market.simulator_rule import DAY_NS, RegimeSpan, SimulatorRule
from market.symbols import SymbolTable

_DAY = 19_950
_SEEDS = (7, 8)
_NO_BLACKOUT = np.empty((0, 2), np.int64)


class Entries(NamedTuple):
    """Oriented rows float32[m, F], outcomes int8[m] and sides int8[m] of a day's candidates."""

    rows: NDArray[np.float32]
    outcome: NDArray[np.int8]
    side: NDArray[np.int8]


def main() -> None:
    """Print the table."""
    usual = SimulatorRule()
    minute = BarrierRule(0.00048, 0.00048, 60.0)
    print("| market of the second day | barriers | touched | AUC of direction |\n|---|---|---|---|")
    no_effect = replace(usual, order_flow_effect=0.0)
    event = replace(usual, regimes=(RegimeSpan("event"),))
    volatile = replace(usual, regimes=(RegimeSpan("high_volatility"),))
    cases: list[tuple[str, SimulatorRule, SimulatorRule, BarrierRule]] = [
        ("default", usual, usual, minute),
        ("default", usual, usual, BarrierRule(0.0005, 0.0005, 30.0)),
        ("default", usual, usual, BarrierRule(0.0002, 0.0002, 10.0)),
        ("event, all day", usual, event, minute),
        ("high volatility, all day", usual, volatile, minute),
        ("no order-flow effect, both days", no_effect, no_effect, minute),
    ]
    for name, first, second, rule in cases:
        found = np.mean([judged(first, second, rule, seed) for seed in _SEEDS], axis=0)
        barriers = f"{rule.tp_pct * 1e4:g} bps, {rule.horizon_seconds:g} s"
        print(f"| {name} | {barriers} | {found[0]:.0%} | {found[1]:.3f} |")


def judged(first: SimulatorRule, second: SimulatorRule, rule: BarrierRule, seed: int) -> tuple[float, float]:
    """Return the share of the second day's entries that touch, and the AUC of their direction."""
    train, test = entries(_DAY, first, rule, seed), entries(_DAY + 1, second, rule, seed)
    model = lgb.LGBMClassifier(
        n_estimators=150, num_leaves=31, learning_rate=0.05, min_child_samples=200, num_threads=1, verbose=-1
    )
    learned, told = np.isin(train.outcome, (TARGET, STOP)), np.isin(test.outcome, (TARGET, STOP))
    model.fit(train.rows[learned], train.outcome[learned] == TARGET)
    win = np.asarray(model.predict_proba(test.rows[told]))[:, 1]
    up = np.where(test.side[told] > 0, win, 1.0 - win)
    went_up = (test.outcome[told] == TARGET) == (test.side[told] > 0)
    return float(told.mean()), auc(up, went_up.astype(np.int8))


def entries(day: int, market: SimulatorRule, rule: BarrierRule, seed: int) -> Entries:
    """Return the labelled candidates of one simulated day."""
    symbol = SymbolTable.load("data/reference/symbols.yml")["BTCUSDT"]
    book, trades = simulate_columns(symbol, day * DAY_NS, (day + 1) * DAY_NS, seed, rule=market)
    events = features.interleave(book, trades)
    out = np.empty((len(events), features.N_COLUMNS), np.float32)
    valid = np.empty(len(events), np.uint8)
    features.run(features.KernelState.new(), events, out, valid)
    when = np.ascontiguousarray(events[:, 0])
    index, side = select(CandidateRule(), when, out, valid)
    rows = np.cumsum(events[:, 1] == features.KIND_BOOK) - 1
    book_ns = np.maximum.accumulate(book.exchange_ns)
    touch = (book_ns, book.bid_ticks[0], book.ask_ticks[0])
    labels = triple_barrier(*touch, rows[index], when[index], side, rule, symbol, _NO_BLACKOUT)
    chosen = np.ascontiguousarray(out[index, : features.N_FEATURES])
    return Entries(features.orient(chosen, side), labels.outcome, side)


if __name__ == "__main__":
    main()

"""How near the simulated market is to a real one: the same figures of a recorded USD-M capture and of the simulator.

    python -m benchmarks.simulator_calibration [CAPTURE.gz] [--minutes 30]

Prints a Markdown table, which docs/simulator.md keeps. The simulator runs with CAPTURE_RULE: the rates, sizes and
volatility of that evening. Without the capture only the simulated column is filled.
"""

import argparse
import gzip
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from market.simulator import simulate
from market.simulator_rule import DAY_NS, SimulatorRule
from market.symbols import SymbolTable

CAPTURE_RULE = SimulatorRule(
    start_price=61_800.0,
    depth_interval_ms=50,
    orders_per_second=220.0,
    trades_per_second=62.0,
    volatility_bps=1.1,
    order_flow_effect=0.1,
    hold_bps=0.65,
)
_NEAR_TICKS = 40
_LEVELS = 10
_DAY = 19_943
_CAPTURE = Path(__file__).resolve().parents[2] / "shared/data/binance_ws/usdm/btcusdt_20240808.gz"


@dataclass
class Tape:
    """What the figures are made of: books after each depth update, changes of levels near the touch, prints."""

    tickers: int = 0
    book_ms: list[int] = field(default_factory=list)
    tops: list[list[int]] = field(default_factory=list)
    near_levels: list[int] = field(default_factory=list)
    added_lots: int = 0
    removed_lots: int = 0
    prints: list[tuple[int, int, int]] = field(default_factory=list)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("capture", nargs="?", type=Path, default=_CAPTURE)
    parser.add_argument("--minutes", type=float, default=30.0)
    arguments = parser.parse_args()
    symbol = SymbolTable.load("data/reference/symbols.yml")["BTCUSDT"]
    start_ns = _DAY * DAY_NS
    frames = simulate(symbol, start_ns, start_ns + round(arguments.minutes * 60e9), 1, rule=CAPTURE_RULE)
    simulated = figures(tape(frame for _, frame in frames))
    recorded = figures(tape(_lines(arguments.capture))) if arguments.capture.exists() else {}
    print("| figure | capture | simulated |\n|---|---|---|")
    for name, value in simulated.items():
        print(f"| {name} | {recorded[name]:.3g} | {value:.3g} |" if recorded else f"| {name} | | {value:.3g} |")


def tape(frames: Iterable[bytes]) -> Tape:
    """Read frames of one symbol with tick 0.1 and lot 0.001; the book starts at the snapshot."""
    found, joined = Tape(), 0
    books: tuple[dict[int, int], dict[int, int]] = ({}, {})
    waiting: list[dict[str, Any]] = []
    for payload in frames:
        frame = json.loads(payload)
        data: dict[str, Any] = frame.get("data", frame)
        kind = data.get("e")
        if kind == "trade":
            found.prints.append((data["T"], round(float(data["q"]) * 1000), -1 if data["m"] else 1))
        elif kind == "bookTicker":
            found.tickers += 1
        elif kind is None:
            joined, books = data["lastUpdateId"], (_levels(data["bids"]), _levels(data["asks"]))
            for update in waiting:
                _apply(found, books, update, joined)
        elif joined:
            _apply(found, books, data, joined)
        else:
            waiting.append(data)
    return found


def figures(tape: Tape) -> dict[str, float]:
    """Return every figure by name; sizes in lots, distances in ticks."""
    book_ms, tops = np.array(tape.book_ms), np.array(tape.tops)
    when, size, side = np.array(tape.prints).T
    seconds = (book_ms[-1] - book_ms[0]) / 1e3
    counts = np.bincount((when - when[0]) // 1000)
    bid, bid_lots, ask, ask_lots = (tops[:, k * _LEVELS : (k + 1) * _LEVELS] for k in range(4))
    touch = np.concatenate([bid_lots[:, 0], ask_lots[:, 0]])
    widths = [np.concatenate([bid[:, 0] - bid[:, k], ask[:, k] - ask[:, 0]]) for k in (4, 9)]
    gaps = np.concatenate([(bid[:, :-1] - bid[:, 1:]).ravel(), (ask[:, 1:] - ask[:, :-1]).ravel()])
    deep = np.concatenate([bid_lots[:, 1:].ravel(), ask_lots[:, 1:].ravel()])
    spread = ask[:, 0] - bid[:, 0]
    found = {
        "depth updates a second": len(book_ms) / seconds,
        "best bid and offer changes a second": tape.tickers / seconds,
        "prints a second": len(when) / seconds,
        "prints in the millisecond of the one before": float((np.diff(when) == 0).mean()),
        "coefficient of variation of the waits between": _variation(np.diff(np.unique(when))),
        "prints a second: variance over mean": counts.var() / counts.mean(),
        "side of a print: correlation with the next": _correlation(side[:-1], side[1:]),
        "print size: median": float(np.median(size)),
        "print size: 90 %": float(np.percentile(size, 90)),
        "print size: mean": float(size.mean()),
        "share of prints of 2 or 3 lots": float(np.isin(size, (2, 3)).mean()),
        "spread of one tick, share of updates": float((spread == 1).mean()),
        "spread: mean": float(spread.mean()),
        "touch size: 10 %": float(np.percentile(touch, 10)),
        "touch size: median": float(np.median(touch)),
        "touch size: 90 %": float(np.percentile(touch, 90)),
        "size behind the touch: 25 %": float(np.percentile(deep, 25)),
        "size behind the touch: median": float(np.median(deep)),
        "size behind the touch: 90 %": float(np.percentile(deep, 90)),
        "distance between levels: mean": float(gaps.mean()),
        "touch to fifth level: median": float(np.median(widths[0])),
        "touch to tenth level: median": float(np.median(widths[1])),
        "levels near the touch in an update: median": float(np.median(tape.near_levels)),
        "levels near the touch in an update: mean": float(np.mean(tape.near_levels)),
        "lots removed for one added, near the touch": tape.removed_lots / tape.added_lots,
    }
    return found | _price_figures(book_ms, (bid[:, 0] + ask[:, 0]) / 2.0, bid_lots, ask_lots)


def _price_figures(
    book_ms: NDArray[np.int64], mid: NDArray[np.float64], bid_lots: NDArray[np.int64], ask_lots: NDArray[np.int64]
) -> dict[str, float]:
    grid = np.searchsorted(book_ms, np.arange(book_ms[0] + 1000, book_ms[-1], 100), side="right") - 1
    price, found = mid[grid], {}
    for second in (1, 10, 60):
        moves = (price[10 * second :] / price[: -10 * second] - 1.0) * 1e4
        found[f"volatility over {second} s, bps"] = float(moves.std())
    steps = np.diff(price[::10])
    found["seconds without a change of mid"] = float((steps == 0).mean())
    found["change of mid in a second, where any: median ticks"] = float(np.median(np.abs(steps[steps != 0])))
    for levels in (1, 5):
        bids, asks = bid_lots[:, :levels].sum(1)[grid], ask_lots[:, :levels].sum(1)[grid]
        imbalance = (bids - asks) / (bids + asks)
        found[f"imbalance of {levels} levels: deviation"] = float(imbalance.std())
        for second in (1, 10):
            ahead = 10 * second
            with_itself = _correlation(imbalance[:-ahead], imbalance[ahead:])
            with_return = _correlation(imbalance[:-ahead], price[ahead:] - price[:-ahead])
            found[f"imbalance of {levels} levels with itself {second} s on"] = with_itself
            found[f"imbalance of {levels} levels with the return of the next {second} s"] = with_return
    return found


def _apply(found: Tape, books: tuple[dict[int, int], dict[int, int]], update: dict[str, Any], joined: int) -> None:
    if update["u"] < joined:
        return
    near, touch = 0, (max(books[0]), min(books[1]))
    for side, key in enumerate("ba"):
        for price, size in update[key]:
            tick, lots = round(float(price) * 10), round(float(size) * 1000)
            old = books[side].pop(tick, 0)
            if lots:
                books[side][tick] = lots
            if (tick - touch[side]) * (2 * side - 1) <= _NEAR_TICKS:
                near += 1
                found.added_lots += max(0, lots - old)
                found.removed_lots += max(0, old - lots)
    found.near_levels.append(near)
    found.book_ms.append(update["T"])
    bids, asks = sorted(books[0], reverse=True)[:_LEVELS], sorted(books[1])[:_LEVELS]
    found.tops.append([*bids, *(books[0][t] for t in bids), *asks, *(books[1][t] for t in asks)])


def _levels(pairs: list[list[str]]) -> dict[int, int]:
    return {round(float(price) * 10): round(float(size) * 1000) for price, size in pairs}


def _lines(path: Path) -> Iterator[bytes]:
    with gzip.open(path) as file:
        for line in file:
            yield line.split(b" ", 1)[1]


def _variation(waits: NDArray[np.int64]) -> float:
    return float(waits.std() / waits.mean())


def _correlation(x: NDArray[Any], y: NDArray[Any]) -> float:
    return float(np.corrcoef(x, y)[0, 1])


if __name__ == "__main__":
    main()

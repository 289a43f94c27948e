"""Paper fills beside hftbacktest's partial fill exchange, order for order, on a recorded evening of BTCUSDT.

A pair of post-only orders joins the best bid and ask every half second and is canceled after four. Both sides get the
same events in exchange time, the same orders, the same latencies; status, what is left and the time of the fill must
be equal for every order, in eight configurations. Then the fill rate of every queue model between its two bounds.
"""

import os
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks.paper_reference import events, reference
from benchmarks.paper_replay import EXCHANGE, MODELS, SIZES, by_images, differences, fill_rate, model_of, ours
from benchmarks.rows import fact, row
from live.exchange.queue_models import Power, QueueModel, RiskAverse, Through, Touch

_ROOT = Path(__file__).resolve().parents[2]


def capture() -> Path:
    """Where the recorded evening lies; it need not be there."""
    root = Path(os.environ.get("TIDEGATE_RECORDED", _ROOT / "shared/data"))
    return root / "binance_ws/usdm/btcusdt_20240808.gz"


def run() -> list[dict[str, Any]]:
    """Compare every configuration; the last rows are fill rates."""
    if not capture().exists():
        raise ModuleNotFoundError(name=f"the recording {capture()}")
    rows: list[dict[str, Any]] = []
    with TemporaryDirectory() as name:
        folder = Path(name)
        tape = events(capture(), folder)
        reference(folder, MODELS[0], SIZES[0])  # compiled once, not counted
        pairs: list[tuple[int, int, int]] = []
        for model in MODELS:
            for size in SIZES:
                wanted = reference(folder, model, size)
                found = ours(tape, model_of(model), size, wanted.pairs)
                compared, lines = differences(wanted, found)
                print(*lines[:3], sep="\n")
                label = f"{model[0]} {model[1]:g}, {size:g} lots"
                rows.append(fact(f"{label}: orders that differ, of {compared}", len(lines), "orders", wanted=0))
                pairs = wanted.pairs
        full, seen = (each(tape, RiskAverse(), SIZES[0], pairs).lives for each in (ours, by_images))
        same = sum(seen[number][:2] == life[:2] for number, life in full.items()) / len(full)
        rows.append(fact("orders that end the same by ten-level images as by the whole book", same, "share"))
        count = int(((tape["ev"] & EXCHANGE) != 0).sum())
        rows.append(row("events a second, pure Python", count / found.seconds, "events/s"))
        ladder: tuple[tuple[str, QueueModel], ...] = (
            ("through only", Through()), ("risk averse", RiskAverse()), ("power 3", Power(3.0)),
            ("power 1", Power(1.0)), ("power 0.5", Power(0.5)), ("touch", Touch()),
        )  # fmt: skip
        for label, queue in ladder:
            rows.append(fact(f"fill rate, {label}", fill_rate(ours(tape, queue, SIZES[0], pairs)), "share"))
    return rows

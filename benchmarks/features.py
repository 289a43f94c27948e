"""The feature kernel against a C twin, polars, pandas, numpy, and reading the same events from parquet.

200,000 events of ten levels, CPU time taken in turn in one process. The kernel writes into one buffer of 4,096 rows
that is used again, as the pipelines do; the peers keep their columns. `step` is taken one event at a time against an
empty compiled call with four arrays, the least a call into numba costs. Run with `python -m benchmarks.features`.
"""

import tempfile
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numba import njit
from numpy.typing import NDArray

from benchmarks.c_twin import Twin
from benchmarks.peers_features import PEERS, Arrays, table
from benchmarks.rows import fact, row, show
from benchmarks.timing import measure
from market.columns import BookColumns, TradeColumns
from market.features import (
    COLUMN_NAMES,
    N_COLUMNS,
    KernelState,
    interleave,
    interleave_batches,
    step,
)
from market.features import (
    run as run_kernel,
)
from tests.market.streams import ordinary_market

EVENTS = 200_000
BATCH = 4_096
STEPS_EVENTS = 256
STEPS_LAPS = 40
Taker = Callable[[NDArray[np.int64], NDArray[np.float32], NDArray[np.uint8]], object]


def run() -> list[dict[str, Any]]:
    """Return the rows {name, value, unit, ratio, goal, holds}; a peer's ratio is its CPU time over the kernel's."""
    market = _market()
    events = interleave(*market)
    columns = table(events)
    return [
        *_against_compiled(market, events),
        *_against_parquet(events, columns),
        *_against_peers(events, columns),
        *_one_at_a_time(events),
    ]


def _market() -> tuple[BookColumns, TradeColumns]:
    """Return events whose times all differ: a time window of the peers takes in what comes later at the same time."""
    book, trades = ordinary_market(EVENTS, seed=1)
    return replace(book, exchange_ns=book.local_ns), replace(trades, exchange_ns=trades.local_ns)


def _against_compiled(market: tuple[BookColumns, TradeColumns], events: NDArray[np.int64]) -> list[dict[str, Any]]:
    with tempfile.TemporaryDirectory() as folder:
        twin = Twin.build(Path(folder))
        ours = {"kernel": _in_batches(events, _kernel), "interleave": lambda: _drain(interleave_batches(*market))}
        seconds = measure(ours | ({"twin": _in_batches(events, _begin_twin(twin))} if twin else {}), rounds=15)
    rows = [
        row("features: kernel", EVENTS / seconds["kernel"] / 1e6, "M ev/s"),
        row("features: kernel, CPU an event", seconds["kernel"] / EVENTS * 1e9, "ns"),
        row("features: interleave, CPU an event", seconds["interleave"] / EVENTS * 1e9, "ns"),
    ]
    if twin is None:
        return [*rows, fact("features: C twin not built, no gcc here", 0, "")]
    speed = seconds["twin"] / seconds["kernel"]
    return [
        *rows,
        row(
            "features: kernel's speed as a share of the C twin's",
            EVENTS / seconds["twin"] / 1e6,
            "M ev/s",
            ratio=speed,
            least=0.65,
        ),
        fact("features: values that differ from the C twin's", _differing(events, twin), "values", wanted=0),
    ]


def _begin_twin(twin: Twin) -> Callable[[], Taker]:
    """Return how a new stream through the twin begins."""
    return lambda: twin.fresh().run


def _kernel() -> Taker:
    state = KernelState.new()
    return lambda events, out, valid: run_kernel(state, events, out, valid)


def _in_batches(events: NDArray[np.int64], begin: Callable[[], Taker]) -> Callable[[], None]:
    out, valid = np.empty((BATCH, N_COLUMNS), np.float32), np.empty(BATCH, np.uint8)

    def work() -> None:
        take = begin()
        for start in range(0, len(events), BATCH):
            rows = min(BATCH, len(events) - start)
            take(events[start : start + rows], out[:rows], valid[:rows])

    return work


def _drain(batches: Any) -> None:
    for _ in batches:
        pass


def _differing(events: NDArray[np.int64], twin: Twin) -> int:
    out, valid = _features(events)
    twin_out, twin_valid = np.empty_like(out), np.empty_like(valid)
    twin.fresh().run(events, twin_out, twin_valid)
    return int((out.view(np.int32) != twin_out.view(np.int32)).sum() + (valid != twin_valid).sum())


def _features(events: NDArray[np.int64]) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
    out, valid = np.empty((len(events), N_COLUMNS), np.float32), np.empty(len(events), np.uint8)
    run_kernel(KernelState.new(), events, out, valid)
    return out, valid


def _against_parquet(events: NDArray[np.int64], columns: Arrays) -> list[dict[str, Any]]:
    """Read the same 45 columns from one file in the lake's encodings into numpy arrays."""
    narrow = {k: v if k == "t" else v.astype(np.int32) for k, v in columns.items() if k != "seconds"}
    encodings = {k: "DELTA_BINARY_PACKED" if k == "t" else "BYTE_STREAM_SPLIT" for k in narrow}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "events.parquet"
        pq.write_table(
            pa.table(narrow),
            path,
            compression="zstd",
            compression_level=3,
            use_dictionary=False,
            column_encoding=encodings,
        )

        def read() -> list[NDArray[Any]]:
            return [column.to_numpy() for column in pq.read_table(path, use_threads=False).columns]

        seconds = measure({"kernel": _in_batches(events, _kernel), "read": read}, rounds=9)
    return [
        row(
            "features: reading the same events from parquet",
            EVENTS / seconds["read"] / 1e6,
            "M ev/s",
            ratio=seconds["read"] / seconds["kernel"],
        )
    ]


def _against_peers(events: NDArray[np.int64], columns: Arrays) -> list[dict[str, Any]]:
    work = {name: partial(task, build(columns)) for name, (build, task) in PEERS.items()}
    seconds = measure({"kernel": _in_batches(events, _kernel), **work}, rounds=5)
    goals = {"polars": 4.0, "pandas": 10.0, "numpy": None}
    rows = []
    for name, least in goals.items():
        compared, equal = _agreement(events, work[name]())
        ratio = seconds[name] / seconds["kernel"]
        rows += [
            row(
                f"features: {name}, {compared} of the {N_COLUMNS} columns",
                seconds[name] * 1e3,
                "ms CPU",
                ratio=ratio,
                least=least,
            ),
            fact(f"features: {name}, columns equal to the kernel's", equal, "columns", below=None),
        ]
    return rows


def _agreement(events: NDArray[np.int64], peer: Any) -> tuple[int, int]:
    """Return how many columns the peer has, and in how many at most one valid row in 10,000 is off by over 1e-5."""
    out, valid = _features(events)
    compared, equal = 0, 0
    for k, name in enumerate(COLUMN_NAMES):
        if name not in peer:
            continue
        ours, theirs = out[valid == 1, k].astype(np.float64), np.asarray(peer[name], np.float64)[valid == 1]
        close = np.isclose(theirs, ours, rtol=1e-5, atol=1e-5 * float(np.abs(ours).mean()))
        compared, equal = compared + 1, equal + (close.mean() >= 0.9999)
    return compared, equal


def _one_at_a_time(events: NDArray[np.int64]) -> list[dict[str, Any]]:
    """Time `step` on a few hundred events again and again, their clock moved on each lap."""
    lap = events[:STEPS_EVENTS].copy()
    lap[0, 2] = 0
    span = lap[-1, 0] - lap[0, 0] + 10_000_000
    rows = [lap[k : k + 1] for k in range(STEPS_EVENTS)]
    out, valid, state = np.empty((1, N_COLUMNS), np.float32), np.empty(1, np.uint8), KernelState.new()

    def steps() -> None:
        for _ in range(STEPS_LAPS):
            lap[:, 0] += span
            for event in rows:
                step(state, event, out, valid)

    def calls() -> None:
        for _ in range(STEPS_LAPS):
            for event in rows:
                _nothing(state.memory, event, out, valid)

    while not valid[0]:
        steps()
    seconds = measure({"steps": steps, "calls": calls}, rounds=25)
    count = STEPS_EVENTS * STEPS_LAPS
    return [
        row(
            "features: step against an empty call with four arrays",
            seconds["steps"] / count * 1e6,
            "us CPU",
            ratio=seconds["steps"] / seconds["calls"],
            most=2.5,
        ),
        fact("features: values in which run and step differ", _step_differences(events[:50_000]), "values", wanted=0),
    ]


@njit
def _nothing(memory: Any, event: Any, out: Any, valid: Any) -> int:  # noqa: ARG001 (it takes them, and that is all)
    return 0


def _step_differences(events: NDArray[np.int64]) -> int:
    out, valid = _features(events)
    state, one, flag, differing = KernelState.new(), np.empty((1, N_COLUMNS), np.float32), np.empty(1, np.uint8), 0
    for k in range(len(events)):
        step(state, events[k : k + 1], one, flag)
        differing += int((one[0].view(np.int32) != out[k].view(np.int32)).sum()) + int(flag[0] != valid[k])
    return differing


if __name__ == "__main__":
    show(run())

"""What it costs to start each live service as a process of its own: CPU until it says ready, and memory.

They start one after another on a server of streams, the collector on a loopback exchange, the scorer with a small
bundle, the executor once more for real orders on that exchange. Python's own start is measured beside them, and so is
numpy's, which all of them import. Run with `python -m benchmarks.start_up`.
"""

import os
import re
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.rows import fact, row, show
from tests.fake_exchange.server import FakeExchange, running
from tests.journeys.live.processes import Process, Site, site, wait
from tests.live.mirrors import Models

SERVICES = ("collector", "signal_engine", "ai_scorer", "executor", "risk")
_SECONDS, _NUMBA_SECONDS, _MIB = 2.0, 5.0, 120.0
_TICK_SECONDS = 1.0 / os.sysconf("SC_CLK_TCK")


class _Cost(NamedTuple):
    """CPU seconds until ready, wall seconds until ready, peak resident MiB."""

    cpu: float
    wall: float
    mib: float


def run() -> list[dict[str, Any]]:
    """Return the rows {name, value, unit, ratio, goal, holds}."""
    bare = min(_import_cpu("numpy") for _ in range(3))
    rows = [fact("start-up: Python with numpy, CPU", bare, "s")]
    with (
        tempfile.TemporaryDirectory() as folder,
        running(("BTCUSDT",), lambda: time.time_ns() // 1_000_000) as exchange,
        site(Path(folder)) as place,
    ):
        Models(place.folder / "bundles", place.folder / "mirror").put("active", 1, tau=0.5)
        knobs = {"FEED_KIND": "binance", "FEED_WS_URL": exchange.ws_url, "FEED_REST_URL": exchange.rest_url}
        for name in SERVICES:
            rows += _rows(name, _cost(place, exchange, name, **knobs, EXCHANGE_MODE="paper"), bare)
        real = {"EXCHANGE_MODE": "real", "EXCHANGE_REST_URL": exchange.rest_url, "EXCHANGE_API_KEY": "key",
                "EXCHANGE_API_SECRET": "secret", "PATHS_VAR": str(place.folder / "real")}  # fmt: skip
        rows += _rows("executor, real", _cost(place, exchange, "executor", **knobs, **real), bare)
    return rows


def _rows(name: str, cost: _Cost, bare: float) -> list[dict[str, Any]]:
    is_free = name in ("signal_engine", "executor, real")
    most = _NUMBA_SECONDS if is_free else _SECONDS
    return [
        fact(f"start-up: {name}, CPU until ready", cost.cpu, "s", below=most),
        row(f"start-up: {name}, CPU beside numpy alone", cost.cpu, "s", ratio=cost.cpu / bare),
        fact(f"start-up: {name}, wall until ready", cost.wall, "s"),
        fact(f"start-up: {name}, peak memory", cost.mib, "MiB", below=None if is_free else _MIB),
    ]


def _cost(place: Site, exchange: FakeExchange, name: str, **knobs: str) -> _Cost:
    begin = time.perf_counter()
    process = place.start(name, **knobs)

    def is_ready() -> bool:
        exchange.step("BTCUSDT", bids=[("99.9", "2.000")])
        return place.is_ready(process)

    wait(is_ready, name)
    found = _Cost(_cpu_seconds(process), time.perf_counter() - begin, _peak_mib(process))
    process.end()
    return found


def _cpu_seconds(process: Process) -> float:
    fields = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) * _TICK_SECONDS


def _peak_mib(process: Process) -> float:
    found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{process.pid}/status").read_text())
    return int(found[1]) / 1024 if found else float("nan")


def _import_cpu(name: str) -> float:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, "-c", f"import {name}"], check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


if __name__ == "__main__":
    show(run())

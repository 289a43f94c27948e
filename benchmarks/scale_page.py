"""What Dagster's partition page costs at 7,000 and at 50,000 partitions: its query, and the page in a browser.

A webserver on loopback serves our real definitions over a grid of so many days and symbols, 2,000 cells of
`market_data`, evenly spread, reported as materialized. The query is the one the page asks; the page is timed from the
click to the last dimension drawn. Run with `python -m benchmarks.scale_page`.
"""

import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, timedelta
from pathlib import Path
from socket import socket
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks.memory import MIB
from benchmarks.rows import Absent, fact, row, show

GRIDS = ((350, 20), (100, 500))
"""Days and symbols: 7,000 cells and 50,000."""
FIRST_DAY = date(2025, 1, 1)
"""All days must be over: Dagster has no partition that lies ahead."""
REPORTED = 2_000
"""Cells reported as materialized, spread over the grid: reporting all 50,000 takes most of an hour."""
CHROMIUM = Path("/usr/bin/chromium")
_START_SECONDS = 180.0
_ROOT = Path(__file__).resolve().parents[1]
_QUERY = """query Page($key: AssetKeyInput!) { assetNodeOrError(assetKey: $key) { ... on AssetNode {
  partitionKeysByDimension { name partitionKeys }
  partitionStats { numMaterialized numPartitions }
  assetPartitionStatuses { ... on MultiPartitionStatuses { primaryDimensionName ranges { primaryDimStartKey
    primaryDimEndKey secondaryDim { ... on DefaultPartitionStatuses { materializedPartitions } } } } }
} } }"""


def measured() -> list[dict[str, Any]]:
    """Return the rows {name, value, unit, ratio, goal, holds}."""
    rows: list[dict[str, Any]] = []
    for days, symbols in GRIDS:
        name = f"{days * symbols:,} partitions"
        with TemporaryDirectory() as folder:
            environ = _environ(folder, days, symbols)
            began = time.perf_counter()
            _reported(environ)
            rows.append(row(f"{name}: reporting each as materialized",
                            (time.perf_counter() - began) / REPORTED * 1e3, "ms"))  # fmt: skip
            with _webserver(environ, folder) as (url, pid):
                first, held = _timed(url)
                again = min(_timed(url)[0] for _ in range(3))
                rows += [
                    fact(f"{name}: cells the page counts", held, "cells", wanted=REPORTED),
                    row(f"{name}: the page's query, first", first, "s"),
                    row(f"{name}: the page's query, again", again, "s"),
                    row(f"{name}: the page in a browser", _page_seconds(url), "s"),
                    row(f"{name}: memory of the webserver", _resident(pid) / MIB, "MiB"),
                ]
    return rows


def _environ(folder: str, days: int, symbols: int) -> dict[str, str]:
    Path(folder, "home").mkdir()
    Path(folder, "home/dagster.yaml").write_text("telemetry:\n  enabled: false\nnux:\n  enabled: false\n", "utf-8")
    return os.environ | {
        "DAGSTER_HOME": f"{folder}/home", "PATHS_LAKE": f"{folder}/lake", "PATHS_VAR": f"{folder}/var",
        "MARKET_SYMBOLS": ",".join(f"COIN{number:03d}USDT" for number in range(symbols)),
        "MARKET_FIRST_DAY": f"{FIRST_DAY}", "MARKET_LAST_DAY": f"{FIRST_DAY + timedelta(days=days - 1)}",
        "SIMULATOR_GAP_SYMBOL": "", "DO_NOT_TRACK": "1",
    }  # fmt: skip


def _reported(environ: dict[str, str]) -> None:
    """Report every cell as materialized, in a process with that Dagster home."""
    code = (
        "import dagster as dg\n"
        "from pipelines.definitions import defs\n"
        "from pipelines.workspace import Workspace\n"
        "from config.settings import load\n"
        "import datetime\n"
        "with dg.DagsterInstance.get() as instance:\n"
        "    cells = Workspace(load(), datetime.date(2026, 1, 1)).all_cells\n"
        f"    for each in cells[:: len(cells) // {REPORTED}][:{REPORTED}]:\n"
        "        instance.report_runless_asset_event(dg.AssetMaterialization('market_data', partition=each.key))\n"
    )
    subprocess.run([sys.executable, "-c", code], cwd=_ROOT, env=environ, check=True, capture_output=True)


@contextmanager
def _webserver(environ: dict[str, str], folder: str) -> Iterator[tuple[str, int]]:
    with socket() as found:
        found.bind(("127.0.0.1", 0))
        port = found.getsockname()[1]
    command = ["-m", "dagster_webserver", "-m", "pipelines.definitions", "-h", "127.0.0.1", "-p", str(port)]
    with Path(folder, "log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, *command], cwd=_ROOT, env=environ, stdout=log, stderr=log, start_new_session=True
        )
    url = f"http://127.0.0.1:{port}"
    try:
        deadline = time.monotonic() + _START_SECONDS
        while True:
            try:
                urllib.request.urlopen(f"{url}/server_info", timeout=5).close()  # noqa: S310 - loopback
                break
            except OSError as error:
                if time.monotonic() > deadline:
                    raise Absent(f"dagster-webserver did not come up within {_START_SECONDS:g} s") from error
                time.sleep(0.2)
        yield url, process.pid
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait()


def _timed(url: str) -> tuple[float, int]:
    """Seconds of one query, and the cells it counts as materialized."""
    body = json.dumps({"query": _QUERY, "variables": {"key": {"path": ["market_data"]}}}).encode()
    request = urllib.request.Request(f"{url}/graphql", body, {"Content-Type": "application/json"})  # noqa: S310
    began = time.perf_counter()
    with urllib.request.urlopen(request, timeout=300) as reply:  # noqa: S310
        found = json.load(reply)
    return time.perf_counter() - began, found["data"]["assetNodeOrError"]["partitionStats"]["numMaterialized"]


def _page_seconds(url: str) -> float:
    """From opening the page until its dimensions are drawn; nan where there is no browser."""
    if not CHROMIUM.exists():
        return float("nan")
    from playwright.sync_api import sync_playwright  # noqa: PLC0415 - a development dependency

    with sync_playwright() as playwright:
        flags = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=flags)
        page = browser.new_page()
        began = time.perf_counter()
        page.goto(f"{url}/assets/market_data?view=partitions", timeout=120_000)
        page.get_by_text("COIN000USDT").first.wait_for(timeout=120_000)
        seconds = time.perf_counter() - began
        browser.close()
    return seconds


def _resident(pid: int) -> int:
    line = next(line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("VmRSS"))
    return int(line.split()[1]) * 1024


if __name__ == "__main__":
    show(measured())

"""Peak memory of one day's features, and whether it grows with the number of days computed in one process.

Four simulated days lie in a lake. Fresh processes compute one of them, all four one after another, and none; each
tells the highest resident size it had. Run with `python -m benchmarks.memory`.
"""

import sys
from concurrent.futures import ProcessPoolExecutor
from datetime import date, timedelta
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from archive.layout import NS_PER_DAY, day_bounds_ns
from archive.store import Lake
from benchmarks.rows import row, show
from market.candidates import CandidateRule
from market.features import warmup
from market.simulator import simulate_columns
from market.simulator_rule import SimulatorRule
from market.symbols import SymbolTable
from pipelines.feature_days import compute_day
from pipelines.partitions import Cell

SYMBOL = "BTCUSDT"
DAYS = tuple(date(2026, 1, 5) + timedelta(days=n) for n in range(4))
RULE = SimulatorRule(depth_interval_ms=250)
MIB = 1 << 20
_SYMBOLS = Path(__file__).resolve().parents[1] / "data/reference/symbols.yml"


def run() -> list[dict[str, Any]]:
    """Return the rows {name, value, unit, ratio, goal, holds}; a ratio is against the peak of one day."""
    with TemporaryDirectory() as root:
        book_rows = max(_in_fresh_process(_fill, root, day) for day in DAYS)
        none, one, four = (_in_fresh_process(_peak_bytes, root, DAYS[:count]) for count in (0, 1, 4))
    return [
        row("memory: process with kernel and lake, no day computed", none / MIB, "MiB"),
        row(f"memory: features of one day of {book_rows:,} book rows", one / MIB, "MiB"),
        row("memory: features of four days in one process", four / MIB, "MiB", ratio=four / one, most=1.1),
        row(
            "memory: the same without the process itself",
            (four - none) / MIB,
            "MiB",
            ratio=(four - none) / (one - none),
        ),
    ]


def _in_fresh_process(work: Any, *arguments: Any) -> int:
    """Call in an interpreter that has done nothing before, so that its peak is that of this work."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return int(pool.submit(work, *arguments).result())


def _fill(root: str, day: date) -> int:
    """Write one simulated day, as the ingest does, and return its number of book rows."""
    symbol = SymbolTable.load(_SYMBOLS)[SYMBOL]
    start_ns = day_bounds_ns(day)[0]
    book, trades = simulate_columns(symbol, start_ns, start_ns + NS_PER_DAY, 7, rule=RULE, carried=True)
    lake = Lake.create(root)
    lake.write_book(SYMBOL, day, book, source="benchmark")
    lake.write_trades(SYMBOL, day, trades, source="benchmark")
    return len(book)


def _peak_bytes(root: str, days: tuple[date, ...]) -> int:
    """Compute the days one after another, each dropped before the next, and return the highest resident size."""
    warmup()
    lake = Lake.create(root)
    for day in days:
        compute_day(lake, Cell(day, SYMBOL), CandidateRule())
    return _highest_resident_bytes()


def _highest_resident_bytes() -> int:
    """Ask the kernel for this program alone: getrusage on Linux also counts the parent's size at the fork."""
    status = Path("/proc/self/status")
    if status.exists():
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) * 1024
    import resource  # noqa: PLC0415 - absent on Windows

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


if __name__ == "__main__":
    show(run())

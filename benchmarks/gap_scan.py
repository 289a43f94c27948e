"""The gap scan on 2,000 partitions of 10,000 rows with planted gaps: is it exact, and how fast beside reading times.

Peers read the event time column of every file and take differences: pyarrow file by file (the fastest way to do that),
polars file by file, duckdb with lag() over all files. They run on a share of the files, scaled to 1,000 partitions;
times are CPU. Run with `python -m benchmarks.gap_scan`.
"""

import time
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import duckdb
import numpy as np
import polars as pl
import pyarrow.parquet as pq
from numpy.typing import NDArray

from archive.gap_report import GapKind, GapReport
from archive.gaps import scan
from archive.layout import BOOK, book_arrays, day_bounds_ns, empty_book, partition_key
from archive.store import Lake
from benchmarks.rows import fact, row, show
from benchmarks.timing import measure

SYMBOLS = tuple(f"SYMBOL{n:02d}" for n in range(20))
DAYS = tuple(date(2026, 1, 1) + timedelta(days=n) for n in range(100))
ROWS = 10_000
SPARE_STEPS = 8
"""Steps between rows that a silence takes; 8 of the 8.6 s are 69 s."""
MEMORY = Path("/dev/shm")  # noqa: S108 - making 2,000 partitions is not what we measure: spare it the disk's syncs
PEER_DAYS = DAYS[:10]
THRESHOLD_NS = 60_000_000_000
MISSING = 14
GAPPED = 350

Found = set[tuple[str, int, int]]
"""Symbol, last row before, first row after."""


def run() -> list[dict[str, Any]]:
    """Return the rows {name, value, unit, ratio, goal, holds}; ratio is a peer's CPU time over the repeated scan's."""
    with TemporaryDirectory(dir=MEMORY if MEMORY.is_dir() else None) as folder:
        lake = Lake(folder)
        planted, missing = _plant(lake)
        return _measure(lake, Path(folder), planted, missing)


def _measure(lake: Lake, root: Path, planted: Found, missing: set[tuple[str, date]]) -> list[dict[str, Any]]:
    first_cpu = time.process_time()
    first = _scan(lake)
    first_cpu = time.process_time() - first_cpu
    paths = [str(root / partition_key(BOOK, s, d)) for s in SYMBOLS for d in PEER_DAYS if (s, d) not in missing]
    peers = {name: peer(paths) for name, peer in _PEERS.items()}
    found = {name: peer() for name, peer in peers.items()}
    if len(set(found.values())) != 1:
        raise AssertionError(f"the peers disagree about the number of gaps: {found}")
    near = measure({"ours": lambda: _scan(lake), "pyarrow": peers["pyarrow"]}, rounds=15)
    far = measure({name: peer for name, peer in peers.items() if name != "pyarrow"}, rounds=3)
    verified = measure({"ours": lambda: _scan(lake, verify=True)}, rounds=1)["ours"]
    wall = time.perf_counter()
    again = _scan(lake)
    wall = time.perf_counter() - wall
    partitions = len(SYMBOLS) * len(DAYS)
    ours = near.pop("ours") / partitions
    per_thousand = {name: seconds / len(paths) * 1e6 for name, seconds in (near | far).items()}
    results = [
        fact("gap scan: share of the planted gaps found", _recall(again, planted, missing), "", wanted=1),
        fact("gap scan: gaps found that are none", _false(again, planted, missing), "", wanted=0),
        fact("gap scan: first and repeated scan differ", float(first.gaps != again.gaps), "", wanted=0),
        fact("gap scan, repeated: all 2,000 partitions", wall, "s wall", below=1),
        row("gap scan, repeated, per 1,000 partitions", ours * 1e6, "ms CPU"),
        row("gap scan, first (footers), per 1,000", first_cpu / partitions * 1e6, "ms CPU"),
        row("gap scan, verifying (footers and rows), per 1,000", verified / partitions * 1e6, "ms CPU"),
    ]
    goals = {"pyarrow": 50.0}
    return results + [
        row(
            f"gap scan: {name} reads the times, per 1,000",
            value,
            "ms CPU",
            ratio=value / ours / 1e6,
            least=goals.get(name),
        )
        for name, value in per_thousand.items()
    ]


def _scan(lake: Lake, *, verify: bool = False) -> GapReport:
    return scan(lake, SYMBOLS, DAYS, tables=[BOOK], verify=verify)


def _plant(lake: Lake) -> tuple[Found, set[tuple[str, date]]]:
    """Write the lake; return the silences and the missing partitions planted in it."""
    rng = np.random.default_rng(4)
    cells = [(symbol, day) for symbol in SYMBOLS for day in DAYS]
    chosen = rng.permutation(len(cells))
    missing = {cells[n] for n in chosen[:MISSING]}
    gapped = {cells[n] for n in chosen[MISSING : MISSING + GAPPED]}
    planted: Found = set()
    book = empty_book(ROWS)
    for array in book_arrays(book).values():
        array[:] = 0
    for symbol, day in cells:
        if (symbol, day) in missing:
            continue
        times_ns, silence = _times(rng, day, gapped=(symbol, day) in gapped)
        book.exchange_ns[:] = book.local_ns[:] = times_ns
        lake.write_book(symbol, day, book, source="benchmark")
        if silence is not None:
            planted.add((symbol, *silence))
    return planted, missing


def _times(rng: np.random.Generator, day: date, *, gapped: bool) -> tuple[NDArray[np.int64], tuple[int, int] | None]:
    """Return times about 8.6 s apart all through the day, and the silence of just over 60 s in them if there is one."""
    start_ns, end_ns = day_bounds_ns(day)
    step_ns = (end_ns - start_ns) // (ROWS + SPARE_STEPS * gapped)
    times_ns = start_ns + np.arange(ROWS) * step_ns + rng.integers(0, step_ns // 8, ROWS)
    if not gapped:
        return times_ns, None
    at = int(rng.integers(1, ROWS))
    times_ns[at:] += THRESHOLD_NS + int(rng.integers(1, 1_000_000_000)) - (times_ns[at] - times_ns[at - 1])
    return times_ns, (int(times_ns[at - 1]), int(times_ns[at]))


def _recall(report: GapReport, planted: Found, missing: set[tuple[str, date]]) -> float:
    found = {(gap.symbol, gap.start_ns, gap.end_ns) for gap in report.gaps if gap.kind is GapKind.SILENT}
    absent = {(gap.symbol, gap.days[0]) for gap in report.gaps if gap.kind is GapKind.MISSING}
    return (len(found & planted) + len(absent & missing)) / (len(planted) + len(missing))


def _false(report: GapReport, planted: Found, missing: set[tuple[str, date]]) -> int:
    return len(report.gaps) - round(_recall(report, planted, missing) * (len(planted) + len(missing)))


def _pyarrow(paths: list[str]) -> Callable[[], int]:
    def count() -> int:
        found = 0
        for path in paths:
            column = pq.ParquetFile(path, memory_map=True).read(columns=["exchange_ns"], use_threads=False)
            found += int((np.diff(column["exchange_ns"].to_numpy()) > THRESHOLD_NS).sum())
        return found

    return count


def _polars(paths: list[str]) -> Callable[[], int]:
    def count() -> int:
        return sum(
            int((pl.read_parquet(path, columns=["exchange_ns"])["exchange_ns"].diff() > THRESHOLD_NS).sum())
            for path in paths
        )

    return count


def _duckdb(paths: list[str]) -> Callable[[], int]:
    query = """
        select count(*) from (
            select exchange_ns - lag(exchange_ns) over (partition by filename order by exchange_ns) as step
            from read_parquet(?, filename = true)
        ) where step > ?
    """

    def count() -> int:
        with duckdb.connect() as connection:
            found = connection.execute(query, [paths, THRESHOLD_NS]).fetchone()
        return int(found[0]) if found else 0

    return count


_PEERS = {"pyarrow": _pyarrow, "polars": _polars, "duckdb": _duckdb}


if __name__ == "__main__":
    show(run())

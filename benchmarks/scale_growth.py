"""What a partition costs, whether that stays so as days and symbols are added, and what training takes.

Each point of the table is a fresh process that does what the Dagster job does with a cell (ingest, features, labels,
all written to a lake on disk), one cell after another, and tells CPU, wall time, lake bytes and the highest resident
size it had. Training on all days of a lake follows in a process of its own. Run with
`python -m benchmarks.scale_growth`.
"""

import json
import subprocess
import sys
import time
from datetime import date, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import yaml

from benchmarks.memory import _highest_resident_bytes
from benchmarks.rows import row, show

DAYS = (1, 2, 4, 8, 16)
SYMBOLS = ("BTCUSDT", "ETHUSDT", "COIN1USDT", "COIN2USDT")
"""The symbol table's two, and two more that are simulated with the steps of the second."""
SPREAD = ((4, 1), (4, 4))
"""Further points, (days, symbols): the same days for fewer and for more symbols than two."""
FIRST_DAY = date(2026, 1, 5)
MIB = 1 << 20
_ROOT = Path(__file__).resolve().parents[1]


def measured() -> list[dict[str, Any]]:
    """Return the rows {name, value, unit, ratio, goal, holds}; ratios are against two days of two symbols.

    A first day has no day before it, whose tail the others read and hold.
    """
    rows: list[dict[str, Any]] = []
    first: dict[str, float] = {}
    per_cell = 0.0
    for days, symbols in [*((days, 2) for days in DAYS), *SPREAD]:
        with TemporaryDirectory() as folder:
            cells = _fresh("cells", folder, days, symbols)
            trained = _fresh("train", folder, days, symbols) if days > 1 and symbols == 2 else {}
        name = f"{days} days x {symbols} symbols"
        each = cells["cpu_seconds"] / cells["cells"]
        if days > 1 and not first:
            first, per_cell = cells, each
        rows += [
            row(f"{name}: CPU a partition", each, "s CPU", ratio=each / per_cell if first else None, most=1.25),
            row(f"{name}: highest memory", cells["peak_bytes"] / MIB, "MiB",
                ratio=cells["peak_bytes"] / first["peak_bytes"] if first else None, most=1.1),
            row(f"{name}: lake", cells["lake_bytes"] / cells["cells"] / MIB, "MiB"),
        ]  # fmt: skip
        if trained:
            rows += [
                row(f"{name}: training on {trained['rows']:,.0f} rows", trained["cpu_seconds"], "s CPU"),
                row(f"{name}: highest memory of training", trained["peak_bytes"] / MIB, "MiB"),
            ]
    return rows


def parts() -> dict[str, float]:
    """Where a partition's CPU goes, by step, s; after one that is not counted (numba compiles there)."""
    with TemporaryDirectory() as folder:
        return _fresh("cells", folder, 3, 1)


def _fresh(work: str, folder: str, days: int, symbols: int) -> dict[str, float]:
    """Do some work in an interpreter that has done nothing before, so that its peak is that of this work."""
    command = [sys.executable, "-m", "benchmarks.scale_growth", work, folder, str(days), str(symbols)]
    done = subprocess.run(command, cwd=_ROOT, capture_output=True, text=True, check=True)
    found: dict[str, float] = json.loads(done.stdout.strip().splitlines()[-1])
    return found


def _workspace(folder: str, days: int, symbols: int) -> Any:
    from config.settings import load  # noqa: PLC0415 - the parent imports none of it
    from pipelines.workspace import Workspace  # noqa: PLC0415

    last = FIRST_DAY + timedelta(days=days - 1)
    table = yaml.safe_load((_ROOT / "data/reference/symbols.yml").read_text(encoding="utf-8"))
    for name in SYMBOLS[2:]:
        table["symbols"][name] = table["symbols"][SYMBOLS[1]] | {"venue_symbol": name}
    Path(folder).mkdir(parents=True, exist_ok=True)
    Path(folder, "symbols.yml").write_text(yaml.safe_dump(table), encoding="utf-8")
    environ = {
        "PATHS_SYMBOLS": f"{folder}/symbols.yml",
        "PATHS_LAKE": f"{folder}/lake", "PATHS_VAR": f"{folder}/var", "MARKET_SYMBOLS": ",".join(SYMBOLS[:symbols]),
        "MARKET_FIRST_DAY": f"{FIRST_DAY}", "MARKET_LAST_DAY": f"{last}",
        "TRAINING_MAX_ROUNDS": "50",
    }  # fmt: skip
    return Workspace(load(environ=environ), last + timedelta(days=1))


def _cells(folder: str, days: int, symbols: int) -> dict[str, float]:
    from archive.layout import FEATURES, LABELS  # noqa: PLC0415
    from pipelines.feature_days import compute_day  # noqa: PLC0415
    from pipelines.ingestion import store_day  # noqa: PLC0415
    from pipelines.label_days import label_day  # noqa: PLC0415

    workspace = _workspace(folder, days, symbols)
    lake, source = workspace.lake, workspace.source(backfill=True)
    spent = dict.fromkeys(("simulate", "ingest", "features", "labels"), 0.0)
    begun, clock = time.process_time(), time.process_time()

    def took(step: str) -> None:
        nonlocal clock
        spent[step] += time.process_time() - clock
        clock = time.process_time()

    for at in workspace.all_cells:
        day = source.read_day(workspace.symbols[at.symbol], at.day)
        took("simulate")
        store_day(workspace, source.name, at, day)
        took("ingest")
        lake.write(FEATURES, at.symbol, at.day, compute_day(lake, at, workspace.candidate_rule), source="kernel")
        took("features")
        labels = label_day(lake, at, workspace.barrier_rule, workspace.symbols[at.symbol], workspace.gap_ns)
        lake.write(LABELS, at.symbol, at.day, labels, source="kernel")
        took("labels")
    files = list(Path(folder, "lake").rglob("*.parquet"))
    return {
        "cells": len(workspace.all_cells),
        "cpu_seconds": time.process_time() - begun - spent["simulate"],
        "lake_bytes": sum(path.stat().st_size for path in files),
        "peak_bytes": _highest_resident_bytes(),
        **spent,
    }


def _train(folder: str, days: int, symbols: int) -> dict[str, float]:
    from pipelines.learning import make_training_set, train  # noqa: PLC0415

    workspace = _workspace(folder, days, symbols)
    begun = time.process_time()
    chosen = make_training_set(workspace, workspace.all_cells)
    trained = train(workspace, chosen)
    return {
        "rows": trained.sizes["train_rows"],
        "cpu_seconds": time.process_time() - begun,
        "peak_bytes": _highest_resident_bytes(),
    }


if __name__ == "__main__":
    if len(sys.argv) > 1:
        work = {"cells": _cells, "train": _train}[sys.argv[1]]
        print(json.dumps(work(sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))))
    else:
        show(measured())

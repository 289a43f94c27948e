"""What Dagster costs around our assets: an asset, a partition of a backfill, and loading the code location.

The graph is the one pipelines.definitions builds, with its partitions, mappings, backfill policies and checks, but
every body does nothing and passes every check. Runs are in-process, on sqlite in a folder. Assets and imports are
compared by CPU time in turn; partitions by the wall clock, since waiting for sqlite's commits is part of what they
cost. Run with `python -m benchmarks.orchestration`.
"""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import date, timedelta
from functools import partial
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

os.environ.setdefault("DO_NOT_TRACK", "1")

import dagster as dg

from benchmarks.rows import fact, row, show
from benchmarks.timing import measure
from config.settings import load
from pipelines.definitions import GRID_ASSETS, TRAINING_ASSETS, build
from pipelines.partitions import RANGE_END, RANGE_START, Cell
from pipelines.workspace import Workspace

ROUNDS = 3
BACKFILL_DAYS = 150
SYMBOLS = ("BTCUSDT", "ETHUSDT")
SAMPLE_RUNS = 3
IMPORTS = 5
FIRST_DAY = date(2026, 1, 1)
LAST_DAY = FIRST_DAY + timedelta(days=BACKFILL_DAYS - 1)
_QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
_ROOT = Path(__file__).resolve().parents[1]


def run() -> list[dict[str, Any]]:
    """Return the rows {name, value, unit, ratio, goal, holds}."""
    with (
        TemporaryDirectory() as folder,
        dg.DagsterInstance.local_temp(folder, overrides={"telemetry": {"enabled": False}}) as instance,
    ):
        ours = _real_assets(Path(folder))
        return [*_per_asset(instance, ours), *_per_partition(instance, ours), *_loading()]


def _real_assets(folder: Path) -> list[dg.AssetsDefinition]:
    """Return the assets of the real definitions, on a grid of 300 cells."""
    grid = {"MARKET_SYMBOLS": ",".join(SYMBOLS), "MARKET_FIRST_DAY": f"{FIRST_DAY}", "MARKET_LAST_DAY": f"{LAST_DAY}"}
    places = {"PATHS_VAR": str(folder / "var"), "PATHS_LAKE": str(folder / "lake")}
    definitions = build(Workspace(load(environ=grid | places), LAST_DAY + timedelta(days=1)))
    return [asset for asset in definitions.assets or () if isinstance(asset, dg.AssetsDefinition)]


def _per_asset(instance: dg.DagsterInstance, ours: Sequence[dg.AssetsDefinition]) -> list[dict[str, Any]]:
    """One cell through the grid's assets and one run of the training assets, against as many plain assets.

    Twice with our checks, against plain assets without any and against plain assets with as many, and once without.
    """
    checks = {asset.key.to_user_string(): len(list(asset.check_specs)) for asset in ours}
    checked, unchecked = (_jobs([_hollow(asset, checks=wanted) for asset in ours]) for wanted in (True, False))
    bare = [_plain(dict.fromkeys(names, 0)) for names in (GRID_ASSETS, TRAINING_ASSETS)]
    bare_checked = [_plain({name: checks[name] for name in names}) for names in (GRID_ASSETS, TRAINING_ASSETS)]
    seconds = measure(
        {
            "ours": lambda: _both(checked, instance),
            "unchecked": lambda: _both(unchecked, instance),
            "plain": lambda: _materialized(bare, instance),
            "plain checked": lambda: _materialized(bare_checked, instance),
        },
        ROUNDS,
    )
    each = {name: value / len(checks) * 1e3 for name, value in seconds.items()}

    def against(what: str, name: str, peer: str) -> dict[str, Any]:
        return row(f"orchestration: {what}", each[name], "ms CPU", ratio=each[name] / each[peer], most=1.2)

    total = sum(checks.values())
    return [
        row("orchestration: a plain asset, materialize", each["plain"], "ms CPU"),
        row(f"orchestration: a plain asset, {total} checks on {len(checks)}", each["plain checked"], "ms CPU"),
        against("an asset of ours without its checks, to plain", "unchecked", "plain"),
        against(f"an asset of ours, {total} checks on {len(checks)}, to plain with as many", "ours", "plain checked"),
        against(f"an asset of ours, {total} checks on {len(checks)}, to plain without any", "ours", "plain"),
    ]


def _per_partition(instance: dg.DagsterInstance, ours: Sequence[dg.AssetsDefinition]) -> list[dict[str, Any]]:
    """A backfill of 300 cells as one run, and some of them as a run each; first one asset, then the whole job.

    What one run takes is told by partition of an asset: 300 of one asset, 1,200 of the job's four.
    """
    jobs = _jobs([_hollow(asset, checks=True) for asset in ours])
    whole = Cell(FIRST_DAY, SYMBOLS[0]), Cell(LAST_DAY, SYMBOLS[-1])
    cells = BACKFILL_DAYS * len(SYMBOLS)
    results = []
    for what, names in (("one asset", GRID_ASSETS[:1]), ("each of 4 assets", GRID_ASSETS)):
        alone = [_seconds(partial(_ingest, jobs, instance, _single(k), names)) for k in range(SAMPLE_RUNS)]
        single = _seconds(partial(_ingest, jobs, instance, whole, names)) / cells
        name = f"orchestration: {cells} partitions of {what}"
        results += [
            fact(f"{name} in one run, each", single / len(names) * 1e3, "ms wall", below=50),
            row(f"{name}, a run for each", median(alone) * 1e3, "ms wall", ratio=median(alone) / single, least=10),
        ]
    return results


def _loading() -> list[dict[str, Any]]:
    """Import the code location and Dagster alone in turn, each in a fresh interpreter."""
    seconds: dict[str, list[float]] = {"pipelines.definitions": [], "dagster": []}
    for turn in range(-1, IMPORTS):
        for module in list(seconds)[:: 1 if turn % 2 else -1]:
            code = f"import time, {module}; print(time.process_time())"
            done = subprocess.run([sys.executable, "-c", code], cwd=_ROOT, capture_output=True, text=True, check=True)
            if turn >= 0:
                seconds[module].append(float(done.stdout))
    ours, bare = (median(values) for values in seconds.values())
    return [
        row("orchestration: import dagster", bare, "s CPU"),
        row("orchestration: import pipelines.definitions", ours, "s CPU", ratio=ours / bare, most=1.3),
    ]


def _hollow(asset: dg.AssetsDefinition, *, checks: bool) -> dg.AssetsDefinition:
    """Return the same asset, as Dagster sees it, with a body that does nothing."""
    specs = list(asset.check_specs) if checks else []
    make = dg.multi_asset(
        name=asset.key.to_python_identifier(),
        specs=list(asset.specs),
        check_specs=specs,
        partitions_def=asset.partitions_def,
        backfill_policy=asset.backfill_policy,
    )
    return make(_passing([spec.name for spec in specs]))


def _plain(checks: Mapping[str, int]) -> list[dg.AssetsDefinition]:
    """Return a chain of assets as the shortest program would have them, each with so many checks."""
    made: list[dg.AssetsDefinition] = []
    for name, count in checks.items():
        key = f"plain_{name}"
        specs = [dg.AssetCheckSpec(f"check_{k}", asset=key) for k in range(count)]
        make = dg.asset(name=key, deps=made[-1:], check_specs=specs)
        made.append(make(_passing([spec.name for spec in specs])))
    return made


def _passing(checks: Sequence[str]) -> Callable[[], dg.MaterializeResult]:
    """Return a body that does nothing but pass its checks."""

    def body() -> dg.MaterializeResult:
        return dg.MaterializeResult(
            check_results=[dg.AssetCheckResult(check_name=name, passed=True) for name in checks]
        )

    return body


def _jobs(assets: Sequence[dg.AssetsDefinition]) -> dg.Definitions:
    ingest = dg.define_asset_job("ingest_job", selection=list(GRID_ASSETS))
    train = dg.define_asset_job("train_job", selection=list(TRAINING_ASSETS))
    return dg.Definitions(assets=list(assets), jobs=[ingest, train], executor=dg.in_process_executor)


def _both(jobs: dg.Definitions, instance: dg.DagsterInstance) -> None:
    _ingest(jobs, instance, _single(0), GRID_ASSETS)
    done = jobs.resolve_job_def("train_job").execute_in_process(run_config=_QUIET, instance=instance)
    assert done.success


def _single(k: int) -> tuple[Cell, Cell]:
    at = Cell(FIRST_DAY + timedelta(days=k), SYMBOLS[0])
    return at, at


def _ingest(jobs: dg.Definitions, instance: dg.DagsterInstance, span: tuple[Cell, Cell], names: Sequence[str]) -> None:
    done = jobs.resolve_job_def("ingest_job").execute_in_process(
        run_config=_QUIET,
        instance=instance,
        asset_selection=[dg.AssetKey(name) for name in names],
        tags={
            RANGE_START: str(span[0].key),
            RANGE_END: str(span[1].key),
        },
    )
    assert done.success


def _materialized(groups: Sequence[Sequence[dg.AssetsDefinition]], instance: dg.DagsterInstance) -> None:
    for group in groups:
        assert dg.materialize(group, instance=instance, run_config=_QUIET).success


def _seconds(work: Callable[[], object]) -> float:
    begin = time.perf_counter()
    work()
    return time.perf_counter() - begin


if __name__ == "__main__":
    show(run())

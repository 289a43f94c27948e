"""Every benchmark, or those named, each in a process of its own, in one table.

    python -m benchmarks [NAME ...] [--strict] [--write docs/performance.md]

Missed goals are shown; only --strict makes them, or a benchmark that failed, the exit code. One thread a process.
"""

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks import page
from benchmarks.report import NAMES

_ROOT = Path(__file__).resolve().parents[1]
_STYLES = {"": "", "holds": "green", "MISSED": "bold red"}


def main() -> int:
    """Run them; returns 0, or 1 with --strict when a goal was missed or a benchmark failed."""
    parser = argparse.ArgumentParser(
        prog="benchmarks", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(NAMES)}; none means all")
    parser.add_argument("--strict", action="store_true", help="exit 1 when a goal is missed")
    parser.add_argument("--write", type=Path, metavar="PAGE", help="put the results into this Markdown page")
    arguments = parser.parse_args()
    if unknown := sorted(set(arguments.names) - set(NAMES)):
        parser.error(f"no benchmark named {', '.join(unknown)}; there are {', '.join(NAMES)}")
    console = Console(highlight=False)
    results: dict[str, dict[str, Any]] = {}
    for name in arguments.names or NAMES:
        results[name] = _run(console, name)
        if arguments.write:
            now = datetime.now(UTC)  # noqa: TID251 - an entry point owns the clock
            page.write(arguments.write, {name: results[name]}, now)
    console.print(_table(results))
    missed = [row["name"] for result in results.values() for row in result.get("rows", []) if row["holds"] is False]
    failed = [name for name, result in results.items() if "failed" in result]
    console.print(_closing(results, missed))
    return int(arguments.strict and bool(missed or failed))


def _run(console: Console, name: str) -> dict[str, Any]:
    """Run one benchmark in a fresh process; what it prints besides its rows appears when it failed."""
    command = [sys.executable, "-m", "benchmarks.report", name, "--json"]
    with console.status(f"{name} ..."):
        done = subprocess.run(
            command, cwd=_ROOT, env=os.environ | {"OMP_NUM_THREADS": "1"}, capture_output=True, text=True, check=False
        )
    if done.returncode or not done.stdout.strip():
        console.print(done.stderr, markup=False)
        return {"failed": f"exit code {done.returncode}; its output is above"}
    found: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return found


def _table(results: dict[str, dict[str, Any]]) -> Table:
    table = Table(title="Benchmarks", title_justify="left")
    for column in ("benchmark", "what", "value", "ratio", "goal", ""):
        table.add_column(column, justify="right" if column in ("value", "ratio", "goal") else "left")
    for name, result in results.items():
        for row in result.get("rows", []):
            *shown, verdict = page.cells(row, name)
            table.add_row(name, *shown, verdict, style=_STYLES[verdict])
        if reason := result.get("skipped") or result.get("failed"):
            table.add_row(name, f"{'skipped' if 'skipped' in result else 'failed'}: {reason}", style="yellow")
        table.add_section()
    return table


def _closing(results: dict[str, dict[str, Any]], missed: Sequence[str]) -> str:
    judged = [row for result in results.values() for row in result.get("rows", []) if row["holds"] is not None]
    held = f"{len(judged) - len(missed)} of {len(judged)} goals hold"
    return "\n".join([held, *(f"missed: {name}" for name in missed)])


if __name__ == "__main__":
    sys.exit(main())

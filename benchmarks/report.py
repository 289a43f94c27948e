"""One benchmark by name, its rows as a table or as JSON: `python -m benchmarks.report drift [--json]`.

With --json the last line of the output is {"rows": [...], "seconds": ...}, or {"skipped": reason} where a peer is
not installed or a recording not there; whatever else the benchmark prints goes to standard error.
"""

import argparse
import importlib
import json
import sys
import time
from contextlib import redirect_stdout
from typing import Any

from benchmarks.rows import Absent, show

NAMES = (
    "features", "labels", "parquet", "gap_scan", "drift", "drift_gates", "training", "scoring", "model_swap", "parity",
    "orchestration", "memory", "paper_fills", "collector", "live_engine",
    "bus_hop", "bus_throughput", "approval_backlog", "tick_to_approval", "control_latency", "release_fence", "start_up",
    "verdict_errors", "rollback_latency", "model_questions",
)  # fmt: skip
"""Every benchmark, in the order in which data passes what they measure."""


def measured(name: str) -> dict[str, Any]:
    """Run one benchmark here and return its rows and wall seconds, or why it was skipped."""
    begin = time.perf_counter()
    try:
        with redirect_stdout(sys.stderr):
            rows = importlib.import_module(f"benchmarks.{name}").run()
    except ModuleNotFoundError as absent:
        return {"skipped": f"{absent.name} is not installed"}
    except Absent as absent:
        return {"skipped": str(absent)}
    return {"rows": rows, "seconds": time.perf_counter() - begin}


def main() -> None:
    """Run the benchmark named on the command line."""
    parser = argparse.ArgumentParser(prog="benchmarks.report", description="Run one benchmark.")
    parser.add_argument("name", choices=NAMES)
    parser.add_argument("--json", action="store_true", help="print the rows as JSON")
    arguments = parser.parse_args()
    found = measured(arguments.name)
    if arguments.json:
        print(json.dumps(found, default=float))
    elif "skipped" in found:
        print(f"{arguments.name}: skipped, {found['skipped']}")
    else:
        show(found["rows"])


if __name__ == "__main__":
    main()

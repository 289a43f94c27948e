"""A run of the ingest job that is not going to end well: `python -m tests.journeys.doomed_ingest FOLDER DOOM`.

It ingests the whole MIDDLE cell into the tiny lake of FOLDER and prints what failed. DOOM `full`: no file may grow
beyond 20 kB. DOOM `parked`: between writing a book beside the old one and renaming it, it stops for good.
"""

import resource
import signal
import sys
import warnings
from pathlib import Path

import dagster as dg

from pipelines.definitions import build
from pipelines.launching import Launcher
from tests.pipelines.days import MIDDLE, bench, market

LIMIT_BYTES = 20_000


def main(folder: str, doom: str) -> None:
    """Run the job under its doom."""
    warnings.simplefilter("ignore", dg.BetaWarning)
    workspace = bench(Path(folder))
    # Made before the limit, which holds for every file of this process and so for numba's cache as well.
    market(MIDDLE.symbol, MIDDLE.day)
    with dg.DagsterInstance.ephemeral() as instance:
        runs = Launcher(build(workspace), workspace, instance)
        if doom == "full":
            resource.setrlimit(resource.RLIMIT_FSIZE, (LIMIT_BYTES, LIMIT_BYTES))
        else:
            sys.addaudithook(_park_before_a_rename)
        sys.stdout.write(runs.launch("ingest_job", ["market_data"], [MIDDLE]))


def _park_before_a_rename(event: str, arguments: tuple[object, ...]) -> None:
    if event == "os.rename" and "part.parquet" in str(arguments[0]):
        signal.pause()


if __name__ == "__main__":
    main(*sys.argv[1:])

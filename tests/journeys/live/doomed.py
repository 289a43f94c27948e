"""An executor that is going to die: `python -m tests.journeys.live.doomed POINT COUNT`.

At the COUNT-th passing of POINT it kills itself with kill -9. POINT is one of the executor's (after_read,
after_intent, after_send, after_result, before_ack), of the host's (polled, handled, committed, written, settled), or
`torn`: then half of an intent is in the journal when it dies.
"""

import os
import signal
import sys
from pathlib import Path

from bus.client import open_bus
from bus.wake import Wake
from config.settings import load
from live import logs
from live.clock import SystemClock
from live.exchange.paper import PaperExchange
from live.executor.journal_files import DiskFile
from live.executor.service import JOURNAL_FILE, Executor
from live.host import Host
from live.service import Parts
from live.upkeep import Upkeep
from live.wiring import symbols_of
from monitoring.metrics import process_metrics

NAME = "executor"


class Doom:
    """Counts passings of one point and ends the process at the last one."""

    def __init__(self, point: str, count: int) -> None:
        self._point, self._left = point, count

    def __call__(self, point: str) -> None:
        """A point is passed."""
        if self.is_due(point):
            die()

    def is_due(self, point: str) -> bool:
        """Whether this passing is the last."""
        self._left -= point == self._point
        return point == self._point and self._left <= 0


class TornFile(DiskFile):
    """A journal file that has half of the last write in it when the process dies."""

    def __init__(self, path: Path, doom: Doom) -> None:
        super().__init__(path)
        self._doom = doom

    def append(self, data: bytes) -> None:
        """Write, or half of it."""
        if self._doom.is_due("torn"):
            super().append(data[: len(data) // 2])
            die()
        super().append(data)


def die() -> None:
    """End this process as kill -9 does: nothing of it runs any more."""
    os.kill(os.getpid(), signal.SIGKILL)


def main(point: str, count: str) -> None:
    """Run the executor as `python -m live executor` does, until its point has come."""
    doom = Doom(point, int(count))
    settings, clock, metrics = load(), SystemClock(), process_metrics()
    log = logs.configure("host", settings.serving.log_format, settings.serving.log_level)
    symbols = symbols_of(settings)
    with open_bus(settings.redis.url) as bus, Wake() as waker:
        upkeep = Upkeep(bus, clock, metrics, log)
        host = Host(NAME, bus, clock, metrics, log, settings, waker=waker, upkeep=upkeep, crash=doom)
        folder = Path(settings.paths.var) / "live" / NAME
        folder.mkdir(parents=True, exist_ok=True)
        parts = Parts(settings, symbols, clock, host.output(NAME), metrics, log, host.wake, folder)
        paper = PaperExchange(settings, symbols, clock, metrics)
        file = TornFile(folder / JOURNAL_FILE, doom)
        host.add(Executor(parts, paper, journal_file=file, crash=doom))
        host.start()
        host.run()


if __name__ == "__main__":
    main(*sys.argv[1:])

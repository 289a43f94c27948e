"""What risk looks at now and then, in a thread of its own: the lake's newest day, the venue's filters, drift.

Jobs are functions without state; a worker runs them one after the other and leaves what they return in a queue. Each
is asked for again a fixed time after it was asked for last, and never while it still runs.
"""

import json
import queue
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, NamedTuple, Protocol

from live.service import Wake
from market.exchange_filters import mismatches, read_filters
from market.symbols import Symbol, SymbolTable
from registry.files import write_file

Job = Callable[[], Any]
Planned = Callable[[], Job | None]
Alert = Callable[[str, str, str], None]
"""Told (reason, symbol, text)."""

_INFO_URLS: Final = {
    "binance": ("https://fapi.binance.com", "/fapi/v1/exchangeInfo"),
    "bybit": ("https://api.bybit.com", "/v5/market/instruments-info?category=linear&limit=1000"),
}
_LONGEST_SCAN_SECONDS = 600


class Found(NamedTuple):
    """What a job returned, or the exception it ended by."""

    name: str
    result: Any
    error: Exception | None


class Worker(Protocol):
    """Runs jobs away from the loop."""

    def submit(self, name: str, job: Job) -> None:
        """Take a job."""
        ...

    def found(self) -> Sequence[Found]:
        """What has been finished since the last call."""
        ...

    def close(self) -> None:
        """End; a job that runs is not waited for longer than a second."""
        ...


class ThreadWorker:
    """One thread, started with the first job."""

    def __init__(self, wake: Wake) -> None:
        self._wake = wake
        self._jobs: queue.SimpleQueue[tuple[str, Job] | None] = queue.SimpleQueue()
        self._found: queue.SimpleQueue[Found] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None

    def submit(self, name: str, job: Job) -> None:
        """Take a job."""
        self._jobs.put((name, job))
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name="risk-schedules", daemon=True)
            self._thread.start()

    def found(self) -> list[Found]:
        """What has been finished since the last call."""
        out = []
        while not self._found.empty():
            out.append(self._found.get_nowait())
        return out

    def close(self) -> None:
        """End the thread behind the job it is at."""
        self._jobs.put(None)
        if self._thread is not None:
            self._thread.join(1.0)

    def _work(self) -> None:
        while (item := self._jobs.get()) is not None:
            name, job = item
            try:
                self._found.put(Found(name, job(), None))
            except Exception as error:
                self._found.put(Found(name, None, error))
            self._wake()


@dataclass(slots=True)
class _Plan:
    every_ns: int
    job: Planned
    due_ns: int
    runs: bool = False


@dataclass(slots=True)
class Schedules:
    """Plans by name. `job()` of a plan returns the work to do now, or None when there is none."""

    worker: Worker
    _plans: dict[str, _Plan] = field(default_factory=dict)

    def every(
        self, name: str, seconds: float, first_seconds: float, now_ns: int, job: Callable[[], Job | None]
    ) -> None:
        """Plan a job: first after `first_seconds`, then each `seconds`."""
        self._plans[name] = _Plan(round(seconds * 1e9), job, now_ns + round(first_seconds * 1e9))

    def tick(self, now_ns: int) -> Sequence[Found]:
        """Hand out what is due; return what has been found."""
        found = self.worker.found()
        for each in found:
            self._plans[each.name].runs = False
        for name, plan in self._plans.items():
            if plan.due_ns <= now_ns and not plan.runs:
                plan.due_ns = now_ns + plan.every_ns
                work = plan.job()
                if work is not None:
                    plan.runs = True
                    self.worker.submit(name, work)
        return found


def longest_gaps(root: str, symbols: Sequence[str], threshold_seconds: float) -> dict[str, float]:
    """Return what `live.lake_gaps` finds, from a process of its own: pyarrow never enters this one.

    Raises OSError and subprocess.SubprocessError when it fails, or takes longer than ten minutes.
    """
    command = [sys.executable, "-m", "live.lake_gaps", root, str(threshold_seconds), *symbols]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=_LONGEST_SCAN_SECONDS, check=False)  # noqa: S603 - ours
    if ran.returncode:
        raise OSError(f"gap scan of {root} ended by {ran.returncode}: {ran.stderr.strip()[-500:]}")
    found: dict[str, float] = json.loads(ran.stdout)
    return found


def reference_differences(symbols: Mapping[str, Symbol], info: Path) -> list[str]:
    """Return a line for each field of the symbol table that a saved answer of the venue contradicts.

    Raises BadReference when the answer is none.
    """
    return list(mismatches(SymbolTable(symbols), read_filters(info)))


def fetched_info(venue: str, rest_url: str, into: Path, timeout_seconds: float) -> Path:
    """Fetch what the venue says of its instruments and keep it at `into`. Raises OSError when there is no answer."""
    base, path = _INFO_URLS[venue]
    url = (rest_url or base).rstrip("/") + path
    if not url.startswith(("http://", "https://")):
        raise OSError(f"{url}: wanted an http or https address; mend feed.rest_url or exchange.rest_url")
    with urllib.request.urlopen(url, timeout=timeout_seconds) as answer:  # noqa: S310 - checked above
        write_file(into, answer.read())
    return into

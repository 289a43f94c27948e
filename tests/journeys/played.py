"""A market played through the live services as a process of their own, on a real server, and everything it left."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from archive.store import Lake
from bus.codec import decode
from bus.messages import Message
from bus.protocol import Bus
from live.executor import records
from live.executor.journal import recover
from monitoring.scrape import Scrape
from tests.journeys.waiting import until
from tests.live.mirrors import Models
from tidegate.live_stack import SERVICES, LiveStack, running

M = TypeVar("M")
_MOST = 1_000_000
_SECONDS = 90.0
_COUNTED = ("market_events_total", "scores_total", "approvals_total", "fills_total", "outcomes_total", "messages_total")


@dataclass(frozen=True)
class Played:
    """What a run left behind: messages by stream, the last /metrics page, the journal, the lake."""

    said: Mapping[str, Sequence[Message]]
    shown: Scrape
    facts: Sequence[records.AnyRecord]
    head: str
    folder: Path

    def of(self, stream: str, kind: type[M]) -> list[M]:
        """The bodies of a kind on a stream, in order."""
        return [each for each in self.said[stream] if isinstance(each, kind)]

    def done(self, kind: type[M]) -> list[M]:
        """The journal's records of a kind."""
        return [each for each in self.facts if isinstance(each, kind)]

    @property
    def lake(self) -> Lake:
        """The lake the recorder wrote."""
        return Lake(self.folder / "lake")


def mirror(folder: Path) -> Models:
    """An empty mirror, and room for the bundles it is filled with."""
    return Models(folder / "bundles", folder / "mirror")


def overrides(folder: Path, **more: str) -> dict[str, str]:
    """Settings of a short simulated market at full speed, with everything written below one folder."""
    return {
        "PATHS_VAR": str(folder / "var"), "PATHS_LAKE": str(folder / "lake"), "REGISTRY_MIRROR": str(folder / "mirror"),
        "EXCHANGE_MODE": "paper", "MARKET_SYMBOLS": "BTCUSDT,ETHUSDT", "FEED_KIND": "simulator", "FEED_SPEED": "0",
        "FEED_START": "2026-01-07T12:00:00", "FEED_MINUTES": "5", "SIMULATOR_GAP_SYMBOL": "", "WARMUP_SECONDS": "20",
        "RISK_PRECISION_FLOOR": "0", "SERVING_LOG_FORMAT": "json", **more,
    }  # fmt: skip


@contextmanager
def services(folder: Path, names: Sequence[str] = SERVICES, **more: str) -> Iterator[LiveStack]:
    """The services as one process on a server in a folder, ready."""
    with running(folder / "redis", folder / "live.log", names, overrides(folder, **more)) as stack:
        stack.wait_for(names, _SECONDS)
        yield stack


def played(folder: Path, streams: Sequence[str], **more: str) -> Played:
    """Play a market to its end and return what was said on these streams and what was left.

    Raises StackError when the services end before the market does.
    """
    with services(folder, **more) as stack:
        shown = run_out(stack)
        said = {stream: bodies(stack.bus, stream) for stream in streams}
        held = journal(folder)
    return Played(said, shown, *held, folder)


def run_out(stack: LiveStack) -> Scrape:
    """Wait until the market is over and nobody has anything left to do; returns the page then."""
    before: list[float] = []

    def is_over() -> Scrape | None:
        stack.check()
        beats = stack.heartbeats()
        if "collector" not in beats or not beats["collector"].status.get("finished"):
            return None
        shown = stack.scrape()
        told = [shown.total(name) for name in _COUNTED]
        if told == before:
            return shown
        before[:] = told
        return None

    return until(is_over, _SECONDS, f"the end of the market; the log is {stack.log}")


def bodies(bus: Bus, stream: str) -> list[Message]:
    """Everything on a stream, oldest first."""
    return [decode(entry).body for entry in bus.recent(stream, _MOST)]


def journal(folder: Path) -> tuple[list[records.AnyRecord], str]:
    """The executor's journal: its records and its head."""
    found = recover((folder / "var" / "live" / "executor" / "executor.journal").read_bytes())
    return [records.decode(payload) for payload in found.payloads], found.head.hex()


def seconds_until(question: Callable[[], object], deadline: float, what: str) -> float:
    """Ask every 10 ms until the answer is true and return how long that took.

    Raises:
        AssertionError: it was not within `deadline` seconds.
    """
    started = time.monotonic()
    until(lambda: question() or None, deadline, what, pause_seconds=0.01)
    return time.monotonic() - started

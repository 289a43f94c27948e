"""From a market frame to the approval on the stream: engine, scorer, risk and executor in one process, a real server.

Each event of an ordinary market is published as the collector publishes it and handed on at once, the next one when
all is done (the venue's time is the market's, its arrival is now); where it makes a
candidate, the clock runs from before the event is said until the server has confirmed the approval, and until it has
confirmed what the executor answered (its journal on the disk in between). The model has 200 trees. The unit is our own
hop (benchmarks.bus_hop) taken in the same run: half a round between two processes, acknowledgement included. Of hops
and approvals alike the best of three rounds counts. Run with `python -m benchmarks.tick_to_approval`.
"""

import gc
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import structlog
from msgspec.structs import replace
from prometheus_client import CollectorRegistry

from benchmarks import bus_hop, model_swap
from benchmarks.rows import row, show
from bus.client import RedisBus
from bus.messages import BookImage, MarketTrade, Received
from bus.server import serve
from bus.streams import APPROVED, REPORTS
from config.settings import Settings
from live.clock import Clock, SystemClock
from live.host import Host
from live.logs import configure
from live.service import Output, Subscription
from live.wiring import Surroundings, build
from monitoring.metrics import Metrics
from tests.live.markets import bodies, market, numbered

SYMBOL = "BTCUSDT"
EVENTS, PER_SECOND, INTERVAL_MS = 30_000, 96.0, 100
HOPS, HOP_ROUNDS = 1_500, 3
SERVICES = ("signal_engine", "ai_scorer", "executor", "risk")


class Feeder:
    """Stands for the collector: says one event a tick."""

    name = "collector"

    def __init__(self, out: Output, clock: Clock, messages: Sequence[Received]) -> None:
        self._out, self._clock = out, clock
        self._messages = messages
        self._next = 0
        self.said_ns = 0
        self.has_arrived = False
        """The next event is here; it comes alone, as a quiet market's do."""

    def subscriptions(self) -> Sequence[Subscription]:
        return ()

    def start(self) -> None:
        """Nothing to do."""

    def handle(self, received: Received) -> None:
        """Nothing is subscribed to."""

    def tick(self) -> None:
        if self.has_arrived:
            self.has_arrived = False
            each = self._messages[self._next]
            assert isinstance(each.body, BookImage | MarketTrade)
            self._next += 1
            self.said_ns = time.perf_counter_ns()
            body = replace(each.body, local_ns=self._clock.wall_ns())
            self._out.publish(each.stream, body, message_id=each.header.id, writer=f"collector:{SYMBOL}")

    def status(self) -> Mapping[str, Any]:
        return {"ready": True}

    def stop(self) -> None:
        """Nothing is open."""

    @property
    def is_done(self) -> bool:
        return self._next == len(self._messages)


class Watched(RedisBus):
    """A bus that notes when the server has confirmed an approval and an answer to it."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.feeder: Feeder | None = None
        self.approved: list[float] = []
        self.answered: list[float] = []

    def add(self, entries: Sequence[tuple[str, bytes, str]]) -> list[str]:
        ids = super().add(entries)
        if self.feeder:
            took_us = (time.perf_counter_ns() - self.feeder.said_ns) / 1_000
            names = {stream for stream, _, _ in entries}
            if APPROVED in names:
                self.approved.append(took_us)
            if REPORTS in names and len(self.answered) < len(self.approved):
                self.answered += [took_us] * (len(self.approved) - len(self.answered))
        return ids


def run() -> list[dict[str, Any]]:
    """Return the rows {name, value, unit, ratio, goal, holds}; a ratio counts hops."""
    bus_hop._in_front()
    with tempfile.TemporaryDirectory() as folder, serve(Path(folder) / "redis") as server:
        rounds = [bus_hop._hops(server.url, bus_hop._Ours, HOPS, 0.0) for _ in range(HOP_ROUNDS)]
        with Watched(server.url) as bus:
            seconds = _measured(bus, Path(folder))
        structlog.reset_defaults()
    hop = min(_quantile(each, 0.5) for each in rounds)
    # The first quarter finds cold code.
    approved, answered = (each[len(each) // 4 :] for each in (bus.approved, bus.answered))
    return [
        row("tick to approval: hop of our client, p50", hop, "us"),
        *_row("approval on the stream", approved, 0.5, hop, most=3.5),
        *_row("approval on the stream", approved, 0.99, hop, most=6.0),
        *_row("executor's answer on the stream", answered, 0.5, hop),
        *_row("executor's answer on the stream", answered, 0.99, hop),
        row("tick to approval: approvals timed", len(approved), ""),
        row("tick to approval: market events a second meanwhile", EVENTS / seconds, "ev/s"),
    ]


def _row(what: str, values: list[float], share: float, hop: float, most: float | None = None) -> list[dict[str, Any]]:
    size = len(values) // HOP_ROUNDS
    found = min(_quantile(values[turn * size : (turn + 1) * size], share) for turn in range(HOP_ROUNDS))
    return [row(f"tick to approval: {what}, p{share * 100:g}", found, "us", ratio=found / hop, most=most)]


def _measured(bus: Watched, folder: Path) -> float:
    """Run the whole market through the services; returns the seconds it took."""
    settings = Settings.model_validate(
        {
            "market": {"symbols": [SYMBOL]}, "candidate": {"interval_ms": INTERVAL_MS},
            "registry": {"mirror": str(folder / "mirror")},
            "paths": {"var": str(folder / "var"), "lake": str(folder / "lake")},
        },
        context={"root": Path(__file__).resolve().parents[1]},
    )  # fmt: skip
    model_swap._mirrored(folder, settings)
    messages = numbered(bodies(SYMBOL, *market(EVENTS, seed=3, per_second=PER_SECOND)))
    clock = SystemClock()
    log = configure("benchmark", level="error")
    around = Surroundings(settings, bus, Metrics(CollectorRegistry()), lambda _: log, {})
    host = build(SERVICES, around, clock, clock)
    feeder = bus.feeder = Feeder(host.output("collector"), clock, messages)
    host.add(feeder)
    host.start()
    gc.collect()
    gc.freeze()
    begin = time.perf_counter()
    _run(host, feeder)
    seconds = time.perf_counter() - begin
    gc.unfreeze()
    host.stop()
    return seconds


def _run(host: Host, feeder: Feeder) -> None:
    while not feeder.is_done:
        feeder.has_arrived = True
        host.step()


def _quantile(values: list[float], share: float) -> float:
    return sorted(values)[int(len(values) * share)]


if __name__ == "__main__":
    show(run())

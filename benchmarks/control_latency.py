"""From CRIT on control:events to the moment after which no real order goes out, between two processes on a real server.

That moment is when the executor takes the event: it does one thing at a time, and the first thing it does is to turn
to paper. Writing that down, cancelling and flattening come behind it.

One process runs the executor in real mode on a venue that answers at once; this one says CRIT, waits until the
executor has taken it, and lets an operator resume. Once with nothing else to do, once while an approval comes every
5 ms (each written to the journal before its orders go). The unit is our own hop, taken in the same run, of messages
as rare as the events: everybody sleeps in between. The journal is in memory here (/dev/shm where there is one): how
long a disk takes to be certain is the disk's. Run with `python -m benchmarks.control_latency`.
"""

import multiprocessing
import tempfile
import time
from collections.abc import Mapping, Sequence
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from prometheus_client import CollectorRegistry

from benchmarks import bus_hop
from benchmarks.rows import fact, row, show
from bus.client import RedisBus
from bus.messages import Approval, BookImage, ControlEvent, MarkPrice, Received
from bus.publisher import Publisher
from bus.server import serve
from bus.streams import APPROVED, CONTROL, book, mark
from bus.wake import Wake
from config.settings import Settings
from live.clock import Clock, SystemClock
from live.executor.service import Executor
from live.host import Host
from live.logs import configure
from live.service import Output, Parts, Subscription
from live.wiring import symbols_of
from market.columns import BOOK_RESET
from monitoring.metrics import Metrics
from tests.live.executor.fake_venue import FakeVenue

SYMBOL = "BTCUSDT"
BID, ASK = 999_990, 1_000_000
TRIALS, HOPS, HOP_ROUNDS = 100, 1_500, 3
APPROVAL_SECONDS, PAUSE_SECONDS = 0.005, 0.05
WARM_SECONDS = 14.0
"""Until the executor knows how much the market moves, before which it sends nothing."""
_ROOT = Path(__file__).resolve().parents[1]


class Quotes:
    """Stands for the collector: a book and a mark price ten times a second."""

    name = "collector"

    def __init__(self, out: Output, clock: Clock) -> None:
        self._out, self._clock = out, clock
        self._number = self._due_ns = 0

    def subscriptions(self) -> Sequence[Subscription]:
        return ()

    def start(self) -> None:
        """Nothing to do."""

    def handle(self, received: Received) -> None:
        """Nothing is subscribed to."""

    def tick(self) -> None:
        now_ns = self._clock.wall_ns()
        if now_ns < self._due_ns:
            return
        self._due_ns = now_ns + 100_000_000
        self._number += 1
        levels = range(10)
        image = BookImage(
            SYMBOL, now_ns, now_ns, self._number, BOOK_RESET if self._number == 1 else 0,
            [BID - level for level in levels], [50_000] * 10, [ASK + level for level in levels], [50_000] * 10,
        )  # fmt: skip
        self._out.publish(book(SYMBOL), image, message_id=f"{self._number}", writer=f"collector:{SYMBOL}")
        price = MarkPrice(SYMBOL, now_ns, now_ns, 99_999.5, 0.0, 0)
        self._out.publish(mark(SYMBOL), price, message_id=f"m{self._number}", writer=f"collector:{SYMBOL}:mark")

    def status(self) -> Mapping[str, Any]:
        return {"ready": True}

    def stop(self) -> None:
        """Nothing is open."""


class Told(Executor):
    """An executor that tells when it has taken a control event, and how many real orders it has sent."""

    pipe: Connection
    venue: FakeVenue

    def handle(self, received: Received) -> None:
        begun_ns = time.perf_counter_ns()
        super().handle(received)
        if isinstance(received.body, ControlEvent) and received.body.by in ("risk", "operator"):
            mode = str(self.status()["mode"])
            self.pipe.send((begun_ns, time.perf_counter_ns(), mode, len(self.venue.orders)))


def run() -> list[dict[str, Any]]:
    """Return the rows {name, value, unit, ratio, goal, holds}; a ratio counts hops."""
    bus_hop._in_front()
    shared = Path("/dev/shm")  # noqa: S108 - memory, so that the disk is not what is measured
    with tempfile.TemporaryDirectory(dir=shared if shared.is_dir() else None) as folder:
        with serve(Path(folder) / "quiet" / "redis") as server:
            hops = [bus_hop._hops(server.url, bus_hop._Ours, HOPS, 0.0) for _ in range(HOP_ROUNDS)]
            rare = bus_hop._hops(server.url, bus_hop._Ours, TRIALS, PAUSE_SECONDS)
            quiet, durable, _ = _trials(server.url, Path(folder) / "quiet", approvals=False)
        with serve(Path(folder) / "busy" / "redis") as server:
            busy, _, sent = _trials(server.url, Path(folder) / "busy", approvals=True)
    hop50, hop99 = (min(_quantile(each, share) for each in hops) for share in (0.5, 0.99))
    return [
        row("control: hop of our client, p50", hop50, "us"),
        row("control: hop of our client, p99", hop99, "us"),
        row("control: hop of our client, a message every 50 ms, p99", _quantile(rare, 0.99), "us"),
        row("control: CRIT to no further real order, p50, to such hops", _quantile(quiet, 0.5), "us",
            ratio=_quantile(quiet, 0.5) / _quantile(rare, 0.5)),
        row("control: CRIT to no further real order, p99, to such hops", _quantile(quiet, 0.99), "us",
            ratio=_quantile(quiet, 0.99) / _quantile(rare, 0.99), most=2.0),
        row("control: CRIT to paper written down, p50", _quantile(durable, 0.5), "us",
            ratio=_quantile(durable, 0.5) / hop50),
        row("control: the same with an approval every 5 ms, p50", _quantile(busy, 0.5), "us",
            ratio=_quantile(busy, 0.5) / hop50),
        row("control: the same with an approval every 5 ms, p99", _quantile(busy, 0.99), "us",
            ratio=_quantile(busy, 0.99) / hop99),
        fact("control: real orders sent while approvals came", sent, "orders"),
    ]  # fmt: skip


def _trials(url: str, folder: Path, *, approvals: bool) -> tuple[list[float], list[float], int]:
    """Return the microseconds of each trial until CRIT was taken and until that was durable, and real orders sent."""
    spawn = multiprocessing.get_context("spawn")
    near, far = spawn.Pipe()
    other = spawn.Process(target=_execute, args=(url, folder, far))
    other.start()
    assert near.recv() == "ready"
    found: list[float] = []
    durable: list[float] = []
    orders = 0
    with RedisBus(url) as bus:
        clock = SystemClock()
        risk, scorer = Publisher(bus, "risk", clock.wall_ns), Publisher(bus, "ai_scorer", clock.wall_ns)
        for trial in range(TRIALS):
            until = time.perf_counter() + PAUSE_SECONDS
            while time.perf_counter() < until:
                if approvals:
                    now_ns = clock.wall_ns()
                    scorer.publish(APPROVED, _approval(now_ns), message_id=f"{SYMBOL}-{now_ns}")
                    scorer.flush()
                time.sleep(APPROVAL_SECONDS)
            said_ns = _say(risk, clock, "ALERT", "CRIT", "risk", trial)
            taken_ns, done_ns, mode, orders = near.recv()
            assert mode == "paper", mode
            found.append((taken_ns - said_ns) / 1_000)
            durable.append((done_ns - said_ns) / 1_000)
            _say(risk, clock, "RESUME", "INFO", "operator", trial)
            _, _, mode, orders = near.recv()
            assert mode == "real", mode
    near.send("end")
    other.join()
    return found, durable, orders


def _say(risk: Publisher, clock: Clock, event: str, severity: str, by: str, trial: int) -> int:
    """Say a control event; returns when it was begun to be said."""
    said_ns = time.perf_counter_ns()
    target = "real" if by == "operator" else ""
    body = ControlEvent(event, severity, "", target, "operator", by, clock.wall_ns(), "", "", "")  # type: ignore[arg-type]
    risk.publish(CONTROL, body, message_id=f"{by}-{trial}-{said_ns}")
    risk.flush()
    return said_ns


def _approval(now_ns: int) -> Approval:
    name = f"{SYMBOL}-{now_ns}"
    side = 1 if now_ns // 1_000 % 2 else -1
    return Approval(name, name, SYMBOL, side, "full", "model", 1, 0.6, 0.5, now_ns, now_ns, now_ns + 1_500_000_000,
                    BID, ASK, 0.001, 0.001, 60_000_000_000)  # fmt: skip


def _execute(url: str, folder: Path, pipe: Connection) -> None:
    """The other process: an executor in real mode on a host of its own, until the pipe says end."""
    settings = Settings.model_validate(
        {
            "market": {"symbols": [SYMBOL]}, "paths": {"var": str(folder)}, "exchange": {"mode": "real"},
            "warmup": {"seconds": 0.0, "recover_seconds": 0.0}, "fail_safe": {"cooldown_seconds": 0.0},
            "gates": {"flip_cooldown_seconds": 0.0, "max_symbol_notional": 1e12, "max_total_notional": 1e12,
                      "max_open_orders": 1_000, "max_volatility_bps": 10_000.0},
        },
        context={"root": _ROOT},
    )  # fmt: skip
    log = configure("benchmark", level="error")
    clock, venue = SystemClock(), FakeVenue(is_real=True, name="fake")
    metrics = Metrics(CollectorRegistry())
    with RedisBus(url) as bus, Wake() as waker:
        host = Host("benchmark", bus, clock, metrics, log, settings, waker=waker)
        parts = Parts(settings, symbols_of(settings), clock, host.output("executor"), metrics, log, host.wake, folder)
        executor = Told(parts, FakeVenue(), venue)
        executor.pipe, executor.venue = pipe, venue
        host.add(executor)
        host.add(Quotes(host.output("collector"), clock))
        host.start()
        until = time.monotonic() + WARM_SECONDS
        while time.monotonic() < until:
            host.step(10)
        pipe.send("ready")
        busy = False
        while not pipe.poll(0):
            busy = host.step(0 if busy else 50)
        host.stop()


def _quantile(values: list[float], share: float) -> float:
    return sorted(values)[int(len(values) * share)]


if __name__ == "__main__":
    show(run())

"""A backlog of 100,000 approvals: is none acted on after its TTL, how long until it is gone, and what does it cost.

The executor was away; what it finds when it comes back has expired but for the newest, which it acts on. Measured for
the executor alone (messages handed to it) and behind a host on a MemoryBus, where decoding, acknowledging and the
report of every drop are part of it. The peer decodes the same messages and does nothing: what any consumer pays.
Run with `python -m benchmarks.approval_backlog`.
"""

import logging
import resource
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import structlog
from msgspec.structs import replace
from prometheus_client import CollectorRegistry

from benchmarks.rows import fact, row, show
from bus.codec import decode, encode
from bus.memory import MemoryBus
from bus.messages import VERSION, Approval, BookImage, Header, MarkPrice, Message, Received
from bus.protocol import Entry
from bus.streams import APPROVED, REPORTS, book, mark
from config.settings import Settings
from live.clock import ManualClock
from live.exchange.paper import PaperExchange
from live.executor.service import Executor
from live.host import Host
from live.service import Parts
from market.symbols import SymbolTable
from monitoring.metrics import Metrics

COUNT = 100_000
FRESH = 100
"""The newest approvals, still within their TTL: what they do is not the backlog's business, so they may be sent."""
TTL_NS = 1_500_000_000
_ROOT = Path(__file__).resolve().parents[1]
_S = 1_000_000_000
_START_NS = 1_767_787_200 * _S


def run() -> list[dict[str, Any]]:
    """Return the rows {name, value, unit, ratio, goal, holds}; ratio is to decoding alone."""
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING), cache_logger_on_first_use=False
    )
    with TemporaryDirectory() as folder:
        alone = _alone(Path(folder) / "alone")
        hosted = _hosted(Path(folder) / "hosted")
    decoding = _decoding()
    return [
        fact("expired approvals that were acted on, of 100,000", alone["late"] + hosted["late"], "", wanted=0),
        fact("executor alone: 100,000 approvals gone", alone["seconds"], "s", below=2.0),
        row("executor alone: one expired approval", alone["seconds"] / COUNT * 1e6, "us"),
        fact("behind a host on a MemoryBus: 100,000 approvals gone", hosted["seconds"], "s"),
        row("of which decoding them", decoding, "s", ratio=hosted["seconds"] / decoding),
        fact("what the executor keeps of them", alone["kept"], "bytes", below=100_000),
        fact("growth of the process meanwhile, reports included", alone["grown_mib"], "MiB", below=400),
    ]


class _Counting:
    """An output that counts, so that what is measured is the executor and not a list of reports."""

    def __init__(self) -> None:
        self.told = 0

    def publish(self, stream: str, body: Message, **_: Any) -> None:  # noqa: ARG002
        self.told += stream == REPORTS


def _parts(folder: Path, out: Any, clock: ManualClock) -> Parts:
    settings = Settings.model_validate(
        {"market": {"symbols": ("BTCUSDT",)}, "warmup": {"seconds": 5.0}, "gates": {"max_volatility_bps": 500.0}},
        context={"root": _ROOT},
    )
    table = SymbolTable.load(_ROOT / "data" / "reference" / "symbols.yml")
    return Parts(
        settings, {"BTCUSDT": table["BTCUSDT"]}, clock, out, Metrics(CollectorRegistry()),
        structlog.get_logger().bind(), lambda: None, folder,
    )  # fmt: skip


def _approvals() -> list[Approval]:
    """The oldest first, as they were queued over the seconds before; ids as candidates have them."""
    first = Approval(
        "", "", "BTCUSDT", 1, "paper", "model-1", 1, 0.6, 0.5, _START_NS, _START_NS, _START_NS + TTL_NS, 999_999,
        1_000_000, 0.001, 0.001, 60 * _S,
    )  # fmt: skip
    made = []
    for number in range(COUNT):
        at_ns = _START_NS + (number * 10_000 if number < COUNT - FRESH else 20 * _S)
        made.append(
            replace(first, id=f"BTCUSDT-{at_ns}-{number}", candidate_id=f"BTCUSDT-{at_ns}-{number}", t_ns=at_ns,
                    local_ns=at_ns, expires_ns=at_ns + TTL_NS)
        )  # fmt: skip
    return made


def _received(stream: str, body: Message, seq: int, writer: str) -> Received:
    return Received(stream, f"{seq}-0", Header(VERSION, "x", writer, 1, seq, 0, 0, 0, f"{writer}-{seq}"), body, 1)


def _executor(parts: Parts) -> Executor:
    return Executor(parts, PaperExchange(parts.settings, parts.symbols, parts.clock, parts.metrics))


def _warm(executor: Executor, clock: ManualClock) -> None:
    """Twenty seconds of a live book."""
    for number in range(1, 41):
        clock.advance(seconds=0.5)
        now = clock.wall_ns()
        bids, asks = [999_999 - level for level in range(10)], [1_000_000 + level for level in range(10)]
        image = BookImage("BTCUSDT", now, now, number, int(number == 1), bids, [50_000] * 10, asks, [50_000] * 10)
        executor.handle(_received(book("BTCUSDT"), image, number, "collector:BTCUSDT"))
        executor.handle(_received(mark("BTCUSDT"), MarkPrice("BTCUSDT", now, now, 1e5, 0.0, 0), number, "mark"))
        executor.tick()


def _alone(folder: Path) -> dict[str, float]:
    clock, out = ManualClock(_START_NS), _Counting()
    executor = _executor(_parts(folder, out, clock))
    executor.start()
    _warm(executor, clock)
    messages = [_received(APPROVED, body, number, "ai_scorer") for number, body in enumerate(_approvals())]
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    state_before = len(executor.state)
    begin = time.perf_counter()
    for number, message in enumerate(messages):
        executor.handle(message)
        if number % 1_000 == 0:
            executor.tick()
    seconds = time.perf_counter() - begin
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    result = {
        "seconds": seconds,
        "late": _late(executor),
        "kept": len(executor.state) - state_before,
        "grown_mib": grown,
    }
    executor.stop()
    return result


def _late(executor: Executor) -> int:
    """Approvals acted on although the clock said that they had expired."""
    state = executor._keeper.ledger.state
    return sum(state.approvals[key] > trip.expires_ns for key, trip in state.trips.items())


def _hosted(folder: Path) -> dict[str, float]:
    clock = ManualClock(_START_NS)
    bus = MemoryBus(lambda: clock.wall_ns() // 1_000_000)
    settings = _parts(folder, None, clock).settings
    metrics = Metrics(CollectorRegistry())
    host = Host("executor", bus, clock, metrics, structlog.get_logger().bind(), settings)
    executor = _executor(_parts(folder, host.output("executor"), clock))
    host.add(executor)
    host.start()
    _warm(executor, clock)
    entries = [(APPROVED, encode(_header(number, body), body), "") for number, body in enumerate(_approvals())]
    bus.add(entries)
    begin = time.perf_counter()
    while host.step():
        pass
    seconds = time.perf_counter() - begin
    depth = bus.depth(APPROVED, "executor")
    if depth.lag or depth.pending:
        raise AssertionError(f"{depth} of the backlog is left")
    late = _late(executor)
    host.stop()
    return {"seconds": seconds, "late": late}


def _header(number: int, body: Approval) -> Header:
    return Header(VERSION, "approval", "ai_scorer", 1, number + 1, body.t_ns, body.local_ns, body.local_ns, body.id)


def _decoding() -> float:
    entries = [
        Entry(APPROVED, f"{number + 1}-0", encode(_header(number, body), body), 1, "executor")
        for number, body in enumerate(_approvals())
    ]
    begin = time.perf_counter()
    for entry in entries:
        decode(entry)
    return time.perf_counter() - begin


if __name__ == "__main__":
    show(run())

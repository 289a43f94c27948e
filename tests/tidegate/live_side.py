"""A bus in memory as the live side leaves it, and how a page of it looks."""

import io
import math
from typing import Any

from rich.console import Console, RenderableType

from bus.codec import encode
from bus.heartbeats import Heartbeat, write
from bus.memory import MemoryBus
from bus.messages import VERSION, Approval, Candidate, ControlEvent, Header, Judgement, Message, Outcome, Report, Score
from bus.publisher import Publisher
from bus.streams import APPROVED, CANDIDATES, CONTROL, OUTCOMES, REPORTS, SCORES

NOW_NS = 1_767_787_200_000_000_000
"""2026-01-07T12:00:00Z."""
SECOND_NS = 1_000_000_000


def bus() -> MemoryBus:
    """An empty bus at NOW_NS."""
    return MemoryBus(lambda: NOW_NS // 1_000_000)


def say(on: MemoryBus, writer: str, stream: str, *bodies: Message) -> None:
    """Put messages on a stream."""
    publisher = Publisher(on, writer, lambda: NOW_NS)
    for number, body in enumerate(bodies):
        publisher.publish(stream, body, message_id=f"{number}")
    publisher.flush()


def beat(on: MemoryBus, service: str, status: dict[str, Any] | None = None, **changes: Any) -> None:
    """Leave a heartbeat of a second ago."""
    facts: dict[str, Any] = {
        "service": service, "at_ns": NOW_NS - SECOND_NS, "started_ns": NOW_NS - 301 * SECOND_NS, "pid": 7,
        "state": "running", "ready": True, "metrics_port": 9103, "hosted_with": [],
        "groups": [(APPROVED, "executor")], "status": status or {},
    }  # fmt: skip
    write(on, Heartbeat(**{**facts, **changes}))


def shown(page: RenderableType, width: int = 140) -> str:
    """What a person would see, without colours."""
    screen = io.StringIO()
    Console(file=screen, width=width, color_system=None, legacy_windows=False).print(page)
    return screen.getvalue()


def candidate(second: int, symbol: str = "BTCUSDT") -> Candidate:
    """A candidate of so many seconds ago."""
    t_ns = NOW_NS - second * SECOND_NS
    return Candidate(f"{symbol}-{t_ns}", symbol, t_ns, t_ns, 1, "rule", "schema", 1, 1, 1, 2, 1, b"", t_ns)


def score(second: int, *, approved: bool, probability: float = 0.6, route: str = "paper") -> Score:
    """What was said of it."""
    found = candidate(second)
    said = [Judgement("active", "model-a", 1, 0.4, probability, 0.5), Judgement("canary", "model-b", 2, 0.4, 0.9, 0.5)]
    return Score(
        found.id, found.symbol, found.t_ns, found.local_ns, -1, route, 0.1, approved, said, 1, 2, "schema", found.t_ns,  # type: ignore[arg-type]
        b"",
    )  # fmt: skip


def approval(second: int) -> Approval:
    """Leave to trade it."""
    found = candidate(second)
    return Approval(
        found.id, found.id, found.symbol, 1, "paper", "model-a", 1, 0.6, 0.5, found.t_ns, found.local_ns,
        found.t_ns + SECOND_NS, 1, 2, 0.001, 0.001, 60 * SECOND_NS,
    )  # fmt: skip


def report(second: int, kind: str, *, order: str = "", reason: str = "", filled: int = 0, net: float = 0.0) -> Report:
    """What became of it."""
    found = candidate(second)
    return Report(
        f"{found.id}-{kind}-{order}", kind, found.id, order, found.symbol, "paper", False, "model-a", "entry", 0, 1, 1,  # type: ignore[arg-type]
        10, filled, 10 - filled, True, 0.0, net, 0.0, "low", reason, 0, found.local_ns,
    )  # fmt: skip


def outcome(second: int, end: int) -> Outcome:
    """How it ended."""
    found = candidate(second)
    return Outcome(found.id, found.symbol, 1, "paper", True, found.t_ns, end, NOW_NS, 1.0, -1.0, [math.nan], [])


def lively() -> MemoryBus:
    """Six candidates of the last minutes, five scored, four approved, with four fates."""
    on = bus()
    say(on, "signal_engine", CANDIDATES, *[candidate(second) for second in range(10, 16)], candidate(5, "ETHUSDT"))
    say(on, "ai_scorer", SCORES, *[score(second, approved=second != 14) for second in range(10, 15)])
    say(on, "ai_scorer", APPROVED, *[approval(second) for second in range(10, 14)])
    say(
        on, "executor", REPORTS,
        report(10, "dropped", reason="warmup"),
        report(11, "accepted", order="o11"), report(11, "canceled", order="o11"),
        report(12, "accepted", order="o12"), report(12, "filled", order="o12", filled=10),
        report(12, "closed", order="o12", reason="target", net=1.25),
    )  # fmt: skip
    say(on, "risk", OUTCOMES, outcome(10, 1), outcome(11, 0), outcome(12, -1))
    return on


def event(severity: str = "CRIT", text: str = "precision [0.2] is low") -> ControlEvent:
    """A halt."""
    return ControlEvent("HALT", severity, "", "", "precision_halt", "risk", NOW_NS, "BTCUSDT", "", text)  # type: ignore[arg-type]


def other_version(on: MemoryBus, stream: str = CONTROL) -> None:
    """A message of a release to come."""
    body = event()
    data = encode(Header(VERSION, "control", "x", 1, 1, 0, 0, 0, "x"), body)
    on.add([(stream, data[:1] + bytes([VERSION + 1]) + data[2:], "")])

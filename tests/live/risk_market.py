"""What the tests of risk say to it: books of one symbol, scores, reports, a worker without a thread."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import numpy as np

from bus.messages import (
    BookImage,
    ControlEvent,
    ControlKind,
    Judgement,
    MarketTrade,
    MarkPrice,
    Message,
    Outcome,
    Report,
    ReportKind,
    Route,
    Score,
)
from bus.streams import CONTROL, REPORTS, SCORES
from live.clock import ManualClock
from live.risk import Risk
from live.schedules import Found, Job
from live.service import Parts
from market.columns import BOOK_RESET
from market.events import LEVELS
from market.feature_spec import N_COLUMNS, schema_hash
from tests.live.markets import numbered
from tests.live.parts import START_NS, RecordingOutput, parts, received

SECOND = 1_000_000_000
MS = 1_000_000


def image(
    at_ns: int, bid: int, ask: int, *, lots: int = 100, flags: int = 0, symbol: str = "BTCUSDT", ask_lots: int = -1
) -> BookImage:
    """A book of equal levels a tick apart; it arrives 2 ms behind the venue's time."""
    deep = range(LEVELS)
    asks = lots if ask_lots < 0 else ask_lots
    return BookImage(
        symbol, at_ns, at_ns + 2 * MS, 0, flags, [bid - k for k in deep], [lots] * LEVELS, [ask + k for k in deep],
        [asks] * LEVELS,
    )  # fmt: skip


def score(
    of: BookImage,
    side: int = 1,
    *,
    route: Route = "paper",
    approved: bool = True,
    probability: float = 0.6,
    row: bytes = b"",
) -> Score:
    """The score of a candidate that an image made."""
    judgements = [Judgement("active", "m1", 1, 0.4, probability, 0.5)]
    if route == "canary":
        judgements.append(Judgement("canary", "m2", 2, 0.4, probability, 0.5))
    return Score(
        f"{of.symbol}-{of.exchange_ns}", of.symbol, of.exchange_ns, of.local_ns, side, route, 0.0, approved, judgements,
        of.bid_ticks[0], of.ask_ticks[0], schema_hash(), 0, row or np.zeros(N_COLUMNS, "<f4").tobytes(),
    )  # fmt: skip


def report(
    kind: ReportKind,
    number: int = 1,
    *,
    route: Route = "paper",
    filled: int = 0,
    leaves: int = 0,
    net: float = 0.0,
    at_ns: int = START_NS,
    side: int = 1,
    is_real: bool = False,
    price: int = 1_000,
    order: str = "",
    symbol: str = "BTCUSDT",
    leg: Any = "entry",
) -> Report:
    """A report of approval `number`."""
    return Report(
        f"{kind}-{number}-{order}-{filled}", kind, f"a{number}", f"o{number}{order}", symbol, route, is_real, "m1", leg,
        0, side, price, filled + leaves, filled, leaves, True, 0.0, net, 0.0, "mid", "", at_ns, at_ns,
    )  # fmt: skip


def control(event: ControlKind, reason: str, *, by: str = "operator", symbol: str = "") -> ControlEvent:
    """A control event of somebody else."""
    return ControlEvent(event, "INFO", "", "", reason, by, START_NS, symbol, "", "")


@dataclass
class InlineWorker:
    """Runs a job when its results are asked for."""

    jobs: list[tuple[str, Job]] = field(default_factory=list)
    closed: bool = False

    def submit(self, name: str, job: Job) -> None:
        """Take a job."""
        self.jobs.append((name, job))

    def found(self) -> list[Found]:
        """Run what waits."""
        jobs, self.jobs = self.jobs, []
        return [self._run(name, job) for name, job in jobs]

    def close(self) -> None:
        """End."""
        self.closed = True

    def _run(self, name: str, job: Job) -> Found:
        try:
            return Found(name, job(), None)
        except Exception as error:
            return Found(name, None, error)


class Stage:
    """A risk service that is told things; the market turns its clock."""

    def __init__(self, tmp_path: Path, sections: dict[str, dict[str, Any]] | None = None) -> None:
        registry = {"mirror": str(tmp_path / "mirror")}
        self.parts: Parts = parts(tmp_path, {"registry": registry, **(sections or {})})
        self.clock = cast(ManualClock, self.parts.clock)
        self.out = cast(RecordingOutput, self.parts.out)
        self.worker = InlineWorker()
        self.risk = Risk(self.parts, self.worker)
        self.risk.start()
        self._seq = 1

    def market(self, *said: BookImage | MarketTrade, tick: bool = True) -> None:
        """Show the market, turning the clock to each arrival."""
        for message in numbered(said, first=self._seq):
            self._seq += 1
            self.clock.advance_to(message.body.local_ns)  # type: ignore[union-attr]
            self.risk.handle(message)
            if tick:
                self.risk.tick()

    def lose(self, count: int = 1) -> None:
        """Messages that never come."""
        self._seq += count

    def say(self, body: Message) -> None:
        """Hand it another message."""
        streams = {Score: SCORES, Report: REPORTS, ControlEvent: CONTROL, MarkPrice: "md:{BTCUSDT}:mark"}
        self.risk.handle(received(streams.get(type(body), "eval:outcomes"), body))

    def pass_seconds(self, seconds: float) -> None:
        """Let time pass without a market."""
        for _ in range(round(seconds * 2)):
            self.clock.advance(seconds=0.5)
            self.risk.tick()

    def outcomes(self) -> list[Outcome]:
        """What was published."""
        return self.out.of(Outcome)

    def calls(self) -> list[tuple[str, str, str]]:
        """(event, severity, reason) of every control event."""
        return [(each.event, each.severity, each.reason) for each in self.out.of(ControlEvent)]

    def value(self, name: str, **labels: str) -> float | None:
        """A metric."""
        return self.parts.metrics.registry.get_sample_value(name, labels)


def steady(seconds: Sequence[int], bid: int = 100_000, *, start_ns: int = START_NS) -> list[BookImage]:
    """A book at each of these seconds, the first a reset."""
    return [
        image(start_ns + second * SECOND, bid, bid + 1, flags=BOOK_RESET if not at else 0)
        for at, second in enumerate(seconds)
    ]

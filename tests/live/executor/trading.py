"""An executor on fake venues in a market that a test moves: warmed up, asked, looked at, killed and started again."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from bus.messages import (
    Approval,
    BookImage,
    BookStatus,
    ControlEvent,
    MarketTrade,
    MarkPrice,
    Message,
    Report,
    Severity,
)
from bus.streams import APPROVED, CONTROL, book, mark, trade
from live.clock import ManualClock
from live.executor.journal_files import JournalFile
from live.executor.service import Executor
from live.service import Parts
from market.columns import BOOK_RESET
from tests.live.executor.fake_venue import FakeVenue
from tests.live.parts import RecordingOutput, parts, received

BID, ASK = 999_990, 1_000_000
"""BTCUSDT ticks of 0.1: 99,999.0 and 100,000.0."""
DEPTH = 50_000
HORIZON_NS = 60_000_000_000

KNOBS: Mapping[str, Mapping[str, Any]] = {
    "warmup": {"seconds": 20.0, "recover_seconds": 30.0},
    "gates": {"max_volatility_bps": 500.0, "flip_cooldown_seconds": 0.0},
    "fail_safe": {"cooldown_seconds": 100.0},
}


class Killed(Exception):
    """The process dies here."""


class Trading:
    """One executor at a time over venues and a disk that outlive it."""

    def __init__(
        self,
        tmp_path: Path,
        sections: Mapping[str, Mapping[str, Any]] | None = None,
        *,
        real: bool = False,
        symbols: tuple[str, ...] = ("BTCUSDT",),
        journal_file: Callable[[], JournalFile] | None = None,
    ) -> None:
        knobs: dict[str, dict[str, Any]] = {name: dict(rows) for name, rows in KNOBS.items()}
        for name, rows in (sections or {}).items():
            knobs.setdefault(name, {}).update(rows)
        if real:
            knobs.setdefault("exchange", {})["mode"] = "real"
        self.parts: Parts = parts(tmp_path, knobs, symbols)
        self.clock: ManualClock = self.parts.clock  # type: ignore[assignment]
        self.paper = FakeVenue()
        self.real = FakeVenue(is_real=True, name="fakex") if real else None
        self.journal_file = journal_file
        self.crash_at = ""
        self.waiting = 0
        self.number = 0
        self.seqs = dict.fromkeys(symbols, 0)
        self.epoch = 1
        self.executor: Executor
        self.start()

    @property
    def said(self) -> RecordingOutput:
        """What was published by every executor so far."""
        return self.parts.out  # type: ignore[return-value]

    @property
    def venue(self) -> FakeVenue:
        """The real venue where there is one, else the paper one."""
        return self.real or self.paper

    def start(self) -> None:
        """A process begins."""
        self.executor = Executor(
            self.parts,
            self.paper,
            self.real,
            journal_file=self.journal_file() if self.journal_file else None,
            waiting=lambda: self.waiting,
            crash=self._crash,
        )
        self.executor.start()

    def kill(self) -> None:
        """The process is gone: nothing of it runs any more. Its file is let go as the kernel would."""
        self.crash_at = ""
        self.executor._keeper._journal._file.close()

    def restart(self) -> None:
        """Kill and start."""
        self.kill()
        for venue in filter(None, (self.paper, self.real)):
            venue.mail.clear()  # answers to a process that is gone
        self.start()

    def stop(self) -> None:
        """End in order."""
        self.executor.stop()

    # The market

    def image(self, bid: int = BID, ask: int = ASK, *, lots: int = DEPTH, symbol: str = "BTCUSDT",
              flags: int = 0) -> None:  # fmt: skip
        """The book becomes so, now."""
        now_ns = self.clock.wall_ns()
        self.seqs[symbol] += 1
        levels = range(10)
        body = BookImage(
            symbol, now_ns, now_ns, self.seqs[symbol], flags, [bid - level for level in levels], [lots] * 10,
            [ask + level for level in levels], [lots] * 10,
        )  # fmt: skip
        self.give(book(symbol), body, writer=f"collector:{symbol}", seq=self.seqs[symbol])

    def status(self, state: str, symbol: str = "BTCUSDT") -> None:
        """The collector says how a book stands."""
        self.seqs[symbol] += 1
        body = BookStatus(symbol, state, "test", 0, 0, self.clock.wall_ns())  # type: ignore[arg-type]
        self.give(book(symbol), body, writer=f"collector:{symbol}", seq=self.seqs[symbol])

    def print(self, price: int, lots: int, aggressor: int, symbol: str = "BTCUSDT") -> None:
        """Somebody trades."""
        now_ns = self.clock.wall_ns()
        self.seqs[symbol] += 1
        body = MarketTrade(symbol, self.seqs[symbol], now_ns, now_ns, price, lots, aggressor)
        self.give(trade(symbol), body, writer=f"collector:{symbol}", seq=self.seqs[symbol])

    def mark(self, price: float = 100_000.0, symbol: str = "BTCUSDT") -> None:
        """The mark price is so."""
        now_ns = self.clock.wall_ns()
        self.give(mark(symbol), MarkPrice(symbol, now_ns, now_ns, price, 0.0, 0))

    def run(self, seconds: float, bid: int = BID, ask: int = ASK, *, each: float = 0.5) -> None:
        """Time passes, with a book and a mark price each step."""
        for _ in range(round(seconds / each)):
            self.clock.advance(seconds=each)
            for symbol in self.parts.symbols:
                self.image(bid, ask, symbol=symbol)
                self.mark(self.parts.symbols[symbol].ticks_to_price(bid), symbol)
            self.executor.tick()

    def warm(self) -> None:
        """Live for long enough that nothing waits for warm-up."""
        for symbol in self.parts.symbols:
            self.image(flags=BOOK_RESET, symbol=symbol)
        self.run(self.parts.settings.warmup.seconds + 2)

    # Messages

    def give(self, stream: str, body: Message, *, writer: str = "test", seq: int = 1, message_id: str = "") -> None:
        """Hand a message to the executor."""
        self.executor.handle(
            received(stream, body, writer=writer, seq=seq, message_id=message_id, published_ns=self.clock.wall_ns())
        )

    def approval(self, side: int = 1, *, route: str = "paper", symbol: str = "BTCUSDT", ttl_ms: int = 1500,
                 **fields: Any) -> Approval:  # fmt: skip
        """A new approval, as of now."""
        self.number += 1
        now_ns = self.clock.wall_ns()
        body = Approval(
            id=f"{symbol}-{now_ns}-{self.number}", candidate_id=f"c{self.number}", symbol=symbol, side=side,
            route=route,  # type: ignore[arg-type]
            model_id="m1", version=1, probability=0.6, tau=0.5, t_ns=now_ns, local_ns=now_ns,
            expires_ns=now_ns + ttl_ms * 1_000_000, bid_ticks=BID, ask_ticks=ASK, tp_pct=0.001, sl_pct=0.001,
            horizon_ns=HORIZON_NS,
        )  # fmt: skip
        return replace(body, **fields)

    def approve(self, side: int = 1, **fields: Any) -> Approval:
        """Give an approval, and let the venue's answers in."""
        body = self.approval(side, **fields)
        self.hand(body)
        return body

    def hand(self, body: Approval) -> None:
        """Deliver an approval and tick."""
        self.give(APPROVED, body)
        self.executor.tick()

    def control(self, event: str, severity: Severity = "WARN", reason: str = "precision_halt", *, by: str = "risk",
                symbol: str = "", route: str = "", target: str = "", message_id: str = "") -> None:  # fmt: skip
        """Somebody says something on control:events."""
        self.number += 1
        body = ControlEvent(
            event,  # type: ignore[arg-type]
            severity, "", target, reason, by, self.clock.wall_ns(), symbol, route, "",
        )  # fmt: skip
        self.give(CONTROL, body, message_id=message_id or f"c-{self.number}")

    # What came of it

    def reports(self, kind: str = "") -> list[Report]:
        """Reports that were published."""
        return [report for report in self.said.of(Report) if kind in ("", report.kind)]

    def drops(self) -> list[str]:
        """The gates that dropped approvals, in order."""
        return [report.reason for report in self.reports("dropped")]

    def events(self, kind: str) -> list[ControlEvent]:
        """Control events of the executor's own."""
        return [event for event in self.said.of(ControlEvent) if event.event == kind]

    def _crash(self, point: str) -> None:
        if point == self.crash_at:
            self.crash_at = ""
            raise Killed(point)

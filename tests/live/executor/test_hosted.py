"""The executor in a host on a bus with the paper exchange: killed anywhere, nothing is lost and nothing doubled."""

import random
from collections import Counter
from pathlib import Path

import pytest

from bus.codec import decode
from bus.messages import Approval, BookImage, MarketTrade, MarkPrice, Report
from bus.publisher import Publisher
from bus.streams import APPROVED, REPORTS, book, mark, trade
from live.exchange.paper import PaperExchange
from live.executor.journal import Journal
from live.executor.journal_files import DiskFile
from live.executor.records import Intent
from live.executor.records import decode as decode_record
from live.executor.service import JOURNAL_FILE, Executor
from live.host import Host
from live.service import Parts
from market.columns import BOOK_RESET
from tests.live.executor.trading import KNOBS
from tests.live.hosting import Stage
from tests.live.parts import parts

POINTS = ("after_read", "after_intent", "after_send", "after_result", "before_ack")
HOST_POINTS = ("polled", "before_handle", "handled", "committed", "written", "settled")
STEPS = 910


class Killed(BaseException):
    """The process dies here. No handler of a host catches it."""


class Run:
    """A market of its own on one bus, and one executor process after another."""

    def __init__(self, tmp_path: Path, seed: int) -> None:
        self.stage = Stage()
        self.tmp_path = tmp_path
        self.rng = random.Random(seed)
        self.base: Parts = parts(tmp_path, KNOBS)
        self.clock = self.stage.clock
        self.collector = Publisher(self.stage.bus, "collector", self.clock.wall_ns)
        self.scorer = Publisher(self.stage.bus, "ai_scorer", self.clock.wall_ns)
        self.mid, self.number = 1_000_000, 0
        self.crash_at: tuple[str, int] = ("", 0)
        self.kills = 0
        self.approved: list[str] = []
        self.begin()

    def begin(self) -> None:
        """A process begins."""
        base = self.base
        host = Host(
            "executor", self.stage.bus, self.clock, base.metrics, base.log, base.settings,
            perf=self.clock.mono_ns, crash=self._crash,
        )  # fmt: skip
        made = Parts(
            base.settings, base.symbols, self.clock, host.output("executor"), base.metrics, base.log, base.wake,
            self.tmp_path,
        )  # fmt: skip
        paper = PaperExchange(base.settings, base.symbols, self.clock, base.metrics)
        self.executor = Executor(made, paper, crash=self._crash)
        host.add(self.executor)
        self.host = host
        try:
            host.start()
        except Killed:
            self.again()

    def again(self) -> None:
        """The process is gone; the next one begins."""
        self.kills += 1
        self.executor._keeper._journal._file.close()
        self.begin()

    def step(self) -> None:
        """Fifty milliseconds of market, now and then an approval, a pass of the host."""
        self.clock.advance(seconds=0.05)
        self.number += 1
        now = self.clock.wall_ns()
        self.mid += self.rng.choice([-20, -5, 0, 5, 20])
        levels = range(10)
        image = BookImage(
            "BTCUSDT", now - 2, now - 2, self.number, BOOK_RESET if self.number == 1 else 0,
            [self.mid - 1 - level for level in levels], [50] * 10,
            [self.mid + 1 + level for level in levels], [50] * 10,
        )  # fmt: skip
        writer = "collector:BTCUSDT"
        out = self.collector
        out.publish(book("BTCUSDT"), image, message_id=f"b{self.number}", writer=writer)
        side = self.rng.choice([1, -1])
        print_ = MarketTrade("BTCUSDT", self.number, now - 1, now - 1, self.mid + side, self.rng.randint(1, 40), side)
        out.publish(trade("BTCUSDT"), print_, message_id=f"t{self.number}", writer=writer)
        if self.number % 20 == 1:
            out.publish(
                mark("BTCUSDT"), MarkPrice("BTCUSDT", now, now, self.mid / 10, 0.0, 0), message_id=f"m{self.number}",
                writer=f"{writer}:mark",
            )  # fmt: skip
        if self.number % 25 == 0:
            self._approve(now)
        for publisher in (self.collector, self.scorer):
            publisher.flush()
        try:
            self.host.step()
        except Killed:
            self.again()

    def _approve(self, now: int) -> None:
        key = f"BTCUSDT-{now}"
        self.approved.append(key)
        body = Approval(
            key, key, "BTCUSDT", self.rng.choice([1, -1]), "paper", "m", 1, 0.6, 0.5, now, now, now + 1_500_000_000,
            self.mid - 1, self.mid + 1, 0.0002, 0.0002, 5_000_000_000,
        )  # fmt: skip
        self.scorer.publish(APPROVED, body, message_id=key)

    def reports(self) -> list[Report]:
        """Everything on the stream of reports."""
        entries = self.stage.bus.recent(REPORTS, 100_000)
        return [body for entry in entries if isinstance(body := decode(entry).body, Report)]

    def _crash(self, point: str) -> None:
        name, left = self.crash_at
        if point == name:
            if left == 0:
                self.crash_at = ("", 0)
                raise Killed(point)
            self.crash_at = (name, left - 1)


def check(run: Run) -> None:
    """Nothing lost, nothing doubled, and journal, exchange and reports say the same."""
    depth = run.stage.bus.depth(APPROVED, "executor")
    assert (depth.lag, depth.pending, depth.lost) == (0, 0, 0)
    exchange = run.executor._desks[False].exchange
    assert isinstance(exchange, PaperExchange)
    ledger = run.executor._keeper.ledger
    held = exchange.account.positions.get("BTCUSDT")
    assert ledger.held("BTCUSDT", is_real=False) == (held.lots if held else 0)
    intents = Counter(
        record.client_id
        for payload in Journal(DiskFile(run.tmp_path / "copy.journal")).recovered
        if isinstance(record := decode_record(payload), Intent)
    )
    assert not intents or max(intents.values()) == 1
    reports = {report.id: report for report in run.reports()}
    fates = Counter(report.approval_id for report in reports.values() if report.kind == "dropped")
    assert max(fates.values()) == 1
    acted = set(ledger.state.approvals)
    assert set(fates) | acted >= set(run.approved)
    closed = sum(report.net_quote for report in reports.values() if report.kind == "closed")
    assert abs(closed - sum(trip.told_net for trip in ledger.state.trips.values())) < 1e-9


def trade_for(run: Run, steps: int = STEPS) -> Run:
    """Let it trade, then let it come to rest."""
    for _ in range(steps):
        run.step()
    (run.tmp_path / "copy.journal").write_bytes((run.tmp_path / JOURNAL_FILE).read_bytes())
    return run


def test_a_quiet_run_trades_and_everything_adds_up(tmp_path: Path) -> None:
    """Without a fault: orders, fills, round trips; the queue is empty at the end."""
    run = trade_for(Run(tmp_path, 1))
    check(run)
    kinds = Counter(report.kind for report in run.reports())
    assert min(kinds[kind] for kind in ("accepted", "filled", "closed", "dropped")) > 0


@pytest.mark.parametrize("point", [*POINTS, *HOST_POINTS])
def test_killed_at_any_point_it_goes_on_where_it_was(tmp_path: Path, point: str) -> None:
    """Killed twice at a point of the executor or of its host, while it trades."""
    run = Run(tmp_path, 2)
    trade_for(run, 500)
    for occurrence in (3, 40):
        run.crash_at = (point, occurrence)
        trade_for(run, 250)
    assert run.kills >= 1
    run.crash_at = ("", 0)
    check(trade_for(run, 60))


def test_the_same_market_twice_gives_the_same_journal(tmp_path: Path) -> None:
    """I9 through a host and a bus: one hash."""
    heads = [trade_for(Run(tmp_path / name, 3), 600).executor.journal_head for name in ("a", "b")]
    assert heads[0] == heads[1]

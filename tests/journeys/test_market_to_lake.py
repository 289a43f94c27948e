"""A simulated market through collector, bus, engine and recorder: the lake gives back what live saw, to the bit.

Services are the real ones, on a MemoryBus, in one process or in two that share the bus; the scorer is played.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import structlog
from prometheus_client import CollectorRegistry

from archive.layout import BOOK, TRADES, day_of
from archive.merging import LIVE_SOURCE
from archive.store import Lake
from bus import streams
from bus.codec import decode
from bus.memory import MemoryBus
from bus.messages import BookImage, BookStatus, Candidate, MarketTrade, Received
from config.settings import Settings
from live.clock import ManualClock
from live.collector import Collector
from live.compaction import InlineJob
from live.host import Host
from live.recorder import Recorder
from live.service import Parts, Service, Subscription
from live.signal_engine import SignalEngine
from live.worker import at_once
from market.features import FEATURE_NAMES
from market.symbols import SymbolTable
from monitoring.metrics import Metrics
from pipelines.feature_days import compute_day
from pipelines.partitions import Cell
from pipelines.skew import compare
from tests.live.bodies import scored
from tests.live.hosting import Fake
from tests.live.parts import ROOT, settings

SYMBOLS = ("BTCUSDT", "ETHUSDT")
START = "2026-01-07T11:57:00"
MINUTES = 5.0
Make = Callable[[Parts], Service]


def play_scorer(parts: Parts) -> Fake:
    """A scorer that judges every candidate in the same way, and sends the row on as it got it."""

    def judge(self: Fake, received: Received) -> None:
        assert isinstance(received.body, Candidate)
        score = scored(received.body)
        self.out.publish(streams.SCORES, score, message_id=score.candidate_id)

    return Fake("ai_scorer", parts.out, reads=[Subscription(streams.CANDIDATES, group="ai_scorer")], on_message=judge)


MAKERS: dict[str, Make] = {
    "collector": Collector,
    "recorder": lambda parts: Recorder(parts, InlineJob, at_once),
    "signal_engine": SignalEngine,
    "ai_scorer": play_scorer,
}


@dataclass
class Site:
    """A bus, a lake, a clock; hosts come and go."""

    folder: Path
    bus: MemoryBus
    clock: ManualClock
    settings: Settings

    def host(self, *names: str) -> Host:
        """A started host of these services."""
        metrics, log = Metrics(CollectorRegistry()), structlog.get_logger()
        host = Host(names[0], self.bus, self.clock, metrics, log, self.settings, perf=self.clock.mono_ns)
        table = SymbolTable.load(ROOT / "data" / "reference" / "symbols.yml")
        for name in names:
            host.add(
                MAKERS[name](
                    Parts(
                        self.settings, {each: table[each] for each in SYMBOLS}, self.clock, host.output(name), metrics,
                        log, host.wake, self.folder / "var" / name,
                    )
                )
            )  # fmt: skip
        host.start()
        return host

    def lake(self) -> Lake:
        """The lake the recorder writes."""
        return Lake(self.folder / "lake")

    def published(self, symbol: str) -> list[BookImage | MarketTrade]:
        """Everything the collector said of a symbol, in its order."""
        found = []
        for stream in (streams.book(symbol), streams.trade(symbol)):
            found += [decode(entry) for entry in self.bus.recent(stream, 10_000_000)]
        found.sort(key=lambda each: (each.header.epoch, each.header.seq))
        return [each.body for each in found if not isinstance(each.body, BookStatus)]  # type: ignore[misc]

    def candidates(self) -> list[Candidate]:
        """Everything the engine said."""
        said = [decode(entry).body for entry in self.bus.recent(streams.CANDIDATES, 1_000_000)]
        return [each for each in said if isinstance(each, Candidate)]


def opened(folder: Path, start: str = START, minutes: float = MINUTES) -> Site:
    """A site whose market is the simulator's from a moment on."""
    made = settings(
        {
            "paths": {"lake": str(folder / "lake"), "var": folder / "var"},
            "feed": {"kind": "simulator", "start": start, "minutes": minutes, "speed": 0.0},
            "simulator": {"depth_interval_ms": 250, "gap_symbol": ""},
            "rollout": {"mode": "disabled"},
        },
        SYMBOLS,
    )
    clock = ManualClock(int(np.datetime64(start, "ns").astype(np.int64)))
    return Site(folder, MemoryBus(lambda: clock.wall_ns() // 1_000_000), clock, made)


def run_out(site: Site, *hosts: Host, steps: int = 1_000_000) -> None:
    """Step until the market is over and everybody has had what there was."""
    collector = next(each for host in hosts for each in host.services if each.name == "collector")
    for _ in range(steps):
        for host in hosts:
            host.step()
        if collector.status()["finished"]:
            break
    for _ in range(40):
        site.clock.advance(seconds=0.1)
        for host in hosts:
            host.step()


def check(site: Site) -> None:
    """What was published is in the lake; what was scored comes out of it again; live found what the pipelines find."""
    for symbol in SYMBOLS:
        said = site.published(symbol)
        day = day_of(said[0].exchange_ns)
        book, trades = site.lake().read_book(symbol, day), site.lake().read_trades(symbol, day)
        images = [each for each in said if isinstance(each, BookImage)]
        assert book.local_ns.tolist() == [each.local_ns for each in images]
        assert book.flags.tolist() == [each.flags for each in images]
        for name in ("bid_ticks", "bid_lots", "ask_ticks", "ask_lots"):
            assert np.array_equal(getattr(book, name).T, [getattr(each, name) for each in images])
        prints = [each for each in said if isinstance(each, MarketTrade)]
        assert trades.trade_id.tolist() == [each.trade_id for each in prints]
        skew = compare(site.lake(), Cell(day, symbol))
        mine = [each for each in site.candidates() if each.symbol == symbol]
        assert (skew.problem, skew.rows) == ("", len(mine))
        found = compute_day(site.lake(), Cell(day, symbol), site.settings.candidate.rule())
        at = {int(t_ns): k for k, t_ns in enumerate(found["t_ns"])}
        assert {each.t_ns for each in mine} <= set(at)
        assert site.lake().info(BOOK, symbol, day).source == LIVE_SOURCE


def test_in_one_process(tmp_path: Path) -> None:
    """Handed on directly: live finds every candidate the pipelines find, with the same features."""
    site = opened(tmp_path)
    host = site.host("collector", "recorder", "signal_engine", "ai_scorer")
    run_out(site, host)
    host.stop()
    check(site)
    mine = [each for each in site.candidates() if each.symbol == SYMBOLS[0]]
    found = compute_day(site.lake(), Cell(day_of(mine[0].t_ns), SYMBOLS[0]), site.settings.candidate.rule())
    assert found["t_ns"].tolist() == [each.t_ns for each in mine]
    rows = np.stack([found[name] for name in FEATURE_NAMES], axis=1)
    live = np.stack([np.frombuffer(each.row, "<f4")[: len(FEATURE_NAMES)] for each in mine])
    assert rows.tobytes() == live.tobytes()
    assert len(mine) > 100


def test_in_two_processes_that_share_a_bus(tmp_path: Path) -> None:
    """Through the streams, in whatever batches they come."""
    site = opened(tmp_path)
    first, second = site.host("collector", "recorder"), site.host("signal_engine", "ai_scorer")
    run_out(site, first, second)
    second.stop()
    first.stop()
    check(site)
    assert len(site.candidates()) > 200


def test_an_engine_that_dies_twice_and_comes_back(tmp_path: Path) -> None:
    """A new session each time; rows before and behind are in the lake's bits, no candidate is told twice."""
    site = opened(tmp_path, minutes=8.0)
    first, second = site.host("collector", "recorder"), site.host("signal_engine", "ai_scorer")
    begin_ns = site.clock.wall_ns()
    for seconds in (150, 300):
        while site.clock.wall_ns() < begin_ns + seconds * 1e9:
            first.step()
            second.step()
        second = site.host("signal_engine", "ai_scorer")
    run_out(site, first, second)
    second.stop()
    first.stop()
    check(site)
    ids = [each.id for each in site.candidates()]
    assert len(ids) == len(set(ids))
    assert len({each.session_ns for each in site.candidates() if each.symbol == SYMBOLS[0]}) == 3


def test_replayed_again_it_is_the_same(tmp_path: Path) -> None:
    """Every candidate byte for byte, the lake's partitions by their content."""
    told, held = [], []
    for name in ("once", "again"):
        site = opened(tmp_path / name, minutes=3.0)
        host = site.host("collector", "recorder", "signal_engine", "ai_scorer")
        run_out(site, host)
        host.stop()
        told.append(site.candidates())
        facts = [site.lake().info(table, *at) for table in (BOOK, TRADES) for at in site.lake().partitions(table)]
        held.append([each.content_sha256 for each in facts])
    assert told[0] == told[1] != []
    assert held[0] == held[1]


def test_across_midnight(tmp_path: Path) -> None:
    """The session began yesterday; today's rows come out of both days' partitions."""
    site = opened(tmp_path, start="2026-01-07T23:57:00", minutes=5.0)
    host = site.host("collector", "recorder", "signal_engine", "ai_scorer")
    run_out(site, host)
    host.stop()
    days = [day for symbol, day in site.lake().partitions(TRADES) if symbol == SYMBOLS[0]]
    assert len(days) == 2
    for day in days:
        skew = compare(site.lake(), Cell(day, SYMBOLS[0]))
        assert (skew.problem, skew.rows > 30) == ("", True)

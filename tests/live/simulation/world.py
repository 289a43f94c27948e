"""One run: every service on one bus in memory, a venue, a market, and whatever goes wrong; from one number.

    world = World(plan_of(7))
    world.run()             # raises Violation
    world.observer.digest   # the same for the same seed, in every process

First safety: faults as the plan has them. Then liveness: no more faults, and everything must come to rest.
"""

import shutil
import tempfile
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

from prometheus_client import CollectorRegistry

from bus.codec import decode, decode_dead
from bus.errors import BadMessage
from bus.memory import MemoryBus
from bus.protocol import Entry
from bus.streams import APPROVED, REPORTS, dead_letters
from config.settings import Settings
from live.ai_scorer import AiScorer
from live.collector import Collector
from live.executor.service import Executor
from live.host import Host
from live.risk import Risk
from live.service import Parts
from live.signal_engine import SignalEngine
from market.symbols import Symbol, SymbolTable
from monitoring.metrics import Metrics
from tests.live.parts import ROOT, settings
from tests.live.simulation.invariants import Observer, Violation
from tests.live.simulation.nature import MS, SECOND, START_NS, Disk, DiskFile, Killed, Nature, ProcessClock, Silence
from tests.live.simulation.plan import Plan
from tests.live.simulation.process import Mischief, Mute, Process, Tap, Watched, WatchedPaper
from tests.live.simulation.upstream import MIDS, Script
from tests.live.simulation.venue import Venue, Weather

LONGEST_REST = 100
_STEPS_NS = (20 * MS, 20 * MS, 20 * MS, 100 * MS, 100 * MS, 400 * MS, 1500 * MS)
_COLD_NS = 12 * SECOND
"""A process that is younger trades nothing yet: time passes in long steps."""
_GRACE_NS = 4 * SECOND
"""Within so long behind its start a process tells again what an earlier one may not have told."""
_DANGEROUS = ("after_intent", "after_send", "after_result", "appended", "synced")


@dataclass(frozen=True)
class Build:
    """How the parts of a run are made; a mutant is another one."""

    executor: type[Executor] = Executor
    file: type[DiskFile] = DiskFile
    bus: type[MemoryBus] = MemoryBus
    venue: type[Venue] = Venue
    host: type[Host] = Host
    collector: type[Collector] = Collector
    engine: type[SignalEngine] = SignalEngine
    scorer: type[AiScorer] = AiScorer
    risk: type[Risk] = Risk


@cache
def symbols() -> dict[str, Symbol]:
    """What is traded."""
    table = SymbolTable.load(ROOT / "data" / "reference" / "symbols.yml")
    return {name: table[name] for name in MIDS}


@cache
def _settings(mode: str, max_restarts: int) -> Settings:
    return settings(
        {
            "exchange": {"mode": mode, "timeout_seconds": 3.0, "keep_alive_seconds": 15.0},
            "warmup": {"seconds": 8.0, "recover_seconds": 4.0},
            "gates": {"max_symbol_notional": 800.0, "max_total_notional": 1_300.0, "flip_cooldown_seconds": 1.0},
            "fail_safe": {"cooldown_seconds": 25.0, "max_restarts": max_restarts},
            "ladder": {"life_ms": 3_000},
            "redis": {"outage_seconds": 3.0, "claim_seconds": 2.0},
        },
        tuple(MIDS),
    )


@cache
def _metrics() -> Metrics:
    return Metrics(CollectorRegistry())


class World:
    """One run of a plan."""

    def __init__(self, plan: Plan, build: Build | None = None, lines: "list[str] | None" = None) -> None:
        self.plan, self._build = plan, build or Build()
        self.rng = Random(f"world {plan.seed}")
        self.nature = Nature()
        self._settings = _settings(plan.mode, plan.max_restarts)
        self._log = Silence(lines)
        self._lines = lines
        self.bus = self._build.bus(lambda: self.nature.wall_ns() // MS)
        self.disk = Disk(self.rng)
        self.observer = Observer(self.nature, self._settings, symbols(), self.disk)
        self.venue = self._build.venue(self.nature, self.rng, list(MIDS), self.observer)
        self.venue.weather = replace(plan.weather)
        self.observer.venue = self.venue
        self._folder = Path(tempfile.mkdtemp(prefix="tidegate-sim-", dir=_quick_disk()))
        self._mids = dict(MIDS)
        self._calm = False
        self._stalled_ns = 0
        self._nothing_lost = True
        self._poisoned = 0
        self._silent_ns: dict[str, int] = {}
        self._excused: set[str] = set()
        """Approvals that the bus has lost, or what was said of them."""
        self._highest_ns = START_NS
        self._zombie: Process | None = None
        self._wakes_ns = 0
        self._script: Script | None = None
        self._executor: Executor | None = None
        self._file: DiskFile | None = None
        self._watched: Watched | None = None
        self._mischief = Mischief(plan.drop, plan.hold, plan.repeat)
        self._is_one = self.rng.random() < 0.3
        both = Process("all", self._born_together, self._all_gone)
        self._upstream = both if self._is_one else Process("upstream", self._born_upstream, self._upstream_gone)
        self._trader = both if self._is_one else Process("executor", self._born_trader, self._trader_gone)
        self._born_ns = 0
        self._others: list[Process] = []
        self._approved: list[Any] = []

    def run(self) -> None:
        """Safety, then liveness. Raises Violation."""
        try:
            for _ in range(self.plan.steps):
                self._step()
            self._be_calm()
            for number in range(LONGEST_REST):
                self.nature.true_ns += 700 * MS
                self._live()
                if number > 4 and self._is_at_rest():
                    break
            self._judge()
        finally:
            self._close()

    @property
    def deaths(self) -> int:
        """How often a process died."""
        others = [] if self._is_one else [self._upstream, *self._others]
        return self._trader.deaths + sum(process.deaths for process in others)

    # Steps

    def _step(self) -> None:
        rng = self.rng
        sight = self.observer.sight
        is_cold = sight is None or sight.is_dead or self.nature.true_ns - sight.born_ns < _COLD_NS
        self.nature.true_ns += 2500 * MS if is_cold and rng.random() < 0.8 else rng.choice(_STEPS_NS)
        self._go_wrong()
        self._live()

    def _live(self) -> None:
        """The market moves, the venue works, processes take their turns."""
        if self._script is not None and self._upstream.host is not None:
            self._move(self._script)
            if not self._calm:
                self._call(self._script)
                self._approve(self._script)
        self.venue.advance()
        self._turn(self._upstream)
        for process in self._others:
            self._turn(process)
        if not self._is_one and self.nature.true_ns >= self._stalled_ns:
            self._turn(self._trader)
        if self._zombie is not None and self.nature.true_ns >= self._wakes_ns:
            self._turn(self._zombie)
            if self._zombie.host is None:
                self._zombie = None

    def _move(self, script: Script) -> None:
        rng = self.rng
        for name in MIDS:
            if not self._calm and rng.random() < self.plan.silence:
                self._silent_ns[name] = self.nature.true_ns + rng.randint(1, 12) * SECOND
            if rng.random() < 0.9 and (self._calm or self.nature.true_ns >= self._silent_ns.get(name, 0)):
                script.look(name)
            if rng.random() < 0.4:
                script.print_(name)
            if rng.random() < 0.2:
                script.mark(name)

    def _approve(self, script: Script) -> None:
        rng, plan = self.rng, self.plan
        if rng.random() < plan.approve:
            late_ns = rng.randint(0, 4 * SECOND) if rng.random() < plan.late_approval else 0
            route = rng.choice(("full", "full", "canary", "paper"))
            self._approved.append(script.approve(route, late_ns=late_ns))
        if self._approved and rng.random() < plan.again:
            script.approve_again(rng.choice(self._approved[-5:]))

    def _turn(self, process: Process) -> None:
        if process.host is None and not self._calm and self.rng.random() < self.plan.downtime:
            return  # nobody has started it again yet
        deaths, was_dead = process.deaths, process.host is None
        process.step()
        if was_dead:
            self._born_ns = self.nature.true_ns
        if process.deaths != deaths:
            self._note(f"{process.name} dies: {process.last_words}")

    def _call(self, script: Script) -> None:
        rng, plan = self.rng, self.plan
        if rng.random() < plan.gap:
            script.status(rng.choice(list(MIDS)))
        if rng.random() < plan.crit:
            script.control("ALERT", "CRIT", "risk", "risk")
        if rng.random() < plan.halt:
            script.control(rng.choice(("HALT", "HALT", "RESUME")), "WARN", "volatility", "risk")
        if rng.random() < plan.resume:
            script.control("RESUME", "INFO", "operator", "operator:sim")

    def _go_wrong(self) -> None:
        """Faults of machines, clocks, disks and of the bus."""
        rng, plan = self.rng, self.plan
        if rng.random() < plan.stall:
            if rng.random() < 0.3:
                self.nature.true_ns += rng.randint(3, 30) * SECOND
            else:
                self._stalled_ns = self.nature.true_ns + rng.randint(1, 9) * SECOND
        if rng.random() < plan.wall:
            self._highest_ns = max(self._highest_ns, self.nature.wall_ns())
            self.nature.step_ns += rng.choice((-3600, 3600)) * SECOND
        if rng.random() < plan.upstream_crash and self._upstream.host is not None:
            self._upstream.die("killed between steps")
        if rng.random() < plan.graceful:
            self._trader.stop()
        if rng.random() < plan.zombie and self._zombie is None and not self._is_one and self._executor is not None:
            self._replace_trader()
        self.disk.refuses = rng.random() < 0.8 if self.disk.refuses else rng.random() < plan.disk_full
        self._hurt_bus()

    def _hurt_bus(self) -> None:
        rng, plan, bus = self.rng, self.plan, self.bus
        if rng.random() < plan.bus_fault:
            operation = rng.choice(("add", "poll", "ack", "reclaim", "last_id", "epoch"))
            bus.fail_next(operation, rng.randint(1, 6), reply_lost=rng.random() < 0.5)
        if rng.random() < plan.wipe:
            self._nothing_lost = False
            self._excused |= set(self.observer.approvals)
            if rng.random() < 0.5:
                bus.wipe()
            else:
                bus.restart(rng.randint(0, 5))
            self._note("the bus lost its data")
        if rng.random() < plan.poison:
            ms, number = map(int, bus.last_id(APPROVED).split("-")) if not bus._faults else (0, 0)
            if 0 < ms < self.nature.wall_ns() // MS:
                self._poisoned += 1
                bus.add([(APPROVED, rng.choice((b"\x9a\x02", b"\x00", b"{}")), f"{ms}-{number + 1}")])

    def _be_calm(self) -> None:
        """No more faults."""
        self._calm = True
        self._mischief.drop = self._mischief.hold = self._mischief.repeat = 0.0
        self.venue.weather = Weather(fill=0.5)
        self.disk.refuses = False
        self._stalled_ns = 0
        self.bus._faults.clear()
        if self._highest_ns != START_NS:  # everything is started again, on one clock, when it has caught up
            self.nature.true_ns += max(0, self._highest_ns - self.nature.wall_ns())
            self._trader.stop()
            for process in (self._upstream, *self._others):
                process.die("started again by a person")
        if self._script is not None:
            self._script.mend()

    def _replace_trader(self) -> None:
        """The machine of the executor stands still; another begins with a copy of its disk; later the first wakes."""
        assert self._file is not None
        assert self._watched is not None
        self._zombie, self._trader.on_death = self._trader, lambda _in_order: None
        self.observer.died()
        self.observer.retired.append(self._watched.replaced())
        twin = Disk(self.rng)
        twin.safe[:], twin.loose[:], twin.holder = self.disk.safe, self.disk.loose, self._file
        self._file.disk, self.disk.holder = twin, None
        self.disk.lose_power()
        self._folder = Path(shutil.copytree(self._folder, self._folder.with_name(self._folder.name + "+")))
        self._executor = self._file = None
        self._trader = Process("executor", self._born_trader, self._trader_gone)
        self._trader.deaths = self._zombie.deaths
        self._trader.step()  # only who has taken the name has replaced anybody
        self._wakes_ns = self.nature.true_ns + self.rng.randint(1_100, 20_000) * MS
        self._note("the executor is replaced")

    # Births and deaths

    def _point(self, name: str) -> None:
        chance = self.plan.crash
        if chance and not self._calm and self.rng.random() < (chance if name in _DANGEROUS else chance * 0.05):
            raise Killed(name)

    def _host(self, name: str, clock: ProcessClock) -> Host:
        return self._build.host(
            name, self.bus, clock, _metrics(), self._log, self._settings, perf=clock.mono_ns, crash=self._point,
        )  # type: ignore[arg-type]  # fmt: skip

    def _parts(self, host: Host, clock: ProcessClock, name: str, *, tapped: bool) -> Parts:
        out = host.output(name)
        return Parts(
            self._settings, symbols(), clock, Tap(out, self.observer) if tapped else out, _metrics(), self._log,  # type: ignore[arg-type]
            lambda: None, self._folder,
        )  # fmt: skip

    def _add_script(self, host: Host, clock: ProcessClock) -> None:
        names = ("collector", "ai_scorer", "risk")
        outputs = {name: host.output(name) for name in names}
        for name in names:
            host.add(Mute(name))
        ttl_ms = self._settings.signals.ttl_ms
        self._script = Script(
            outputs, clock, self.nature, self.rng, self.observer, symbols(), ttl_ms, self._mids
        )  # fmt: skip

    def _add_trader(self, host: Host, clock: ProcessClock) -> None:
        parts = self._parts(host, clock, "executor", tapped=True)
        paper = WatchedPaper(self._settings, symbols(), clock, _metrics())
        paper.observer = self.observer
        self.observer.born()
        client = self.venue.connect()
        self._file = self._build.file(self.disk, self._point)
        self._executor = self._build.executor(parts, paper, client, journal_file=self._file, crash=self._point)
        self._watched = Watched(self._executor, self.observer, self._mischief, self.rng, (paper, client, parts.out))
        host.add(self._watched)

    def _born_upstream(self) -> Host:
        clock = ProcessClock(self.nature)
        host = self._host("upstream", clock)
        self._add_script(host, clock)
        host.start()
        return host

    def _born_trader(self) -> Host:
        clock = ProcessClock(self.nature)
        host = self._host("executor", clock)
        self._add_trader(host, clock)
        host.start()
        return host

    def _born_together(self) -> Host:
        clock = ProcessClock(self.nature)
        host = self._host("all", clock)
        self._add_script(host, clock)
        self._add_trader(host, clock)
        host.start()
        return host

    def _upstream_gone(self, _in_order: bool) -> None:
        self._script = None

    def _trader_gone(self, in_order: bool) -> None:
        self._executor = None
        if self._file is not None:
            self._file.close()
        self.observer.died(in_order=in_order)
        if not in_order and self.rng.random() < self.plan.power:
            self.disk.lose_power()

    def _all_gone(self, in_order: bool) -> None:
        self._upstream_gone(in_order)
        self._trader_gone(in_order)

    # The end

    def _is_at_rest(self) -> bool:
        is_young = self.nature.true_ns - self._born_ns < _GRACE_NS
        if self._executor is None or self._trader.host is None or not self.venue.is_quiet or is_young:
            return False
        status = self._executor.status()
        return not (status["live_orders"] or status["open_trips"] or self._undone() or self._trader.host.waiting)

    def _undone(self) -> int:
        depth = self.bus.depth(APPROVED, "executor")
        return depth.lag + depth.pending

    def _judge(self) -> None:
        if not self._is_at_rest():
            status = self._executor.status() if self._executor else "no executor: " + self._trader.last_words
            raise Violation("liveness", f"it does not come to rest: {status}, venue open {list(self.venue.open)}")
        assert self._executor is not None
        reports = [decode(entry).body for entry in self.bus.recent(REPORTS, 100_000)]
        said = self._readable(APPROVED) - self._excused
        lost = self.bus.depth(APPROVED, "executor").lost
        if lost and self._nothing_lost:
            raise Violation("I8", f"{lost} approvals were removed before anybody had read them")
        self.observer.at_rest(
            self._executor.status()["positions"], reports, said, self._undone(), nothing_lost=self._nothing_lost
        )

    def _readable(self, stream: str) -> set[str]:
        """The ids of what stands on a stream and can be read."""
        found = set()
        for entry in self.bus.recent(stream, 100_000):
            with suppress(BadMessage):
                found.add(decode(entry).header.id)
        return found - self._aside(stream)

    def _aside(self, stream: str) -> set[str]:
        """The ids of what was set aside: not gone, and nothing more comes of it."""
        found = set()
        for entry in self.bus.recent(dead_letters(stream), 100_000):
            letter = decode_dead(entry)
            with suppress(BadMessage):
                found.add(decode(Entry(letter.stream, letter.entry_id, letter.data, 1)).header.id)
        return found

    def _close(self) -> None:
        for folder in self._folder.parent.glob(self._folder.name.rstrip("+") + "*"):
            shutil.rmtree(folder, ignore_errors=True)

    def _note(self, text: str) -> None:
        if self._lines is not None:
            self._lines.append(f"{self.nature.true_ns / 1e9:9.3f} {text}")


def _quick_disk() -> str | None:
    """Memory under a folder, where there is some: what the fail-safe writes is written whole or not at all anyway."""
    return "/dev/shm" if Path("/dev/shm").is_dir() else None  # noqa: S108


Runner = Callable[[int], World]

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import structlog
from prometheus_client import CollectorRegistry

from bus.errors import BusUnavailable
from bus.heartbeats import Heartbeat, write
from bus.memory import MemoryBus
from bus.protocol import Depth
from bus.streams import APPROVED
from config.settings import Settings
from live.clock import ManualClock, SystemClock
from live.errors import LiveError, RealModeRefused
from live.host import Host
from live.wiring import ALL, SERVICES, Surroundings, _QueueLength, build, clock_of, symbols_of
from market.events import BadReference
from monitoring.metrics import Metrics
from tests.live.parts import ROOT, START_NS, settings

SLOW_FEED = {"kind": "simulator", "start": "2026-01-07T12:00:00"}


def configured(tmp_path: Path, **sections: dict[str, Any]) -> Settings:
    """Settings whose state lies below a folder of the test's."""
    paths = {"var": str(tmp_path / "var"), "lake": str(tmp_path / "lake"), **sections.pop("paths", {})}
    return settings({"paths": paths, "registry": {"mirror": str(tmp_path / "mirror")}, **sections})


def built(names: list[str], config: Settings, bus: MemoryBus | None = None) -> Host:
    """A host of services on a bus in memory."""
    log = structlog.wrap_logger(structlog.ReturnLogger(), processors=[])
    bus = bus or MemoryBus(lambda: START_NS // 1_000_000)
    around = Surroundings(config, bus, Metrics(CollectorRegistry()), lambda _: log, {}, None, 0)
    return build(names, around)


def test_every_service_is_built_by_its_name_readers_before_the_collector(tmp_path: Path) -> None:
    """The recorder lives with the collector; each has a folder of its own."""
    host = built(list(ALL), configured(tmp_path))
    names = [each.name for each in host.services]
    assert names == ["recorder", "signal_engine", "ai_scorer", "risk", "executor", "collector"]
    assert set(ALL) | {"model_sync"} == set(SERVICES)
    assert all((tmp_path / "var" / "live" / name).is_dir() for name in names)
    for service in host.services:
        service.stop()


def test_approvals_are_read_by_a_group_whoever_hosts_the_executor(tmp_path: Path) -> None:
    """So that a later process finds what an earlier one left."""
    host = built(["executor"], configured(tmp_path))
    (executor,) = host.services
    assert {each.group for each in executor.subscriptions() if each.stream == APPROVED} == {"executor"}
    executor.stop()


def test_a_symbol_that_the_table_does_not_have_is_refused(tmp_path: Path) -> None:
    """With its name."""
    with pytest.raises(BadReference, match="NOSUCH"):
        symbols_of(settings(symbols=("NOSUCH",)))


@pytest.mark.parametrize(
    ("speed", "kind", "turned"), [(1.0, "simulator", False), (0.0, "simulator", True), (0.0, "binance", False)]
)
def test_the_market_turns_the_clock_of_a_replay_as_fast_as_it_can_be(speed: float, kind: str, turned: bool) -> None:
    """Beginning at the replay's first moment."""
    config = settings({"feed": {**SLOW_FEED, "kind": kind, "speed": speed}})
    clock = clock_of(ALL, config, symbols_of(config), SystemClock())
    assert isinstance(clock, ManualClock) is turned
    if turned:
        assert clock.wall_ns() == START_NS


def test_services_that_live_by_market_time_cannot_be_apart_from_the_collector_then() -> None:
    """One clock, one process; model_sync may be, it lives by the machine's."""
    config = settings({"feed": {**SLOW_FEED, "speed": 0.0}})
    machine = SystemClock()
    with pytest.raises(LiveError, match=r"executor, risk: feed\.speed is 0"):
        clock_of(["executor", "risk"], config, symbols_of(config), machine)
    assert clock_of(["model_sync"], config, symbols_of(config), machine) is machine


def test_real_orders_are_never_sent_on_another_market_than_the_venue_s(tmp_path: Path) -> None:
    """A simulated price says nothing of the real one."""
    config = configured(tmp_path, exchange={"mode": "real", "venue": "binance"}, feed=SLOW_FEED)
    with pytest.raises(RealModeRefused, match=r"feed\.kind is simulator"):
        built(["executor"], config)


@pytest.mark.parametrize(("feed", "state", "age_seconds", "refused"), [
    ("simulator", "running", 1, True), ("simulator", "stopped", 1, False), ("simulator", "running", 60, False),
    ("binance", "running", 1, False),
])  # fmt: skip
def test_real_orders_are_refused_while_a_collector_publishes_another_market(
    tmp_path: Path, feed: str, state: str, age_seconds: int, refused: bool
) -> None:
    """One that was started with other settings, as an old container is; without keys it ends anyhow."""
    bus = MemoryBus(lambda: START_NS // 1_000_000)
    at_ns = time.time_ns() - age_seconds * 1_000_000_000
    beat = Heartbeat("collector", at_ns, at_ns, 7, state, True, 9100, [], [], {"feed": feed})
    write(bus, beat)
    config = configured(
        tmp_path,
        exchange={"mode": "real", "venue": "binance", "rest_url": "http://127.0.0.1:9"}, feed={"kind": "binance"},
    )  # fmt: skip
    with pytest.raises(RealModeRefused) as told:
        built(["executor"], config, bus)
    assert ("collector runs with feed.kind simulator" in str(told.value)) is refused


_PROGRAM = """
import json, sys
from pathlib import Path
from prometheus_client import CollectorRegistry
from bus.memory import MemoryBus
from config.settings import load
from live.logs import configure
from live.wiring import Surroundings, build
from monitoring.metrics import Metrics
import live.__main__
log = configure("x", level="error")
around = Surroundings(load(), MemoryBus(lambda: 0), Metrics(CollectorRegistry()), lambda name: log, {})
host = build([sys.argv[1]], around)
host.start()
big = ("numba", "ccxt", "mlflow", "pyarrow", "scipy", "onnxruntime", "pandas")
heavy = [name for name in big if name in sys.modules]
peak = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
print(json.dumps({"heavy": heavy, "mib": int(peak.split()[1]) / 1024}))
host.stop()
"""


@pytest.mark.parametrize(
    ("name", "heavy"),
    [("executor", []), ("risk", []), ("ai_scorer", ["onnxruntime"]), ("collector", [])],
)
def test_a_service_imports_only_what_it_needs_and_stays_small(name: str, heavy: list[str], tmp_path: Path) -> None:
    """At most 120 MiB, and none of the big libraries that another service needs."""
    (tmp_path / "frames").write_text('1767787200000000000 {"e":"x"}\n')
    environ = {
        "PATHS_VAR": str(tmp_path / "var"), "PATHS_LAKE": str(tmp_path / "lake"),
        "REGISTRY_MIRROR": str(tmp_path / "mirror"), "FEED_KIND": "capture", "FEED_PATH": str(tmp_path / "frames"),
    }  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-c", _PROGRAM, name],
        cwd=ROOT, env={**os.environ, **environ}, capture_output=True, text=True, check=True,
    )  # fmt: skip
    told = json.loads(done.stdout.strip().splitlines()[-1])
    assert told["heavy"] == heavy
    assert told["mib"] <= 120


class HangingBus(MemoryBus):
    """Its figures cost two seconds and are not had."""

    def __init__(self, clock: ManualClock) -> None:
        super().__init__(lambda: START_NS // 1_000_000)
        self.clock, self.asked = clock, 0

    def depth(self, stream: str, group: str) -> Depth:
        """As RedisBus with a server that is stopped."""
        self.asked += 1
        self.clock.advance(seconds=2)
        raise BusUnavailable("no answer")


def test_a_bus_that_hangs_does_not_hold_up_the_executor_at_every_look() -> None:
    """How many approvals wait is asked again five seconds later; exits have the time in between."""
    clock = ManualClock()
    bus = HangingBus(clock)
    length = _QueueLength(bus, clock)
    clock.advance(seconds=1)
    for _ in range(100):
        assert length() == 0
        clock.advance(seconds=0.1)
    assert bus.asked == 2

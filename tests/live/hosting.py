"""Small services, and a host for them on a MemoryBus whose clock is turned by hand."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import structlog
from prometheus_client import CollectorRegistry

from bus.memory import MemoryBus
from bus.messages import Approval, ControlEvent, MarketTrade, Received, Report
from live.clock import ManualClock
from live.host import Host
from live.service import Output, Subscription
from live.upkeep import Upkeep
from monitoring.metrics import Metrics
from tests.live.parts import START_NS, settings

Handler = Callable[["Fake", Received], None]
Ticker = Callable[["Fake"], None]


def _nothing(*_: object) -> None:
    """Do nothing."""


@dataclass
class Fake:
    """A service made of functions; remembers what it was given."""

    name: str
    out: Output
    reads: Sequence[Subscription] = ()
    on_message: Handler = _nothing
    on_tick: Ticker = _nothing
    on_start: Ticker = _nothing
    on_stop: Ticker = _nothing
    taken: list[Received] = field(default_factory=list)
    ticks: int = 0
    is_stopped: bool = False

    def subscriptions(self) -> Sequence[Subscription]:
        """As given."""
        return self.reads

    def start(self) -> None:
        """As given."""
        self.on_start(self)

    def handle(self, received: Received) -> None:
        """Remember, then as given."""
        self.taken.append(received)
        self.on_message(self, received)

    def tick(self) -> None:
        """Count, then as given."""
        self.ticks += 1
        self.on_tick(self)

    def status(self) -> Mapping[str, Any]:
        """Ready, with a count."""
        return {"ready": True, "taken": len(self.taken)}

    def stop(self) -> None:
        """As given."""
        self.is_stopped = True
        self.on_stop(self)

    @property
    def bodies(self) -> list[object]:
        """What was in the messages."""
        return [each.body for each in self.taken]


class Stage:
    """A bus, a clock and the hosts on them."""

    def __init__(self) -> None:
        self.clock = ManualClock(START_NS)
        self.bus = MemoryBus(lambda: self.clock.wall_ns() // 1_000_000)
        self.metrics = Metrics(CollectorRegistry())

    def host(
        self,
        *makers: Callable[[Host], Fake],
        name: str = "test",
        upkeep: bool = False,
        sweep: Callable[[], object] | None = None,
        crash: Callable[[str], None] = _nothing,
        sections: Mapping[str, Mapping[str, Any]] | None = None,
    ) -> Host:
        """A started host of the services that the makers make."""
        log = structlog.wrap_logger(structlog.ReturnLogger(), processors=[])
        host = Host(
            name, self.bus, self.clock, self.metrics, log, settings(sections),
            upkeep=Upkeep(self.bus, self.clock, self.metrics, log, sweep=sweep) if upkeep else None,
            perf=self.clock.mono_ns, crash=crash,
        )  # fmt: skip
        for make in makers:
            host.add(make(host))
        host.start()
        return host

    def turn(self, host: Host, seconds: float, step: float = 0.05) -> None:
        """Step a host while time goes by."""
        for _ in range(round(seconds / step)):
            self.clock.advance(seconds=step)
            host.step()


def fake(name: str, **how: Any) -> Callable[[Host], Fake]:
    """A maker of a Fake; `reads` are its subscriptions."""
    return lambda host: Fake(name, host.output(name), **how)


def only(host: Host, name: str) -> Fake:
    """The fake of a name in a host."""
    found = next(each for each in host.services if each.name == name)
    assert isinstance(found, Fake)
    return found


def trade(number: int = 1, symbol: str = "BTCUSDT") -> MarketTrade:
    """A print."""
    return MarketTrade(symbol, number, START_NS, START_NS + number, 1_000_000, 1, 1)


def approval(number: int = 1) -> Approval:
    """An approval."""
    name = f"BTCUSDT-{number}"
    return Approval(
        name, name, "BTCUSDT", 1, "paper", "model", 1, 0.6, 0.5, START_NS, START_NS, START_NS + 1_500_000_000, 1, 2,
        0.0005, 0.0005, 60_000_000_000,
    )  # fmt: skip


def report(number: int = 1, kind: str = "dropped") -> Report:
    """A report."""
    return Report(
        f"r{number}", kind, f"BTCUSDT-{number}", "", "BTCUSDT", "paper", False, "model", "entry", 0, 1, 1, 1, 0, 0,  # type: ignore[arg-type]
        True, 0.0, 0.0, 0.0, "low", "ttl", 0, START_NS,
    )  # fmt: skip


def halt(number: int = 1, severity: str = "CRIT") -> ControlEvent:
    """A control event."""
    return ControlEvent("HALT", severity, "", "", "operator", "test", START_NS, "", "", f"event {number}")  # type: ignore[arg-type]

"""The one place that builds services: from settings, by name, importing nothing that they do not need."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

from bus import streams
from bus.errors import BusUnavailable
from bus.heartbeats import SILENT_SECONDS, read
from bus.janitor import Janitor
from bus.protocol import Bus, Waker
from config.settings import Settings
from live.clock import Clock, ManualClock, SystemClock
from live.errors import LiveError, RealModeRefused
from live.exchange.protocol import Exchange
from live.host import Host
from live.logs import Log
from live.service import Parts, Service
from live.shards import Shards, instances
from live.upkeep import Upkeep
from market.symbols import Symbol, SymbolTable
from monitoring import processes
from monitoring.metrics import Metrics

SERVICES: Final = processes.SERVICES
"""Every service, in the order of their /metrics ports."""
ALL: Final = SERVICES[:-1]
"""What `all` means: everything that trades. model_sync imports MLflow and has a process of its own."""
_ADDED = ("model_sync", "signal_engine", "ai_scorer", "risk", "executor", "collector")
"""Readers before the collector: nothing is said before everybody listens. They stop the other way round."""
_BY_MARKET_TIME = ("signal_engine", "ai_scorer", "executor", "risk")
_QUEUE_LOOK_NS = 100_000_000
_QUEUE_REST_NS = 5_000_000_000
"""After a look that failed: a bus that hangs must not hold up the executor's exits again and again."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a process has: `log_of` makes a service's log, `environ` holds the keys of real mode."""

    settings: Settings
    bus: Bus
    metrics: Metrics
    log_of: Callable[[str], Log]
    environ: Mapping[str, str]
    waker: Waker | None = None
    metrics_port: int = 0


def build(names: Sequence[str], around: Surroundings, clock: Clock | None = None, machine: Clock | None = None) -> Host:
    """A host with the services of these names, not started. Time is the machine's unless a replay turns it.

    `clock` and `machine` are given by tests and benchmarks alone.

    Raises LiveError when a service cannot be had as it is configured, BadReference, BusUnavailable.
    """
    settings, shards = around.settings, Shards.of(around.settings)
    symbols = symbols_of(settings)
    machine = machine or SystemClock()
    clock = clock or clock_of(names, settings, symbols, machine)
    name = "+".join(shards.instance(each) for each in names)
    log = around.log_of("host")
    sweep = _janitor(around, shards, symbols).sweep if "collector" in names else None
    upkeep = Upkeep(
        around.bus, machine, around.metrics, log,
        metrics_port=around.metrics_port, sweep=sweep, instance=shards.instance,
        expected=instances(processes.EXPECTED, settings),
    )  # fmt: skip
    host = Host(
        name, around.bus, clock, around.metrics, log, settings, machine=machine, waker=around.waker, upkeep=upkeep
    )
    for each in (*(("recorder",) if "collector" in names else ()), *_ADDED):
        if each in names or each == "recorder":
            folder = Path(settings.paths.var) / "live" / shards.instance(each)
            folder.mkdir(parents=True, exist_ok=True)
            output, share = host.output(each), shards.symbols(each, symbols)
            ours = settings.model_copy(update={"market": settings.market.model_copy(update={"symbols": tuple(share)})})
            parts = Parts(ours, share, clock, output, around.metrics, around.log_of(each), host.wake, folder)
            host.add(_BUILDERS[each](parts, around))
    return host


def symbols_of(settings: Settings) -> Mapping[str, Symbol]:
    """The symbols of market.symbols. Raises BadReference."""
    table = SymbolTable.load(Path(settings.paths.symbols))
    return {name: table[name] for name in settings.market.symbols}


def clock_of(names: Sequence[str], settings: Settings, symbols: Mapping[str, Symbol], machine: Clock) -> Clock:
    """The machine's clock, or one that the replay turns when it runs as fast as it can (feed.speed 0).

    Raises LiveError when services that live by market time are asked for without the collector that turns it.
    """
    is_turned = settings.feed.kind not in ("binance", "bybit") and settings.feed.speed == 0
    if not is_turned:
        return machine
    if "collector" in names:
        from live.replay import replay_start_ns  # noqa: PLC0415 - the others need no replay

        return ManualClock(replay_start_ns(settings, list(symbols.values()), machine))
    if astray := [each for each in names if each in _BY_MARKET_TIME]:
        raise LiveError(
            f"{', '.join(astray)}: feed.speed is 0, so the market turns the clock, in the collector's process alone; "
            "name the services together (python -m live all) or set feed.speed to 1"
        )
    return machine


def _janitor(around: Surroundings, shards: Shards, symbols: Mapping[str, Symbol]) -> Janitor:
    """Of the share's market, and of everything that is no market in one place of a stack: with the first share."""
    share = shards.symbols("collector", symbols)
    market = [stream(name) for name in share for stream in (streams.book, streams.trade, streams.mark)]
    others = [streams.candidates(index) for index in range(1, shards.count)]
    redis = around.settings.redis
    return Janitor(
        around.bus,
        market,
        round(redis.market_minutes * 60_000),
        durable=() if shards.index else (*streams.DURABLE, *others),
        durable_ms=round(redis.durable_minutes * 60_000),
    )


class _QueueLength:
    """How many approvals wait, asked of the bus at most ten times a second."""

    def __init__(self, bus: Bus, clock: Clock) -> None:
        self._bus, self._clock = bus, clock
        self._due_ns = 0
        self._length = 0

    def __call__(self) -> int:
        now_ns = self._clock.mono_ns()
        if now_ns >= self._due_ns:
            self._due_ns = now_ns + _QUEUE_LOOK_NS
            try:
                depth = self._bus.depth(streams.APPROVED, "executor")
                self._length = depth.lag + depth.pending
            except BusUnavailable:  # the host tells of it; what is not known stays as it was
                self._due_ns = self._clock.mono_ns() + _QUEUE_REST_NS
        return self._length


def _collector(parts: Parts, _around: Surroundings) -> Service:
    if parts.settings.feed.kind == "lake":
        from live.lake_replay import LakeCollector  # noqa: PLC0415 - imports pyarrow

        return LakeCollector(parts)
    from live.collector import Collector  # noqa: PLC0415

    return Collector(parts)


def _recorder(parts: Parts, _around: Surroundings) -> Service:
    from live.recorder import Recorder  # noqa: PLC0415

    return Recorder(parts)


def _signal_engine(parts: Parts, _around: Surroundings) -> Service:
    from live.signal_engine import SignalEngine  # noqa: PLC0415 - imports numba

    return SignalEngine(parts)


def _ai_scorer(parts: Parts, _around: Surroundings) -> Service:
    from live.ai_scorer import AiScorer  # noqa: PLC0415 - imports onnxruntime

    return AiScorer(parts)


def _risk(parts: Parts, _around: Surroundings) -> Service:
    from live.risk import Risk  # noqa: PLC0415

    return Risk(parts)


def _model_sync(parts: Parts, around: Surroundings) -> Service:
    from live.model_sync import ModelSync  # noqa: PLC0415 - imports MLflow

    return ModelSync(parts, beats=partial(read, around.bus))


def _executor(parts: Parts, around: Surroundings) -> Service:
    from live.exchange.paper import PaperExchange  # noqa: PLC0415
    from live.executor.service import Executor  # noqa: PLC0415

    paper = PaperExchange(parts.settings, parts.symbols, parts.clock, parts.metrics)
    real = _real_venue(parts, around) if parts.settings.exchange.mode == "real" else None
    return Executor(parts, paper, real, waiting=_QueueLength(around.bus, SystemClock()))


def _real_venue(parts: Parts, around: Surroundings) -> Exchange:
    """The venue of real orders. Raises RealModeRefused unless everything it needs is given, BusUnavailable."""
    knobs, feed = parts.settings.exchange, parts.settings.feed
    if feed.kind != knobs.venue:
        raise RealModeRefused(
            f"exchange.mode is real on {knobs.venue}, but feed.kind is {feed.kind}: real orders are only sent on the "
            f"venue's own market; set feed.kind to {knobs.venue} or exchange.mode to paper"
        )
    for name, feed_of in _feeds(around.bus, parts.clock.wall_ns()).items():
        if feed_of != knobs.venue:
            raise RealModeRefused(
                f"exchange.mode is real on {knobs.venue}, but {name} runs with feed.kind {feed_of}, whose books are on "
                f"the streams; give every process the same feed.kind, and start {name} again"
            )
    from live.exchange.ccxt_venue import CcxtVenue  # noqa: PLC0415 - imports ccxt
    from live.exchange.real_mode import require  # noqa: PLC0415
    from live.exchange.venue_filters import fetch  # noqa: PLC0415

    keys = require(parts.settings, around.environ, parts.symbols, fetch(knobs, parts.symbols))
    return CcxtVenue(knobs, parts.symbols, keys, parts.clock, parts.wake)


def _feeds(bus: Bus, wall_ns: int) -> Mapping[str, str]:
    """The market that each collector which runs now publishes, by its name. Raises BusUnavailable."""
    oldest_ns = wall_ns - round(SILENT_SECONDS * 1e9)
    return {
        name: str(beat.status["feed"])
        for name, beat in read(bus).items()
        if beat.state == "running" and beat.at_ns >= oldest_ns and "feed" in beat.status
    }


_BUILDERS: Final[Mapping[str, Callable[[Parts, Surroundings], Service]]] = {
    "collector": _collector,
    "recorder": _recorder,
    "signal_engine": _signal_engine,
    "ai_scorer": _ai_scorer,
    "executor": _executor,
    "risk": _risk,
    "model_sync": _model_sync,
}

"""The host: one loop that hands messages to the services of this process, publishes what they say, and acknowledges
once that is on the bus.

Services in one process get each other's messages at once, breadth first and in the order they were said; the streams
record every one all the same. While the bus is away that goes on: market data thins out, everything else waits.
"""

import threading
import time
from collections.abc import Callable, Sequence

from bus.errors import BadMessage, BusUnavailable, Fenced
from bus.messages import ControlEvent, Severity
from bus.protocol import Bus, Waker
from bus.streams import CONTROL, is_market
from config.settings import Settings
from live.audience import audience_of
from live.clock import Clock
from live.errors import Fatal
from live.handing import Delivery, Hosted
from live.intake import Intake
from live.logs import Log
from live.measuring import Measures
from live.outage import Outage
from live.outbox import Pen, Said
from live.service import Output, Service
from live.settling import Settlement
from live.shards import Shards
from live.upkeep import Upkeep
from monitoring.metrics import Metrics

TICK_SECONDS = 0.05
"""Every service looks at the time at least so often."""
_ROUNDS = 256
"""How often a service that keeps saying things is ticked again before the others have their turn."""
_SETTLE_NS = 1_000_000
_TURN_NS = 20_000_000
_LOOK_NS = 500_000_000
_STOOD_STILL_NS = 250_000_000  # a pass takes a fraction of this: after a longer one the process was stopped
_BACKLOG = 2_000


def _go_on(_point: str) -> None:
    """No crash is planned."""


class Host:
    """Runs services on a bus: `output` for each, `add`, `start`, then `run` (or `step`), at last `stop`.

    `crash` is called with the name of each point at which a process may die: polled, before_handle, handled,
    committed, written, settled; a test raises there. Where a replay turns `clock`, `machine` is the machine's own,
    which outages and claims are measured by. `perf` is the clock of latencies alone.
    """

    def __init__(
        self,
        name: str,
        bus: Bus,
        clock: Clock,
        metrics: Metrics,
        log: Log,
        settings: Settings,
        *,
        machine: Clock | None = None,
        waker: Waker | None = None,
        upkeep: Upkeep | None = None,
        perf: Callable[[], int] = time.perf_counter_ns,
        crash: Callable[[str], None] = _go_on,
    ) -> None:
        self.name = name
        self._bus, self._clock, self._metrics, self._log, self._settings = bus, clock, metrics, log, settings
        self._waker, self._upkeep, self._perf, self._crash = waker, upkeep, perf, crash
        self._machine = machine or clock
        self._is_turned = self._machine is not clock
        self._shards, self._measures = Shards.of(settings), Measures(metrics, clock)
        self._settlement = Settlement(bus, self._measures, perf, crash)
        self._outage = Outage(machine or clock, settings.redis.outage_seconds)
        self._own = Pen(bus, f"host:{name}", clock, machine or clock)
        self._pens = {"": self._own}
        self._hosted: list[Hosted] = []
        self._intake: Intake | None = None
        self._retries: list[tuple[int, Delivery]] = []
        self._ending = False
        self._awake = threading.Event()
        self._tick_ns = self._look_ns = self._awake_ns = 0
        self._count = 0

    def output(self, service: str) -> Output:
        """The output that a service of this name is built with. Raises BusUnavailable."""
        pen = self._pens[service] = Pen(self._bus, self._shards.instance(service), self._clock, self._machine)
        return pen.voice

    def add(self, service: Service) -> None:
        """Take a service, built with `output(service.name)`."""
        self._hosted.append(Hosted(service, self._pens[service.name]))

    @property
    def services(self) -> Sequence[Service]:
        """The services, in the order they were added."""
        return [each.service for each in self._hosted]

    @property
    def waiting(self) -> int:
        """Messages said and not on the bus."""
        return sum(pen.waiting for pen in self._pens.values())

    def start(self) -> None:
        """Start every service, open the streams, and take over what an earlier process left.

        Raises BusUnavailable, and whatever a service cannot start without.
        """
        rows = [(each, each.pen.writer, each.service.subscriptions()) for each in self._hosted]
        audience = audience_of(rows, self._bus, self._shards.writer_of)
        redis = self._settings.redis
        self._intake = Intake(
            self._bus, audience, self._settlement, self._machine, self._metrics, self._log, self._alert,
            claim_seconds=redis.claim_seconds, max_deliveries=redis.max_deliveries, waker=self._waker, perf=self._perf,
        )  # fmt: skip
        for hosted in self._hosted:
            hosted.service.start()
        self._intake.recover()
        for hosted in self._hosted:  # what they said while they started comes behind what others left
            self._commit(hosted.pen, self._perf())
        if self._upkeep:
            self._upkeep.begin(self.services, audience.groups)
        self._log.info("services_started", services=[each.name for each in self.services])

    def run(self) -> None:
        """Step until `end` is called. Raises Fatal and Fenced when this process may not go on."""
        busy = True
        while not self._ending:
            left_ms = (self._tick_ns - self._clock.mono_ns()) // 1_000_000
            busy = self.step(0 if busy else max(0, min(left_ms, round(TICK_SECONDS * 1000))))

    def end(self) -> None:
        """Let `run` return after its step. Any thread, and a signal's handler, may call this."""
        self._ending = True
        self.wake()

    def wake(self) -> None:
        """End the wait of the loop. Any thread may call this."""
        self._awake.set()
        if self._waker:
            self._waker.wake()

    def step(self, timeout_ms: int = 0) -> bool:
        """One pass: read, handle, tick every service, publish, acknowledge. Returns whether there was anything to do.

        With `timeout_ms` 0 it never waits.
        """
        before = self._count
        self._poll(timeout_ms)
        self._wake_up()
        self._crash("polled")
        self._retry()
        self._drain()
        self._tick_all()
        self._settle()
        self._look_after()
        return self._count != before

    def stop(self) -> None:
        """Stop the services, the last one added first, publish what they still say, say goodbye.

        A bus that is away is only told of.
        """
        for hosted in reversed(self._hosted):
            try:
                hosted.service.stop()
            except Exception:  # the others must be stopped too
                self._log.exception("stop_failed", service=hosted.service.name)
            self._commit(hosted.pen, self._perf())
        self._settle()
        try:
            if self._upkeep:
                self._upkeep.farewell()
            if self._intake:
                self._intake.close()
        except BusUnavailable as error:
            self._log.warning("bus_away_at_the_end", error=str(error), waiting=self.waiting)

    # Coming in

    def _poll(self, timeout_ms: int) -> None:
        self._awake.clear()
        if self._waker:
            self._waker.clear()
        if not self._bus_answers():
            self._tell_of_outage()
            if timeout_ms:
                self._awake.wait(timeout_ms / 1000)
        elif self._intake and len(self._intake.queue) < _BACKLOG:
            try:
                self._intake.poll(timeout_ms)
            except BusUnavailable as error:
                self._lose_bus(error)

    def _drain(self) -> None:
        """Handle what waits, until nothing does or services must look at the time."""
        if self._intake is None:
            return
        queue, since = self._intake.queue, self._settlement
        while queue:
            self._handle(self._intake, queue.take())
            if since.since_ns is not None and self._perf() - since.since_ns > _SETTLE_NS:
                self._settle()
            if queue:
                if self._is_turned:  # what an event leads to is done before the market moves on
                    continue
                if not self._outage.is_on:
                    self._intake.peek()
                if self._clock.mono_ns() >= self._tick_ns:
                    return

    def _handle(self, intake: Intake, delivery: Delivery) -> None:
        hosted, received = delivery.to, delivery.received
        self._count += 1
        self._crash("before_handle")
        failure: Exception | None = None
        begin = self._perf()
        hosted.pen.voice.cause = received.header
        try:
            hosted.service.handle(received)
        except (Fatal, Fenced):
            raise
        except Exception as error:  # a fault in one service must not stop the others
            failure = error
        hosted.pen.voice.cause = None
        self._measures.handled(hosted.service.name, received, self._perf() - begin)
        self._crash("handled")
        self._commit(hosted.pen, delivery.root_ns)
        if self._settlement.is_pressing:
            self._settle()
        self._crash("committed")
        if failure is None:
            intake.finish(delivery)
        else:
            self._fail(intake, delivery, failure)

    def _fail(self, intake: Intake, delivery: Delivery, failure: Exception) -> None:
        delivery.attempts += 1
        received = delivery.received
        self._log.error(
            "message_failed", failed=delivery.to.service.name, stream=received.stream, entry=received.entry_id,
            message=received.header.id, attempt=delivery.attempts, exc_info=failure,
        )  # fmt: skip
        market = not delivery.group and is_market(received.stream)  # the next one is there already
        if market or delivery.attempts >= self._settings.redis.max_deliveries:
            intake.give_up(delivery, f"{type(failure).__name__}: {failure}")
        else:
            self._retries.append((self._clock.mono_ns() + delivery.attempts * 50_000_000, delivery))

    def _retry(self) -> None:
        if self._retries and self._intake:
            now = self._clock.mono_ns()
            due = [delivery for at, delivery in self._retries if at <= now]
            self._retries = [row for row in self._retries if row[0] > now]
            for delivery in due:
                self._intake.queue.put(delivery)

    # Time

    def _tick_all(self) -> None:
        """Tick every service; where a replay turns the clock, as long as it does and 20 ms at the most.

        The bus is not asked in between: what happens depends on the market's time alone, so it happens again.
        """
        until_ns = self._machine.mono_ns() + _TURN_NS
        while True:
            self._tick_ns = self._clock.mono_ns() + round(TICK_SECONDS * 1e9)
            begin_ns = self._clock.mono_ns()
            for hosted in self._hosted:
                self._tick_while_busy(hosted)
            has_turned = self._is_turned and self._clock.mono_ns() != begin_ns
            self._count += has_turned
            if not has_turned or self._machine.mono_ns() >= until_ns:
                return

    def _tick_while_busy(self, hosted: Hosted) -> None:
        """Tick a service, hand on what it says, and again while that is market data: a feed that is read, a replay."""
        for _ in range(_ROUNDS):
            is_feeding = self._tick(hosted)
            self._drain()
            if not is_feeding or self._clock.mono_ns() >= self._tick_ns:
                return

    def _tick(self, hosted: Hosted) -> bool:
        root_ns = self._perf()
        hosted.tick(self._clock.mono_ns(), self._log)
        return self._commit(hosted.pen, root_ns)

    def _look_after(self) -> None:
        """Once in a while, and behind everything else: are our names still ours, heartbeats, gauges."""
        now = self._machine.mono_ns()
        if now < self._look_ns or self._outage.is_on:
            return
        self._measures.pass_on()
        self._check_names()
        try:
            if self._upkeep and self._upkeep.due():
                self._upkeep.look()
        except BusUnavailable as error:
            self._lose_bus(error)

    def _wake_up(self) -> None:
        """A process that stood still may have been replaced meanwhile: it asks before it handles what it finds."""
        before, self._awake_ns = self._awake_ns, self._machine.mono_ns()
        if self._awake_ns - before > _STOOD_STILL_NS and not self._outage.is_on:
            self._check_names()

    def _check_names(self) -> None:
        self._look_ns = self._machine.mono_ns() + _LOOK_NS
        try:
            for pen in self._pens.values():
                pen.check()
        except BusUnavailable as error:
            self._lose_bus(error)

    # Going out

    def _commit(self, pen: Pen, root_ns: int) -> bool:
        """Number what was said through a pen and hand it on; returns whether market data was."""
        said = pen.voice.take()
        for index, each in enumerate(said):
            try:
                self._number(pen, each, root_ns)
            except BusUnavailable as error:  # only at the first message of a stream: the rest waits unnumbered
                pen.voice.give_back(said[index:])
                self._lose_bus(error)
                break
            except BadMessage as error:
                self._metrics.messages_refused_total.labels(each.stream, "oversize").inc()
                self._log.error("message_not_sent", stream=each.stream, message=each.message_id, error=str(error))
        return any(is_market(each.stream) for each in said)

    def _number(self, pen: Pen, said: Said, root_ns: int) -> None:
        received = pen.number(said)
        self._count += 1
        self._settlement.said(received, root_ns, urgent=not is_market(said.stream))
        waiting = self._intake.hand_on(received, root_ns) if self._intake else []
        if said.stream == CONTROL:
            pen.tell_id(received, waiting)
            if isinstance(said.body, ControlEvent):
                self._metrics.control_events_total.labels(said.body.event, said.body.severity).inc()

    def _settle(self) -> None:
        if self._outage.is_on or self._intake is None:
            return
        try:
            self._settlement.settle(list(self._pens.values()), self._intake.reader, self._numbered)
        except BusUnavailable as error:
            self._lose_bus(error)
        self._crash("settled")

    def _numbered(self, entry_id: str, waiting: Sequence[Delivery]) -> None:
        if self._intake:
            self._intake.show(entry_id)
            for delivery in waiting:
                self._intake.numbered(delivery, entry_id)

    def _alert(self, severity: Severity, reason: str, text: str) -> None:
        """Say an alert to everybody."""
        self._own.voice.publish(CONTROL, self._event(severity, reason, text), message_id=f"{self.name}-{self._perf()}")
        self._commit(self._own, self._perf())

    def _event(self, severity: Severity, reason: str, text: str) -> ControlEvent:
        return ControlEvent("ALERT", severity, "", "", reason, f"host:{self.name}", self._clock.wall_ns(), "", "", text)

    # The bus away

    def _lose_bus(self, error: BusUnavailable) -> None:
        if self._outage.failed():
            self._metrics.bus_incidents_total.labels("unavailable").inc()
            self._log.error("bus_away", error=str(error))

    def _bus_answers(self) -> bool:
        if not self._outage.is_on:
            return True
        if not self._outage.may_try():
            return False
        try:
            self._bus.put(f"probe:{self.name}", b"", 1_000)  # a full server is read all the same, and takes nothing
        except BusUnavailable as error:
            self._lose_bus(error)
            return False
        seconds = self._outage.over()
        self._log.warning("bus_back", seconds=round(seconds, 3), waiting=self.waiting)
        self._alert("WARN", "redis_error", f"the bus was away for {seconds:.1f} s; {self.waiting} messages waited")
        for pen in self._pens.values():
            self._commit(pen, self._perf())
        return True

    def _tell_of_outage(self) -> None:
        """The executor of this process must know; the others are told by their own hosts."""
        if self._outage.must_tell() and self._intake:
            seconds = self._settings.redis.outage_seconds
            event = self._event("CRIT", "redis_error", f"the bus has been away for {seconds:g} s")
            self._log.error("bus_away_too_long", seconds=seconds)
            self._intake.tell_here(event, self._clock.wall_ns(), self._perf())

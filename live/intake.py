"""What comes in from the bus: polled, checked, and put before the services it is for."""

from collections.abc import Callable, Container
from typing import Protocol

from bus.codec import decode
from bus.errors import BadMessage, BusUnavailable
from bus.ids import parse
from bus.messages import VERSION, ControlEvent, Header, Received, Severity
from bus.protocol import Bus, Entry, Group, Reader, Waker
from bus.streams import APPROVED, CONTROL
from live.audience import Audience
from live.clock import Clock
from live.handing import Delivery, Hosted, Ledger, Queue, Ranks
from live.logs import Log
from live.settling import Settlement
from monitoring.metrics import Metrics

CONSUMER = "live"
"""One name for every process: whichever hosts a service next finds what the one before left."""
_PEEK_NS = 1_000_000
_MOST_SHOWN = 10_000


class Alert(Protocol):
    """Says something that people and the executor must know."""

    def __call__(self, severity: Severity, reason: str, text: str) -> None:
        """Say it."""


class Intake:
    """Opens the readers of a host (raises BusUnavailable) and fills its queue.

    `perf` is the host's own clock in nanoseconds, which a message's way through the host is measured from.
    """

    def __init__(
        self,
        bus: Bus,
        audience: Audience[Hosted],
        settlement: Settlement,
        clock: Clock,
        metrics: Metrics,
        log: Log,
        alert: Alert,
        *,
        claim_seconds: float,
        max_deliveries: int,
        waker: Waker | None,
        perf: Callable[[], int],
    ) -> None:
        self._bus, self._audience, self._settlement = bus, audience, settlement
        self._clock, self._metrics, self._log, self._alert, self._perf = clock, metrics, log, alert, perf
        self._claim_seconds, self._max_deliveries = claim_seconds, max_deliveries
        self.queue = Queue()
        self._ledger = Ledger()
        self._ranks = Ranks()
        self._shown: dict[tuple[str, str], None] = {}
        self._control_groups = {group for _, group in audience.subscribers.get(CONTROL, ())}
        self._incidents: dict[str, int] = {}
        self._claimed_ns = clock.mono_ns()
        self._peeked_ns = 0
        groups = [Group(stream, group) for stream, group in audience.groups]
        self.reader: Reader = bus.reader(CONSUMER, audience.tails, groups, waker)
        self._peeker: Reader | None = None
        if CONTROL in audience.subscribers:
            self._peeker = bus.reader(f"{CONSUMER}-peek", {CONTROL: bus.last_id(CONTROL)}, [])

    def recover(self) -> None:
        """Take what an earlier process left, and the past of streams that are handed on here. Raises BusUnavailable."""
        root_ns = self._perf()
        past = self._bus.reader(f"{CONSUMER}-history", self._audience.history, [])
        entries: list[Entry] = []
        while more := past.poll(0):
            entries += more
        past.close()
        for entry in sorted(entries, key=lambda each: parse(each.id)):  # one writer's ids rise over all its streams
            self._receive(entry, root_ns)
        self.queue.is_past()
        for entry in self.reader.reclaim(0):  # behind the past: who gets a message again knows by then what it said
            self._receive(entry, root_ns)

    def poll(self, timeout_ms: int) -> None:
        """Read what is new, waiting up to `timeout_ms`. Raises BusUnavailable."""
        entries = self.reader.poll(timeout_ms)
        root_ns = self._perf()
        for entry in entries:
            self._receive(entry, root_ns)
        now = self._peeked_ns = self._clock.mono_ns()
        if now - self._claimed_ns > self._claim_seconds * 1e9:
            self._claimed_ns = now
            for entry in self.reader.reclaim(int(self._claim_seconds * 1000)):
                self._receive(entry, root_ns)
        self._count_incidents()

    def peek(self) -> None:
        """Look for control events while a batch is handled: a halt does not wait for its end. At most every 1 ms."""
        now = self._clock.mono_ns()
        if self._peeker is None or now - self._peeked_ns < _PEEK_NS:
            return
        self._peeked_ns = now
        try:
            entries = self._peeker.poll(0)
        except BusUnavailable:
            return  # the next poll finds out, and tells
        for entry in entries:
            groups = {group for group in self._control_groups if (entry.id, group) not in self._shown}
            if groups and (received := self._decoded(entry)):
                self.hand_on(received, self._perf(), groups)
                self.show(entry.id)

    def hand_on(self, received: Received, root_ns: int, groups: Container[str] | None = None) -> list[Delivery]:
        """Put a message before every service of this process that reads its stream; returns those it has groups for.

        With `groups` only before those that read by one of these ("" for those that follow the stream).
        """
        grouped = []
        for hosted, group in self._audience.subscribers.get(received.stream, ()):
            if groups is not None and group not in groups:
                continue
            delivery = Delivery(hosted, received, group, (received.stream, group, received.entry_id), root_ns)
            if group:
                if not received.entry_id:  # control: the server numbers it when it is written
                    delivery.key = (received.stream, group, f"?{id(delivery)}")
                self._ledger.hand(delivery.key)
                grouped.append(delivery)
            self.queue.put(delivery)
        return grouped

    def tell_here(self, event: ControlEvent, now_ns: int, root_ns: int) -> None:
        """Put a control event before the services of this process alone; no stream records it."""
        header = Header(VERSION, "control", event.by, 0, 0, 0, 0, now_ns, f"{event.by}-{now_ns}")
        received = Received(CONTROL, "", header, event, 1)
        for hosted, _ in self._audience.subscribers.get(CONTROL, ()):
            self.queue.put(Delivery(hosted, received, "", (CONTROL, "", ""), root_ns))

    def numbered(self, delivery: Delivery, entry_id: str) -> None:
        """A message handed on before it had an id has got one."""
        key = (delivery.key[0], delivery.key[1], entry_id)
        if entry := self._ledger.rename(delivery.key, key):
            self._settlement.finished(entry)
        delivery.key = key

    def show(self, entry_id: str) -> None:
        """A control event of this id has reached everybody here: neither poll nor peek need bring it."""
        for group in self._control_groups:
            self._remember(entry_id, group)

    def _remember(self, entry_id: str, group: str) -> None:
        self._shown[entry_id, group] = None
        if len(self._shown) > _MOST_SHOWN:
            del self._shown[next(iter(self._shown))]

    def finish(self, delivery: Delivery) -> None:
        """A message had its effect."""
        if delivery.group and (entry := self._ledger.finish(delivery.key)):
            self._settlement.finished(entry)

    def give_up(self, delivery: Delivery, error: str) -> None:
        """A message could not be taken, however often: it is set aside."""
        received = delivery.received
        entry = self._ledger.finish(delivery.key) if delivery.group else None
        if entry is None:
            entry = self._settlement.entry_of(received, delivery.key[2], delivery.group)
        self._refuse(entry._replace(deliveries=delivery.attempts), "poison", error)

    def close(self) -> None:
        """Give up the readers; acknowledgements still waiting are sent first. Raises BusUnavailable."""
        try:
            self.reader.flush()
        finally:
            self.reader.close()
            if self._peeker:
                self._peeker.close()

    def _receive(self, entry: Entry, root_ns: int) -> None:
        if entry.group:
            state = self._ledger.see(entry)
            if state == "done":
                self._settlement.finished(entry)
            if state != "new":
                return
        elif entry.stream == CONTROL and (entry.id, "") in self._shown:
            return
        received = self._decoded(entry)
        if received is None:
            return
        if entry.stream == CONTROL:
            self._remember(entry.id, entry.group)  # or the next peek would bring it again
        key = (entry.stream, entry.group, entry.id)
        if entry.group:
            to = self._audience.members[entry.stream, entry.group]
            self.queue.put(Delivery(to, received, entry.group, key, root_ns))
            return
        position = parse(entry.id)
        for hosted, start in self._audience.followers.get(entry.stream, ()):
            if position > start:
                self.queue.put(Delivery(hosted, received, "", key, root_ns))

    def _decoded(self, entry: Entry) -> Received | None:
        """The message of an entry, or None after it was refused."""
        if entry.group and entry.deliveries > self._max_deliveries:
            self._ledger.finish((entry.stream, entry.group, entry.id))
            self._refuse(entry, "poison", f"delivered {entry.deliveries} times and never acknowledged")
            return None
        try:
            received = decode(entry)
        except BadMessage as error:
            self._ledger.finish((entry.stream, entry.group, entry.id))
            self._refuse(entry, "unreadable", str(error))
            return None
        if self._ranks.outranked(received):
            header = received.header
            self._ledger.finish((entry.stream, entry.group, entry.id))
            self._refuse(entry, "outranked", f"{header.writer} of epoch {header.epoch} has been replaced")
            return None
        return received

    def _refuse(self, entry: Entry, reason: str, error: str) -> None:
        self._metrics.messages_refused_total.labels(entry.stream, reason).inc()
        self._log.error("message_refused", stream=entry.stream, entry=entry.id, group=entry.group, reason=reason,
                        error=error)  # fmt: skip
        if entry.group:
            self._settlement.set_aside(entry, error)
        if entry.stream == APPROVED:
            self._alert("CRIT", "poison_message", f"{entry.stream} {entry.id} was set aside: {error}")

    def _count_incidents(self) -> None:
        for kind, count in self.reader.incidents().items():
            if more := count - self._incidents.get(kind, 0):
                self._incidents[kind] = count
                self._metrics.bus_incidents_total.labels(kind).inc(more)
                self._log.warning("bus_incident", kind=kind, count=more)

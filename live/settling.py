"""What goes out to the bus: everything said is written in one round trip, then what led to it is acknowledged."""

from collections.abc import Callable, Sequence

from bus.codec import encode
from bus.errors import BusError, BusUnavailable, Fenced
from bus.messages import Approval, Received
from bus.protocol import Bus, Entry, Reader
from live.handing import Delivery
from live.measuring import Measures
from live.outbox import Pen, Write

Numbered = Callable[[str, Sequence[Delivery]], None]
"""Told the id a control event got, and the deliveries that wait for it."""


class Settlement:
    """Collects what is to be written, set aside and acknowledged between two settlings."""

    def __init__(self, bus: Bus, measures: Measures, perf: Callable[[], int], crash: Callable[[str], None]) -> None:
        self._bus, self._measures, self._perf, self._crash = bus, measures, perf, crash
        self._finished: list[Entry] = []
        self._aside: list[tuple[Entry, str]] = []
        self._approvals: list[tuple[int, int]] = []
        self.since_ns: int | None = None
        """When (by `perf`) the oldest message was said that somebody may wait for; None when none was."""

    def said(self, received: Received, root_ns: int, *, urgent: bool) -> None:
        """A message was numbered and is to be written."""
        if urgent and self.since_ns is None:
            self.since_ns = self._perf()
        if isinstance(received.body, Approval):
            self._approvals.append((received.header.received_ns, root_ns))

    @property
    def is_pressing(self) -> bool:
        """Whether an approval waits: it is to be on the bus before anybody acts on it."""
        return bool(self._approvals)

    def finished(self, entry: Entry) -> None:
        """An entry's effect is complete once everything said until now is written."""
        self._finished.append(entry)

    def set_aside(self, entry: Entry, error: str) -> None:
        """An entry goes to the dead letters."""
        self._aside.append((entry, error))

    def entry_of(self, received: Received, entry_id: str, group: str) -> Entry:
        """The entry of a message that the bus has not shown."""
        return Entry(received.stream, entry_id, encode(received.header, received.body), received.deliveries, group)

    def settle(self, pens: Sequence[Pen], reader: Reader, numbered: Numbered) -> None:
        """Write, set aside, acknowledge (sent with the next poll).

        Raises BusUnavailable with everything that is not done still to do, and Fenced when one of the pens has been
        taken over.
        """
        self._write(pens, numbered)
        self._crash("written")
        self.since_ns = None
        now_ns = self._perf()
        for received_ns, root_ns in self._approvals:
            self._measures.approved(received_ns, root_ns, now_ns)
        self._approvals.clear()
        while self._aside:
            entry, error = self._aside[0]
            self._bus.dead_letter(entry, entry.group, error)
            self._aside.pop(0)
        for entry in self._finished:
            reader.ack(entry)
        self._finished.clear()

    def _write(self, pens: Sequence[Pen], numbered: Numbered) -> None:
        parts = [(pen, pen.lay_ready()) for pen in pens]
        entries = [entry for _, part in parts for entry in part]
        if not entries:
            return
        ids = self._add(pens, entries)
        begin = 0
        for pen, part in parts:
            count = len(part)
            for entry_id, waiting in pen.written(ids[begin : begin + count]):
                numbered(entry_id, waiting)
            begin += count

    def _add(self, pens: Sequence[Pen], entries: Sequence[Write]) -> list[str]:
        try:
            return self._bus.add(entries)
        except BusUnavailable:
            raise
        except BusError as error:  # somebody wrote to a stream of ours
            for pen in pens:
                if (holder := self._bus.epoch(pen.writer)) > pen.epoch:
                    raise Fenced(
                        f"{pen.writer} is spoken for by epoch {holder}, ours is {pen.epoch}: a newer process has "
                        "started; this one must end"
                    ) from error
            raise

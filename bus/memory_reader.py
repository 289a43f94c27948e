"""A consumer of a MemoryBus: cursors of tails, places of groups, recovery as `bus.reader` does it on a server."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from bus.errors import BusUnavailable
from bus.ids import ZERO, Key, parse, write
from bus.memory_stream import GroupState, MemoryStream, Pending
from bus.places import Places, begins_anew
from bus.protocol import Entry, Group, Waker
from bus.streams import CONTROL

COUNT = 500
"""Most entries of one stream that a poll returns."""


class Server(Protocol):
    """The inside of a MemoryBus that readers work on."""

    now_ms: Callable[[], int]
    run_id: int

    def stream(self, name: str) -> MemoryStream:
        """Return a stream, made when it is not there."""
        ...

    def existing(self, name: str) -> MemoryStream | None:
        """Return a stream if it is there."""
        ...

    def fault(self, operation: str) -> bool:
        """Raise when the next call of an operation shall fail; return whether its reply shall be lost."""
        ...


class MemoryReader:
    """See bus.protocol.Reader."""

    def __init__(
        self,
        bus: Server,
        consumer: str,
        tails: Mapping[str, str],
        groups: Sequence[Group],
        waker: Waker | None = None,
    ) -> None:
        self._bus = bus
        self._consumer = consumer
        self._groups = groups
        self._waker = waker
        self._places = Places()
        self._incidents: Counter[str] = Counter()
        self._waiting: list[Entry] = []
        self._run_id = bus.run_id
        self._recover = True
        self._tails: dict[str, Key] = {}
        for stream, start in tails.items():
            held = bus.existing(stream)
            self._tails[stream] = (held.last if held is not None else ZERO) if start == "$" else parse(start)
        for group in groups:
            stream_held = bus.stream(group.stream)
            start_key = stream_held.last if group.start == "$" else parse(group.start)
            stream_held.make_group(group.name, start_key)
            self._places.begin(group.stream, group.name, stream_held.groups[group.name].last)

    def poll(self, timeout_ms: int) -> list[Entry]:  # noqa: ARG002 - time here is turned, not waited for
        """As Reader.poll, without waiting."""
        if self._waker is not None:
            self._waker.clear()
        self._reconnect()
        lost = self._fault("poll")
        self._send_acks()
        found = self._left() if self._recover else []
        self._recover = False
        if not found:
            found = [*self._followed(advance=not lost), *self._delivered()]
        if lost:
            self._recover = True
            raise BusUnavailable("poll: the reply was lost (planned)")
        for entry in found:
            if entry.group:
                self._places.hand_out(entry)
        first = [entry for entry in found if entry.stream == CONTROL]
        return first + [entry for entry in found if entry.stream != CONTROL] if first else found

    def ack(self, entry: Entry) -> None:
        """As Reader.ack."""
        self._waiting.append(entry)
        self._places.settle(entry.stream, entry.group, (entry.id,))

    def flush(self) -> None:
        """As Reader.flush."""
        if not self._waiting:
            return
        lost = self._fault("ack")
        self._send_acks()
        if lost:
            raise BusUnavailable("ack: the reply was lost (planned)")

    def reclaim(self, min_idle_ms: int) -> list[Entry]:
        """As Reader.reclaim."""
        self._reconnect()
        lost = self._fault("reclaim")
        self._send_acks()
        oldest = self._bus.now_ms() - min_idle_ms
        found: list[Entry] = []
        for group in self._groups:
            stream, state = self._state(group)
            due = [key for key, pending in state.pending.items() if pending.at_ms <= oldest]
            found += self._given_again(stream, state, group.name, due)
        if lost:
            raise BusUnavailable("reclaim: the reply was lost (planned)")
        for entry in found:
            self._places.hand_out(entry)
        return found

    def incidents(self) -> Mapping[str, int]:
        """As Reader.incidents."""
        return self._incidents

    def close(self) -> None:
        """Nothing to give up."""

    def _fault(self, operation: str) -> bool:
        try:
            return self._bus.fault(operation)
        except BusUnavailable:
            self._recover = True
            raise

    def _reconnect(self) -> None:
        """Raise once behind a restart of the server; the call after it goes on where this consumer was."""
        if self._run_id == self._bus.run_id:
            return
        self._run_id = self._bus.run_id
        self._recover = True
        self._incidents["server_restarted"] += 1
        for stream, cursor in self._tails.items():
            held = self._bus.existing(stream)
            if begins_anew(ZERO if held is None else held.last, cursor):
                self._tails[stream] = ZERO
        raise BusUnavailable("the server was restarted")

    def _send_acks(self) -> None:
        for entry in self._waiting:
            held = self._bus.existing(entry.stream)
            if held is not None and entry.group in held.groups:
                held.groups[entry.group].pending.pop(parse(entry.id), None)
        self._waiting.clear()

    def _followed(self, *, advance: bool) -> list[Entry]:
        found: list[Entry] = []
        for name, cursor in self._tails.items():
            held = self._bus.existing(name)
            new = held.behind(cursor, COUNT) if held is not None else ()
            if new and advance:
                self._tails[name] = new[-1][0]
            found += [entry for _, entry in new]
        return found

    def _delivered(self) -> list[Entry]:
        found: list[Entry] = []
        now = self._bus.now_ms()
        for group in self._groups:
            stream, state = self._state(group)
            new = stream.behind(state.last, COUNT)
            for key, entry in new:
                state.pending[key] = Pending(self._consumer, now, 1)
                found.append(entry._replace(deliveries=1, group=group.name))
            if new:
                state.lost += stream.gone_before(state)
                state.last = new[-1][0]
                state.read = stream.added - stream.ahead_of(state.last)
                self._places.advance(group.stream, group.name, state.last)
        return found

    def _left(self) -> list[Entry]:
        """Return what our name was given and neither handed out here nor acknowledged."""
        found: list[Entry] = []
        for group in self._groups:
            stream, state = self._state(group)
            ours = [
                key
                for key, pending in state.pending.items()
                if pending.consumer == self._consumer and not self._places.is_out(group.stream, group.name, write(key))
            ]
            found += self._given_again(stream, state, group.name, ours)
        return found

    def _given_again(self, stream: MemoryStream, state: GroupState, group: str, keys: Sequence[Key]) -> list[Entry]:
        found = []
        for key in keys:
            entry = stream.find(key)
            if entry is None:
                del state.pending[key]
                self._incidents["trimmed_unread"] += 1
                continue
            pending = state.pending[key]
            pending.consumer, pending.at_ms, pending.count = self._consumer, self._bus.now_ms(), pending.count + 1
            found.append(entry._replace(deliveries=pending.count, group=group))
        return found

    def _state(self, group: Group) -> tuple[MemoryStream, GroupState]:
        """Return stream and group, both made again when somebody removed them."""
        stream = self._bus.stream(group.stream)
        if group.name not in stream.groups:
            resume = self._places.resume(group.stream, group.name)
            start = resume if resume <= stream.last else ZERO
            stream.make_group(group.name, start)
            self._places.begin(group.stream, group.name, start)
            self._incidents["group_recreated"] += 1
        return stream, stream.groups[group.name]

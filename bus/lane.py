"""One connection of a reader with at most one read under way: XREAD for tails, XREADGROUP for a group's streams."""

from collections import Counter
from collections.abc import Mapping
from time import monotonic
from typing import Any

from bus.errors import BusUnavailable
from bus.ids import parse
from bus.places import Places
from bus.protocol import Entry
from bus.streams import CONTROL
from bus.wire import MISSING, Command, Wire, pack

COUNT = 500
"""Most entries of one stream that a read returns."""
_new = tuple.__new__


class Lane:
    """A connection, the streams read on it, and the read under way.

    `streams` maps each to the id to read behind, kept up to date here for tails; `>` for groups.
    """

    def __init__(self, wire: Wire, group: str, consumer: str, streams: dict[str, str], block_ms: int) -> None:
        self.wire = wire
        self.group = group
        self.streams = streams
        self.busy = False
        self.blocking = False
        self.unsure: dict[tuple[str, str], list[str]] = {}
        """Acknowledgements sent with the read under way."""
        self._block_ms = block_ms
        self._order = sorted(streams, key=lambda name: name != CONTROL)
        self._names = {name.encode(): name for name in streams}
        self._sent_at = 0.0
        self._skip = 0
        self._head: Command = ("XREADGROUP", "GROUP", group, consumer) if group else ("XREAD",)
        self._reads = {block: self._packed(block=block) for block in (True, False)} if group else {}
        wire.send(pack([("CLIENT", "ID")]))
        (self.client_id,) = wire.receive(1)

    def send(self, acks: Mapping[tuple[str, str], list[str]], *, block: bool) -> None:
        """Send acknowledgements and a read that waits on the server or does not. Raises BusUnavailable."""
        self.unsure.update(acks)  # first: a broken connection must not lose them
        read = self._reads[block] if self.group else self._packed(block=block)
        self.wire.send(pack(ack_commands(acks)) + read if acks else read)
        self._skip, self._sent_at = len(acks), monotonic()
        self.busy, self.blocking = True, block

    def reply(self) -> Any:
        """Return the reply of the read under way, [] when it found nothing, None when it is not there in full."""
        while True:
            reply = self.wire.next()
            if reply is MISSING:
                return None
            if self._skip:
                self._skip -= 1
                continue
            self.busy = self.blocking = False
            self.unsure.clear()
            return [] if reply is None else reply

    def entries(self, reply: Any, places: Places, incidents: Counter[str]) -> list[Entry]:
        """Return the entries of a reply, and note how far this lane has come."""
        found: list[Entry] = []
        group, deliveries = self.group, 1 if self.group else 0
        for name, items in reply:
            stream = self._names[name]
            ids = []
            for key, fields in items:
                if not fields:  # delivered although trimmed: there is nothing to hand out
                    incidents["trimmed_unread"] += 1
                    continue
                text = key.decode()
                ids.append(text)
                data = fields[1] if fields[0] == b"d" and len(fields) == 2 else b""
                found.append(_new(Entry, (stream, text, data, deliveries, group)))
            last = items[-1][0].decode()
            if group:
                places.delivered(stream, group, ids, parse(last))
            else:
                self.streams[stream] = last
        return found

    def lost_its_group(self, reply: Exception) -> bool:
        """Whether an error says that a stream or a group is gone."""
        code = str(reply).partition(" ")[0]
        return bool(self.group) and code in ("NOGROUP", "UNBLOCKED")

    def check_silence(self, now: float, timeout: float) -> None:
        """Raise BusUnavailable when the server owes a reply for too long: half-open connections look like that."""
        if self.busy and now - self._sent_at > self._block_ms / 1_000 + timeout:
            raise BusUnavailable(f"the server has been silent for {now - self._sent_at:.1f} s on a read")

    def _packed(self, *, block: bool) -> bytes:
        wait: Command = ("BLOCK", self._block_ms) if block else ()
        cursors = [self.streams[name] for name in self._order]
        return pack([(*self._head, "COUNT", COUNT, *wait, "STREAMS", *self._order, *cursors)])


def ack_commands(acks: Mapping[tuple[str, str], list[str]]) -> list[Command]:
    """Return one XACK for each (stream, group)."""
    return [("XACK", stream, group, *ids) for (stream, group), ids in acks.items()]

"""A consumer on a Redis server: blocking reads that stay open between polls, one connection for tails and one a group.

A read is sent once and answered when something comes; polls only look. Acknowledgements ride in front of the next
read, so a message costs one round trip. What the server may have delivered without our hearing of it is asked for
behind every new connection.
"""

import select
import time
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from bus.errors import BusUnavailable
from bus.ids import ZERO, parse, write
from bus.lane import COUNT, Lane, ack_commands
from bus.places import Places, begins_anew
from bus.protocol import Entry, Group, Waker
from bus.streams import CONTROL
from bus.wire import Command, Wire, payload, refusal

_LONGEST_WAIT = 1.0
"""Seconds between two tries to connect, at most."""


class Server(Protocol):
    """What a reader asks of the bus that made it, over the connection for commands."""

    address: str
    timeout: float
    block_ms: int

    def ask(self, command: Command) -> Any:
        """Send one command that may be repeated and return its reply."""
        ...

    def ask_all(self, commands: Sequence[Command]) -> list[Any]:
        """Send commands that may be repeated in one round trip; error replies are returned."""
        ...

    def last_id(self, stream: str) -> str:
        """The id of the newest entry ever written to a stream."""
        ...

    def open_wire(self) -> Wire:
        """Open a further connection."""
        ...


class RedisReader:
    """See bus.protocol.Reader. For one thread; its waker may be woken by any."""

    def __init__(
        self,
        server: Server,
        consumer: str,
        tails: Mapping[str, str],
        groups: Sequence[Group],
        waker: Waker | None = None,
    ) -> None:
        self._server = server
        self._consumer = consumer
        self._groups = list(groups)
        self._waker = waker
        self._places = Places()
        self._incidents: Counter[str] = Counter()
        self._acks: defaultdict[tuple[str, str], list[str]] = defaultdict(list)
        self._tails = {
            stream: server.last_id(stream) if start == "$" else write(parse(start)) for stream, start in tails.items()
        }
        ranks = [(stream, "") for stream in tails] + [(group.stream, group.name) for group in groups]
        self._ranks = {key: rank - (key[0] == CONTROL) * len(ranks) for rank, key in enumerate(ranks)}
        self._lanes: list[Lane] = []
        self._by_fd: dict[int, Lane] = {}
        self._poller = select.poll()
        self._run_id = ""
        self._retry_at = 0.0
        self._wait = 0.0
        self._recover = True
        self.closed = False
        self._begin()
        self._connect()

    @property
    def connected(self) -> bool:
        """Whether the connections stand, as far as is known."""
        return bool(self._lanes) or not self._ranks

    def poll(self, timeout_ms: int) -> list[Entry]:
        """As Reader.poll."""
        return self._polled(timeout_ms, is_open=timeout_ms > 0)

    def glance(self) -> list[Entry]:
        """As `poll`, without waiting; reads that wait stay open, and `filenos` tell when to glance again."""
        return self._polled(0, is_open=True)

    def filenos(self) -> list[int]:
        """The descriptors that become readable when something comes; others behind every new connection."""
        return list(self._by_fd)

    def _polled(self, timeout_ms: int, *, is_open: bool) -> list[Entry]:
        if not self.connected and not self._reconnect(timeout_ms):
            return []
        try:
            found = self._left() if self._recover else []
            self._recover = False
            if not found:
                self._send(block=is_open)
                found = self._wait_for_some(timeout_ms) if is_open else self._take_what_is_there()
        except BusUnavailable:
            self._drop()
            raise
        if len(self._ranks) > 1 and found:
            ranks = self._ranks
            found.sort(key=lambda entry: ranks[entry[0], entry[4]])
        return found

    def ack(self, entry: Entry) -> None:
        """As Reader.ack."""
        self._acks[entry[0], entry[4]].append(entry[1])

    def flush(self) -> None:
        """As Reader.flush."""
        self._flush(self._acks)

    def reclaim(self, min_idle_ms: int) -> list[Entry]:
        """As Reader.reclaim."""
        self.flush()
        found: list[Entry] = []
        for group in self._groups:
            found += self._claimed(group, min_idle_ms)
        return found

    def incidents(self) -> Mapping[str, int]:
        """As Reader.incidents."""
        return self._incidents

    def close(self) -> None:
        """As Reader.close; acknowledgements that wait are not sent."""
        self.closed = True
        self._drop()

    # Reading

    def _send(self, *, block: bool) -> None:
        for lane in self._lanes:
            ours = [key for key in self._acks if key[1] == lane.group] if self._acks else []
            if not lane.busy:
                self._settle()
                lane.send({key: self._acks.pop(key) for key in ours}, block=block)
            elif ours:
                self._flush(ours)  # behind a read that waits they would wait as well

    def _wait_for_some(self, timeout_ms: int) -> list[Entry]:
        deadline = time.monotonic() + timeout_ms / 1_000
        mended: set[Lane] = set()
        while True:
            found, woken = self._looked(max(0.0, (deadline - time.monotonic()) * 1_000), mended)
            now = time.monotonic()
            if found or woken or now >= deadline:
                for lane in self._lanes:
                    lane.check_silence(now, self._server.timeout)
                return found

    def _looked(self, timeout_ms: float, mended: set[Lane]) -> tuple[list[Entry], bool]:
        """Wait for the descriptors once; return what came in full, and whether somebody woke us."""
        found: list[Entry] = []
        woken = False
        for fd, _ in self._poller.poll(timeout_ms):
            lane = self._by_fd.get(fd)
            if lane is None:
                woken = True
                if self._waker is not None:
                    self._waker.clear()
                continue
            lane.wire.feed()
            found += self._taken(lane, mended, block=True)
        return found, woken

    def _take_what_is_there(self) -> list[Entry]:
        """Return what the server has now; reads that wait are ended, which answers them."""
        waiting = [lane for lane in self._lanes if lane.blocking]
        self._server.ask_all([("CLIENT", "UNBLOCK", lane.client_id) for lane in waiting])
        found: list[Entry] = []
        mended: set[Lane] = set()
        for lane in self._lanes:
            while lane.busy:
                found += self._taken(lane, mended, block=False)
                if lane.busy:
                    lane.wire.feed()
        return found

    def _taken(self, lane: Lane, mended: set[Lane], *, block: bool) -> list[Entry]:
        """Return the entries of a lane's reply, if it is there in full; a lost group is mended and read once more."""
        reply = lane.reply()
        if reply is None:
            return []
        if not isinstance(reply, Exception):
            return lane.entries(reply, self._places, self._incidents)
        if not lane.lost_its_group(reply):
            raise refusal(reply, f"{self._server.address} {', '.join(lane.streams)}")
        self._make_groups(self._groups_of(lane))
        if lane not in mended:
            mended.add(lane)
            lane.send({}, block=block)
        return []

    def _settle(self) -> None:
        """Tell the places what was acknowledged since; only now, since it is cheaper for many at once."""
        for (stream, group), ids in self._acks.items():
            self._places.settle(stream, group, ids)

    def _groups_of(self, lane: Lane) -> list[Group]:
        return [group for group in self._groups if group.name == lane.group]

    def _flush(self, keys: Sequence[tuple[str, str]] | Mapping[tuple[str, str], Any]) -> None:
        waiting = {key: self._acks[key] for key in keys}
        if not waiting:
            return
        self._settle()
        try:
            for reply in self._server.ask_all(ack_commands(waiting)):
                if isinstance(reply, Exception):
                    raise refusal(reply, "XACK")
        except BusUnavailable:
            self._recover = True
            raise
        for key in waiting:
            del self._acks[key]

    # Entries that were delivered before

    def _left(self) -> list[Entry]:
        """Return what our name was given and neither handed out here nor acknowledged."""
        self.flush()
        found: list[Entry] = []
        for group in self._groups:
            start = "-"
            while True:
                page = self._pending(group, (start, "+", COUNT, self._consumer))
                ours = {key: count for key, count in page if not self._places.is_out(group.stream, group.name, key)}
                if ours:
                    claim: Command = ("XCLAIM", group.stream, group.name, self._consumer, 0, *ours)
                    found += self._given_again(group, self._server.ask(claim), ours)
                if len(page) < COUNT:
                    break
                start = f"({page[-1][0]}"
        return found

    def _claimed(self, group: Group, min_idle_ms: int) -> list[Entry]:
        found: list[Entry] = []
        cursor: str | bytes = "0-0"
        while True:
            command = ("XAUTOCLAIM", group.stream, group.name, self._consumer, min_idle_ms, cursor, "COUNT", COUNT)
            (reply,) = self._server.ask_all([command])
            if isinstance(reply, Exception):
                if "NOGROUP" in str(reply):
                    self._make_groups([group])
                    return found
                raise refusal(reply, group.stream)
            cursor, entries, trimmed = reply
            if trimmed:
                self._incidents["trimmed_unread"] += len(trimmed)
            if entries:
                first, last = entries[0][0], entries[-1][0]
                page = self._pending(group, (first, last, 10 * COUNT, self._consumer))
                # The claim has counted already, so one less was before it.
                found += self._given_again(group, entries, {key: count - 1 for key, count in page})
            if cursor == b"0-0":
                return found

    def _pending(self, group: Group, arguments: tuple[str | bytes | int, ...]) -> list[tuple[str, int]]:
        (reply,) = self._server.ask_all([("XPENDING", group.stream, group.name, *arguments)])
        if isinstance(reply, Exception):
            if "NOGROUP" in str(reply):
                self._make_groups([group])
                return []
            raise refusal(reply, group.stream)
        return [(key.decode(), count) for key, _, _, count in reply]

    def _given_again(self, group: Group, entries: Sequence[Any], before: Mapping[str, int]) -> list[Entry]:
        """Return claimed entries with their counts; those that were trimmed come without fields, or not at all."""
        found = []
        for key, fields in entries:
            if fields is not None:
                text = key.decode()
                count = before.get(text, 1) + 1
                found.append(Entry(group.stream, text, payload(fields), count, group.name))
        if len(found) < len(before):
            self._incidents["trimmed_unread"] += len(before) - len(found)
        for entry in found:
            self._places.hand_out(entry)
        return found

    # Connections and groups

    def _begin(self) -> None:
        """Make the groups that are not there, and note where each stands."""
        made: list[Command] = [
            ("XGROUP", "CREATE", group.stream, group.name, group.start, "MKSTREAM") for group in self._groups
        ]
        for group, reply in zip(self._groups, self._server.ask_all(made), strict=True):
            if isinstance(reply, Exception) and "BUSYGROUP" not in str(reply):
                raise refusal(reply, group.stream)
        for group in self._groups:
            for flat in self._server.ask(("XINFO", "GROUPS", group.stream)):
                state = dict(zip(flat[::2], flat[1::2], strict=True))
                if state[b"name"] == group.name.encode():
                    last = parse(state[b"last-delivered-id"].decode())
                    self._places.begin(group.stream, group.name, last)

    def _make_groups(self, groups: Sequence[Group]) -> None:
        """Make groups again that are gone, behind what was acknowledged: never at the end, never from the start."""
        self._settle()
        for group in groups:
            resume = self._places.resume(group.stream, group.name)
            start = resume if resume <= parse(self._server.last_id(group.stream)) else ZERO
            command = ("XGROUP", "CREATE", group.stream, group.name, write(start), "MKSTREAM")
            (reply,) = self._server.ask_all([command])
            if not isinstance(reply, Exception):
                self._places.begin(group.stream, group.name, start)
                self._incidents["group_recreated"] += 1
            elif "BUSYGROUP" not in str(reply):
                raise refusal(reply, group.stream)

    def _connect(self) -> None:
        run_id = _run_id(self._server.ask(("INFO", "server")))
        if self._run_id and run_id != self._run_id:
            self._incidents["server_restarted"] += 1
            for stream, cursor in self._tails.items():
                if begins_anew(parse(self._server.last_id(stream)), parse(cursor)):
                    self._tails[stream] = "0-0"
        if self._run_id:
            self._make_groups(self._groups)
        self._run_id = run_id
        names = list(dict.fromkeys(group.name for group in self._groups))
        if self._tails:
            self._open_lane("", self._tails)
        for name in names:
            self._open_lane(name, {group.stream: ">" for group in self._groups if group.name == name})
        self._poller = select.poll()
        self._by_fd = {lane.wire.fileno(): lane for lane in self._lanes}
        for fd in self._by_fd:
            self._poller.register(fd, select.POLLIN)
        if self._waker is not None:
            self._poller.register(self._waker.fileno(), select.POLLIN)
        self._recover = True

    def _open_lane(self, group: str, streams: dict[str, str]) -> None:
        wire = self._server.open_wire()
        try:
            lane = Lane(wire, group, self._consumer, streams, self._server.block_ms)
        except BusUnavailable:
            wire.close()
            raise
        self._lanes.append(lane)

    def _reconnect(self, timeout_ms: int) -> bool:
        """Try to connect when it is time for it; else wait for that, or for the waker, within the time-out."""
        left = self._retry_at - time.monotonic()
        if left > 0:
            waiter = select.poll()
            if self._waker is not None:
                waiter.register(self._waker.fileno(), select.POLLIN)
            if waiter.poll(min(left * 1_000, timeout_ms)) and self._waker is not None:
                self._waker.clear()
            if self._retry_at > time.monotonic():
                return False
        try:
            self._connect()
        except BusUnavailable:
            self._drop()
            raise
        self._wait = 0.0
        return True

    def _drop(self) -> None:
        """Close everything; acknowledgements that were under way wait again."""
        for lane in self._lanes:
            for key, ids in lane.unsure.items():
                self._acks[key] = ids + self._acks.get(key, [])
            lane.wire.close()
        self._lanes, self._by_fd = [], {}
        self._recover = True
        self._wait = min(_LONGEST_WAIT, max(0.02, self._wait * 2))
        self._retry_at = time.monotonic() + self._wait


def _run_id(info: bytes) -> str:
    for line in info.decode(errors="replace").splitlines():
        if line.startswith("run_id:"):
            return line.partition(":")[2]
    raise BusUnavailable("the server's INFO has no run_id")

"""A bus on a Redis server, 7.0 or newer: one connection for commands, and readers with connections of their own.

Only writes that may be repeated are: reads, acknowledgements, and XADD with an id of ours, which the server refuses a
second time.
"""

import threading
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Self

from bus import streams
from bus.codec import encode_dead
from bus.errors import BusError, BusUnavailable, NotDurable
from bus.ids import Key, after, parse, write
from bus.protocol import Depth, Entry, Group, Waker
from bus.reader import RedisReader
from bus.wire import Command, Wire, address, pack, payload, refusal

TIMEOUT_SECONDS = 2.0
"""A reply that takes longer counts as lost, and the connection as broken."""
BLOCK_MS = 2_000
"""How long the server keeps a read that finds nothing; the reader then sends it again, and so notices silence."""
_OLDEST = (7, 0)
_COUNTED = 1_000


class RedisBus:
    """See bus.protocol.Bus. Several threads may use it; its readers belong to one thread each.

    `url` is redis://, rediss:// or unix://; `timeout` in seconds. Nothing is connected before the first call.
    """

    def __init__(self, url: str, timeout: float = TIMEOUT_SECONDS, *, block_ms: int = BLOCK_MS) -> None:
        self.url = url
        self.address = address(url)
        self.timeout = timeout
        self.block_ms = block_ms
        self._readers: list[RedisReader] = []
        self._wire: Wire | None = None
        self._lock = threading.Lock()
        self._lost: Counter[tuple[str, str]] = Counter()
        self._doubtful: set[tuple[str, str]] = set()
        self._retry_at = 0.0
        self._wait = 0.0
        self._generation = 0

    def add(self, entries: Sequence[tuple[str, bytes, str]]) -> list[str]:
        """As Bus.add: all of them or, when the server is full, none."""
        if not entries:
            return []
        commands: list[Command] = [("XADD", stream, key or "*", b"d", data) for stream, data, key in entries]
        try:
            replies = self._ask(commands, whole=len(commands) > 1, again=False)
        except BusUnavailable:
            self._doubtful.update((stream, key) for stream, _, key in entries if key)
            raise
        written = []
        for reply, (stream, data, key) in zip(replies, entries, strict=True):
            if isinstance(reply, bytes):
                written.append(reply.decode())
            elif key and "equal or smaller" in str(reply) and self._is_written(stream, data, key):
                written.append(key)
            else:
                raise _refused_write(reply, stream, key)
        if self._doubtful:
            self._doubtful.difference_update((stream, key) for stream, _, key in entries)
        return written

    def reader(
        self, consumer: str, tails: Mapping[str, str], groups: Sequence[Group], waker: Waker | None = None
    ) -> RedisReader:
        """As Bus.reader."""
        self._readers = [each for each in self._readers if not each.closed]
        self._readers.append(RedisReader(self, consumer, tails, groups, waker))
        return self._readers[-1]

    def last_id(self, stream: str) -> str:
        """As Bus.last_id."""
        found = self._stream(stream)
        return found["last-generated-id"].decode() if found else "0-0"

    def recent(self, stream: str, count: int) -> list[Entry]:
        """As Bus.recent."""
        found = self.ask(("XREVRANGE", stream, "+", "-", "COUNT", count))
        return [Entry(stream, key.decode(), payload(fields), 0) for key, fields in reversed(found)]

    def depth(self, stream: str, group: str) -> Depth:
        """As Bus.depth; a lag beyond 1,000 is the server's own figure."""
        about, group_list = self._ask([("XINFO", "STREAM", stream), ("XINFO", "GROUPS", stream)])
        if _is_absent(about) or _is_absent(group_list):
            return Depth(0, 0, 0, 0)
        held = _pairs(_good(about, stream))
        length = held["length"]
        state = _group(_good(group_list, stream), group)
        if state is None:
            return Depth(0, 0, length, 0)
        delivered, read = _key(state["last-delivered-id"]), state["entries-read"]
        if delivered >= _key(held["last-generated-id"]):
            lag = 0
        elif length == 0 or _key(held["first-entry"][0]) > delivered:
            lag = length
            if read is not None:
                self._lost[stream, group] = max(self._lost[stream, group], held["entries-added"] - read - length)
        else:
            lag = min(length, self._lag(stream, delivered, state["lag"]))
        return Depth(lag, state["pending"], length, self._lost[stream, group])

    def trim(self, stream: str, min_id: str) -> int:
        """As Bus.trim; the server takes away whole nodes of its tree, so some hundred entries more may stay."""
        return int(self.ask(("XTRIM", stream, "MINID", "~", min_id)))

    def trimmable(self, stream: str) -> str:
        """As Bus.trimmable."""
        (found,) = self._ask([("XINFO", "GROUPS", stream)])
        groups = [] if _is_absent(found) else [_pairs(each) for each in _good(found, stream)]
        needed = [after(_key(each["last-delivered-id"])) for each in groups]
        # Asked for later than the places: what was delivered in between lies above them, so nothing is missed.
        oldest = self._ask([("XPENDING", stream, each["name"]) for each in groups]) if groups else []
        needed += [_key(summary[1]) for summary in oldest if isinstance(summary, list) and summary[1]]
        return write(min(needed, default=(0, 0)))

    def dead_letter(self, entry: Entry, group: str, error: str) -> None:
        """As Bus.dead_letter; a repeat after a lost reply may set the entry aside twice."""
        aside: Command = ("XADD", streams.dead_letters(entry.stream), "*", b"d", encode_dead(entry, group, error))
        done: Command = ("XACK", entry.stream, group, entry.id)
        for reply in self._ask([aside, done], whole=True, again=False):
            _good(reply, entry.stream)

    def next_epoch(self, writer: str) -> int:
        """As Bus.next_epoch: above the server's time in seconds, so that it also outranks those of another name that
        spoke for the same symbols when their shares were cut in another way."""
        key = f"epoch:{writer}"
        seconds = int(self.ask(("TIME",))[0])
        first: Command = ("SET", key, seconds, "NX")
        replies = self._ask([first, ("INCR", key)], whole=True, again=False)
        epoch = int(_good(replies[1], key))
        if epoch > seconds:
            return epoch
        (reply,) = self._ask([("INCRBY", key, seconds + 1 - epoch)], again=False)
        return int(_good(reply, key))

    def epoch(self, writer: str) -> int:
        """As Bus.epoch."""
        return int(self.ask(("GET", f"epoch:{writer}")) or 0)

    def generation(self) -> int:
        """As Bus.generation."""
        with self._lock:
            if self._wire is None:
                self._connect()
            return self._generation

    def put(self, key: str, value: bytes, ttl_ms: int) -> None:
        """As Bus.put."""
        self.ask(("SET", key, value, "PX", ttl_ms))

    def values(self, prefix: str) -> dict[str, bytes]:
        """As Bus.values."""
        pattern = "".join(f"\\{letter}" if letter in "*?[]\\" else letter for letter in prefix) + "*"
        keys: set[bytes] = set()
        cursor = b"0"
        while True:
            cursor, found = self.ask(("SCAN", cursor, "MATCH", pattern, "COUNT", 1_000))
            keys.update(found)
            if cursor == b"0":
                break
        names = sorted(keys)
        held = self.ask(("MGET", *names)) if names else []
        return {name.decode(): value for name, value in zip(names, held, strict=True) if value is not None}

    def checks(self) -> list[str]:
        """Return what about the server may cost messages, a sentence each; empty when nothing does."""
        facts = self.facts()
        found = []
        if facts.get("aof_enabled") != "1":
            found.append(f"{self.address} keeps no append-only file: a restart loses every stream (appendonly yes)")
        elif facts.get("aof_last_write_status", "ok") != "ok":
            found.append(f"{self.address} cannot write its append-only file: is the disk full?")
        if (policy := facts.get("maxmemory_policy", "noeviction")) != "noeviction":
            found.append(f"{self.address} may evict streams when full (maxmemory-policy noeviction, was {policy})")
        version = facts.get("redis_version", "0.0")
        if tuple(int(part) for part in version.split(".")[:2]) < _OLDEST:
            found.append(f"{self.address} is version {version}; 7.0 or newer is needed")
        return found

    def facts(self) -> dict[str, str]:
        """Return what the server's INFO says."""
        lines = self.ask(("INFO",)).decode(errors="replace").splitlines()
        return dict(line.split(":", 1) for line in lines if ":" in line)

    def ask(self, command: Command) -> Any:
        """Send one command that may be repeated and return its reply. Raises BusError, BusUnavailable."""
        (reply,) = self._ask([command])
        return _good(reply, " ".join(str(part) for part in command[:2]))

    def ask_all(self, commands: Sequence[Command]) -> list[Any]:
        """Send commands that may be repeated in one round trip; error replies are returned. Raises BusUnavailable."""
        return self._ask(commands) if commands else []

    def open_wire(self) -> Wire:
        """Open a further connection. Raises BusUnavailable."""
        return Wire(self.url, self.timeout)

    def close(self) -> None:
        """As Bus.close, those of its readers too; a later call would connect again."""
        for reader in self._readers:
            reader.close()
        with self._lock:
            self._break()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def _ask(self, commands: Sequence[Command], *, whole: bool = False, again: bool = True) -> list[Any]:
        """Send commands in one write and return their replies, errors among them; `whole` does all or none.

        A connection that has broken since it was last used is made anew and asked `again`.
        """
        packed = pack([("MULTI",), *commands, ("EXEC",)] if whole else commands)
        count = len(commands) + (2 if whole else 0)
        with self._lock:
            fresh = self._wire is None
            try:
                replies = self._exchange(packed, count)
            except BusUnavailable:
                self._break()
                if fresh or not again:
                    raise
                replies = self._exchange_anew(packed, count)
        return _executed(replies, str(commands[0][1])) if whole else replies

    def _exchange(self, packed: bytes, count: int) -> list[Any]:
        wire = self._wire or self._connect()
        wire.send(packed)
        return wire.receive(count)

    def _exchange_anew(self, packed: bytes, count: int) -> list[Any]:
        try:
            return self._exchange(packed, count)
        except BusUnavailable:
            self._break()
            raise

    def _connect(self) -> Wire:
        """Connect, or refuse at once while the last failure is fresh: a dead address must not hold up the caller."""
        now = time.monotonic()
        if now < self._retry_at:
            raise BusUnavailable(f"{self.address} did not answer; the next try is in {self._retry_at - now:.2f} s")
        try:
            self._wire = Wire(self.url, self.timeout)
        except BusUnavailable:
            self._wait = min(1.0, max(0.02, self._wait * 2))
            self._retry_at = time.monotonic() + self._wait
            raise
        self._wait = 0.0
        self._generation += 1
        return self._wire

    def _break(self) -> None:
        if self._wire is not None:
            self._wire.close()
            self._wire = None

    def _stream(self, stream: str) -> dict[str, Any] | None:
        (found,) = self._ask([("XINFO", "STREAM", stream)])
        return None if _is_absent(found) else _pairs(_good(found, stream))

    def _lag(self, stream: str, delivered: Key, told: int | None) -> int:
        """Count the entries behind an id, as far as that is cheap.

        The server's own figure stays too high for ever behind a loss, and there is none for a group that was made in
        the middle or read back from the file.
        """
        most = _COUNTED if told is not None else 10 * _COUNTED
        lag = len(self.ask(("XRANGE", stream, f"({write(delivered)}", "+", "COUNT", most)))
        return lag if lag < most or told is None else max(lag, told)

    def _is_written(self, stream: str, data: bytes, key: str) -> bool:
        """Whether an earlier call wrote an entry: it is there, or its reply was lost and it was trimmed meanwhile."""
        found = self.ask(("XRANGE", stream, key, key))
        if found:
            return bool(payload(found[0][1]) == data)
        if (stream, key) not in self._doubtful:
            return False
        oldest = self.ask(("XRANGE", stream, "-", "+", "COUNT", 1))
        return not oldest or _key(oldest[0][0]) > parse(key)


def open_bus(url: str, *, timeout: float = TIMEOUT_SECONDS, durable: bool = False) -> RedisBus:
    """Connect to a server and look at it; `durable` raises NotDurable for what RedisBus.checks warns of.

    Raises BusUnavailable, BusNotFound for a URL that is none, BusError when the server does not let us in.
    """
    bus = RedisBus(url, timeout)
    try:
        warnings = bus.checks()
    except BusError:
        bus.close()
        raise
    if durable and warnings:
        bus.close()
        raise NotDurable("; ".join(warnings))
    return bus


def _executed(replies: list[Any], what: str) -> list[Any]:
    """Return the replies of a transaction, or raise why it was not begun."""
    done = replies[-1]
    if isinstance(done, list):
        return done
    causes = [reply for reply in replies if isinstance(reply, Exception)]
    raise refusal(causes[0] if causes else BusError(f"EXEC gave {done!r}"), what)


def _good(reply: Any, what: str) -> Any:
    if isinstance(reply, Exception):
        raise refusal(reply, what)
    return reply


def _refused_write(reply: Any, stream: str, key: str) -> BusError:
    if "equal or smaller" in str(reply):
        return BusError(f"{stream}: {key} is not above the stream's last id; is there a second writer?")
    return refusal(reply, stream)


def _is_absent(reply: Any) -> bool:
    return isinstance(reply, Exception) and "no such key" in str(reply)


def _pairs(flat: Sequence[Any]) -> dict[str, Any]:
    return {name.decode(): value for name, value in zip(flat[::2], flat[1::2], strict=True)}


def _group(groups: Sequence[Any], name: str) -> dict[str, Any] | None:
    return next((each for each in map(_pairs, groups) if each["name"] == name.encode()), None)


def _key(text: bytes) -> Key:
    return parse(text.decode())

"""What a bus does, whether behind it is Redis (`bus.client`) or memory (`bus.memory`): bytes in order, by explicit id.

Ids are `<milliseconds>-<number>` and rise. The writer gives them, so that a repeated write is refused rather than
doubled, and a replay gives the same ids.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple, Protocol


class Entry(NamedTuple):
    """One entry of a stream; `deliveries` is 1 at the first delivery of a group, 0 for a plain read.

    `group` is the name of the group it was delivered to, empty for a plain read: several services of one process may
    each have a group on the same stream, and each acknowledges its own delivery.
    """

    stream: str
    id: str
    data: bytes
    deliveries: int
    group: str = ""


class Group(NamedTuple):
    """A consumer group on a stream. Made at `start` (an id; 0 is the whole stream) when it is not there."""

    stream: str
    name: str
    start: str = "0"


class Depth(NamedTuple):
    """How far a group is behind: never delivered (`lag`), delivered and not acknowledged (`pending`).

    `lost` counts what was trimmed before it was delivered, as far as it was seen while the group stood before the
    hole; it only rises. `length` is the stream's, acknowledged entries included.
    """

    lag: int
    pending: int
    length: int
    lost: int


class Waker(Protocol):
    """Wakes a poll from another thread."""

    def fileno(self) -> int:
        """A descriptor that is readable after `wake`."""
        ...

    def wake(self) -> None:
        """End a poll that waits, or the next one."""
        ...

    def clear(self) -> None:
        """Forget earlier calls of `wake`."""
        ...


class Reader(Protocol):
    """One consumer's eyes: plain reads that follow streams, and groups whose entries must be acknowledged."""

    def poll(self, timeout_ms: int) -> list[Entry]:
        """Return what is new, waiting up to `timeout_ms` (0 does not wait): control first, then tails, then groups.

        Acknowledgements given before are sent with it. The first poll, and the first behind a broken connection,
        returns what this consumer's name was given and neither handed out here nor acknowledged, if there is any.
        A group that is gone is made again behind the last entry this consumer acknowledged, never at the end, and
        `incidents` counts it. Raises BusUnavailable when the connection breaks or cannot be made; polling again
        tries again, and between two tries returns nothing.
        """
        ...

    def ack(self, entry: Entry) -> None:
        """Acknowledge an entry of a group once its effect is durable; sent with the next poll or flush."""
        ...

    def flush(self) -> None:
        """Send acknowledgements that wait. Raises BusUnavailable."""
        ...

    def reclaim(self, min_idle_ms: int) -> list[Entry]:
        """Take over entries delivered to any consumer of the groups and not acknowledged for so long (XAUTOCLAIM).

        Acknowledgements that wait are sent first. Entries trimmed meanwhile are counted as `trimmed_unread`. Raises
        BusUnavailable.
        """
        ...

    def incidents(self) -> Mapping[str, int]:
        """Counts of what went wrong and was mended: group_recreated, trimmed_unread, server_restarted."""
        ...

    def close(self) -> None:
        """Give up the connections."""
        ...


class Bus(Protocol):
    """A set of streams."""

    def add(self, entries: Sequence[tuple[str, bytes, str]]) -> list[str]:
        """Append (stream, data, id) entries in one round trip; an empty id lets the server number the entry.

        An id that the stream already holds with the same data counts as written (a retry whose reply was lost); any
        other that is not above the last one raises BusError, and the rest is written. Raises BusUnavailable: a server
        that is full has written none, one whose reply was lost may have written all, so give the same entries again.
        """
        ...

    def reader(
        self, consumer: str, tails: Mapping[str, str], groups: Sequence[Group], waker: Waker | None = None
    ) -> Reader:
        """Open a reader: `tails` maps streams to the id to read behind (0 all, $ only what is new).

        Groups that are not there are made now. `waker` ends a poll that waits. Raises BusUnavailable.
        """
        ...

    def last_id(self, stream: str) -> str:
        """The id of the newest entry ever written to a stream, 0-0 when there is none."""
        ...

    def recent(self, stream: str, count: int) -> list[Entry]:
        """The newest entries of a stream, oldest first."""
        ...

    def depth(self, stream: str, group: str) -> Depth:
        """How far a group is behind; zeros where stream or group is not there."""
        ...

    def trim(self, stream: str, min_id: str) -> int:
        """Remove entries with lower ids, roughly; return how many went."""
        ...

    def trimmable(self, stream: str) -> str:
        """The lowest id that some group still needs: everything below was acknowledged by all. 0-0 without a group."""
        ...

    def dead_letter(self, entry: Entry, group: str, error: str) -> None:
        """Put an entry aside on `dlq:<stream>` with the error and acknowledge it, as one step."""
        ...

    def next_epoch(self, writer: str) -> int:
        """Take the name of a writer: this epoch outranks every earlier one, also after the server lost its data.

        It lies above the server's time in seconds, so it outranks what other names took before, too.
        """
        ...

    def epoch(self, writer: str) -> int:
        """The epoch that may speak under a name; 0 when nobody has."""
        ...

    def generation(self) -> int:
        """A number that changes when the server may have been restarted since: it can then have lost its last seconds.

        Raises BusUnavailable.
        """
        ...

    def put(self, key: str, value: bytes, ttl_ms: int) -> None:
        """Keep a small value under a key for a while (heartbeats)."""
        ...

    def values(self, prefix: str) -> dict[str, bytes]:
        """The values under keys with a prefix."""
        ...

    def close(self) -> None:
        """Give up the connections."""
        ...

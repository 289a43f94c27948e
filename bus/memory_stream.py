"""One stream in memory: entries by rising id, and consumer groups with what they delivered and nobody acknowledged."""

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field

from bus.errors import BusError
from bus.ids import ZERO, Key, after, before, write
from bus.protocol import Depth, Entry


@dataclass(slots=True)
class Pending:
    """An entry that was delivered: to whom, when (milliseconds), how often."""

    consumer: str
    at_ms: int
    count: int


@dataclass(slots=True)
class GroupState:
    """A group's place in the stream, how many entries were added up to there, and what is not acknowledged.

    `pending` rises by id, since entries are delivered in order; `lost` were gone when their turn came.
    """

    last: Key
    read: int
    lost: int = 0
    pending: dict[Key, Pending] = field(default_factory=dict)


class MemoryStream:
    """Entries and groups of one stream; all ids are pairs, see bus.ids."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.last: Key = ZERO
        self.added = 0
        self.groups: dict[str, GroupState] = {}
        self._keys: list[Key] = []
        self._entries: list[Entry] = []

    def __len__(self) -> int:
        return len(self._keys)

    def add(self, key: Key, data: bytes) -> str:
        """Append an entry and return its id; a repeated write is none, another id not above the last a BusError."""
        if key <= self.last:
            held = self.find(key)
            if held is not None and held.data == data:
                return held.id
            raise BusError(
                f"{self.name}: {write(key)} is not above {write(self.last)}, the stream's last id; is there a second "
                "writer?"
            )
        entry = Entry(self.name, write(key), data, 0)
        self._keys.append(key)
        self._entries.append(entry)
        self.last = key
        self.added += 1
        return entry.id

    def next_key(self, now_ms: int) -> Key:
        """Return the id the server would give now."""
        return max((now_ms, 0), after(self.last))

    def find(self, key: Key) -> Entry | None:
        """Return the entry with an id, None when it is not there."""
        at = bisect_left(self._keys, key)
        return self._entries[at] if at < len(self._keys) and self._keys[at] == key else None

    def behind(self, key: Key, count: int) -> Sequence[tuple[Key, Entry]]:
        """Return up to `count` entries with higher ids."""
        if key >= self.last:
            return ()
        at = bisect_right(self._keys, key)
        return list(zip(self._keys[at : at + count], self._entries[at : at + count], strict=True))

    def newest(self, count: int) -> list[Entry]:
        """Return the newest entries, oldest first."""
        return self._entries[-count:] if count > 0 else []

    def trim(self, key: Key) -> int:
        """Remove entries with lower ids and return how many."""
        gone = bisect_left(self._keys, key)
        del self._keys[:gone], self._entries[:gone]
        return gone

    def forget_newest(self) -> None:
        """Undo the newest write, as a server that was killed before it wrote it down."""
        if not self._keys:
            return
        gone = self._keys.pop()
        self._entries.pop()
        self.added -= 1
        self.last = self._keys[-1] if self._keys else before(gone)
        for group in self.groups.values():
            group.pending.pop(gone, None)
            if group.last >= gone:
                group.last, group.read = self.last, min(group.read, self.added)

    def ahead_of(self, key: Key) -> int:
        """Return how many entries have higher ids."""
        return len(self._keys) - bisect_right(self._keys, key)

    def make_group(self, name: str, start: Key) -> bool:
        """Make a group behind `start`; False when it is there already."""
        if name in self.groups:
            return False
        self.groups[name] = GroupState(start, self.added - self.ahead_of(start))
        return True

    def depth(self, name: str) -> Depth:
        """Return how far a group is behind; zeros but the length when it is not there."""
        group = self.groups.get(name)
        if group is None:
            return Depth(0, 0, len(self._keys), 0)
        readable = self.ahead_of(group.last)
        return Depth(readable, len(group.pending), len(self._keys), group.lost + self.gone_before(group))

    def gone_before(self, group: GroupState) -> int:
        """Return how many entries were trimmed of those that the group has not had."""
        return self.added - group.read - self.ahead_of(group.last)

    def needed(self) -> Key:
        """Return the lowest id that some group still needs, 0-0 without a group."""
        if not self.groups:
            return ZERO
        return min(min(group.pending, default=after(group.last)) for group in self.groups.values())

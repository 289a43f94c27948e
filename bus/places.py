"""Where a consumer stands in its groups, kept on its own side: what was handed out, and where to go on without a group.

A server that lost a group would begin it at either end; this knows the entry behind which nothing was acknowledged.
"""

from collections.abc import Iterable

from bus.ids import Key, before, parse
from bus.protocol import Entry

_LAST_SECONDS_MS = 10_000


def begins_anew(last: Key, cursor: Key) -> bool:
    """Whether a stream behind a restart is another one, to be read from its start, by its last id and our cursor.

    A server that was killed may lack what came last, which its writer gives again under the same ids; one that lost
    everything begins with other ids, and behind a replay they may be lower.
    """
    return last < cursor and cursor[0] - last[0] > _LAST_SECONDS_MS


class Places:
    """Entries handed out and not acknowledged, and the last one handed out, by (stream, group)."""

    def __init__(self) -> None:
        self._last: dict[tuple[str, str], Key] = {}
        self._out: dict[tuple[str, str], set[str]] = {}

    def begin(self, stream: str, group: str, last: Key) -> None:
        """Note where a group stands; what was handed out before is forgotten."""
        self._last[stream, group] = last
        self._out[stream, group] = set()

    def hand_out(self, entry: Entry) -> None:
        """Note that an entry goes to the handlers."""
        self._out[entry.stream, entry.group].add(entry.id)

    def settle(self, stream: str, group: str, ids: Iterable[str]) -> None:
        """Note that entries were acknowledged."""
        self._out[stream, group].difference_update(ids)

    def advance(self, stream: str, group: str, last: Key) -> None:
        """Note the last id a group delivered to us."""
        self._last[stream, group] = last

    def delivered(self, stream: str, group: str, ids: Iterable[str], last: Key) -> None:
        """Note that entries of a group go to the handlers, and how far the group has come with them."""
        self._out[stream, group].update(ids)
        self._last[stream, group] = last

    def is_out(self, stream: str, group: str, entry_id: str) -> bool:
        """Whether an entry is with the handlers, or failed there."""
        return entry_id in self._out[stream, group]

    def resume(self, stream: str, group: str) -> Key:
        """Return the id behind which a group has to be made again: nothing above it was acknowledged unseen."""
        out = self._out[stream, group]
        last = self._last[stream, group]
        return min([last, *(before(parse(each)) for each in out)])

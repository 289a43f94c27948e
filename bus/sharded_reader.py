"""One consumer over several servers: their readers looked at in turn, and waited for together."""

import select
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence

from bus.errors import BusUnavailable
from bus.protocol import Entry, Waker
from bus.reader import RedisReader
from bus.streams import CONTROL

_RETRY_MS = 50
"""A reader without a connection has nothing to wait on: it is looked at again so soon."""


class ShardedReader:
    """See bus.protocol.Reader. `readers` belong to `waker` no more: this one waits for it."""

    def __init__(
        self, readers: Mapping[int, RedisReader], place: Callable[[str], int], waker: Waker | None = None
    ) -> None:
        self._readers = readers
        self._place = place
        self._waker = waker
        self._kept: list[Entry] = []
        self.closed = False

    @property
    def connected(self) -> bool:
        """Whether all connections stand, as far as is known."""
        return all(each.connected for each in self._readers.values())

    def poll(self, timeout_ms: int) -> list[Entry]:
        """As Reader.poll. What some servers gave while another broke comes with the next poll."""
        if timeout_ms <= 0:
            return self._asked([each.poll for each in self._readers.values()])
        deadline = time.monotonic() + timeout_ms / 1_000
        while True:
            found = self._asked([_glancing(each) for each in self._readers.values()])
            left_ms = (deadline - time.monotonic()) * 1_000
            if found or left_ms <= 0 or self._woken(left_ms):
                return found

    def ack(self, entry: Entry) -> None:
        """As Reader.ack."""
        self._readers[self._place(entry.stream)].ack(entry)

    def flush(self) -> None:
        """As Reader.flush: every server is tried."""
        self._each(lambda reader: reader.flush())

    def reclaim(self, min_idle_ms: int) -> list[Entry]:
        """As Reader.reclaim."""
        return self._asked([_claiming(each, min_idle_ms) for each in self._readers.values()])

    def incidents(self) -> Mapping[str, int]:
        """As Reader.incidents, over all servers."""
        found: Counter[str] = Counter()
        for each in self._readers.values():
            found.update(each.incidents())
        return found

    def close(self) -> None:
        """As Reader.close."""
        self.closed = True
        for each in self._readers.values():
            each.close()

    def _asked(self, questions: Sequence[Callable[[int], list[Entry]]]) -> list[Entry]:
        """Return what all servers give, control first; when one is away the rest is kept for the next call."""
        found, self._kept = self._kept, []
        trouble: BusUnavailable | None = None
        for ask in questions:
            try:
                found += ask(0)
            except BusUnavailable as error:
                trouble = error
        if trouble is not None:
            self._kept = found
            raise trouble
        if any(entry.stream == CONTROL for entry in found):
            found.sort(key=lambda entry: entry.stream != CONTROL)
        return found

    def _each(self, work: Callable[[RedisReader], None]) -> None:
        trouble: BusUnavailable | None = None
        for reader in self._readers.values():
            try:
                work(reader)
            except BusUnavailable as error:
                trouble = error
        if trouble is not None:
            raise trouble

    def _woken(self, timeout_ms: float) -> bool:
        """Wait until some server has something or the time is over; tell whether the waker ended it."""
        waiter = select.poll()
        for reader in self._readers.values():
            for fd in reader.filenos():
                waiter.register(fd, select.POLLIN)
        if self._waker is not None:
            waiter.register(self._waker.fileno(), select.POLLIN)
        ready = waiter.poll(timeout_ms if self.connected else min(timeout_ms, _RETRY_MS))
        if self._waker is None or self._waker.fileno() not in {fd for fd, _ in ready}:
            return False
        self._waker.clear()
        return True


def _glancing(reader: RedisReader) -> Callable[[int], list[Entry]]:
    return lambda _: reader.glance()


def _claiming(reader: RedisReader, min_idle_ms: int) -> Callable[[int], list[Entry]]:
    return lambda _: reader.reclaim(min_idle_ms)

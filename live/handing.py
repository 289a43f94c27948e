"""Who gets a message, and what has become of it: the book-keeping of a host, without I/O.

A message that a service of this process wrote reaches the others of the process at once, and comes back from the bus
later where they have a group on its stream. The ledger knows it then by its id, so that it is acknowledged and not
handled twice.
"""

from collections import OrderedDict, deque
from dataclasses import dataclass
from typing import Literal

from bus.errors import Fenced
from bus.ids import Key as IdKey
from bus.ids import parse
from bus.messages import Received
from bus.protocol import Entry
from bus.streams import APPROVED, CANDIDATES, CONTROL, OUTCOMES, REPORTS, SCORES, is_market
from live.errors import Fatal
from live.logs import Log
from live.outbox import Pen
from live.service import Service

COLLECTOR = "collector"
SIGNAL_ENGINE = "signal_engine"
_WRITERS = {
    CANDIDATES: SIGNAL_ENGINE,
    SCORES: "ai_scorer",
    APPROVED: "ai_scorer",
    REPORTS: "executor",
    OUTCOMES: "risk",
}
TICK_REST_SECONDS = (0.05, 0.5, 5.0)
"""A service whose tick fails rests this long; when it fails once more the process ends."""
MOST_REMEMBERED = 200_000
"""Messages handed on whose return is waited for; older ones are forgotten (and handled again: handlers know them)."""

Key = tuple[str, str, str]
"""Stream, group, entry id."""
Seen = Literal["new", "open", "done"]


def writer_of(stream: str) -> str | None:
    """The one service that writes a stream; None when several do (control:events)."""
    return COLLECTOR if is_market(stream) else _WRITERS.get(stream)


@dataclass(slots=True, eq=False)
class Hosted:
    """A service of this process. After a tick that failed it rests until `rest_until_ns` (monotonic)."""

    service: Service
    pen: Pen
    failed_ticks: int = 0
    rest_until_ns: int = 0

    def tick(self, now_ns: int, log: Log) -> None:
        """Tick the service unless it rests. Raises Fatal when that has failed once too often, Fenced."""
        if now_ns < self.rest_until_ns:
            return
        try:
            self.service.tick()
        except (Fatal, Fenced):
            raise
        except Exception as error:  # a fault in one service must not stop the others at once
            name = self.service.name
            log.exception("tick_failed", failed=name, times=self.failed_ticks + 1)
            if self.failed_ticks >= len(TICK_REST_SECONDS):
                raise Fatal(f"{name}: its tick failed {self.failed_ticks + 1} times running: {error}") from error
            self.rest_until_ns = now_ns + round(TICK_REST_SECONDS[self.failed_ticks] * 1e9)
            self.failed_ticks += 1
        else:
            self.failed_ticks = 0


@dataclass(slots=True, eq=False)
class Delivery:
    """One message on its way to one service.

    `group` is empty for a stream that is only followed. `root_ns` is the host's own clock at the event that led to the
    message. `key` is what the ledger knows it by.
    """

    to: Hosted
    received: Received
    group: str
    key: Key
    root_ns: int
    attempts: int = 0


class Queue:
    """Messages to handle: control before everything, then candidates, else in the order they were said.

    A candidate waits for nobody: whoever scores it needs nothing of the market that the row does not hold. What comes
    of it goes behind the market data that led to it, which the executor must have seen.
    """

    def __init__(self) -> None:
        self._control: deque[Delivery] = deque()
        self._past: deque[Delivery] = deque()
        self._candidates: deque[Delivery] = deque()
        self._others: deque[Delivery] = deque()

    def __len__(self) -> int:
        return len(self._control) + len(self._past) + len(self._candidates) + len(self._others)

    def put(self, delivery: Delivery) -> None:
        """Add a message."""
        stream = delivery.received.stream
        if stream == CONTROL:
            self._control.append(delivery)
        elif stream.startswith(CANDIDATES):
            self._candidates.append(delivery)
        else:
            self._others.append(delivery)

    def take(self) -> Delivery:
        """Return the next one; raises IndexError when there is none."""
        return (self._control or self._past or self._candidates or self._others).popleft()

    def is_past(self) -> None:
        """What waits now was said before this process began: candidates do not overtake it, they may be among it."""
        for waiting in (self._others, self._candidates):
            self._past.extend(waiting)
            waiting.clear()


class Ledger:
    """Every delivery to a group that is not acknowledged yet, with its entry once the bus has shown it."""

    def __init__(self, most: int = MOST_REMEMBERED) -> None:
        self._most = most
        self._open: dict[Key, Entry | None] = {}
        self._done: OrderedDict[Key, None] = OrderedDict()

    def __len__(self) -> int:
        return len(self._open) + len(self._done)

    def hand(self, key: Key) -> None:
        """A message was handed on directly; the bus will show it later."""
        self._open[key] = None

    def see(self, entry: Entry) -> Seen:
        """An entry came from the bus: `new` is to be handled, `open` is on its way, `done` is to be acknowledged."""
        key = (entry.stream, entry.group, entry.id)
        if key in self._done:
            del self._done[key]
            return "done"
        state: Seen = "open" if key in self._open else "new"
        self._open[key] = entry
        return state

    def finish(self, key: Key) -> Entry | None:
        """A delivery had its effect; returns the entry to acknowledge, None when the bus has yet to show it."""
        entry = self._open.pop(key, None)
        if entry is None:
            self._done[key] = None
            while len(self._done) > self._most:
                self._done.popitem(last=False)
        return entry

    def rename(self, key: Key, to: Key) -> Entry | None:
        """The bus has given a message its id. Returns an entry to acknowledge, as `finish` does."""
        if key in self._done:
            del self._done[key]
            return self.finish(to)
        self._open.setdefault(to, self._open.pop(key, None))
        return None


class Ranks:
    """Knows a process that was replaced and still speaks: its epoch is lower than one already read on the stream.

    What it wrote before it was replaced is good, and may come late (claimed after a crash): so the place on the stream
    decides, not the order of reading.
    """

    def __init__(self) -> None:
        self._highest: dict[tuple[str, str], tuple[int, IdKey]] = {}

    def outranked(self, received: Received) -> bool:
        """Whether a message was written by a process after another had taken its name."""
        header = received.header
        place = (received.stream, header.writer)
        epoch, since = self._highest.get(place, (0, (0, 0)))
        if header.epoch > epoch:
            self._highest[place] = (header.epoch, parse(received.entry_id))
            return False
        return header.epoch < epoch and parse(received.entry_id) > since

"""A venue's market data as a collector listens to it: numbered updates, snapshots on request, frames that get lost."""

from collections.abc import Mapping, Sequence
from random import Random
from typing import Any

from live.exchange.venue import Event, Line, Mark
from live.feed import Frame, Item, LineDown, LineUp, Retiming, SnapshotFailed
from market.events import LEVELS, BookDelta, BookSnapshot, Level, Trade
from tests.live.simulation.nature import MS, SECOND, Nature, ProcessClock

LAG_NS = 5 * MS
LOTS = 4_000
_DEEP = 150
Top = tuple[list[int], list[int], list[int], list[int]]


class Tape:
    """The books as the venue has them. `tops` remembers the best levels at every update id, for whoever checks."""

    def __init__(self, rng: Random, mids: Mapping[str, int]) -> None:
        self._rng = rng
        self._mids = dict(mids)
        self._sizes: dict[tuple[str, int, int], int] = {}
        self._last = dict.fromkeys(mids, 1_000)
        self._trades = dict.fromkeys(mids, 0)
        self.tops: dict[tuple[str, int], Top] = {}
        for name in mids:
            self._remember(name)

    def mid(self, name: str) -> int:
        """The best bid."""
        return self._mids[name]

    def update(self, name: str, exchange_ns: int, local_ns: int) -> BookDelta:
        """Move the book and return the update that says so."""
        before, moved = self._mids[name], self._rng.choice((-8, -3, -1, 0, 0, 1, 3, 8))
        after = self._mids[name] = before + moved
        bids: dict[int, int] = {}
        asks: dict[int, int] = {}
        for tick in range(min(before, after) + 1, max(before, after) + 1):
            bids[tick], asks[tick] = (LOTS, 0) if moved > 0 else (0, LOTS)
            for side in (1, -1):
                self._sizes.pop((name, side, tick), None)
        tick, lots = after - self._rng.randint(0, 4), self._rng.randint(100, 9_000)
        bids[tick] = self._sizes[name, 1, tick] = lots
        previous, first = self._last[name], self._last[name] + 1
        last = self._last[name] = first + self._rng.randint(0, 3)
        self._remember(name)
        return BookDelta(name, first, last, previous, exchange_ns, local_ns, tuple(bids.items()), tuple(asks.items()))

    def snapshot(self, name: str, exchange_ns: int) -> BookSnapshot:
        """The whole book, as deep as a venue tells it."""
        mid = self._mids[name]
        bids = self._levels(name, 1, range(mid, mid - _DEEP, -1))
        asks = self._levels(name, -1, range(mid + 1, mid + 1 + _DEEP))
        return BookSnapshot(name, self._last[name], exchange_ns, exchange_ns + LAG_NS, tuple(bids), tuple(asks))

    def trade(self, name: str, exchange_ns: int, local_ns: int) -> Trade:
        """Somebody trades."""
        self._trades[name] += 1
        side = self._rng.choice((-1, 1))
        price = self._mids[name] + (1 if side > 0 else 0)
        return Trade(name, self._trades[name], exchange_ns, local_ns, price, self._rng.randint(1, 8_000), side)

    def _levels(self, name: str, side: int, ticks: range) -> list[Level]:
        return [(tick, self._sizes.get((name, side, tick), LOTS)) for tick in ticks]

    def _remember(self, name: str) -> None:
        mid = self._mids[name]
        bids = self._levels(name, 1, range(mid, mid - LEVELS, -1))
        asks = self._levels(name, -1, range(mid + 1, mid + 1 + LEVELS))
        self.tops[name, self._last[name]] = (
            [tick for tick, _ in bids], [lots for _, lots in bids], [tick for tick, _ in asks],
            [lots for _, lots in asks],
        )  # fmt: skip


class SimulatedFeed:
    """A live.feed.Feed over a Tape, and the live.exchange.venue.Venue that reads its frames (they name an event)."""

    venue = name = "binance"
    turns_clock = has_marks_by_itself = False
    has_marks = answers = True
    retiming: Retiming | None = None
    ping, ping_seconds, unknown_keys = "", 0.0, 0

    def __init__(
        self, tape: Tape, nature: Nature, clock: ProcessClock, rng: Random, ticks: Mapping[str, float]
    ) -> None:
        self._tape, self._nature, self._clock, self._rng, self._ticks = tape, nature, clock, rng, ticks
        self._ready: list[Item] = []
        self._events: dict[bytes, Event] = {}
        self._later: list[tuple[int, Item]] = []
        self.trouble = 0.0
        """Chance that a question for a snapshot is refused."""

    @property
    def finished(self) -> bool:
        """Never."""
        return False

    def start(self) -> None:
        """The sockets are there."""
        self._ready.append(LineUp(tuple(self._ticks)))

    def take(self) -> Sequence[Item]:
        """As Feed."""
        now = self._nature.true_ns
        due = [item for at_ns, item in self._later if at_ns <= now]
        self._later = [row for row in self._later if row[0] > now]
        found, self._ready = [*self._ready, *due], []
        return found

    def read(self, frame: Frame) -> Sequence[Event]:
        """As Venue."""
        return [self._events.pop(frame.payload)]

    def ask_snapshot(self, symbol: str) -> None:
        """As Feed: the book as of now comes in a while, or a refusal."""
        delay = self._rng.randint(20 * MS, SECOND)
        if self._rng.random() < self.trouble:
            self._later.append((self._nature.true_ns + delay, SnapshotFailed(symbol, "429", 1.0)))
            return
        snapshot = self._tape.snapshot(symbol, self._clock.wall_ns() - LAG_NS)
        self._later.append((self._nature.true_ns + delay, self._frame(snapshot)))

    def revive(self, symbol: str) -> None:
        """As Feed."""

    def reconnect(self, symbol: str, reason: str) -> None:
        """As Feed."""
        self._ready += [LineDown((symbol,), reason), LineUp((symbol,))]

    def status(self) -> Mapping[str, Any]:
        """As Feed."""
        return {}

    def stop(self) -> None:
        """As Feed."""

    def lines(self) -> Sequence[Line]:
        """As Venue."""
        return ()

    def anew(self, symbol: str) -> Sequence[str]:
        """As Venue."""
        return ()

    def snapshot_url(self, symbol: str) -> str:
        """As Venue."""
        return ""

    # What happens at the venue

    def look(self, name: str, *, lost: bool = False) -> None:
        """The book moves; the frame that says so may be lost."""
        at_ns = self._clock.wall_ns()
        frame = self._frame(self._tape.update(name, at_ns - LAG_NS, at_ns))
        if not lost:
            self._ready.append(frame)

    def print_(self, name: str) -> None:
        """Somebody trades."""
        at_ns = self._clock.wall_ns()
        self._ready.append(self._frame(self._tape.trade(name, at_ns - LAG_NS, at_ns)))

    def mark(self, name: str) -> None:
        """The mark price moves."""
        at_ns = self._clock.wall_ns()
        price = (self._tape.mid(name) + 0.5) * self._ticks[name]
        self._ready.append(self._frame(Mark(name, at_ns - LAG_NS, at_ns, price, 0.0, 0)))

    def swap(self) -> None:
        """The newest two frames come the other way round."""
        if len(self._ready) >= 2:
            self._ready[-1], self._ready[-2] = self._ready[-2], self._ready[-1]

    def _frame(self, event: Event) -> Frame:
        key = f"{len(self._events)}-{self._rng.getrandbits(40)}".encode()
        self._events[key] = event
        return Frame(self._clock.wall_ns(), key, event.symbol if isinstance(event, BookSnapshot) else "")

"""What risk must not forget: open candidates, how they ended, the day's profit, halts. An append journal with sums.

A record is on the file before the message that led to it is acknowledged, so a killed process loses none; fsync
follows within a second, so a power cut may take the last second's records: candidates that would have ended
unresolved, since nobody saw their market. A candidate's ending is written before it is published, so a restart
publishes it again and never another one. A torn tail is cut; the file is rewritten at every start and when it is long.
"""

import os
import zlib
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import msgspec
from msgspec import Struct

from bus.messages import Judgement, Outcome, Route
from live.positions import MOST_ORDERS
from live.rolling import CanaryCount, DayPnl
from registry.files import write_file

KEPT_ENDINGS = 4_096
KEPT_TRIPS = 2_000
LONGEST_BYTES = 16 * 1024 * 1024
_HEAD = 8


class _Record(Struct, frozen=True, array_like=True, tag=True, forbid_unknown_fields=True):
    """What every record is."""


class Opened(_Record, frozen=True):
    """A candidate whose barrier is open, with the rule it is judged by."""

    id: str
    symbol: str
    t_ns: int
    local_ns: int
    side: int
    route: Route
    approved: bool
    bid_ticks: int
    ask_ticks: int
    judgements: list[Judgement]
    tp_pct: float
    sl_pct: float
    horizon_seconds: float
    net_of_fees: bool
    canary_fraction: float = 0.0
    salt: str = ""


class Ended(_Record, frozen=True):
    """A candidate has ended so."""

    outcome: Outcome


class Trip(_Record, frozen=True):
    """A round trip was closed; `day` is the UTC day it counts for."""

    report_id: str
    route: str
    day: int
    net_quote: float
    is_real: bool


class Halt(_Record, frozen=True):
    """A guard halts (or, not `holds`, lets go)."""

    reason: str
    symbol: str
    route: str
    at_ns: int
    severity: Literal["INFO", "WARN", "CRIT"]
    holds: bool


class Held(_Record, frozen=True):
    """A position behind a fill: signed lots, mean entry price in ticks; how far the order has filled that traded."""

    symbol: str
    is_real: bool
    lots: int
    entry_ticks: float
    client_id: str
    filled_lots: int


class Marks(_Record, frozen=True):
    """Sums that older records were folded into: the day's profit and guard marks, the canary's counts."""

    day: int
    by_route: dict[str, float]
    real: float
    best: float
    base: float
    canary_model: str
    canary_judged: int
    canary_won: int


Record = Opened | Ended | Trip | Halt | Held | Marks
_ENCODE = msgspec.msgpack.Encoder().encode
_DECODER = msgspec.msgpack.Decoder(Record)


@dataclass
class Folded:
    """All records taken together. `counts_real`: the day that is guarded is that of real orders alone."""

    counts_real: bool = False
    open: dict[str, Opened] = field(default_factory=dict)
    ended: dict[str, Outcome] = field(default_factory=dict)
    trips: deque[Trip] = field(default_factory=lambda: deque(maxlen=KEPT_TRIPS))
    halts: dict[tuple[str, str, str], Halt] = field(default_factory=dict)
    released: dict[tuple[str, str, str], int] = field(default_factory=dict)
    held: dict[tuple[str, bool], tuple[int, float]] = field(default_factory=dict)
    fills: dict[str, Held] = field(default_factory=dict)
    pnl: DayPnl = field(default_factory=DayPnl)
    best: float = 0.0
    base: float = 0.0
    canary: CanaryCount = field(default_factory=CanaryCount)

    @property
    def guarded(self) -> float:
        """The day's profit that the guard looks at."""
        return self.pnl.real if self.counts_real else self.pnl.total

    def take(self, record: Record) -> None:
        """Fold one record in."""
        match record:
            case Opened():
                self.open[record.id] = record
            case Ended(outcome=outcome):
                self._end(outcome)
            case Trip():
                self._trip(record)
            case Halt(holds=True):
                self.halts[record.reason, record.symbol, record.route] = record
            case Halt():
                self.halts.pop((record.reason, record.symbol, record.route), None)
                self.released[record.reason, record.symbol, record.route] = record.at_ns
            case Held():
                self._hold(record)
            case Marks():
                self.pnl = DayPnl(record.day, dict(record.by_route), record.real)
                self.best, self.base = record.best, record.base
                self.canary = CanaryCount(record.canary_model, record.canary_judged, record.canary_won)

    def records(self) -> Iterator[Record]:
        """The fewest records that fold to the same."""
        # Trips and endings first: the marks behind them hold their sums already.
        yield from self.trips
        yield from (Ended(outcome) for outcome in self.ended.values())
        yield self.marks()
        yield from self.fills.values()
        for (symbol, is_real), (lots, ticks) in self.held.items():
            yield Held(symbol, is_real, lots, ticks, "", 0)
        for (reason, symbol, route), at_ns in self.released.items():
            yield Halt(reason, symbol, route, at_ns, "INFO", holds=False)
        yield from self.halts.values()
        yield from self.open.values()

    def marks(self) -> Marks:
        """The sums as they stand."""
        pnl, canary = self.pnl, self.canary
        return Marks(
            pnl.day, dict(pnl.by_route), pnl.real, self.best, self.base, canary.model_id, canary.judged, canary.won
        )  # fmt: skip

    def _end(self, outcome: Outcome) -> None:
        self.open.pop(outcome.candidate_id, None)
        if outcome.candidate_id in self.ended:
            return
        self.canary.take(outcome)
        self.ended[outcome.candidate_id] = outcome
        if len(self.ended) > KEPT_ENDINGS:
            del self.ended[next(iter(self.ended))]

    def _hold(self, record: Held) -> None:
        self.held[record.symbol, record.is_real] = record.lots, record.entry_ticks
        if record.client_id:
            self.fills.pop(record.client_id, None)
            self.fills[record.client_id] = record
            if len(self.fills) > MOST_ORDERS:
                del self.fills[next(iter(self.fills))]

    def _trip(self, trip: Trip) -> None:
        if trip.day < self.pnl.day:
            # Told late: its day is over, and what today has lost must not begin anew because of it.
            self.trips.append(trip)
            return
        if trip.day > self.pnl.day:
            self.pnl, self.best, self.base = DayPnl(trip.day), 0.0, 0.0
        self.pnl.take(trip.route, trip.net_quote, is_real=trip.is_real)
        self.best = max(self.best, self.guarded)
        self.trips.append(trip)


class Evidence:
    """The journal on disk, and everything in it folded. `damage` says what was cut off at the start, if anything."""

    def __init__(self, path: Path, *, counts_real: bool = False) -> None:
        """Read the file, cut what is torn, rewrite it. Raises FileError, and OSError when it cannot be opened."""
        self.folded = Folded(counts_real)
        self.damage = ""
        self._path = path
        self._is_dirty = False
        self._load()
        self._file = self._rewrite()

    def append(self, record: Record) -> None:
        """Write a record; it survives this process. Raises OSError, the record is folded all the same."""
        self.folded.take(record)
        content = _framed(record)
        self._size += len(content)
        self._is_dirty = True
        os.write(self._file, content)

    def to_sync(self) -> int | None:
        """Return a descriptor of what was appended since the last call, for `synced`; None when nothing was.

        A file that has become long is rewritten instead. Raises OSError and FileError.
        """
        if self._size > LONGEST_BYTES:
            os.close(self._file)
            self._file, self._is_dirty = self._rewrite(), False
        if not self._is_dirty:
            return None
        self._is_dirty = False
        return os.dup(self._file)

    def close(self) -> None:
        """End."""
        os.fsync(self._file)
        os.close(self._file)

    def _load(self) -> None:
        try:
            content = self._path.read_bytes()
        except FileNotFoundError:
            return
        at = 0
        while at < len(content):
            size, checksum = int.from_bytes(content[at : at + 4], "little"), content[at + 4 : at + _HEAD]
            body = content[at + _HEAD : at + _HEAD + size]
            if len(body) < size or zlib.crc32(body).to_bytes(4, "little") != checksum:
                break
            try:
                self.folded.take(_DECODER.decode(body))
            except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
                break
            at += _HEAD + size
        if at < len(content):
            aside = self._path.with_suffix(".damaged")
            self.damage = f"{self._path}: {len(content) - at} bytes from byte {at} on are no record; kept in {aside}"
            write_file(aside, content)

    def _rewrite(self) -> int:
        content = b"".join(map(_framed, self.folded.records()))
        write_file(self._path, content)
        self._size = len(content)
        return os.open(self._path, os.O_WRONLY | os.O_APPEND)


def _framed(record: Record) -> bytes:
    body = _ENCODE(record)
    return len(body).to_bytes(4, "little") + zlib.crc32(body).to_bytes(4, "little") + body


def synced(descriptors: Sequence[int]) -> None:
    """Make what `to_sync` returned survive a power cut. Takes milliseconds: for another thread. Raises OSError."""
    with ExitStack() as open_files:
        for descriptor in descriptors:
            open_files.callback(os.close, descriptor)
        for descriptor in descriptors:
            os.fsync(descriptor)

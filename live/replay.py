"""Markets that are not live: a recording of websocket frames, or the simulator. Both give the same frames every time.

At speed 0 the frames come as fast as they are taken, and their times turn the clock; faster or slower than that they
are moved so that the first one arrives now, and come when the clock says so.
"""

import gzip
import heapq
import re
import zlib
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from config.settings import Settings
from live.clock import Clock
from live.errors import FeedRefused
from live.feed import Frame, Item, Retiming
from live.pacer import Pacer
from live.service import Wake
from market.symbols import Symbol

_NS_PER_SECOND = 1_000_000_000
_NAME = re.compile(r"(.+)_(\d{8})\.gz")
_MOST_FRAMES = 512
_MOST_MARKET_NS = 50_000_000
LEAD_NS = 5_000_000_000
"""How far ahead of the clock a paced simulator begins."""
_ENDLESS_NS = 366 * 86_400 * _NS_PER_SECOND


class ReplayFeed:
    """Recorded frames as a Feed.

    One call of `take` returns at most 512 frames and at most 50 ms of market time, so that other services' timers run
    as often as they would live.
    """

    venue = "binance"
    has_marks = False
    answers = False

    def __init__(
        self,
        frames: Iterator[Frame],
        clock: Clock,
        speed: float,
        minutes: float,
        wake: Wake,
        *,
        starts_now: bool = False,
    ) -> None:
        self.turns_clock = speed == 0.0
        self.retiming: Retiming | None = None
        self._frames = frames
        self._clock = clock
        self._speed = speed
        self._length_ns = round(minutes * 60e9)
        self._starts_now = starts_now
        self._wake = wake
        self._pacer: Pacer | None = None
        self._next: Frame | None = None
        self._end_ns: int | None = None
        self._taken = 0

    @property
    def finished(self) -> bool:
        """Whether the recording is over."""
        return self._next is None

    def start(self) -> None:
        """Look at the first frame. Raises FeedRefused when there is none."""
        self._next = next(self._frames, None)
        if self._next is None:
            raise FeedRefused("the recording holds no frame; wanted lines of `<local ns> <json>` in feed.path")
        first_ns = self._next.local_ns
        if self._length_ns:
            self._end_ns = first_ns + self._length_ns
        if not self.turns_clock:
            now = self._clock.wall_ns()
            # A simulator that starts now is already in time, and keeps the very times it would have in the lake.
            if not self._starts_now or self._speed != 1.0:
                self.retiming = Retiming(first_ns, now, self._speed)
            self._pacer = Pacer(self._clock, self._wake)

    def take(self) -> Sequence[Item]:
        """Return the frames that are due."""
        frames: list[Item] = []
        limit_ns: int | None = None
        while (frame := self._next) is not None and len(frames) < _MOST_FRAMES:
            ns = frame.local_ns if self.retiming is None else self.retiming(frame.local_ns)
            if not self.turns_clock and ns > self._clock.wall_ns():
                if self._pacer:
                    self._pacer.wake_at(ns)
                break
            if limit_ns is None:
                limit_ns = ns + _MOST_MARKET_NS
            elif ns > limit_ns:
                self._wake()
                break
            frames.append(frame if ns == frame.local_ns else frame._replace(local_ns=ns))
            self._advance()
        if len(frames) == _MOST_FRAMES:
            self._wake()
        self._taken += len(frames)
        return frames

    def ask_snapshot(self, symbol: str) -> None:
        """Without effect: what was recorded is all there is."""

    def revive(self, symbol: str) -> None:
        """Without effect."""

    def reconnect(self, symbol: str, reason: str) -> None:
        """Without effect."""

    def status(self) -> Mapping[str, Any]:
        """Return how many frames were taken and whether the recording is over."""
        return {"frames": self._taken, "finished": self.finished}

    def stop(self) -> None:
        """Close the recording."""
        self._next = None
        if self._pacer:
            self._pacer.stop()
        if isinstance(self._frames, Iterator) and hasattr(self._frames, "close"):
            self._frames.close()

    def _advance(self) -> None:
        self._next = next(self._frames, None)
        if self._next is not None and self._end_ns is not None and self._next.local_ns >= self._end_ns:
            self._next = None


def capture_frames(path: Path, symbols: Sequence[Symbol]) -> Iterator[Frame]:
    """Yield the frames of a file, or of every file of a folder, in order of arrival.

    Files are named NAME_YYYYMMDD.gz; those of one name follow one another, those of several are merged. A snapshot
    that does not name its symbol belongs to the only symbol asked for, or to the one its file is named after. Lines
    that are not `<local ns> <json>` are yielded as frames nobody can read, so that they are counted. Raises
    FeedRefused when there is no such file or one cannot be read.
    """
    named: dict[str, list[Path]] = {}
    for file in [path] if path.is_file() else sorted(path.glob("*_????????.gz")):
        match = _NAME.fullmatch(file.name)
        named.setdefault(match[1] if match else file.stem, []).append(file)
    if not named:
        raise FeedRefused(f"feed.path: no recording at {path}, wanted a file or a folder of NAME_YYYYMMDD.gz")
    owners = {symbol.venue_symbol: symbol.name for symbol in symbols}
    only = symbols[0].name if len(symbols) == 1 else ""
    streams = [_file_frames(files, owners.get(name.upper(), only)) for name, files in sorted(named.items())]
    return streams[0] if len(streams) == 1 else heapq.merge(*streams, key=lambda frame: frame.local_ns)


def _file_frames(files: Sequence[Path], owner: str) -> Iterator[Frame]:
    last_ns = 0
    for file in files:
        try:
            with gzip.open(file) if file.suffix == ".gz" else file.open("rb") as stream:
                for line in stream:
                    ns, _, payload = line.partition(b" ")
                    if ns.isdigit():
                        last_ns = int(ns)
                        yield Frame(last_ns, payload.rstrip(), owner)
                    else:
                        yield Frame(last_ns, line.rstrip(), owner)
        except (OSError, EOFError, zlib.error) as error:
            raise FeedRefused(f"{file}: cannot be read to its end: {error}; fetch the recording again") from error


def simulated_frames(settings: Settings, symbols: Sequence[Symbol], start_ns: int) -> Iterator[Frame]:
    """Yield the simulator's frames of several symbols from a time on, merged by arrival."""
    # The simulator is compiled by numba, which a collector of real markets does without.
    from market.simulator import simulate  # noqa: PLC0415
    from market.simulator_rule import usual_rule  # noqa: PLC0415

    knobs = settings.simulator

    def frames(symbol: Symbol) -> Iterator[Frame]:
        rule = usual_rule(symbol.name, knobs.depth_interval_ms, knobs.order_flow_effect)
        for local_ns, payload in simulate(symbol, start_ns, start_ns + _ENDLESS_NS, knobs.seed, rule=rule):
            yield Frame(local_ns, payload, symbol.name)

    return heapq.merge(*(frames(symbol) for symbol in symbols), key=lambda frame: frame.local_ns)


def begin_ns(settings: Settings, clock: Clock) -> int:
    """Return when the simulator begins: the configured time, or now. Raises FeedRefused when it is no time.

    Paced by the clock, now is a little later: until then the simulator is compiled and brought up to the time of day,
    so that no frame comes late.
    """
    if settings.feed.start == "now":
        return clock.wall_ns() + (LEAD_NS if settings.feed.speed else 0)
    try:
        moment = datetime.fromisoformat(settings.feed.start)
    except ValueError as error:
        raise FeedRefused(f"feed.start must be now or like 2026-01-07T00:00:00, was {settings.feed.start!r}") from error
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return round(moment.timestamp()) * _NS_PER_SECOND


def replay_start_ns(settings: Settings, symbols: Sequence[Symbol], clock: Clock) -> int:
    """Return the arrival of a replay's first frame, for a ManualClock to begin at. Raises FeedRefused without one."""
    if settings.feed.kind == "simulator":
        return begin_ns(settings, clock)
    if settings.feed.kind == "lake":
        from live.lake_replay import first_row_ns  # noqa: PLC0415 - imports pyarrow

        return first_row_ns(str(settings.paths.lake), [each.name for each in symbols], clock, settings.feed.start)
    if settings.feed.path is None:
        raise FeedRefused(f"feed.path: wanted a recording to replay, feed.kind is {settings.feed.kind!r}")
    first = next(capture_frames(settings.feed.path, symbols), None)
    if first is None:
        raise FeedRefused(f"feed.path: {settings.feed.path} holds no frame")
    return first.local_ns

"""The recorder: everything live saw and did, first into segments of its own, then into the lake.

Market data is followed from a cursor that the segments themselves hold (the last entry of each stream in them), so
what a crash took from memory is read from the stream again; scores, outcomes and reports are acknowledged once they
are in a segment. A segment is synced to the disk every `recorder.segment_seconds`: a process that dies loses nothing,
a machine that dies at most that much of what its streams do not hold either. Market data goes into the segments in
the order it was said; what is missing there makes the next book row carry BOOK_RESET, so that no window in the lake
reaches across a hole.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from queue import SimpleQueue
from typing import Any, Final

import msgspec
from msgspec.structs import replace

from bus import streams
from bus.codec import kind_of
from bus.messages import BookImage, ControlEvent, Message, Received, Severity
from live.compaction import Compacted, Job, ProcessJob
from live.errors import SegmentError
from live.market_feed import Lost, MarketFeed
from live.record_state import State
from live.segments import FolderLock, SegmentWriter, segment_numbers, segment_path
from live.service import Parts, Subscription
from live.worker import Run, Worker
from market.columns import BOOK_RESET
from market.events import LEVELS, BadEvent

NAME: Final = "recorder"
GROUPED: Final = (streams.SCORES, streams.OUTCOMES, streams.REPORTS)
TABLES: Final = ("book", "trades", "live_scores", "outcomes", "reports")
MOST_WAITING: Final = 64 * 2**20
"""Bytes of rows that wait in memory for a disk that refuses, before market data is given up."""
_STOP_SECONDS: Final = 10.0
_RETRY_NS: Final = 60_000_000_000
_ENCODE = msgspec.msgpack.Encoder().encode

Launch = Callable[[Path, int, str], Job]


@dataclass(slots=True)
class _Running:
    """A compaction on its way: of the segments up to a number, and the state they end with."""

    job: Job
    upto: int
    state: State


class Recorder:
    """The service. It lives in the collector's process, and holds that up as little as it can.

    `launch` starts a compaction, in a process of its own; `run` has the disk waited for, on a thread of its own.
    """

    name = NAME

    def __init__(self, parts: Parts, launch: Launch = ProcessJob, run: Run | None = None) -> None:
        self._parts = parts
        self._worker = Worker(NAME)
        self._run = run or self._worker.submit
        self._flushed: SimpleQueue[str] = SimpleQueue()
        self._folder = parts.var / "segments"
        self._launch = launch
        self._segment_ns = round(parts.settings.recorder.segment_seconds * 1e9)
        self._compact_ns = round(parts.settings.recorder.compact_minutes * 60e9)
        self._lake = str(parts.settings.paths.lake)
        self._lock: FolderLock | None = None
        self._writer: SegmentWriter | None = None
        self._broken: set[str] = set()
        self._running: _Running | None = None
        self._oldest_ns: int | None = None
        self._flushing_ns: int | None = None
        self._synced_ns = self._compacted_ns = parts.clock.mono_ns()
        self._newest_day = 0
        self._due_ns: int | None = None
        self._last = Compacted()
        self._trouble = ""
        for table in TABLES:
            parts.metrics.recorded_rows_total.labels(table)

    @cached_property
    def _state(self) -> State:
        """What an earlier run left."""
        self._lock = FolderLock(self._folder)
        return State.load(self._folder)

    @cached_property
    def _feed(self) -> MarketFeed:
        return MarketFeed(self._parts.symbols, resume=self._state.places)

    def subscriptions(self) -> Sequence[Subscription]:
        """The market of every symbol, behind what is recorded; scores, outcomes and reports as a group."""
        # What is replayed from the lake is in the lake.
        is_recorded = self._parts.settings.feed.kind != "lake"
        names = self._parts.symbols if is_recorded else ()
        market = [stream(name) for name in names for stream in (streams.book, streams.trade)]
        # Scores, outcomes and reports are of all symbols: who has the first share records them.
        grouped = () if self._parts.settings.shard.index else GROUPED
        return [
            *(Subscription(name, start=self._state.cursors.get(name, "0")) for name in market),
            *(Subscription(name, group=NAME) for name in grouped),
        ]

    def start(self) -> None:
        """Begin a segment; what an earlier run left goes into the lake. Raises SegmentsBusy, SegmentError."""
        self._state.upto += 1
        self._writer = SegmentWriter(segment_path(self._folder, self._state.upto))
        self._due_ns = self._parts.clock.mono_ns() if len(segment_numbers(self._folder)) > 1 else None
        self._parts.log.info("recorder_ready", segment=self._state.upto, streams=len(self._state.cursors))

    def handle(self, received: Received) -> None:
        """Record a message. Raises SegmentError for one of a group while the disk refuses: it comes again."""
        if received.stream in GROUPED:
            self._append(received, received.body)
            self._open.write()
        elif streams.is_market(received.stream):
            strange = self._take_all(self._feed.order(received))
            if strange is not None:
                raise strange

    def tick(self) -> None:
        """Give up holes, sync when it is time, begin and end compactions."""
        now_ns = self._parts.clock.mono_ns()
        strange = self._take_all(self._feed.overdue(now_ns))
        if strange is not None:
            self._parts.log.error("market_not_recorded", error=str(strange))
        self._keep(now_ns)
        if self._running is not None and (done := self._running.job.poll()) is not None:
            self._finish(done, now_ns)
        due_ns = self._compacted_ns + self._compact_ns if self._due_ns is None else self._due_ns
        if self._running is None and now_ns >= due_ns:
            self._compact(now_ns)

    def status(self) -> Mapping[str, Any]:
        """The segment being written, what is not yet on the disk, and the last compaction."""
        return {
            "ready": self._writer is not None,
            "segment": self._state.upto,
            "records": self._writer.records if self._writer else 0,
            "waiting_bytes": self._writer.waiting_bytes if self._writer else 0,
            "held": self._feed.held(),
            "lost": self._feed.lost,
            "compacting": self._running is not None,
            "last_compaction": {"rows": self._last.rows, "aside": len(self._last.aside), "error": self._last.error},
            "trouble": self._trouble,
        }

    def stop(self) -> None:
        """Sync, and bring everything into the lake; whatever does not get there stays in its segment."""
        if self._writer is not None:
            self._bring_in()
        if self._lock is not None:
            self._lock.close()

    def _bring_in(self) -> None:
        """Compact until nothing is left to, and sync the rest."""
        now_ns = self._parts.clock.mono_ns()
        self._keep(now_ns)
        if self._running is not None:
            self._finish(self._running.job.wait(), now_ns)
        self._compact(now_ns)
        if self._running is not None:
            self._finish(self._running.job.wait(), now_ns)
        last = self._open
        self._run(partial(self._flush, last, must_close=True))
        self._worker.stop(_STOP_SECONDS)
        self._hear(now_ns)
        if not last.records:
            last.path.unlink(missing_ok=True)
        self._writer = None

    @property
    def _open(self) -> SegmentWriter:
        if self._writer is None:
            raise SegmentError("the recorder has not been started; call start first")
        return self._writer

    def _take_all(self, found: Sequence[Received | Lost]) -> BadEvent | None:
        """Record market messages; one that cannot be taken holds up none of the others, and is returned."""
        strange = None
        for each in found:
            try:
                self._take(each)
            except BadEvent as error:
                strange = error
        return strange

    def _take(self, each: Received | Lost) -> None:
        """Record a market message; behind a loss, and behind one that could not be taken, the next book is a reset."""
        if isinstance(each, Lost):
            self._broken.add(each.symbol)
            self._parts.log.warning("market_not_recorded", symbol=each.symbol, expected=each.expected, seen=each.seen)
            return
        body = each.body
        if isinstance(body, BookImage):
            if any(len(side) != LEVELS for side in (body.bid_ticks, body.bid_lots, body.ask_ticks, body.ask_lots)):
                self._broken.add(body.symbol)
                raise BadEvent(f"{body.symbol}: image {body.sequence} has not {LEVELS} levels a side; not recorded")
            if body.symbol in self._broken:
                self._broken.discard(body.symbol)
                body = replace(body, flags=body.flags | BOOK_RESET)
        if self._open.waiting_bytes > MOST_WAITING:
            self._broken.add(body.symbol)  # type: ignore[union-attr]  # no verdicts are recorded
            return
        self._append(each, body)

    def _append(self, received: Received, body: Message) -> None:
        header, state = received.header, self._state
        day = state.day_of(body)
        if day > self._newest_day:
            # What still comes of the day before gets a moment to arrive, then that day goes into the lake.
            if self._newest_day:
                self._due_ns = self._parts.clock.mono_ns() + self._segment_ns
            self._newest_day = day
        kind = kind_of(body)
        self._open.append(_ENCODE((kind, received.stream, received.entry_id, header.epoch, header.seq, day, body)))
        if streams.is_market(received.stream):
            place = (header.epoch, header.seq)
            state.follow(received.stream, received.entry_id, body.symbol, place)  # type: ignore[union-attr]
        if self._oldest_ns is None:
            self._oldest_ns = self._parts.clock.mono_ns()

    def _keep(self, now_ns: int) -> None:
        """Write what waits, and have the disk waited for when it is time; one that refuses is tried again."""
        try:
            self._open.write()
            self._trouble = ""
        except SegmentError as refused:
            self._complain(str(refused))
        is_due = now_ns - self._synced_ns >= self._segment_ns
        if is_due and not self._trouble and self._oldest_ns is not None and self._flushing_ns is None:
            self._flushing_ns, self._oldest_ns, self._synced_ns = self._oldest_ns, None, now_ns
            self._run(partial(self._flush, self._open))
        self._hear(now_ns)

    def _flush(self, writer: SegmentWriter, *, must_close: bool = False) -> None:
        """Wait for the disk; on the worker's thread."""
        said = ""
        try:
            writer.flush()
        except SegmentError as refused:
            said = str(refused)
        if must_close:
            writer.close()
        self._flushed.put(said)

    def _hear(self, now_ns: int) -> None:
        """Take what the disk said, and show the age of the oldest row it does not have."""
        while not self._flushed.empty():
            if said := self._flushed.get():
                self._complain(said)
                self._oldest_ns = self._flushing_ns
            self._flushing_ns = None
        waiting = [ns for ns in (self._flushing_ns, self._oldest_ns) if ns is not None]
        self._parts.metrics.recorder_lag_seconds.set((now_ns - min(waiting)) / 1e9 if waiting else 0.0)

    def _complain(self, trouble: str) -> None:
        """Tell of a disk that refuses, once."""
        if not self._trouble:
            self._alert("WARN", trouble)
        self._trouble = trouble

    def _compact(self, now_ns: int) -> None:
        """Begin the next segment, and start merging what is closed."""
        self._due_ns, self._compacted_ns = None, now_ns
        if not self._open.records and segment_numbers(self._folder)[0] == self._state.upto:
            return
        try:
            self._open.write()
            writer = SegmentWriter(segment_path(self._folder, self._state.upto + 1))
        except SegmentError as refused:
            self._complain(str(refused))
            return
        self._run(partial(self._flush, self._open, must_close=True))
        self._writer = writer
        state = self._state.copy()
        self._state.upto += 1
        self._running = _Running(self._launch(self._folder, state.upto, self._lake), state.upto, state)

    def _finish(self, done: Compacted, now_ns: int) -> None:
        """Everything is in the lake: keep the cursor, and remove the segments. Else they stay for the next time."""
        running, self._running, self._last = self._running, None, done
        assert running is not None, "only a running compaction ends"  # noqa: S101
        if done.error:
            self._due_ns = now_ns + _RETRY_NS
            self._alert("WARN", f"segments up to {running.upto} are not in the lake yet: {done.error}")
            return
        running.state.save(self._folder)
        for number in segment_numbers(self._folder):
            if number in done.torn:
                self._put_aside(number)
            elif number <= running.upto:
                segment_path(self._folder, number).unlink()
        for table, rows in done.rows.items():
            self._parts.metrics.recorded_rows_total.labels(table).inc(rows)
        self._parts.log.info("compacted", upto=running.upto, **done.rows)
        for aside in done.aside:
            self._alert("WARN", f"{aside.rows} rows are in {aside.path} and not in the lake: {aside.reason}")
        if done.unreadable:
            self._alert("WARN", f"{done.unreadable} records up to segment {running.upto} could not be read")

    def _put_aside(self, number: int) -> None:
        """Keep a segment that was not read to its end: what is whole in it is in the lake."""
        path = segment_path(self._folder, number)
        kept = self._folder / "aside" / path.name
        kept.parent.mkdir(exist_ok=True)
        path.rename(kept)
        self._alert("WARN", f"{kept}: holds bytes that are no records (a crash of the machine, or a bad disk)")

    def _alert(self, severity: Severity, text: str) -> None:
        now_ns = self._parts.clock.wall_ns()
        self._parts.log.error("recorder_alert", severity=severity, text=text)
        alert = ControlEvent(
            event="ALERT", severity=severity, source="", target="", reason="journal_error", by=NAME, at_ns=now_ns,
            symbol="", route="", text=text,
        )  # fmt: skip
        self._parts.out.publish(streams.CONTROL, alert, message_id=f"{NAME}-{now_ns}")

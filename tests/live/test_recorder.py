"""The recorder: what was published is what the lake holds, row for row, through crashes, holes and midnights."""

import os
import threading
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest

from archive.layout import BOOK, LIVE_SCORES, TRADES, day_of
from archive.live_tables import OUTCOMES, REPORTS
from archive.store import Lake
from bus import streams
from bus.messages import ControlEvent, MarketTrade, Received
from live.clock import ManualClock
from live.compaction import Compacted, InlineJob
from live.errors import SegmentError, SegmentsBusy
from live.recorder import Launch, Recorder
from live.segments import segment_numbers
from live.service import Parts, Subscription
from live.worker import Task, at_once
from market.columns import BOOK_RESET, BookColumns, TradeColumns
from market.events import BadEvent
from tests.archive.lakes import same
from tests.live.bodies import outcome, report, score
from tests.live.markets import Market, bodies, market, numbered, status
from tests.live.parts import RecordingOutput, parts, received

S = "BTCUSDT"
SECOND_NS = 1_000_000_000


@pytest.fixture(scope="module")
def calm() -> Market:
    """Two minutes of a market."""
    return market(3_000, seed=21, per_second=25.0)


def made(tmp_path: Path, symbols: tuple[str, ...] = (S,)) -> Parts:
    """Parts with a lake of their own below a folder."""
    return parts(tmp_path / "var", {"paths": {"lake": str(tmp_path / "lake")}}, symbols)


def begun(made_of: Parts, launch: Launch = InlineJob) -> Recorder:
    """A recorder as a host starts it."""
    recorder = Recorder(made_of, launch, at_once)
    recorder.subscriptions()
    recorder.start()
    return recorder


def fed(recorder: Recorder, made_of: Parts, messages: Sequence[Received]) -> None:
    """Hand messages over, with a tick every so often, and let holes run out."""
    clock = made_of.clock
    assert isinstance(clock, ManualClock)
    for k, message in enumerate(messages):
        recorder.handle(message)
        if k % 50 == 0:
            clock.advance(seconds=0.05)
            recorder.tick()


def settled(recorder: Recorder, made_of: Parts) -> None:
    """Time goes by without a message."""
    clock = made_of.clock
    assert isinstance(clock, ManualClock)
    for _ in range(12):
        clock.advance(seconds=0.2)
        recorder.tick()


def behind(subscriptions: Sequence[Subscription], messages: Sequence[Received]) -> list[Received]:
    """What streams still hold behind the cursors of a recorder that starts."""
    starts = {each.stream: each.start for each in subscriptions if not each.group}
    left: dict[str, bool] = {name: start == "0" for name, start in starts.items()}
    found = []
    for message in messages:
        if left[message.stream]:
            found.append(message)
        left[message.stream] |= message.entry_id == starts[message.stream]
    return found


def lake_of(made_of: Parts) -> Lake:
    """The lake the recorder wrote."""
    return Lake(made_of.settings.paths.lake)


def recorded(made_of: Parts, like: Market, symbol: str = S) -> Market:
    """Everything of the day of a market that is in the lake."""
    day = day_of(int(like[0].exchange_ns[0]))
    return lake_of(made_of).read_book(symbol, day), lake_of(made_of).read_trades(symbol, day)


def alerts(made_of: Parts) -> list[ControlEvent]:
    """Every alert said."""
    assert isinstance(made_of.out, RecordingOutput)
    return made_of.out.of(ControlEvent)


def test_the_lake_holds_what_was_published(tmp_path: Path, calm: Market) -> None:
    """Row for row, both tables, after the stop; no segment is left and no alert was said."""
    made_of = made(tmp_path)
    recorder = begun(made_of)
    fed(recorder, made_of, numbered(bodies(S, *calm)))
    settled(recorder, made_of)
    recorder.stop()
    assert all(same(a, b) for a, b in zip(recorded(made_of, calm), calm, strict=True))
    assert segment_numbers(made_of.var / "segments") == []
    assert not alerts(made_of)
    assert made_of.metrics.recorded_rows_total.labels("book")._value.get() == len(calm[0])


def test_streams_that_come_one_after_the_other_are_recorded_whole(tmp_path: Path, calm: Market) -> None:
    """First all prints, then all books, as after a long stop: nothing is lost and nothing marked."""
    made_of = made(tmp_path)
    recorder = begun(made_of)
    messages = numbered(bodies(S, *calm))
    for message in sorted(messages, key=lambda each: not isinstance(each.body, MarketTrade)):
        recorder.handle(message)
    settled(recorder, made_of)
    recorder.stop()
    assert all(same(a, b) for a, b in zip(recorded(made_of, calm), calm, strict=True))


@pytest.mark.parametrize("seed", range(6))
def test_a_recorder_that_dies_anywhere_loses_nothing(tmp_path: Path, calm: Market, seed: int) -> None:
    """It is read again from the cursor in the segments: three deaths, the same rows, each once."""
    messages = numbered(bodies(S, *calm))[:1_500]
    rng = np.random.default_rng(seed)
    made_of = made(tmp_path)
    for cut in [*sorted(rng.integers(1, len(messages), 3).tolist()), len(messages)]:
        recorder = Recorder(made_of, InlineJob, at_once)
        fed_now = behind(recorder.subscriptions(), messages[:cut])
        recorder.start()
        fed(recorder, made_of, fed_now)
        if rng.random() < 0.5:
            settled(recorder, made_of)
        kill(recorder)
    last = Recorder(made_of, InlineJob, at_once)
    rest = behind(last.subscriptions(), messages)
    last.start()
    fed(last, made_of, rest)
    settled(last, made_of)
    last.stop()
    book, trades = recorded(made_of, calm)
    assert same(book, calm[0].slice(0, len(book)))
    assert same(trades, calm[1].slice(0, len(trades)))
    assert len(book) + len(trades) == len(messages)


def kill(recorder: Recorder) -> None:
    """End as kill -9 does: what waits in memory is gone, descriptors are closed."""
    recorder._open.close()
    assert recorder._lock is not None
    recorder._lock.close()


def test_behind_a_hole_the_next_book_is_a_reset(tmp_path: Path, calm: Market) -> None:
    """Messages that never came: no window in the lake reaches across them."""
    made_of = made(tmp_path)
    recorder = begun(made_of)
    messages = numbered(bodies(S, *calm))
    gone = set(range(500, 520))
    fed(recorder, made_of, [m for k, m in enumerate(messages) if k not in gone])
    settled(recorder, made_of)
    recorder.stop()
    book, trades = recorded(made_of, calm)
    marked = int(np.flatnonzero(book.flags & BOOK_RESET)[1])
    assert int(np.count_nonzero(book.flags & BOOK_RESET)) == 2
    assert book.local_ns[marked - 1] < messages[500].header.received_ns <= book.local_ns[marked]
    assert len(book) + len(trades) == len(messages) - 20
    assert lake_of(made_of).info(BOOK, S, day_of(int(book.exchange_ns[0]))).break_count == 1


def test_a_recorder_that_joins_in_the_middle_begins_with_a_reset(tmp_path: Path, calm: Market) -> None:
    """What was trimmed before it came is a hole like any other."""
    made_of = made(tmp_path)
    recorder = begun(made_of)
    fed(recorder, made_of, numbered(bodies(S, *calm))[200:600])
    settled(recorder, made_of)
    recorder.stop()
    assert recorded(made_of, calm)[0].flags[0] & BOOK_RESET


def test_a_new_collector_goes_on_in_the_same_day(tmp_path: Path, calm: Market) -> None:
    """Its numbers begin anew; its first image is a reset by itself; a status is no row."""
    made_of = made(tmp_path)
    recorder = begun(made_of)
    said = bodies(S, *calm)
    cut = next(k for k in range(1_000, 1_100) if not isinstance(said[k], MarketTrade))
    old = numbered(said[:cut])
    again = replace_flags(calm, said[cut].local_ns)
    new = numbered([status(S, "syncing", said[cut].local_ns - 1), *bodies(S, *again)[cut:]], epoch=2)
    fed(recorder, made_of, old + new)
    settled(recorder, made_of)
    recorder.stop()
    assert all(same(a, b) for a, b in zip(recorded(made_of, calm), again, strict=True))
    assert recorder.status()["lost"] == 0


def replace_flags(like: Market, local_ns: int) -> Market:
    """The same market whose book row at a moment carries a reset."""
    flags = like[0].flags.copy()
    flags[like[0].local_ns == local_ns] |= BOOK_RESET
    return replace(like[0], flags=flags), like[1]


def test_midnight_parts_the_rows_and_brings_the_day_into_the_lake(tmp_path: Path) -> None:
    """By event time, which never goes back: a late print of yesterday belongs to today. No wait for the hour."""
    start = market(10, seed=23)[0].exchange_ns[0]
    midnight = (int(start) // (86_400 * SECOND_NS) + 1) * 86_400 * SECOND_NS
    whole = market(2_000, seed=23, per_second=20.0, shift_ns=midnight - int(start) - 50 * SECOND_NS)
    whole = monotone(whole)
    made_of = made(tmp_path)
    recorder = begun(made_of)
    fed(recorder, made_of, numbered(bodies(S, *whole)))
    day = day_of(midnight)
    clock = made_of.clock
    assert isinstance(clock, ManualClock)
    for _ in range(40):
        clock.advance(seconds=0.2)
        recorder.tick()
    assert lake_of(made_of).partitions(BOOK) == [(S, day - timedelta(days=1)), (S, day)]
    recorder.stop()
    lake = lake_of(made_of)
    days = [day - timedelta(days=1), day]
    assert same(BookColumns.concat([lake.read_book(S, each) for each in days]), whole[0])
    assert same(TradeColumns.concat([lake.read_trades(S, each) for each in days]), whole[1])
    assert (lake.read_book(S, days[0]).exchange_ns < midnight).all()


def monotone(like: Market) -> Market:
    """The same market, one print just behind midnight being late by 40 ms."""
    book, trades = like
    times = trades.exchange_ns.copy()
    k = int(np.searchsorted(times, 86_400 * SECOND_NS * (int(times[-1]) // (86_400 * SECOND_NS))))
    times[k + 1] = times[k] - 40_000_000
    return book, replace(trades, exchange_ns=times)


def test_scores_outcomes_and_reports_are_in_a_segment_when_handled(tmp_path: Path) -> None:
    """So they may be acknowledged: a death right behind that loses none, a repeat adds none."""
    made_of = made(tmp_path)
    first = begun(made_of)
    told = [(streams.SCORES, score()), (streams.OUTCOMES, outcome()), (streams.REPORTS, report(1)),
            (streams.REPORTS, report(2, "closed"))]  # fmt: skip
    for stream, body in told:
        first.handle(received(stream, body))
    kill(first)
    second = begun(made_of)
    for stream, body in told:
        second.handle(received(stream, body, deliveries=2))
    second.stop()
    day = day_of(score().t_ns)
    lake = lake_of(made_of)
    rows = {table: lake.info(table, S, day).rows for table in (LIVE_SCORES, OUTCOMES, REPORTS)}
    assert rows == {LIVE_SCORES: 1, OUTCOMES: 1, REPORTS: 2}
    assert lake.info(LIVE_SCORES, S, day).schema_hash == score().schema_hash
    groups = {each.stream for each in second.subscriptions() if each.group == "recorder"}
    assert groups == {streams.SCORES, streams.OUTCOMES, streams.REPORTS}


def test_rows_of_two_sessions_are_one_day(tmp_path: Path, calm: Market) -> None:
    """A stop, a start, a stop: the second merges into what the first wrote, and reads on behind it."""
    made_of = made(tmp_path)
    messages = numbered(bodies(S, *calm))
    for end in (1_000, len(messages)):
        recorder = Recorder(made_of, InlineJob, at_once)
        rest = behind(recorder.subscriptions(), messages[:end])
        recorder.start()
        fed(recorder, made_of, rest)
        settled(recorder, made_of)
        recorder.stop()
    assert all(same(a, b) for a, b in zip(recorded(made_of, calm), calm, strict=True))


class FailingJob:
    """A compaction that ends badly."""

    def __init__(self, folder: Path, upto: int, lake_root: str) -> None:
        pass

    def poll(self) -> Compacted:
        """Say what went wrong."""
        return Compacted(error="the lake is on fire")

    wait = poll


def test_a_compaction_that_fails_keeps_the_segments(tmp_path: Path, calm: Market) -> None:
    """Told, and done by the next run; nothing is lost."""
    made_of = made(tmp_path)
    recorder = begun(made_of, FailingJob)
    messages = numbered(bodies(S, *calm))
    fed(recorder, made_of, messages)
    settled(recorder, made_of)
    recorder.stop()
    assert segment_numbers(made_of.var / "segments")
    assert [(each.severity, "on fire" in each.text) for each in alerts(made_of)] == [("WARN", True)]
    again = begun(made_of)
    again.tick()
    assert all(same(a, b) for a, b in zip(recorded(made_of, calm), calm, strict=True))
    again.stop()


def test_rows_the_lake_refuses_are_put_aside_and_hold_nothing_up(tmp_path: Path, calm: Market) -> None:
    """A day somebody else imported is left as it is; the live rows lie beside the segments; trades go in."""
    made_of = made(tmp_path)
    day = day_of(int(calm[0].exchange_ns[0]))
    lake = Lake.create(made_of.settings.paths.lake)
    lake.write_book(S, day, calm[0].slice(0, 9), source="binance_vision")
    recorder = begun(made_of)
    fed(recorder, made_of, numbered(bodies(S, *calm)))
    settled(recorder, made_of)
    recorder.stop()
    assert len(lake.read_book(S, day)) == 9
    assert same(lake.read_trades(S, day), calm[1])
    (kept,) = (made_of.var / "segments" / "aside").iterdir()
    with np.load(kept) as columns:
        assert np.array_equal(columns["sequence"], calm[0].sequence)
    assert "binance_vision" in alerts(made_of)[0].text


def test_the_lag_is_the_age_of_the_oldest_row_not_on_the_disk(tmp_path: Path, calm: Market) -> None:
    """Zero again after the sync, which comes every segment_seconds."""
    made_of = made(tmp_path)
    recorder = begun(made_of)
    clock = made_of.clock
    assert isinstance(clock, ManualClock)
    lag = made_of.metrics.recorder_lag_seconds._value
    for message in numbered(bodies(S, *calm))[:40]:
        recorder.handle(message)
    seen = []
    for _ in range(10):
        clock.advance(seconds=0.5)
        recorder.tick()
        seen.append(lag.get())
    assert seen == [0.5 * k for k in range(1, 10)] + [0.0]
    recorder.stop()


def test_the_disk_is_waited_for_elsewhere(tmp_path: Path, calm: Market) -> None:
    """A tick does not wait: the lag grows until the disk has answered, rows that came meanwhile count from then."""
    made_of = made(tmp_path)
    tasks: list[Task] = []
    recorder = Recorder(made_of, InlineJob, tasks.append)
    recorder.subscriptions()
    recorder.start()
    clock = made_of.clock
    assert isinstance(clock, ManualClock)
    lag = made_of.metrics.recorder_lag_seconds._value
    messages = numbered(bodies(S, *calm))
    fed(recorder, made_of, messages[:100])
    settled(recorder, made_of)
    clock.advance(seconds=3.0)
    recorder.tick()
    assert len(tasks) == 1
    fed(recorder, made_of, messages[100:200])
    clock.advance(seconds=6.0)
    recorder.tick()
    assert (len(tasks), lag.get() > 11.0) == (1, True)
    tasks.pop()()
    recorder.tick()
    assert 6.0 <= lag.get() < 6.2
    recorder.tick()
    assert len(tasks) == 1
    tasks.pop()()
    recorder.tick()
    assert lag.get() == 0.0
    recorder._run = at_once
    recorder.stop()


def test_a_thread_of_its_own_does_the_waiting(tmp_path: Path, calm: Market) -> None:
    """By default; nothing is left of it after the stop."""
    made_of = made(tmp_path)
    before = threading.active_count()
    recorder = Recorder(made_of, InlineJob)
    recorder.subscriptions()
    recorder.start()
    fed(recorder, made_of, numbered(bodies(S, *calm)))
    settled(recorder, made_of)
    recorder.stop()
    assert threading.active_count() == before
    assert all(same(a, b) for a, b in zip(recorded(made_of, calm), calm, strict=True))


def test_an_image_of_another_shape_is_refused_and_leaves_a_mark(tmp_path: Path, calm: Market) -> None:
    """It would shift every column; the next one is a reset."""
    made_of = made(tmp_path)
    recorder = begun(made_of)
    messages = numbered(bodies(S, *calm))[:60]
    fed(recorder, made_of, messages[:20])
    settled(recorder, made_of)
    place = next(k for k in range(20, 60) if messages[k].header.kind == "book")
    fed(recorder, made_of, messages[20:place])
    image = messages[place].body
    with pytest.raises(BadEvent, match="10 levels"):
        recorder.handle(messages[place]._replace(body=type(image)(S, 1, 1, 1, 0, [1], [1], [2], [1])))
    fed(recorder, made_of, messages[place + 1 :])
    recorder.stop()
    book, trades = recorded(made_of, calm)
    assert len(book) + len(trades) == len(messages) - 1
    assert np.count_nonzero(recorded(made_of, calm)[0].flags & BOOK_RESET) == 2


def test_a_segment_with_a_torn_end_is_kept_beside(tmp_path: Path, calm: Market) -> None:
    """What is whole in it is in the lake, what the tear took is read from the streams again; people can look at it."""
    made_of = made(tmp_path)
    messages = numbered(bodies(S, *calm))[:800]
    first = begun(made_of)
    fed(first, made_of, messages[:400])
    settled(first, made_of)
    kill(first)
    path = made_of.var / "segments" / "0000000001.segment"
    path.write_bytes(path.read_bytes()[:-5])
    second = Recorder(made_of, InlineJob, at_once)
    rest = behind(second.subscriptions(), messages)
    second.start()
    fed(second, made_of, rest)
    settled(second, made_of)
    second.stop()
    book, trades = recorded(made_of, calm)
    assert same(book, calm[0].slice(0, len(book)))
    assert len(book) + len(trades) == len(messages)
    assert [each.name for each in (made_of.var / "segments" / "aside").iterdir()] == [path.name]
    assert "no records" in alerts(made_of)[0].text


def test_a_cursor_that_is_none_is_refused(tmp_path: Path) -> None:
    """With what to do about it."""
    made_of = made(tmp_path)
    (made_of.var / "segments").mkdir(parents=True)
    (made_of.var / "segments" / "cursor.json").write_text('{"cursors": 5}')
    recorder = Recorder(made_of, InlineJob, at_once)
    with pytest.raises(SegmentError, match=r"cursor\.json.*remove it"):
        recorder.subscriptions()
    recorder.stop()


def test_a_disk_that_refuses_is_told_of_once_and_loses_nothing(tmp_path: Path, calm: Market) -> None:
    """Market data waits in memory; a score is not acknowledged."""
    made_of = made(tmp_path)
    recorder = begun(made_of)
    messages = numbered(bodies(S, *calm))[:300]
    good = recorder._open._file
    recorder._open._file = os.open("/dev/full", os.O_WRONLY)
    fed(recorder, made_of, messages[:200])
    settled(recorder, made_of)
    with pytest.raises(SegmentError, match="disk refused"):
        recorder.handle(received(streams.SCORES, score()))
    assert "disk refused" in recorder.status()["trouble"]
    os.close(recorder._open._file)
    recorder._open._file = good
    fed(recorder, made_of, messages[200:])
    settled(recorder, made_of)
    recorder.stop()
    book, trades = recorded(made_of, calm)
    assert len(book) + len(trades) == len(messages)
    assert [each.severity for each in alerts(made_of)] == ["WARN"]
    assert recorder.status()["trouble"] == ""


def test_two_recorders_do_not_share_a_folder(tmp_path: Path) -> None:
    """The second is told before it reads anything."""
    made_of = made(tmp_path)
    first = begun(made_of)
    with pytest.raises(SegmentsBusy):
        Recorder(made_of, InlineJob, at_once).subscriptions()
    first.stop()
    begun(made_of).stop()


def test_status_and_metrics_are_there_from_the_start(tmp_path: Path) -> None:
    """Every table's counter at 0."""
    made_of = made(tmp_path)
    recorder = Recorder(made_of, InlineJob, at_once)
    assert recorder.status()["ready"] is False
    recorder.stop()
    recorder.start()
    assert recorder.status()["ready"] is True
    assert made_of.metrics.recorded_rows_total.labels(TRADES)._value.get() == 0
    recorder.stop()
    assert recorder.status()["ready"] is False

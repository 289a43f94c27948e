"""Replay: wherever a stream is cut by midnight, days together hold each update's row once."""

from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archive.sources.day import DayBounds, DayOfMarket
from archive.sources.replay import Replay, tolerated
from market.columns import BOOK_RESET
from market.events import BadEvent, BadReference, BookDelta, BookSnapshot, Trade
from market.sequence import SequenceRule
from tests.archive.sources.made import DAY, TABLE, at

BTC = TABLE["BTCUSDT"]
SNAPSHOT = BookSnapshot("BTCUSDT", 10, at(-90_000), at(-90_000), ((1_000, 5),), ((1_001, 5),))


def _delta(number: int, seconds: float) -> BookDelta:
    return BookDelta("BTCUSDT", number, number, number - 1, at(seconds), at(seconds), ((1_000, number),), ())


def _replayed(events: list[BookDelta | BookSnapshot], days_later: int) -> DayOfMarket:
    bounds = DayBounds.of(DAY + timedelta(days=days_later))
    replay = Replay(BTC, SequenceRule.BINANCE_FUTURES, bounds)
    for event in events:
        replay.update(event)
    return replay.finish()


@given(st.lists(st.integers(0, 1_000), min_size=1, max_size=40), st.sets(st.integers(0, 39), max_size=3))
def test_days_together_hold_every_row_once(steps: list[int], lost: set[int]) -> None:
    """Rows, breaks and what could not be placed: the days add up to the updates that arrived.

    Without the update that joins the snapshot the book never lives, so there is no row and nothing to break.
    """
    moments = [sum(steps[: k + 1]) * 10 - 5_000 for k in range(len(steps))]
    deltas = [_delta(11 + k, seconds) for k, seconds in enumerate(moments) if k not in lost]
    days = [_replayed([SNAPSHOT, *deltas], d) for d in range(-1, 6)]
    stored = [sequence for day in days for sequence in day.book.sequence.tolist()]
    assert stored == sorted(set(stored))
    breaks = [each for day in days for each in day.breaks]
    if 0 in lost:
        assert (stored, breaks) == ([], [])
        return
    missed = {k for k in lost if any(delta.sequence > 11 + k for delta in deltas)}
    assert len(breaks) == (1 if missed else 0)
    if not missed:
        assert stored == [delta.sequence for delta in deltas]
        assert sum(int((day.book.flags & BOOK_RESET).sum()) for day in days) == bool(stored)


def test_a_snapshot_is_not_needed_while_the_book_is_live() -> None:
    """A recorder may ask for one every hour: the chain of updates is the better witness."""
    later = BookSnapshot("BTCUSDT", 12, at(3), at(3), ((900, 5),), ((901, 5),))
    day = _replayed([SNAPSHOT, _delta(11, 1), _delta(12, 2), later, _delta(13, 4)], 0)
    assert day.book.bid_ticks[0].tolist() == [1_000] * 3
    assert day.book.flags.tolist() == [BOOK_RESET, 0, 0]


def test_reading_may_stop_a_minute_behind_the_day() -> None:
    """Until then a late row could still belong to it."""
    replay = Replay(BTC, SequenceRule.BINANCE_FUTURES, DayBounds.of(DAY))
    replay.trade(Trade("BTCUSDT", 1, at(86_459), at(86_459), 1_000, 1, 1))
    assert not replay.is_past_day
    replay.trade(Trade("BTCUSDT", 2, at(86_460), at(86_460), 1_000, 1, 1))
    assert replay.is_past_day


def test_what_is_wrong_elsewhere_is_not_the_days() -> None:
    """A bad line before midnight of the day before is counted there."""
    replay = Replay(BTC, SequenceRule.BINANCE_FUTURES, DayBounds.of(DAY))
    for seconds, name in ((-10, "before"), (10, "inside"), (86_410, "behind")):
        replay.update(_delta(11, seconds))
        with tolerated(Path("file"), name, replay):
            raise BadEvent("broken")
    day = replay.finish()
    assert day.defects["malformed"] == 1
    assert day.first_seen["malformed"] == "file, inside: broken"
    with pytest.raises(BadReference, match=r"^file, line 3: off"), tolerated(Path("file"), "line 3", replay):
        raise BadReference("off")

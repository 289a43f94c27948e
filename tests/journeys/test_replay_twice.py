"""A recorded evening replayed twice through every service: the same candidates, approvals, journal and lake."""

from pathlib import Path

import pytest

from archive.layout import BOOK, TRADES
from archive.live_tables import LIVE_SCORES, OUTCOMES
from bus import streams
from bus.messages import Approval, Outcome
from live.executor.records import Filled
from pipelines.partitions import Cell
from pipelines.skew import compare
from tests import recorded
from tests.bus.servers import needs_redis
from tests.journeys.played import Played, mirror, played

TABLES = (BOOK, TRADES, LIVE_SCORES, OUTCOMES)


@pytest.mark.slow
@needs_redis
def test_a_recorded_evening_replayed_twice_is_the_same(tmp_path: Path, subtests: pytest.Subtests) -> None:
    """Through a real server both times; only what happened in the market decides."""
    recording = recorded.path("binance_ws", "usdm")
    first, again = replayed(tmp_path / "first", recording), replayed(tmp_path / "again", recording)
    for stream in streams.DURABLE:
        with subtests.test(stream):
            assert first.said[stream] == again.said[stream]
    with subtests.test("journal"):
        assert len(first.done(Filled)) > 3
        assert first.head == again.head
    with subtests.test("lake"):
        assert partitions(first) == partitions(again)
        assert {table for table, _, _ in partitions(first)} == set(TABLES)
    with subtests.test("something happened"):
        assert len(first.of(streams.APPROVED, Approval)) > 20
        assert len(first.of(streams.OUTCOMES, Outcome)) > 50
    with subtests.test("book = bookTicker wherever both tell of one update"):
        checked = first.shown.total("book_ticker_checked_total")
        assert checked > 1_000
        assert first.shown.total("book_ticker_mismatch_total") == 0
    with subtests.test("what was scored comes out of the lake again"):
        for symbol, day in first.lake.partitions(BOOK):
            skew = compare(first.lake, Cell(day, symbol))
            assert (skew.problem, skew.rows) == ("", len(first.said[streams.SCORES]))


def replayed(folder: Path, recording: Path) -> Played:
    """The first minutes of the evening."""
    mirror(folder).put("active", 1, tau=0.5)
    knobs = {
        "MARKET_SYMBOLS": "BTCUSDT", "FEED_KIND": "capture", "FEED_PATH": str(recording), "FEED_MINUTES": "4",
        "GATES_FLIP_COOLDOWN_SECONDS": "0",
    }  # fmt: skip
    return played(folder, streams.DURABLE, **knobs)


def partitions(found: Played) -> dict[tuple[str, str, str], str]:
    """The content of every partition of the market and of what was made of it."""
    return {
        (table, symbol, str(day)): found.lake.info(table, symbol, day).content_sha256
        for table in TABLES
        for symbol, day in found.lake.partitions(table)
    }

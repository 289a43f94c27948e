from pathlib import Path

import numpy as np
import pytest

from archive.sources.day import DayOfMarket
from pipelines.simulated import SimulatedSource
from tests.pipelines.days import DAYS, MIDDLE, TABLE, settings

_GAP = {"depth_interval_ms": 10_000, "gap_day": DAYS[1], "gap_start_hour": 9.5, "gap_minutes": 25}


def source(tmp_path: Path, *, with_defects: bool, **more: object) -> SimulatedSource:
    """A simulator with a gap planted in the middle day of BTCUSDT."""
    return SimulatedSource(settings(tmp_path, simulator=_GAP | more).simulator, TABLE, with_defects=with_defects)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> DayOfMarket:
    """The middle day as a second archive holds it."""
    return source(tmp_path_factory.mktemp("whole"), with_defects=False).read_day(TABLE["BTCUSDT"], MIDDLE.day)


def longest_silence_minutes(day: DayOfMarket) -> float:
    """The longest time without a book, over minutes."""
    return float(np.diff(day.book.exchange_ns).max()) / 60e9


def test_the_planted_gap_is_in_the_primary_feed_and_not_in_the_second(tmp_path: Path, whole: DayOfMarket) -> None:
    """The rest of the day is the same in both."""
    holed = source(tmp_path, with_defects=True).read_day(TABLE["BTCUSDT"], MIDDLE.day)
    assert 25.0 <= longest_silence_minutes(holed) < 26.0
    assert holed.defects == {"planted_gaps": 1}
    assert longest_silence_minutes(whole) < 1.0
    assert whole.defects == {}
    before = MIDDLE.start_ns + round(9.5 * 3_600e9)
    rows = int((holed.book.exchange_ns < before).sum())
    assert np.array_equal(holed.book.bid_ticks[:, :rows], whole.book.bid_ticks[:, :rows])


def test_no_other_day_or_symbol_has_the_gap(tmp_path: Path) -> None:
    """And a gap of no minutes is none."""
    primary = source(tmp_path, with_defects=True)
    assert primary.read_day(TABLE["BTCUSDT"], DAYS[0]).defects == {}
    assert primary.read_day(TABLE["ETHUSDT"], DAYS[1]).defects == {}
    assert source(tmp_path, with_defects=True, gap_minutes=0).read_day(TABLE["BTCUSDT"], DAYS[1]).defects == {}


def test_the_seed_makes_the_day(tmp_path: Path, whole: DayOfMarket) -> None:
    """The same seed the same bits, another seed another day."""
    again = source(tmp_path, with_defects=False).read_day(TABLE["BTCUSDT"], MIDDLE.day)
    other = source(tmp_path, with_defects=False, seed=8).read_day(TABLE["BTCUSDT"], MIDDLE.day)
    assert np.array_equal(again.book.bid_lots, whole.book.bid_lots)
    assert not np.array_equal(other.book.bid_ticks[0], whole.book.bid_ticks[0])


def test_it_offers_the_perpetuals_of_one_venue(tmp_path: Path) -> None:
    """Those whose wire frames it knows; it lists no days, since it has all of them."""
    offered = source(tmp_path, with_defects=False)
    assert {"BTCUSDT", "ETHUSDT"} <= {symbol.name for symbol in offered.symbols()}
    assert {(symbol.venue, symbol.market) for symbol in offered.symbols()} == {("binance", "perp")}
    assert offered.days(TABLE["BTCUSDT"]) == ()

from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from archive.layout import day_bounds_ns
from archive.store import Lake
from bus.messages import BookImage, BookStatus, MarketTrade, MarkPrice
from live.clock import ManualClock
from live.errors import FeedRefused
from live.lake_replay import LakeCollector, first_row_ns, lake_start_ns
from market.columns import BOOK_RESET
from market.features import interleave
from tests.live.markets import Market, market
from tests.live.parts import Parts, RecordingOutput, parts

DAY = date(2026, 1, 6)
START = "2026-01-06T00:00:00"


def stored(folder: Path, rows: int = 400, symbols: Sequence[str] = ("BTCUSDT",), **more: Any) -> dict[str, Market]:
    """A lake that holds the beginning of a day of each symbol; returns what it holds."""
    lake, kept = Lake.create(folder / "lake"), {}
    for seed, name in enumerate(symbols, 1):
        book, trades = market(rows, seed, **more)
        shift = day_bounds_ns(DAY)[0] + 1_000_000_000 - int(min(book.exchange_ns[0], trades.exchange_ns[0]))
        book = replace(book, local_ns=book.local_ns + shift, exchange_ns=book.exchange_ns + shift)
        trades = replace(trades, local_ns=trades.local_ns + shift, exchange_ns=trades.exchange_ns + shift)
        lake.write_book(name, DAY, book, source="test")
        lake.write_trades(name, DAY, trades, source="test")
        kept[name] = book, trades
    return kept


def replaying(folder: Path, symbols: tuple[str, ...] = ("BTCUSDT",), **feed: Any) -> tuple[LakeCollector, Parts]:
    """A collector of that lake, as fast as it can be handled."""
    knobs = {"kind": "lake", "start": START, "speed": 0.0, **feed}
    made = parts(folder, {"feed": knobs, "paths": {"lake": str(folder / "lake")}}, symbols)
    return LakeCollector(made), made


def run(collector: LakeCollector) -> None:
    """Tick until the replay is over."""
    collector.start()
    while not collector.status()["finished"]:
        collector.tick()


def said(made: Parts) -> RecordingOutput:
    """What was published."""
    assert isinstance(made.out, RecordingOutput)
    return made.out


def test_every_row_is_told_once_in_the_order_of_the_lake(tmp_path: Path) -> None:
    """Books and prints, field by field; each symbol is numbered without a hole."""
    ((book, trades),) = stored(tmp_path).values()
    collector, made = replaying(tmp_path)
    run(collector)
    images, prints = said(made).of(BookImage), said(made).of(MarketTrade)
    assert [image.sequence for image in images] == book.sequence.tolist()
    assert [image.bid_ticks for image in images] == book.bid_ticks.T.tolist()
    assert [image.ask_lots for image in images] == book.ask_lots.T.tolist()
    assert [trade.trade_id for trade in prints] == trades.trade_id.tolist()
    events = [each.body for each in said(made).said if isinstance(each.body, BookImage | MarketTrade)]
    kinds = [0 if isinstance(body, BookImage) else 1 for body in events]
    assert kinds == interleave(book, trades)[:, 1].tolist()
    numbered = [each.message_id for each in said(made).said if not isinstance(each.body, MarkPrice)]
    assert numbered == [f"BTCUSDT-{k}" for k in range(1, len(numbered) + 1)]


def test_rows_that_arrived_together_are_told_apart_and_prints_come_first(tmp_path: Path) -> None:
    """local_ns rises strictly; the venue's times are left alone."""
    ((book, trades),) = stored(tmp_path, 50).values()
    lake = Lake(tmp_path / "lake")
    same = np.full(len(book), book.local_ns[0])
    lake.write_book("BTCUSDT", DAY, replace(book, local_ns=same), source="test")
    lake.write_trades("BTCUSDT", DAY, replace(trades, local_ns=np.full(len(trades), same[0])), source="test")
    collector, made = replaying(tmp_path)
    run(collector)
    bodies = [each.body for each in said(made).said if isinstance(each.body, BookImage | MarketTrade)]
    times = [body.local_ns for body in bodies]
    assert times == sorted(set(times))
    assert all(isinstance(body, MarketTrade) for body in bodies[: len(trades)])
    assert sorted(body.exchange_ns for body in bodies if isinstance(body, BookImage)) == sorted(book.exchange_ns)


def test_a_reset_in_the_lake_breaks_the_book_and_joins_it_again(tmp_path: Path) -> None:
    """The first image carries a reset as well: whoever listens starts there."""
    stored(tmp_path, 300, resets=[120])
    collector, made = replaying(tmp_path)
    run(collector)
    assert [status.state for status in said(made).of(BookStatus)] == ["live", "gap", "live"]
    flagged = [k for k, image in enumerate(said(made).of(BookImage)) if image.flags & BOOK_RESET]
    assert flagged == [0, 120]


def test_several_symbols_turn_the_clock_together(tmp_path: Path) -> None:
    """Rows come by arrival over all symbols, and the clock stands at the latest of them."""
    kept = stored(tmp_path, 200, ("BTCUSDT", "ETHUSDT"))
    collector, made = replaying(tmp_path, ("BTCUSDT", "ETHUSDT"))
    assert isinstance(made.clock, ManualClock)
    made.clock.advance_to(first_row_ns(str(tmp_path / "lake"), ("BTCUSDT", "ETHUSDT"), made.clock, START))
    run(collector)
    times = [each.body.local_ns for each in said(made).said if isinstance(each.body, BookImage)]
    assert times == sorted(times)
    last = max(int(max(book.local_ns[-1], trades.local_ns[-1])) for book, trades in kept.values())
    assert made.clock.wall_ns() >= last


def test_the_length_and_the_start_cut_the_day(tmp_path: Path) -> None:
    """By the venue's time; what lies outside is not told."""
    ((book, _),) = stored(tmp_path, 6_000).values()
    collector, made = replaying(tmp_path, start="2026-01-06T00:00:10", minutes=0.5)
    run(collector)
    start = day_bounds_ns(DAY)[0] + 10_000_000_000
    wanted = (book.exchange_ns >= start) & (book.exchange_ns < start + 30_000_000_000)
    assert 0 < int(wanted.sum()) < len(book)
    assert [image.sequence for image in said(made).of(BookImage)] == book.sequence[wanted].tolist()


def test_an_empty_lake_and_a_bad_time_are_refused(tmp_path: Path) -> None:
    """With the key that is wrong."""
    Lake.create(tmp_path / "lake")
    collector, _ = replaying(tmp_path)
    with pytest.raises(FeedRefused, match=r"feed\.start: the lake holds no row of BTCUSDT"):
        collector.start()
    with pytest.raises(FeedRefused, match=r"feed\.start must be a time in the lake"):
        lake_start_ns("now")
    assert lake_start_ns("2026-01-06T00:00:00") == day_bounds_ns(DAY)[0]

"""Bitstamp order events: rows by millisecond, zombies, market orders, clocks, the recorder's end, recorded files."""

import json
from collections.abc import Sequence
from datetime import date
from pathlib import Path

import numpy as np
import pytest

from archive.errors import SourceError
from archive.sources.bitstamp_l3 import BitstampL3Source
from archive.sources.day import DayOfMarket
from market.columns import BOOK_RESET
from market.events import BadReference
from tests import recorded
from tests.archive.sources.made import DAY, MS_NS, TABLE, at, csv, touch, truncate, write

BTC = TABLE["BTCUSD-BITSTAMP"]
HEADER = ["id", "timestamp", "exchange_timestamp", "price", "volume", "action", "direction"]
TRADE_HEADER = ["trade_id", "timestamp", "exchange_timestamp", "price", "amount", "side"]


def _event(
    seconds: float, order: int, action: str, side: str, price: float, size: float = 1.0, *, local: float | None = None
) -> list[object]:
    local_ms = at(seconds + 0.07 if local is None else local) // MS_NS
    return [order, local_ms, at(seconds) // MS_NS, price, size, action, side]


FIRST = [
    _event(1, 1, "created", "bid", 99.0, local=4),
    _event(1, 2, "created", "bid", 99.0, 0.5, local=4),
    _event(1, 3, "created", "ask", 101.0, local=4),
]


def _recording(folder: Path, events: Sequence[list[object]], trades: Sequence[list[object]] = ()) -> BitstampL3Source:
    write(folder / "orders.csv.gz", csv(HEADER, events))
    write(folder / "trades.csv", csv(TRADE_HEADER, trades))
    write(folder / "meta.json", json.dumps({"pair": "btcusd", "dropped": 0}))
    return BitstampL3Source(folder, TABLE)


def _read(folder: Path, events: Sequence[list[object]], trades: Sequence[list[object]] = ()) -> DayOfMarket:
    return _recording(folder, events, trades).read_day(BTC, DAY)


def test_orders_are_summed_and_a_millisecond_makes_one_row(tmp_path: Path) -> None:
    """What happens within a millisecond is seen when it is over; changes set what remains."""
    events = [
        *FIRST,
        _event(2, 4, "created", "bid", 100.0, 0.25),
        _event(2, 1, "changed", "bid", 99.0, 0.2),
        _event(2, 3, "deleted", "ask", 101.0),
        _event(2, 5, "created", "ask", 102.0),
    ]
    day = _read(tmp_path, events)
    assert touch(day) == [(99, 101), (100, 102)]
    assert day.book.bid_lots[:2, 1].tolist() == [25_000_000, 70_000_000]
    assert day.book.flags.tolist() == [BOOK_RESET, 0]
    assert day.book.exchange_ns.tolist() == [at(1), at(2)]


def test_the_older_of_two_touching_orders_is_removed(tmp_path: Path) -> None:
    """An ask whose deletion was lost would cross the book for good; its late deletion finds nobody."""
    events = [
        *FIRST,
        _event(2, 4, "created", "bid", 103.0),
        _event(3, 5, "created", "ask", 104.0),
        _event(4, 3, "deleted", "ask", 101.0),
    ]
    day = _read(tmp_path, events)
    assert (day.book.bid_ticks[0] < day.book.ask_ticks[0]).all()
    assert touch(day)[-1] == (103, 104)
    assert (day.defects["zombie_orders"], day.defects["unknown_orders"]) == (1, 1)
    assert day.first_seen["zombie_orders"].endswith("row 5: order 3")


def test_market_orders_at_price_zero_are_dropped_and_counted(tmp_path: Path) -> None:
    """They have no place in a book, and would be its lowest ask."""
    events = [*FIRST, _event(2, 9, "created", "ask", 0.0), _event(3, 4, "created", "bid", 98.0)]
    day = _read(tmp_path, events)
    assert touch(day) == [(99, 101)] * 2
    assert day.defects["no_price"] == 1


def test_file_order_counts_not_the_local_clock(tmp_path: Path) -> None:
    """The first events carry the late time of the initial book; the clock is held, the order of the file kept."""
    events = [*FIRST, _event(2, 4, "created", "bid", 100.0), _event(3, 4, "deleted", "bid", 100.0)]
    day = _read(tmp_path, events)
    assert touch(day) == [(99, 101), (100, 101), (99, 101)]
    assert day.book.local_ns.tolist() == [at(4)] * 3
    assert day.defects["local_clock_backwards"] == 2


def test_the_recorders_end_makes_no_row(tmp_path: Path) -> None:
    """It deletes every order when it stops: that is not what the market did."""
    end = [_event(9, order, "deleted", "bid", 99.0) for order in (1, 2, 3)]
    day = _read(tmp_path, [*FIRST, *end])
    assert touch(day) == [(99, 101)]
    assert day.defects["recorder_stop"] == 3


def test_trades_name_their_aggressor(tmp_path: Path) -> None:
    """side is the taker's; a broken one is counted."""
    ms = at(2) // MS_NS
    trades = [[7, ms + 70, ms, 101.0, 0.5, "buy"], [8, ms + 71, ms, 99.0, 0.1, "sell"], [9, ms, ms, 99.0, 0.1, "?"]]
    day = _read(tmp_path, FIRST, trades)
    assert (day.trades.trade_id.tolist(), day.trades.aggressor.tolist()) == ([7, 8], [1, -1])
    assert day.trades.size_lots.tolist() == [50_000_000, 10_000_000]
    assert day.defects["malformed"] == 1


def test_an_order_may_be_larger_than_a_stored_level(tmp_path: Path) -> None:
    """Far bids of thousands of coins exist; only the best ten levels need to fit 32 bits."""
    far = [_event(1, 100 + k, "created", "bid", 90.0 - k, 0.1, local=4) for k in range(12)]
    day = _read(tmp_path, [*FIRST, *far, _event(2, 50, "created", "bid", 1.0, 138_800.0)])
    assert len(day.book) == 2


def test_rows_that_cannot_be_are_counted(tmp_path: Path) -> None:
    """An unknown action, a negative size, a word for a price."""
    wrong = [_event(2, 4, "moved", "bid", 98.0), _event(2, 5, "created", "bid", 98.0, -1.0)]
    day = _read(tmp_path, [*FIRST, *wrong, [6, *FIRST[0][1:3], "x", 1.0, "created", "bid"]])
    assert (len(day.book), day.defects["malformed"]) == (1, 3)


def test_unreadable_recordings_are_refused(tmp_path: Path) -> None:
    """A price off the tick with file and row, half a file, another pair, a folder without orders."""
    with pytest.raises(BadReference, match=r"orders.csv.gz, row 5: .*98.5"):
        _read(tmp_path, [*FIRST, _event(2, 4, "created", "bid", 98.5)])
    with pytest.raises(BadReference, match=r"orders.csv.gz, row 5: .*1e-09|orders.csv.gz, row 5: .*0.000000001"):
        _read(tmp_path, [*FIRST, _event(2, 4, "created", "bid", 98.0, 1e-9)])
    source = _recording(tmp_path, FIRST * 200)
    with pytest.raises(SourceError, match="is a recording of btcusd, not of BTC"):
        source.read_day(TABLE["BTC-HL"], DAY)
    assert source.days(TABLE["BTC-HL"]) == ()
    truncate(tmp_path / "orders.csv.gz")
    with pytest.raises(SourceError, match=r"orders\.csv\.gz"):
        source.read_day(BTC, DAY)
    write(tmp_path / "meta.json", "{}")
    with pytest.raises(SourceError, match=r"meta.json.*pair"):
        BitstampL3Source(tmp_path, TABLE)
    with pytest.raises(SourceError, match="does not exist"):
        BitstampL3Source(tmp_path / "nowhere", TABLE)


@pytest.mark.slow
def test_the_recorded_half_hour() -> None:
    """Two zombies, 49 events at price 0, no crossed row left, 284 trades."""
    source = BitstampL3Source(recorded.path("bitstamp_l3_20260502"), TABLE)
    assert source.symbols() == (BTC,)
    assert source.days(BTC) == (date(2026, 5, 2),)
    day = source.read_day(BTC, date(2026, 5, 2))
    assert (len(day.book), len(day.trades)) == (168_656, 284)
    assert (day.defects["zombie_orders"], day.defects["no_price"]) == (2, 49)
    assert not {"crossed", "locked", "one_sided", "malformed"} & day.defects.keys()
    assert np.median(day.book.ask_ticks[0] - day.book.bid_ticks[0]) == 1
    assert (np.diff(day.book.exchange_ns) > 0).all()
    assert day.book.flags[0] == BOOK_RESET and not day.book.flags[1:].any()

"""The publisher on hand-written logs: updates, tickers, trades and snapshots as the venue would send them."""

import numpy as np
import pytest
from numpy.typing import NDArray

from market import simulator_feed as feeds
from market.simulator_feed import Feed, Published
from market.simulator_flow import ASK, BID, LEVEL, TRADE

WINDOW, RING = 16, 64
MS = 1_000_000
Row = tuple[int, int, int, int, int, int]


def test_an_update_tells_each_touched_level_once_with_its_last_size() -> None:
    """Sides apart, prices rising; a level that came and went is told as gone."""
    published = run(
        [
            (1 * MS, 11, LEVEL, BID, 98, 5),
            (2 * MS, 12, LEVEL, BID, 98, 6),
            (3 * MS, 13, LEVEL, ASK, 105, 4),
            (4 * MS, 14, LEVEL, ASK, 105, 0),
            (5 * MS, 15, LEVEL, BID, 95, 9),
        ]
    )
    update = published.events[published.kinds.index(feeds.DEPTH)]
    assert update[[feeds.E_A, feeds.E_ID, feeds.E_B]].tolist() == [11, 15, 10]
    first, bids, asks = update[[feeds.E_C, feeds.E_D, feeds.E_E]]
    assert published.levels[first : first + bids + asks].tolist() == [[95, 9], [98, 6], [105, 0]]
    assert update[feeds.E_TRANSACTION_MS] == 5
    assert 10 <= update[feeds.E_EVENT_MS] <= 11


def test_the_next_update_names_the_one_before_and_silence_sends_none() -> None:
    """No event in an interval, no update; the one after that still chains."""
    published = run([(1 * MS, 11, LEVEL, BID, 98, 5), (35 * MS, 20, LEVEL, BID, 98, 7)])
    updates = published.events[[k for k, kind in enumerate(published.kinds) if kind == feeds.DEPTH]]
    assert updates[:, [feeds.E_A, feeds.E_ID, feeds.E_B]].tolist() == [[11, 11, 10], [20, 20, 11]]


def test_a_ticker_comes_only_when_the_touch_has_changed() -> None:
    """A change behind the touch is silent; a new best, a new size and the loss of the best are not."""
    published = run(
        [
            (1 * MS, 11, LEVEL, BID, 90, 5),
            (2 * MS, 12, LEVEL, BID, 99, 8),
            (3 * MS, 13, LEVEL, BID, 99, 0),
            (4 * MS, 14, LEVEL, ASK, 101, 77),
        ]
    )
    tickers = published.events[[k for k, kind in enumerate(published.kinds) if kind == feeds.TICKER]]
    assert tickers[:, [feeds.E_ID, feeds.E_A, feeds.E_B, feeds.E_C, feeds.E_D]].tolist() == [
        [12, 99, 8, 101, 3],
        [13, 98, 2, 101, 3],
        [14, 98, 2, 101, 77],
    ]


def test_prints_are_numbered_on_and_come_before_the_ticker_they_cause() -> None:
    """The rows of one event are one order: its prints, then what it left at the touch."""
    published = run(
        [
            (1 * MS, 11, TRADE, ASK, 101, 1),
            (1 * MS, 11, TRADE, ASK, 101, 1),
            (1 * MS, 11, LEVEL, ASK, 101, 1),
            (2 * MS, 12, TRADE, BID, 98, 2),
        ]
    )
    assert published.kinds[:4] == [feeds.TRADE, feeds.TRADE, feeds.TICKER, feeds.TRADE]
    trades = published.events[[k for k, kind in enumerate(published.kinds) if kind == feeds.TRADE]]
    assert trades[:, [feeds.E_ID, feeds.E_A, feeds.E_B, feeds.E_C]].tolist() == [
        [500, 101, 1, 1],
        [501, 101, 1, 1],
        [502, 98, 2, -1],
    ]


def test_a_snapshot_lies_inside_the_next_update() -> None:
    """It waits for the first event behind its time, tells every level, and the update that follows spans its id."""
    published = run([(1 * MS, 11, LEVEL, BID, 97, 5), (4 * MS, 12, LEVEL, BID, 96, 6)], wanted=[2 * MS])
    at = published.kinds.index(feeds.SNAPSHOT)
    snapshot, update = published.events[at], published.events[published.kinds.index(feeds.DEPTH)]
    assert snapshot[feeds.E_ID] == 12
    assert update[feeds.E_A] <= snapshot[feeds.E_ID] <= update[feeds.E_ID]
    first, bids, asks = snapshot[[feeds.E_C, feeds.E_D, feeds.E_E]]
    told = published.levels[first : first + bids + asks].tolist()
    assert told[: int(bids)][:3] == [[98, 2], [97, 5], [96, 6]]
    assert told[int(bids)] == [101, 3]


def test_book_rows_are_the_levels_nearest_the_touch() -> None:
    """Two levels a side here, across holes in the ladder."""
    published = run([(1 * MS, 11, LEVEL, BID, 97, 0), (2 * MS, 12, LEVEL, BID, 100, 4)])
    assert published.tops.tolist() == [[100, 98, 4, 2, 101, 102, 3, 2]]


@pytest.mark.parametrize("rows", [1, 2, 3])
def test_a_full_output_goes_on_where_it_stopped(rows: int) -> None:
    """However few book rows fit at once, the same is published."""
    log: list[Row] = [(k * 7 * MS, 11 + k, LEVEL, BID, 90 + k % 8, 1 + k) for k in range(1, 40)]
    whole, parts = run(log), run(log, rows=2 + rows)
    assert np.array_equal(whole.events[:, : feeds.E_C], parts.events[:, : feeds.E_C])
    assert np.array_equal(whole.tops, parts.tops)


def test_arrivals_never_go_back_and_never_leave_the_day() -> None:
    """Latency varies from frame to frame; order does not, and the last frames arrive before midnight."""
    day_ns = 86_400_000 * MS
    log: list[Row] = [(day_ns - (50 - k) * MS, 11 + k, LEVEL, BID, 90 + k % 8, 1 + k) for k in range(1, 50)]
    arrivals = run(log, latency_ms=200, from_ns=day_ns - 60 * MS, until_ns=day_ns).events[:, feeds.E_LOCAL_NS]
    assert (np.diff(arrivals) >= 0).all()
    assert arrivals[-1] == day_ns - 1


class Result:
    """Everything published, in the order of arrival."""

    def __init__(self, parts: list[Published]) -> None:
        cut = [(p.events[: p.filled[0]], p.tops[: p.filled[1]], p.levels[: p.filled[2]]) for p in parts]
        self.events, self.tops, self.levels = (np.concatenate(column) for column in zip(*cut, strict=True))
        self.kinds: list[int] = self.events[:, feeds.E_KIND].tolist()


def run(
    log: list[Row],
    *,
    wanted: list[int] | None = None,
    rows: int = 100,
    latency_ms: int = 1,
    from_ns: int = 0,
    until_ns: int = 400 * MS,
) -> Result:
    """Publish a log over a book of bids 85..98 and asks 101..114 whose best sizes are 2 and 3, two levels a row."""
    feed, table = made(wanted or [], latency_ms), np.array(log, np.int64)
    feeds.start_feed(feed, from_ns)
    parts, finished = [], False
    while not finished:
        out = Published(
            np.empty((400, feeds.EVENT_FIELDS), np.int64),
            np.empty((rows, 8), np.int32),
            np.empty((4_000, 2), np.int64),
            np.zeros(3, np.int64),
        )
        finished = feeds.publish(feed, table, len(table), until_ns, out)
        parts.append(out)
    return Result(parts)


def made(wanted: list[int], latency_ms: int) -> Feed:
    """Return a feed every 10 ms whose last update had the id 10."""
    lots: NDArray[np.int64] = np.zeros((2, RING), np.int64)
    for tick in range(85, 99):
        lots[BID, tick % RING] = 2
    for tick in range(101, 115):
        lots[ASK, tick % RING] = 3 if tick == 101 else 2
    ints = np.zeros(feeds.N_INTS, np.int64)
    ints[[feeds.J_BEST, feeds.J_BEST_ASK, feeds.J_SEEN, feeds.J_SEEN_ASK]] = 98, 101, 98, 101
    ints[feeds.J_SEEN_BID_LOTS], ints[feeds.J_SEEN_ASK_LOTS] = 2, 3
    ints[[feeds.J_ID, feeds.J_PREVIOUS_ID]] = 10
    ints[feeds.J_BATCH], ints[feeds.J_FRAMES], ints[feeds.J_WINDOW] = 1, 1, WINDOW
    ints[feeds.J_INTERVAL_NS], ints[feeds.J_LATENCY_NS] = 10 * MS, latency_ms * MS
    ints[feeds.J_TRADE_ID] = 500
    return Feed(
        np.array([1], np.uint64),
        ints,
        lots,
        np.zeros((2, RING, 2), np.int64),
        np.empty(16 * WINDOW, np.int64),
        np.array(wanted, np.int64),
    )

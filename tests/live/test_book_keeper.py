from collections.abc import Sequence
from dataclasses import dataclass, field
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from bus.messages import BookImage, BookStatus, MarketTrade
from live.backoff import Backoff
from live.book_keeper import BookKeeper
from live.feed import Retiming
from market.columns import BOOK_LOCKED, BOOK_ONE_SIDED, BOOK_RESET
from market.events import NO_ASK_TICKS, NO_BID_TICKS, BookDelta, BookSnapshot, BookTicker, Level, Trade
from market.sequence import SequenceRule
from market.symbols import SymbolTable
from tests.live.parts import ROOT

BTC = SymbolTable.load(ROOT / "data" / "reference" / "symbols.yml")["BTCUSDT"]
SECOND = 1_000_000_000
FUTURES, BYBIT = SequenceRule.BINANCE_FUTURES, SequenceRule.BYBIT


@dataclass
class Bench:
    """A keeper and what it said and asked."""

    rule: SequenceRule = FUTURES
    retiming: Retiming | None = None
    said: list[BookImage | BookStatus | MarketTrade] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.keeper = BookKeeper(
            BTC, self.rule, self.said.append, self.asked.append, Backoff(1.0, 8.0, Random(7)),
            answer_ns=10 * SECOND, steady_ns=30 * SECOND, retiming=self.retiming,
        )  # fmt: skip
        self.keeper.start(1, 0)

    @property
    def images(self) -> list[BookImage]:
        return [each for each in self.said if isinstance(each, BookImage)]

    @property
    def states(self) -> list[tuple[str, str]]:
        return [(each.state, each.reason) for each in self.said if isinstance(each, BookStatus)]


def delta(
    first: int, last: int, previous: int, bids: Sequence[Level] = (), asks: Sequence[Level] = (), ns: int = 0
) -> BookDelta:
    """An update of Binance futures."""
    return BookDelta("BTCUSDT", first, last, previous, last, ns or last, tuple(bids), tuple(asks))


def snapshot(last: int, ns: int = 0) -> BookSnapshot:
    """A whole book of one level a side."""
    return BookSnapshot("BTCUSDT", last, last, ns or last, ((100, 5),), ((101, 5),))


def live_bench(rule: SequenceRule = FUTURES) -> Bench:
    """A bench whose book is live behind update 10."""
    bench = Bench(rule)
    if rule is BYBIT:
        bench.keeper.on_book(snapshot(10), 0)
    else:
        bench.keeper.on_book(delta(9, 10, 8), 0)
        bench.keeper.on_book(snapshot(9), 0)
    assert bench.keeper.state == "live"
    return bench


def test_a_book_is_asked_for_once_updates_come_and_told_when_it_joins() -> None:
    """Binance: updates first, then the snapshot; the first image says that windows begin."""
    bench = Bench()
    assert bench.asked == []
    bench.keeper.on_book(delta(9, 12, 8, bids=[(99, 7)]), 0)
    bench.keeper.on_book(delta(13, 14, 12), 0)
    assert bench.asked == ["start"]
    bench.keeper.on_book(snapshot(10, ns=50), 0)
    assert bench.states == [("syncing", "start"), ("live", "joined")]
    (image,) = bench.images
    assert (image.sequence, image.local_ns, image.flags) == (14, 50, BOOK_RESET)
    assert image.bid_ticks[:3] == [100, 99, NO_BID_TICKS]
    assert image.ask_ticks[:2] == [101, NO_ASK_TICKS]
    bench.keeper.on_book(delta(15, 16, 14, asks=[(101, 9)], ns=60), 0)
    assert bench.images[-1].flags == 0
    assert bench.images[-1].ask_lots[0] == 9


def test_a_missing_update_is_told_at_once_with_its_numbers() -> None:
    """GAP, a snapshot is asked for, nothing is shown until it has come; then windows begin anew."""
    bench = live_bench()
    bench.keeper.on_book(delta(20, 21, 15), 0)
    last = bench.said[-1]
    assert isinstance(last, BookStatus)
    assert (last.state, last.reason, last.expected, last.seen) == ("gap", "gap", 10, 15)
    shown = len(bench.images)
    bench.keeper.on_book(delta(22, 23, 21), 0)
    assert len(bench.images) == shown
    assert bench.asked == ["start"], "the second snapshot waits: the book did not hold long enough"
    bench.keeper.on_time(1, 2 * SECOND)
    assert bench.asked == ["start", "gap"]
    bench.keeper.on_book(snapshot(20), 2 * SECOND)
    assert bench.images[-1].flags == BOOK_RESET
    assert bench.keeper.state == "live"


def test_a_book_that_held_long_enough_is_asked_for_at_once() -> None:
    """The back-off is forgotten after half a minute of a live book."""
    bench = live_bench()
    bench.keeper.on_time(1, 31 * SECOND)
    bench.keeper.on_book(delta(20, 21, 15), 31 * SECOND)
    assert bench.asked == ["start", "gap"]


def test_a_snapshot_older_than_the_buffer_is_fetched_again_later_and_later() -> None:
    """Each refetch waits longer; the symbol stays untold meanwhile."""
    bench = Bench()
    bench.keeper.on_book(delta(100, 110, 90), 0)
    now, waits = 0, []
    for _ in range(4):
        bench.keeper.on_book(snapshot(50), now)
        before, asked = now, len(bench.asked)
        while len(bench.asked) == asked:
            now += SECOND // 10
            bench.keeper.on_time(1, now)
        waits.append(now - before)
    assert bench.asked == ["start"] + ["snapshot_too_old"] * 4
    assert waits[0] < waits[1] < waits[2] <= waits[3] + 2 * SECOND
    assert bench.images == []
    bench.keeper.on_book(snapshot(105), now)
    assert bench.keeper.state == "live"


def test_an_unanswered_question_and_a_refused_one_are_asked_again() -> None:
    """After the time for an answer; after the pause the venue asks for."""
    bench = Bench()
    bench.keeper.on_book(delta(9, 10, 8), 0)
    bench.keeper.on_time(1, 11 * SECOND)
    bench.keeper.on_time(1, 13 * SECOND)
    assert bench.asked == ["start", "no_answer"]
    bench.keeper.on_snapshot_failed("http_429", 60.0, 13 * SECOND)
    bench.keeper.on_time(1, 72 * SECOND)
    assert len(bench.asked) == 2
    bench.keeper.on_time(1, 73 * SECOND)
    assert bench.asked[-1] == "http_429"


def test_a_crossed_book_is_not_shown_and_given_up_after_a_second() -> None:
    """Stale at once; a short crossing ends with a reset, as the lake stores it; a long one with a new book."""
    bench = live_bench()
    shown = len(bench.images)
    bench.keeper.on_book(delta(11, 12, 10, bids=[(103, 1)]), 0)
    assert bench.states[-1] == ("stale", "crossed")
    assert len(bench.images) == shown
    bench.keeper.on_book(delta(13, 14, 12, bids=[(103, 0)]), 0)
    assert bench.states[-1][0] == "live"
    assert bench.images[-1].flags == BOOK_RESET
    bench.keeper.on_book(delta(15, 16, 14, bids=[(103, 1)]), 0)
    bench.keeper.on_time(1, SECOND + 1)
    assert bench.states[-1] == ("gap", "crossed")
    assert bench.keeper.crossed == 2
    bench.keeper.on_book(delta(17, 18, 16), 2 * SECOND)
    bench.keeper.on_time(1, 20 * SECOND)
    assert bench.asked[-1] == "crossed"
    bench.keeper.on_book(snapshot(18), 20 * SECOND)
    assert bench.keeper.state == "live"


def test_a_locked_and_a_one_sided_book_are_shown_with_their_flags() -> None:
    """Both are legal; what to do about them is the gates' business."""
    bench = live_bench()
    bench.keeper.on_book(delta(11, 12, 10, bids=[(101, 1)]), 0)
    assert bench.images[-1].flags == BOOK_LOCKED
    bench.keeper.on_book(delta(13, 14, 12, asks=[(101, 0)]), 0)
    assert bench.images[-1].flags == BOOK_ONE_SIDED
    assert bench.images[-1].ask_ticks[0] == NO_ASK_TICKS
    assert bench.images[-1].ask_lots == [0] * 10


def test_receive_times_rise_strictly_over_books_and_prints() -> None:
    """Ties and steps back are moved on by a nanosecond."""
    bench = live_bench()
    bench.keeper.on_trade(Trade("BTCUSDT", 1, 5, 10, 100, 1, 1), 0)
    bench.keeper.on_book(delta(11, 12, 10, ns=10), 0)
    bench.keeper.on_trade(Trade("BTCUSDT", 2, 5, 3, 100, 1, 1), 0)
    bench.keeper.on_book(delta(13, 14, 12, ns=500), 0)
    times = [each.local_ns for each in bench.said if not isinstance(each, BookStatus)]
    assert times == [9, 10, 11, 12, 500]


def test_a_cut_or_silent_book_is_stale_until_the_next_update_that_follows() -> None:
    """Nothing was missed, so windows go on."""
    bench = live_bench()
    bench.keeper.on_down("disconnected", 5)
    assert bench.states[-1] == ("stale", "disconnected")
    bench.keeper.on_book(delta(11, 12, 10), 0)
    assert bench.states[-1] == ("live", "fresh")
    assert bench.images[-1].flags == 0
    bench.keeper.on_silence(5, 0)
    assert bench.states[-1] == ("stale", "silence")
    bench.keeper.on_book(delta(15, 16, 14), 0)
    assert bench.states[-1] == ("gap", "gap")


def test_numbers_that_begin_anew_are_noticed_by_the_silence_they_make() -> None:
    """Every update then looks old; so do the prints."""
    bench = live_bench()
    bench.keeper.on_trade(Trade("BTCUSDT", 900, 5, 10, 100, 1, 1), 0)
    bench.keeper.on_book(delta(3, 4, 2), 9 * SECOND)
    assert bench.keeper.book_mono_ns == 0
    bench.keeper.on_silence(5, 11 * SECOND)
    assert bench.states[-1] == ("gap", "numbers_restarted")
    bench.keeper.on_book(delta(5, 6, 4), 12 * SECOND)
    bench.keeper.on_book(snapshot(5), 12 * SECOND)
    bench.keeper.on_trade(Trade("BTCUSDT", 1, 5, 20, 100, 1, 1), 0)
    assert bench.keeper.state == "live"
    assert isinstance(bench.said[-1], MarketTrade)


def test_a_wrong_book_is_given_up_before_it_is_shown() -> None:
    """The venue's own best bid contradicts ours at the same update."""
    bench = live_bench()
    bench.keeper.on_ticker(BookTicker("BTCUSDT", 12, 1, 1, 100, 4, 101, 5), 0)
    shown = len(bench.images)
    bench.keeper.on_book(delta(11, 12, 10), 0)
    assert bench.states[-1] == ("gap", "ticker_mismatch")
    assert len(bench.images) == shown
    assert bench.keeper.ticker.mismatched == 1


def test_a_hole_is_not_taken_for_a_wrong_book() -> None:
    """What waited for a ticker before the gap is not compared with one behind it."""
    bench = live_bench()
    bench.keeper.on_ticker(BookTicker("BTCUSDT", 10, 1, 1, 100, 5, 101, 5), 0)
    bench.keeper.on_book(delta(11, 12, 10, bids=[(100, 9)]), 0)
    bench.keeper.on_book(delta(20, 21, 15), 0)
    bench.keeper.on_ticker(BookTicker("BTCUSDT", 22, 1, 1, 100, 5, 101, 5), 0)
    assert bench.states[-1] == ("gap", "gap")
    assert bench.keeper.ticker.mismatched == 0


def test_a_halted_symbol_says_nothing_more() -> None:
    """Until a restart."""
    bench = live_bench()
    assert bench.keeper.halt("grid_changed", 7)
    assert not bench.keeper.halt("grid_changed", 8)
    said = len(bench.said)
    bench.keeper.on_book(delta(11, 12, 10), 0)
    bench.keeper.on_trade(Trade("BTCUSDT", 1, 5, 10, 100, 1, 1), 0)
    bench.keeper.on_ticker(BookTicker("BTCUSDT", 12, 1, 1, 100, 4, 101, 5), 0)
    bench.keeper.on_snapshot_failed("http_500", 0.0, 0)
    bench.keeper.on_time(9, 100 * SECOND)
    assert len(bench.said) == said
    assert bench.states[-1] == ("halted", "grid_changed")


def test_a_size_beyond_the_lake_halts() -> None:
    """Sizes are int32 in every store."""
    bench = live_bench()
    bench.keeper.on_book(delta(11, 12, 10, bids=[(100, 2**31)]), 0)
    assert bench.states[-1] == ("halted", "beyond_int32")
    bench = live_bench()
    bench.keeper.on_trade(Trade("BTCUSDT", 1, 5, 10, 100, 2**31, 1), 0)
    assert bench.states[-1] == ("halted", "beyond_int32")
    assert not any(isinstance(each, MarketTrade) for each in bench.said)


def test_bybit_checks_every_number_and_begins_anew_with_a_snapshot() -> None:
    """A hole, a whole book in the stream, and the restart of the venue with number 1."""
    bench = live_bench(BYBIT)
    assert bench.asked == []
    bench.keeper.on_book(BookDelta("BTCUSDT", 11, 11, None, 1, 11, ((100, 6),), ()), 0)
    assert bench.images[-1].flags == 0
    bench.keeper.on_book(BookDelta("BTCUSDT", 13, 13, None, 1, 13, ((100, 7),), ()), 0)
    assert bench.states[-1] == ("gap", "gap")
    assert bench.asked == ["gap"]
    bench.keeper.on_book(snapshot(14), 0)
    assert bench.images[-1].flags == BOOK_RESET
    bench.keeper.on_book(snapshot(20), 0)
    assert bench.images[-1].flags == BOOK_RESET
    bench.keeper.on_book(BookDelta("BTCUSDT", 1, 1, None, 1, 30, ((90, 1),), ((91, 1),)), 0)
    assert (bench.images[-1].flags, bench.images[-1].bid_ticks[:2]) == (BOOK_RESET, [90, NO_BID_TICKS])


def test_a_second_socket_s_snapshot_that_is_known_changes_nothing() -> None:
    """So a planned reconnect of Bybit resets no windows."""
    bench = live_bench(BYBIT)
    bench.keeper.on_book(BookDelta("BTCUSDT", 11, 11, None, 1, 11, ((100, 6),), ()), 0)
    shown = len(bench.images)
    bench.keeper.on_book(snapshot(10), 0, is_repeat=True)
    bench.keeper.on_book(BookDelta("BTCUSDT", 11, 11, None, 1, 11, ((100, 6),), ()), 0, is_repeat=True)
    assert len(bench.images) == shown
    bench.keeper.on_book(BookDelta("BTCUSDT", 12, 12, None, 1, 12, ((100, 8),), ()), 0, is_repeat=True)
    assert (bench.images[-1].flags, bench.images[-1].bid_lots[0]) == (0, 8)


def test_venue_times_are_moved_with_a_recording() -> None:
    """The times of books and prints alike."""
    bench = Bench(BYBIT, Retiming(0, 1_000))
    bench.keeper.on_book(snapshot(10), 0)
    bench.keeper.on_trade(Trade("BTCUSDT", 1, 5, 1_005, 100, 1, 1), 0)
    assert bench.images[0].exchange_ns == 1_010
    (trade,) = (each for each in bench.said if isinstance(each, MarketTrade))
    assert trade.exchange_ns == 1_005


@dataclass
class Truth:
    """The venue's own book after each of its updates, and the updates on the wire."""

    books: dict[int, tuple[dict[int, int], dict[int, int]]]
    deltas: list[BookDelta]
    rule: SequenceRule

    def snapshot(self, k: int, ns: int) -> BookSnapshot:
        """The whole book after wire update k."""
        last = self.deltas[k].sequence
        bids, asks = self.books[last]
        return BookSnapshot("BTCUSDT", last, last, ns, tuple(bids.items()), tuple(asks.items()))


@st.composite
def markets(draw: st.DrawFn, rule: SequenceRule) -> Truth:
    """Some updates of a book that is never crossed."""
    bids, asks, sequence, books, deltas = {100: 5}, {101: 5}, 10, {}, []
    for _ in range(draw(st.integers(3, 20))):
        first = sequence + 1
        previous, sequence = sequence, first + (0 if rule is BYBIT else draw(st.integers(0, 3)))
        bid = (draw(st.integers(95, 100)), draw(st.integers(0, 3)))
        ask = (draw(st.integers(101, 106)), draw(st.integers(0, 3)))
        bids, asks = dict(bids), dict(asks)
        for side, (price, size) in ((bids, bid), (asks, ask)):
            side[price] = size
            if not size:
                del side[price]
        books[sequence] = (bids, asks)
        deltas.append(
            BookDelta(
                "BTCUSDT", first, sequence, None if rule is BYBIT else previous, sequence, sequence, (bid,), (ask,)
            )
        )
    return Truth(books, deltas, rule)


def check_never_wrong(truth: Truth, data: st.DataObject) -> None:
    """Deliver the updates dropped, doubled and swapped; every image must be the venue's book of its number."""
    order = list(range(len(truth.deltas)))
    for _ in range(data.draw(st.integers(0, 4))):
        kind, k = data.draw(st.sampled_from(["drop", "double", "swap"])), data.draw(st.integers(0, len(order) - 1))
        if kind == "drop" and len(order) > 1:
            del order[k]
        elif kind == "double":
            order.insert(k, order[k])
        elif k:
            order[k - 1], order[k] = order[k], order[k - 1]
    bench, now, answered = Bench(truth.rule), 0, 0
    if truth.rule is BYBIT:
        bench.keeper.on_book(truth.snapshot(order[0], 1), 0)
    for k in order:
        now += SECOND
        bench.keeper.on_book(truth.deltas[k], now)
        bench.keeper.on_time(now, now)
        if len(bench.asked) > answered and data.draw(st.booleans()):
            answered = len(bench.asked)
            back = data.draw(st.integers(0, 3))
            bench.keeper.on_book(truth.snapshot(max(0, k - back), now), now)
    for image in bench.images:
        bids, asks = truth.books[image.sequence]
        seen_bids = {p: q for p, q in zip(image.bid_ticks, image.bid_lots, strict=True) if q}
        seen_asks = {p: q for p, q in zip(image.ask_ticks, image.ask_lots, strict=True) if q}
        assert (seen_bids, seen_asks) == (bids, asks)
    live = False
    for each in bench.said:
        if isinstance(each, BookStatus):
            live = each.state == "live"
        else:
            assert live, "an image was told while the book was not live"


@settings(max_examples=150, deadline=None)
@given(markets(FUTURES), st.data())
def test_binance_never_shows_a_wrong_book(truth: Truth, data: st.DataObject) -> None:
    """Whatever is dropped, doubled or swapped, and however old the snapshots are."""
    check_never_wrong(truth, data)


@settings(max_examples=150, deadline=None)
@given(markets(BYBIT), st.data())
def test_bybit_never_shows_a_wrong_book(truth: Truth, data: st.DataObject) -> None:
    """The same with the other rule of numbers."""
    check_never_wrong(truth, data)


def deep(last: int, mid: int) -> BookSnapshot:
    """A snapshot as deep as the venue gives, one tick a level."""
    bids = tuple((mid - k, 5) for k in range(1, 1_001))
    return BookSnapshot("BTCUSDT", last, last, last, bids, tuple((mid + k, 5) for k in range(1, 1_001)))


def fallen(first: int, previous: int, old_bid: int, new_bid: int) -> BookDelta:
    """The bids from one price down to another are gone, and asks have come."""
    bids = tuple((price, 0) for price in range(old_bid, new_bid, -1))
    return BookDelta("BTCUSDT", first, first, previous, first, first, bids, ((new_bid + 1, 5),))


def renewing() -> Bench:
    """A live bench whose book is renewed in time."""
    bench = Bench()
    bench.keeper = BookKeeper(
        BTC, FUTURES, bench.said.append, bench.asked.append, Backoff(1.0, 8.0, Random(7)),
        answer_ns=10 * SECOND, steady_ns=30 * SECOND, renews=True,
    )  # fmt: skip
    bench.keeper.start(1, 0)
    bench.keeper.on_book(delta(9, 10, 8), 0)
    bench.keeper.on_book(deep(9, 10_000), 0)
    assert bench.keeper.state == "live"
    return bench


def test_a_book_that_nears_the_end_of_its_snapshot_is_renewed_unnoticed() -> None:
    """A second snapshot is asked for; no state changes, no window begins anew, deep levels are there again."""
    bench = renewing()
    bench.keeper.on_book(fallen(11, 10, 9_999, 9_300), SECOND)
    assert bench.asked == ["start", "near_range_end"]
    bench.keeper.on_book(delta(12, 12, 11), 2 * SECOND)
    bench.keeper.on_book(deep(12, 9_301), 2 * SECOND)
    bench.keeper.on_book(delta(13, 13, 12), 2 * SECOND)
    bench.keeper.on_book(fallen(14, 13, 9_300, 8_900), 3 * SECOND)
    assert bench.images[-1].bid_ticks[0] == 8_900
    assert bench.states == [("syncing", "start"), ("syncing", "start"), ("live", "joined")]
    assert [image.flags for image in bench.images] == [BOOK_RESET, 0, 0, 0, 0]


def test_a_book_that_has_passed_the_end_of_its_snapshot_is_given_up() -> None:
    """What lies there shows only when it changes, so the best ten are not certain."""
    bench = renewing()
    shown = len(bench.images)
    bench.keeper.on_book(fallen(11, 10, 9_999, 9_005), SECOND)
    assert bench.states[-1] == ("gap", "beyond_range")
    assert len(bench.images) == shown

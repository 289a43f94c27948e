"""The order book against a naive dict of the true book, on feeds that lose, repeat, reorder and restart.

The safety held by the state machine: whenever the book says LIVE, it is the true book as of its sequence. The life in
it: a fresh snapshot and one more update make it LIVE again from anywhere.
"""

from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from market.book import BookState, OrderBook
from market.events import NO_ASK_TICKS, NO_BID_TICKS, BadEvent, BookDelta, BookSnapshot, Level, SequenceGap
from market.sequence import Gap, SequenceRule
from market.symbols import Symbol

X = Symbol("X", "nowhere", "X", "perp", Decimal("0.1"), Decimal(1), Decimal(0), 1.0, 2.0, 0.01)
Ladder = dict[int, int]
Books = tuple[Ladder, Ladder]

changes = st.lists(
    st.tuples(st.sampled_from([0, 1]), st.integers(min_value=1, max_value=8), st.integers(min_value=0, max_value=3)),
    min_size=1,
    max_size=4,
)


def _sorted(books: Books) -> tuple[list[Level], list[Level]]:
    return sorted(books[0].items(), reverse=True), sorted(books[1].items())


def _snapshot(sequence: int, books: Books) -> BookSnapshot:
    return BookSnapshot("X", sequence, sequence, sequence, tuple(books[0].items()), tuple(books[1].items()))


class _Venue:
    """A venue that numbers each single change, bundles some into an update, and remembers every state it had."""

    def __init__(self, sequence_rule: SequenceRule) -> None:
        self.rule = sequence_rule
        self.last = 100
        self.books: Books = ({5: 1}, {6: 1})
        self.history: dict[int, Books] = {self.last: self._copy()}

    def update(self, bundle: list[tuple[int, int, int]]) -> BookDelta:
        """Change the book and tell it in one update; futures ids jump, spot's do not, Bybit counts updates."""
        before = self.last
        first = before + (4 if self.rule is SequenceRule.BINANCE_FUTURES else 1)
        seen: tuple[Ladder, Ladder] = ({}, {})
        for number, (side, price_ticks, size_lots) in enumerate(bundle):
            self.last = first if self.rule is SequenceRule.BYBIT else first + number
            seen[side][price_ticks] = size_lots
            self.books[side].pop(price_ticks, None)
            if size_lots:
                self.books[side][price_ticks] = size_lots
            self.history[self.last] = self._copy()
        previous = before if self.rule is SequenceRule.BINANCE_FUTURES else None
        bids, asks = tuple(seen[0].items()), tuple(seen[1].items())
        return BookDelta("X", first, self.last, previous, self.last, self.last, bids, asks)

    def snapshot(self, back: int = 0) -> BookSnapshot:
        """The whole book as of the id `back` states ago."""
        sequence = sorted(self.history)[-1 - min(back, len(self.history) - 1)]
        return _snapshot(sequence, self.history[sequence])

    def restart(self) -> BookDelta:
        """Start over at id 1, as Bybit does after a service restart: an update that is the whole book."""
        self.last = 1
        self.history = {1: self._copy()}
        bids, asks = tuple(self.books[0].items()), tuple(self.books[1].items())
        return BookDelta("X", 1, 1, None, 1, 1, bids, asks)

    def _copy(self) -> Books:
        return dict(self.books[0]), dict(self.books[1])


class _Feed(RuleBasedStateMachine):
    """Updates arrive, get lost, come late and out of order, or twice; snapshots come fresh or old."""

    sequence_rule: SequenceRule

    @initialize(bundle=changes)
    def start(self, bundle: list[tuple[int, int, int]]) -> None:
        self.venue = _Venue(self.sequence_rule)
        self.book = OrderBook(X, self.sequence_rule, buffer_limit=6)
        self.late: list[BookDelta] = []
        self.delivered: list[BookDelta] = []
        self.mend(bundle)

    @rule(bundle=changes, fate=st.sampled_from(["arrives", "arrives", "arrives", "is lost", "is late"]))
    def trade(self, bundle: list[tuple[int, int, int]], fate: str) -> None:
        delta = self.venue.update(bundle)
        if fate == "arrives":
            self._give(delta)
        elif fate == "is late":
            self.late.append(delta)

    @precondition(lambda self: self.late)
    @rule(data=st.data())
    def arrive_late(self, data: st.DataObject) -> None:
        self._give(self.late.pop(data.draw(st.integers(min_value=0, max_value=len(self.late) - 1))))

    @precondition(lambda self: self.delivered)
    @rule(data=st.data())
    def repeat(self, data: st.DataObject) -> None:
        self._give(data.draw(st.sampled_from(self.delivered)))

    @rule(back=st.integers(min_value=0, max_value=12))
    def send_snapshot(self, back: int) -> None:
        # Bybit's snapshots are in the stream itself, so they are never older than what we have.
        if self.sequence_rule is SequenceRule.BYBIT:
            back, self.late = 0, []
        self.book.apply(self.venue.snapshot(back))

    @precondition(lambda self: self.sequence_rule is SequenceRule.BYBIT)
    @rule(as_snapshot=st.booleans())
    def restart(self, as_snapshot: bool) -> None:
        self.late, self.delivered = [], []
        whole = self.venue.restart()
        if as_snapshot:
            self.book.apply(self.venue.snapshot())
        else:
            self._give(whole)
        assert self.book.state is BookState.LIVE

    @rule(bundle=changes)
    def mend(self, bundle: list[tuple[int, int, int]]) -> None:
        self.book.apply(self.venue.snapshot())
        self._give(self.venue.update(bundle))
        assert self.book.state is BookState.LIVE

    @invariant()
    def live_means_true(self) -> None:
        book = self.book
        if book.state is BookState.LIVE:
            assert book.top(100) == _sorted(self.venue.history[book.sequence])
            assert not book.needs_snapshot
        else:
            with pytest.raises(SequenceGap, match=f"X: the book is {book.state.value}"):
                book.best()
        assert (book.state is BookState.GAP) <= book.needs_snapshot
        assert len(book.gaps) == book.counts.gaps

    def _give(self, delta: BookDelta) -> None:
        self.book.apply(delta)
        self.delivered.append(delta)


class _FuturesFeed(_Feed):
    sequence_rule = SequenceRule.BINANCE_FUTURES


class _SpotFeed(_Feed):
    sequence_rule = SequenceRule.BINANCE_SPOT


class _BybitFeed(_Feed):
    sequence_rule = SequenceRule.BYBIT


_FEED_SETTINGS = settings(max_examples=60, stateful_step_count=30)
TestFuturesFeed = _FuturesFeed.TestCase
TestFuturesFeed.settings = _FEED_SETTINGS
TestSpotFeed = _SpotFeed.TestCase
TestSpotFeed.settings = _FEED_SETTINGS
TestBybitFeed = _BybitFeed.TestCase
TestBybitFeed.settings = _FEED_SETTINGS

binance = pytest.mark.parametrize("sequence_rule", [SequenceRule.BINANCE_FUTURES, SequenceRule.BINANCE_SPOT])


@binance
@given(bundles=st.lists(changes, min_size=1, max_size=12), joined_at=st.integers(min_value=0, max_value=40))
def test_an_unbroken_feed_never_gaps(
    sequence_rule: SequenceRule, bundles: list[list[tuple[int, int, int]]], joined_at: int
) -> None:
    """Whatever id the snapshot falls on, within an update or between two, all updates in order end LIVE and true."""
    venue = _Venue(sequence_rule)
    deltas = [venue.update(bundle) for bundle in bundles]
    book = OrderBook(X, sequence_rule)
    for delta in deltas[: len(deltas) // 2]:
        assert book.apply(delta) is BookState.SYNCING
    book.apply(venue.snapshot(joined_at))
    for delta in [*deltas[len(deltas) // 2 :], venue.update([(0, 1, 1)])]:
        book.apply(delta)
    assert book.state is BookState.LIVE
    assert book.top(9) == _sorted(venue.books)
    assert (book.counts.gaps, book.counts.snapshots_too_old, book.counts.discarded) == (0, 0, 0)


@binance
def test_a_lost_update_is_a_gap_until_a_snapshot_is_joined(sequence_rule: SequenceRule) -> None:
    """LIVE to GAP on the update behind the lost one; updates are kept meanwhile; the snapshot brings them back in."""
    venue, book = _Venue(sequence_rule), OrderBook(X, sequence_rule)
    book.apply(venue.snapshot())
    assert book.apply(venue.update([(0, 4, 2)])) is BookState.LIVE
    last = book.sequence
    venue.update([(0, 3, 9)])
    second = venue.update([(1, 7, 5)])
    assert book.apply(second) is BookState.GAP
    assert book.needs_snapshot
    wanted = (last, second.previous_sequence)
    if sequence_rule is SequenceRule.BINANCE_SPOT:
        wanted = (last + 1, second.first_sequence)
    assert book.gaps == (Gap(wanted[0], wanted[1] or 0, second.exchange_ns),)
    assert book.apply(_snapshot(second.first_sequence, venue.history[second.first_sequence])) is not BookState.GAP
    assert book.apply(venue.update([(1, 8, 1)])) is BookState.LIVE
    assert book.top(9) == _sorted(venue.books)


@binance
def test_a_snapshot_older_than_the_first_kept_update_keeps_syncing(sequence_rule: SequenceRule) -> None:
    """Too old a snapshot is counted and asked for again; a newer one joins what was kept."""
    venue, book = _Venue(sequence_rule), OrderBook(X, sequence_rule)
    old = venue.snapshot()
    venue.update([(0, 4, 2)])
    kept = [venue.update([(0, 4, 3)]), venue.update([(0, 4, 4)])]
    for delta in kept:
        book.apply(delta)
    assert book.apply(old) is BookState.SYNCING
    assert book.counts.snapshots_too_old == 1
    assert book.needs_snapshot
    assert book.apply(_snapshot(kept[0].sequence, venue.history[kept[0].sequence])) is BookState.LIVE
    assert book.depth("bid", 2) == 1 + 4


@binance
def test_a_late_snapshot_does_not_set_a_live_book_back(sequence_rule: SequenceRule) -> None:
    """A snapshot older than the applied updates is stale; so is an update applied before."""
    venue, book = _Venue(sequence_rule), OrderBook(X, sequence_rule)
    late = venue.snapshot()
    book.apply(late)
    delta = venue.update([(0, 4, 2)])
    book.apply(delta)
    book.apply(late)
    assert book.apply(delta) is BookState.LIVE
    assert book.counts.stale == 2
    assert book.sequence == delta.sequence


def test_kept_updates_are_bounded() -> None:
    """Beyond the limit the oldest go and are counted; a snapshot newer than them still mends the book."""
    venue, book = _Venue(SequenceRule.BINANCE_SPOT), OrderBook(X, SequenceRule.BINANCE_SPOT, buffer_limit=2)
    deltas = [venue.update([(0, 4, lots)]) for lots in (1, 2, 3, 1, 2)]
    for delta in deltas:
        book.apply(delta)
    assert book.counts.discarded == 3
    assert book.apply(_snapshot(deltas[2].sequence, venue.history[deltas[2].sequence])) is BookState.LIVE
    assert book.top(9) == _sorted(venue.books)


def test_bybit_discards_updates_before_the_snapshot() -> None:
    """The snapshot comes in the stream, so what came before it is older; none is replayed behind it."""
    venue, book = _Venue(SequenceRule.BYBIT), OrderBook(X, SequenceRule.BYBIT)
    assert book.apply(venue.update([(0, 4, 2)])) is BookState.SYNCING
    assert book.counts.discarded == 1
    assert book.apply(venue.snapshot()) is BookState.LIVE
    assert book.apply(venue.update([(0, 3, 1)])) is BookState.LIVE


def test_a_snapshot_only_feed_takes_the_newest_whole_book() -> None:
    """Each book replaces the last, an older one is stale, and an update does not belong."""
    book = OrderBook(X, SequenceRule.SNAPSHOT_ONLY)
    assert book.apply(_snapshot(10, ({5: 1}, {6: 1}))) is BookState.LIVE
    book.apply(_snapshot(11, ({4: 2}, {7: 2})))
    book.apply(_snapshot(9, ({1: 1}, {9: 9})))
    assert book.best() == (4, 2, 7, 2)
    assert (book.counts.stale, book.sequence, book.exchange_ns, book.local_ns) == (1, 11, 11, 11)
    with pytest.raises(BadEvent, match="whole books only"):
        book.apply(BookDelta("X", 12, 12, None, 1, 1, (), ()))


def test_crossed_locked_and_empty_sides_are_told_apart() -> None:
    """Locked is not crossed; a missing side has the outermost price and no lots."""
    book = OrderBook(X, SequenceRule.SNAPSHOT_ONLY)
    for bids, asks, best, crossed, locked in (
        ({5: 1}, {6: 1}, (5, 1, 6, 1), False, False),
        ({6: 1}, {6: 2}, (6, 1, 6, 2), False, True),
        ({7: 1}, {6: 2}, (7, 1, 6, 2), True, False),
        ({}, {6: 2}, (NO_BID_TICKS, 0, 6, 2), False, False),
        ({7: 1}, {}, (7, 1, NO_ASK_TICKS, 0), False, False),
        ({}, {}, (NO_BID_TICKS, 0, NO_ASK_TICKS, 0), False, False),
    ):
        book.apply(_snapshot(1, (bids, asks)))
        assert book.best() == best
        assert (book.is_crossed, book.is_locked) == (crossed, locked)


def test_top_and_depth_read_from_the_touch_outwards() -> None:
    """n levels a side, fewer where the side has fewer."""
    book = OrderBook(X, SequenceRule.SNAPSHOT_ONLY)
    book.apply(_snapshot(1, ({3: 30, 5: 50, 4: 40}, {7: 70, 6: 60})))
    assert book.top(2) == ([(5, 50), (4, 40)], [(6, 60), (7, 70)])
    assert (book.depth("bid", 2), book.depth("ask", 9)) == (90, 130)


def test_an_event_of_another_symbol_is_refused() -> None:
    """A router's mistake is no market data."""
    with pytest.raises(BadEvent, match="route events by symbol"):
        OrderBook(X, SequenceRule.BYBIT).apply(BookSnapshot("Y", 1, 1, 1, (), ()))

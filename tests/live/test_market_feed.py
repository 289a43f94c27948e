"""Two streams, each in order, come out as the one order they were said in; what is missing is told, once."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from bus.messages import BookImage, MarketTrade, Received
from live.market_feed import Lost, MarketFeed
from market.columns import BOOK_RESET
from tests.live.markets import MarketBody, numbered, status

S = "BTCUSDT"
TICK_NS = 200_000_000


def image(number: int, flags: int = 0) -> BookImage:
    """The simplest image."""
    return BookImage(S, number, number, number, flags, [1] * 10, [1] * 10, [2] * 10, [1] * 10)


def body(is_trade: bool, number: int, *, reset: bool = False) -> MarketBody:
    """A print or an image."""
    return MarketTrade(S, number, number, number, 1, 1, 1) if is_trade else image(number, BOOK_RESET * reset)


@st.composite
def conversations(draw: st.DrawFn) -> tuple[list[Received], list[Received]]:
    """What a collector said in its lives, and the same as two streams deliver it: each in order, mixed anyhow."""
    said: list[Received] = []
    for epoch in range(1, draw(st.integers(1, 3))):
        kinds = draw(st.lists(st.booleans(), min_size=1, max_size=25))
        first = draw(st.sampled_from([1, 1, 7]))
        first_image = kinds.index(False) if False in kinds else -1
        told = [body(kind, 100 * epoch + i, reset=i == first_image) for i, kind in enumerate(kinds)]
        said += numbered(told, epoch=epoch, first=first)
    piles = [[m for m in said if isinstance(m.body, MarketTrade)], [m for m in said if isinstance(m.body, BookImage)]]
    mixed = []
    while any(piles):
        pile = draw(st.sampled_from([p for p in piles if p]))
        mixed += [pile.pop(0) for _ in range(draw(st.integers(1, len(pile))))]
    return said, mixed


def drained(feed: MarketFeed, messages: list[Received]) -> list[Received | Lost]:
    """Everything a feed hands out, holes that stay open given up at the end."""
    out = [each for message in messages for each in feed.order(message)]
    for turn in range(60):
        out += feed.overdue(turn * TICK_NS)
    return out


@given(conversations())
def test_a_feed_that_resumes_hands_out_everything_in_the_order_it_was_said(
    talk: tuple[list[Received], list[Received]],
) -> None:
    """Over restarts of a collector too, whichever stream is ahead; each life begins by a reset, so nothing is lost."""
    said, mixed = talk
    feed = MarketFeed([S], resume={})
    assert drained(feed, mixed) == said
    assert feed.lost == 0


@given(conversations(), st.data())
def test_what_is_missing_is_told_where_it_is_missing(
    talk: tuple[list[Received], list[Received]], data: st.DataObject
) -> None:
    """Within a collector's life every hole has its Lost in front of what comes behind it; nothing else is left out."""
    said, mixed = talk
    gone_keys = {(m.header.epoch, m.header.seq) for m in said if data.draw(st.integers(0, 5)) == 0}
    left = [m for m in mixed if (m.header.epoch, m.header.seq) not in gone_keys]
    out = drained(MarketFeed([S], resume={}), left)
    assert [m for m in out if isinstance(m, Received)] == [
        m for m in said if (m.header.epoch, m.header.seq) not in gone_keys
    ]
    for before, after in pairwise(out):
        if isinstance(before, Received) and isinstance(after, Received) and before.header.epoch == after.header.epoch:
            assert after.header.seq == before.header.seq + 1


@given(conversations(), st.data())
def test_repeats_change_nothing(talk: tuple[list[Received], list[Received]], data: st.DataObject) -> None:
    """Any message may come again, at once or much later."""
    said, mixed = talk
    doubled = list(mixed)
    for place in data.draw(st.lists(st.integers(0, max(0, len(mixed) - 1)), max_size=5)) if mixed else []:
        doubled.insert(data.draw(st.integers(place, len(doubled))), mixed[place])
    assert drained(MarketFeed([S], resume={}), doubled) == said


@given(conversations())
def test_a_late_joiner_gets_the_order_from_its_first_message_on(talk: tuple[list[Received], list[Received]]) -> None:
    """Order never breaks, and the last life of the collector is whole behind the first message of it that came."""
    said, mixed = talk
    out = [each for each in drained(MarketFeed([S]), mixed) if isinstance(each, Received)]
    keys = [(m.header.epoch, m.header.seq) for m in out]
    assert keys == sorted(set(keys))
    if said:
        last = said[-1].header.epoch
        first = next(m for m in mixed if m.header.epoch == last)
        wanted = [m for m in said if m.header.epoch == last and m.header.seq >= first.header.seq]
        assert [m for m in out if m.header.epoch == last] == wanted


def test_in_order_costs_no_waiting() -> None:
    """What comes in order is handed on at once."""
    feed = MarketFeed([S])
    for message in numbered([body(k % 3 == 0, k) for k in range(1, 9)]):
        assert feed.take(message) == [message.body]
    assert feed.place(S) == (1, 9)


def test_a_hole_both_streams_have_passed_is_lost_at_once() -> None:
    """No clock is needed for it."""
    first, _, third, fourth = numbered([body(False, 1), body(True, 2), body(False, 3), body(True, 4)])
    feed = MarketFeed([S])
    feed.take(first)
    assert feed.take(third) == []
    assert feed.take(fourth) == [Lost(S, 2, 3), third.body, fourth.body]


def test_a_hole_on_a_silent_stream_is_given_up_after_a_second() -> None:
    """And the time this process stood still does not count."""
    first, _, third = numbered([body(False, 1), body(False, 2), body(False, 3)])
    feed = MarketFeed([S])
    feed.take(first)
    feed.take(third)
    assert feed.tick(0) == []
    assert feed.tick(3_600 * 10**9) == []
    told = [event for turn in range(1, 6) for event in feed.tick(3_600 * 10**9 + turn * TICK_NS)]
    assert told == [Lost(S, 2, 3), third.body]
    assert feed.held() == 0


def test_what_is_held_is_bounded() -> None:
    """A stream that runs far ahead of the other is not kept for ever."""
    messages = numbered([body(k == 1, k) for k in range(12)])
    feed = MarketFeed([S], most_held=8)
    out = [event for k, message in enumerate(messages) if k != 1 for event in feed.take(message)]
    assert out[1] == Lost(S, 2, 3)
    assert len(out) == 12


def test_a_collector_that_was_replaced_is_not_heard() -> None:
    """A paused process that wakes up cannot speak for a newer one."""
    old = numbered([body(False, 1), body(False, 2)], epoch=3)
    new = numbered([body(False, 9, reset=True)], epoch=4)
    feed = MarketFeed([S])
    assert feed.take(old[0]) == [old[0].body]
    assert feed.take(new[0]) == [new[0].body]
    assert feed.take(old[1]) == []
    assert feed.refusals.outdated == 1


def test_a_new_collector_that_begins_without_a_reset_has_lost_something() -> None:
    """Prints before its first image pass; the image stands behind a Lost."""
    old = numbered([body(False, 1)], epoch=1)
    new = numbered([body(True, 5), status(S, "live", 6), body(False, 7)], epoch=2, first=4)
    feed = MarketFeed([S])
    out = [event for message in old + new for event in feed.take(message)]
    assert out == [old[0].body, new[0].body, new[1].body, Lost(S, 0, 6), new[2].body]


def test_resuming_goes_on_at_the_place_that_was_kept() -> None:
    """What is before it is a repeat, what is behind a hole waits."""
    said = numbered([body(k % 2 == 0, k) for k in range(6)])
    first = MarketFeed([S], resume={})
    for message in said[:3]:
        first.order(message)
    for turn in range(7):
        first.overdue(turn * TICK_NS)
    place = first.place(S)
    assert place == (1, 4)
    again = MarketFeed([S], resume={S: place})
    assert again.order(said[2]) == []
    assert again.order(said[4]) == []
    assert again.order(said[3]) == [said[3], said[4]]


def test_a_symbol_of_somebody_else_is_passed_over() -> None:
    """A stream that was subscribed by mistake does no harm."""
    feed = MarketFeed(["ETHUSDT"])
    assert feed.take(numbered([body(False, 1)])[0]) == []
    assert feed.refusals.foreign == 1

"""The view of one symbol: when it is live, how old it is, what its depth and prints are."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from bus.messages import BookImage, BookStatus, MarketTrade, MarkPrice
from live.executor.exits import Touch
from live.executor.view import PRINTS_NS, MarketView
from market.columns import BOOK_RESET
from market.events import NO_ASK_TICKS, NO_BID_TICKS

S = 1_000_000_000
WALL = 1_700_000_000 * S


def image(at_ns: int = WALL, *, bid: int = 100, ask: int = 101, lots: int = 5, flags: int = 0) -> BookImage:
    """A book of ten levels."""
    return BookImage(
        "BTCUSDT", at_ns, at_ns, 1, flags, [bid - level for level in range(10)], [lots] * 10,
        [ask + level for level in range(10)], [lots] * 10,
    )  # fmt: skip


def status(state: Any) -> BookStatus:
    """The collector's word."""
    return BookStatus("BTCUSDT", state, "test", 0, 0, WALL)


def test_a_book_makes_live_and_a_reset_begins_anew() -> None:
    """Seconds count from the first certain book; a reset, a gap and a loss begin them again."""
    view = MarketView("BTCUSDT")
    assert view.live_seconds(0) is None
    view.on_book(image(), 0)
    assert view.live_seconds(10 * S) == 10.0
    view.on_book(image(), 10 * S)
    assert view.live_seconds(12 * S) == 12.0
    view.on_book(image(flags=BOOK_RESET), 20 * S)
    assert view.live_seconds(21 * S) == 1.0
    view.on_status(status("gap"), 22 * S)
    assert view.live_seconds(22 * S) is None
    assert view.touch() is None
    view.on_status(status("live"), 23 * S)
    view.on_book(image(), 24 * S)
    assert view.live_seconds(25 * S) == 2.0
    view.void("lost")
    assert view.live_seconds(25 * S) is None


def test_an_age_is_the_larger_of_two_clocks() -> None:
    """Late on the way, or a process that stood still: neither looks fresh; a stamp far ahead is as good as none."""
    view = MarketView("BTCUSDT")
    assert view.book_age_ms(0, WALL) == float("inf")
    view.on_book(image(), 0)
    assert view.book_age_ms(0, WALL + 5 * S) == 5_000.0
    assert view.book_age_ms(7 * S, WALL + 5 * S) == 7_000.0
    assert view.book_age_ms(7 * S, WALL - S) == 7_000.0
    assert view.book_age_ms(7 * S, WALL - S - 1) == float("inf")
    view.on_mark(MarkPrice("BTCUSDT", WALL, WALL, 10.0, 0.0, 0), S)
    assert view.mark_age_ms(3 * S, WALL) == 2_000.0


def test_depth_that_was_gone_must_be_normal_for_a_while() -> None:
    """An empty side, a stale market: the time begins at the last such moment."""
    view = MarketView("BTCUSDT", 30 * S)
    view.on_book(image(), 0)
    assert view.recovering_seconds(0) == 0.0
    view.on_book(image(bid=NO_BID_TICKS, lots=0), S)
    assert view.recovering_seconds(S) == 30.0
    assert view.touch() is None
    view.on_book(image(ask=NO_ASK_TICKS), 2 * S)
    assert view.touch() is None
    view.on_book(image(), 12 * S)
    assert view.recovering_seconds(12 * S) == 20.0
    assert view.touch() == Touch(100, 101)
    view.on_status(status("stale"), 40 * S)
    assert view.recovering_seconds(40 * S) == 30.0


def test_volatility_needs_moves_and_forgets_them_at_a_break() -> None:
    """None until ten seconds of moves are there, and again behind a break."""
    view = MarketView("BTCUSDT")
    for second in range(14):
        view.on_book(image(WALL + second * S, bid=100 + second % 2, ask=102 + second % 2), second * S)
    assert view.volatility_bps() is not None
    view.void("gap")
    view.on_book(image(WALL + 20 * S), 20 * S)
    assert view.volatility_bps() is None


def test_depth_is_of_the_levels_asked_for() -> None:
    """Either side, at most ten, none without a book."""
    view = MarketView("BTCUSDT")
    assert view.depth_lots(1, 5) == 0
    view.on_book(image(lots=3), 0)
    assert [view.depth_lots(1, 1), view.depth_lots(-1, 5), view.depth_lots(1, 99)] == [3, 15, 30]


@given(st.lists(st.tuples(st.integers(0, 60), st.sampled_from([1, -1, 0]), st.integers(1, 9)), max_size=50))
def test_prints_that_work_on_our_side_are_the_others_takers(rows: list[tuple[int, int, int]]) -> None:
    """Of the last span alone, the aggressor against us."""
    view = MarketView("BTCUSDT")
    view.on_book(image(), 0)
    rows = sorted(rows)
    for second, aggressor, lots in rows:
        view.on_trade(MarketTrade("BTCUSDT", 1, WALL, WALL, 100, lots, aggressor), second * S)
    now = 60 * S
    for side in (1, -1):
        found = view.our_side(side, now)
        wanted = [(100, lots) for at, who, lots in rows if who == -side and now - at * S <= PRINTS_NS]
        assert list(found.prints) == wanted
        assert found.ticks[0] == (100 if side > 0 else 101)


def test_without_a_book_there_is_no_side() -> None:
    """Nothing to lay a ladder on."""
    assert MarketView("BTCUSDT").our_side(1, 0).ticks == ()
    assert MarketView("BTCUSDT").mid_ticks() == 0.0

from hypothesis import given
from hypothesis import strategies as st

from bus.messages import BookImage
from live.ticker_check import TickerCheck
from market.columns import BOOK_ONE_SIDED
from market.events import BookTicker


def _image(touch: int) -> BookImage:
    return BookImage("BTCUSDT", 1, 1, 0, 0, [touch] + [0] * 9, [5] + [0] * 9, [touch + 1] * 10, [7] * 10)


def _ticker(sequence: int, touch: int) -> BookTicker:
    return BookTicker("BTCUSDT", sequence, 1, 1, touch, 5, touch + 1, 7)


def test_a_book_equals_the_newest_ticker_not_behind_it() -> None:
    """Ticker 10 speaks of books 10 to 14, ticker 15 of those from 15 on."""
    check = TickerCheck()
    assert check.ticker(_ticker(10, 100))
    assert check.book(12, _image(100))
    assert check.checked == 0, "a ticker of 11 may still come"
    assert check.ticker(_ticker(15, 101))
    assert check.checked == 1
    assert check.book(15, _image(101))
    assert (check.checked, check.mismatched) == (2, 0)


def test_a_wrong_book_is_found_at_the_same_update_at_once() -> None:
    """And at a later ticker when the ticker came first."""
    check = TickerCheck()
    assert check.ticker(_ticker(10, 100))
    assert not check.book(10, _image(99))
    assert check.book(12, _image(99))
    assert not check.ticker(_ticker(13, 100))
    assert check.mismatched == 2


def test_half_a_book_is_not_compared() -> None:
    """No ticker tells of one side alone."""
    check = TickerCheck()
    check.ticker(_ticker(10, 100))
    image = _image(100)
    half = BookImage("BTCUSDT", 1, 1, 10, BOOK_ONE_SIDED, [0] * 10, [0] * 10, image.ask_ticks, image.ask_lots)
    assert check.book(10, half)
    assert check.book(11, _image(99))
    assert (check.checked, check.mismatched) == (0, 0)


def test_what_was_before_a_hole_is_not_compared() -> None:
    """Forgetting leaves nothing that could contradict."""
    check = TickerCheck()
    check.ticker(_ticker(10, 100))
    check.book(11, _image(55))
    check.forget()
    assert check.ticker(_ticker(12, 100))
    assert check.book(12, _image(100))
    assert (check.checked, check.mismatched) == (1, 0)


@given(st.lists(st.tuples(st.integers(1, 5), st.integers(0, 1)), min_size=1, max_size=60), st.data())
def test_a_true_market_never_mismatches_in_any_interleaving(moves: list[tuple[int, int]], data: st.DataObject) -> None:
    """Tickers at each change of the touch, books at some updates: both in order, mixed at will."""
    sequence, touch, tickers, books = 0, 100, [], []
    for step, change in moves:
        sequence += step
        touch += change
        if change or not tickers:
            tickers.append((sequence, touch))
        if data.draw(st.booleans()):
            books.append((sequence, touch))
    check = TickerCheck()
    while tickers or books:
        if tickers and (not books or data.draw(st.booleans())):
            assert check.ticker(_ticker(*tickers.pop(0)))
        else:
            number, price = books.pop(0)
            assert check.book(number, _image(price))
    assert check.mismatched == 0

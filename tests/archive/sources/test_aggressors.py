"""Who took liquidity: quote rule, tick rule, the published step, and no look ahead."""

import numpy as np
import pytest

from archive.sources.aggressors import infer, published_step
from market.columns import BookBuilder, BookColumns
from tests.archive.sources.made import at, book_of, trades_of


def _one(price: int, bid: int, ask: int, step: int = 1) -> int:
    book = book_of([(at(1), at(1), bid, ask)])
    return int(infer(trades_of([(at(2), at(2), price)]), book, step)[0])


@pytest.mark.parametrize(("price", "side"), [(99, -1), (100, -1), (101, -1), (102, 0), (103, 1), (104, 1), (110, 1)])
def test_the_mid_parts_sells_from_buys(price: int, side: int) -> None:
    """100 to 104: below 102 a sell, above a buy, at it the tick rule, which knows nothing of a first trade."""
    assert _one(price, 100, 104) == side


@pytest.mark.parametrize(("price", "side"), [(99, -1), (100, -1), (109, -1), (110, 1), (119, 1), (120, 1)])
def test_a_cut_price_stands_for_its_whole_step(price: int, side: int) -> None:
    """Bid 100 and ask 110, cut to tens: a print at 109 cannot have met an ask that is 110 or more."""
    assert _one(price, 100, 110, step=10) == side


@pytest.mark.parametrize(("price", "side"), [(99, -1), (100, -1), (101, 0), (108, 0), (109, 1), (110, 1)])
def test_within_a_locked_step_only_its_ends_tell(price: int, side: int) -> None:
    """Both touches lie in 100 to 109: the first tick can only be a bid, the last only an ask."""
    assert _one(price, 100, 100, step=10) == side


def test_the_tick_rule_carries_the_last_change() -> None:
    """Without a book: unknown until the price first moves, then the sign of the last move."""
    trades = trades_of([(at(k), at(k), price) for k, price in enumerate([10, 10, 11, 11, 9, 9])])
    assert infer(trades, BookColumns.empty()).tolist() == [0, 0, 1, 1, -1, -1]
    assert infer(trades_of([(0, 0, 1)]).slice(0, 0), BookColumns.empty()).tolist() == []


def test_the_book_must_be_older_and_must_have_arrived() -> None:
    """A book of the same moment, or one that reached us after the trade, is not used."""
    book = book_of([(at(1), at(1.1), 100, 101), (at(2), at(2.9), 110, 111), (at(3), at(3.1), 90, 91)])
    trades = trades_of([(at(2.5), at(2.6), 105), (at(3), at(3.2), 105)])
    assert infer(trades, book).tolist() == [1, -1]


def test_a_one_sided_book_quotes_nothing() -> None:
    """Its mid is made of a price that is not there."""
    builder = BookBuilder()
    builder.append_levels(at(1), at(1), 0, [(100, 1)], [])
    assert infer(trades_of([(at(2), at(2), 50)]), builder.finish()).tolist() == [0]


def test_the_step_divides_every_published_price() -> None:
    """Missing levels do not count; a book of nothing has step 1."""
    assert published_step(book_of([(at(1), at(1), 930, 940), (at(2), at(2), 950, 950)])) == 10
    assert published_step(book_of([(at(1), at(1), 931, 940)])) == 1
    assert published_step(BookColumns.empty()) == 1


def test_a_naive_mid_of_a_cut_book_calls_too_many_buys() -> None:
    """On a market of even sides seen through a feed cut to tens, the step brings the balance back."""
    rng = np.random.default_rng(3)
    bid = 1_000 + rng.integers(0, 1_000, 4_000)
    buys = rng.random(4_000) < 0.5
    book = book_of([(at(k), at(k), int(b) // 10 * 10, int(b + 1) // 10 * 10) for k, b in enumerate(bid)])
    trades = trades_of(
        [(at(k + 0.5), at(k + 0.5), int(b + buy)) for k, (b, buy) in enumerate(zip(bid, buys, strict=True))]
    )
    truth = np.where(buys, 1, -1)
    naive, known = infer(trades, book), infer(trades, book, published_step(book))
    assert (naive > 0).mean() > 0.65
    assert 0.45 < (known > 0).mean() < 0.55
    assert (known == truth).mean() > (naive == truth).mean() + 0.05

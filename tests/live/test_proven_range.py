from hypothesis import given
from hypothesis import strategies as st

from live.proven_range import ProvenRange, Renewal
from market.book import BookState, OrderBook
from market.events import BookDelta, BookSnapshot, Level
from market.sequence import SequenceRule
from market.symbols import SymbolTable
from tests.live.parts import ROOT

BTC = SymbolTable.load(ROOT / "data" / "reference" / "symbols.yml")["BTCUSDT"]
RULE = SequenceRule.BINANCE_FUTURES
SECOND = 1_000_000_000


def snapshot(sequence: int = 10, levels: int = 1_000, mid: int = 10_000) -> BookSnapshot:
    """A snapshot of so many levels a side."""
    bids = tuple((mid - k, 1) for k in range(1, levels + 1))
    return BookSnapshot("BTCUSDT", sequence, 1, 1, bids, tuple((mid + k, 1) for k in range(1, levels + 1)))


def best(price: int, step: int, count: int = 10) -> list[Level]:
    """The best levels of a side."""
    return [(price + step * k, 1) for k in range(count)]


def test_a_full_snapshot_proves_what_lies_between_its_ends() -> None:
    """Inside, in the outer half, behind the end: on either side."""
    known = ProvenRange()
    known.note(snapshot())
    inside = best(10_001, 1)
    assert known.judge(best(9_999, -1), inside) == "inside"
    assert known.judge(best(9_400, -1), inside) == "near"
    assert known.judge(best(9_000, -1), inside) == "beyond"
    assert known.judge(best(9_999, -1), best(10_600, 1)) == "near"
    assert known.judge(best(9_999, -1), best(10_995, 1)) == "beyond"
    assert known.judge(best(9_999, -1, count=4), inside) == "beyond", "the fifth best is unknown"


def test_a_short_snapshot_is_the_whole_book() -> None:
    """Nothing lies behind its end."""
    known = ProvenRange()
    known.note(snapshot())
    known.note(snapshot(levels=300))
    assert known.judge(best(100, -1), best(50_000, 1)) == "inside"
    assert known.judge([], []) == "inside"


@given(st.integers(1, 9_999), st.integers(10_001, 30_000))
def test_no_level_outside_passes_for_certain(bid: int, ask: int) -> None:
    """Ten levels a side, one tick apart."""
    known = ProvenRange()
    known.note(snapshot())
    bids, asks = best(bid, -1), best(ask, 1)
    certain = bids[-1][0] >= 9_000 and asks[-1][0] <= 11_000
    assert (known.judge(bids, asks) != "beyond") == certain


def delta(number: int) -> BookDelta:
    """An update that touches nothing."""
    return BookDelta("BTCUSDT", number, number, number - 1, 1, 1, (), ())


def test_a_second_book_takes_over_at_the_same_update() -> None:
    """Not before; and then it knows as much as its own snapshot."""
    first, renewal = OrderBook(BTC, RULE), Renewal(BTC, RULE)
    first.apply(snapshot(10))
    first.apply(delta(11))
    assert renewal.begin(0)
    assert not renewal.begin(SECOND), "one was just begun"
    for number in (12, 13):
        first.apply(delta(number))
        renewal.apply(delta(number))
        assert renewal.ready(first.sequence) is None
    renewal.apply(snapshot(12, mid=9_000))
    assert renewal.ready(12) is None, "the first book is elsewhere"
    second = renewal.ready(first.sequence)
    assert second is not None
    assert second.state is BookState.LIVE
    assert second.best()[0] == 8_999
    assert renewal.ready(first.sequence) is None
    assert renewal.begin(11 * SECOND)
    renewal.drop()
    renewal.apply(snapshot(14))
    assert renewal.ready(14) is None

from bus.messages import BookImage
from live.mid_marks import MidMarks
from market.columns import BOOK_ONE_SIDED
from market.symbols import SymbolTable
from tests.live.parts import ROOT

TABLE = SymbolTable.load(ROOT / "data" / "reference" / "symbols.yml")
SECOND = 1_000_000_000


def image(local_ns: int, bid: int = 1_000, flags: int = 0) -> BookImage:
    """A book of one tick's spread."""
    return BookImage("BTCUSDT", 5, local_ns, 1, flags, [bid] * 10, [1] * 10, [bid + 1] * 10, [1] * 10)


def test_a_mark_is_the_mid_once_a_second() -> None:
    """On the second's first image."""
    marks = MidMarks(TABLE)
    first = marks.next(image(10 * SECOND + 5))
    assert first is not None
    assert (first.price, first.local_ns, first.funding_rate, first.next_funding_ns) == (100.05, 10 * SECOND + 5, 0.0, 0)
    assert marks.next(image(10 * SECOND + 9)) is None
    assert marks.next(image(11 * SECOND)) is not None


def test_half_a_book_has_no_mid() -> None:
    """The next whole one has."""
    marks = MidMarks(TABLE)
    assert marks.next(image(10 * SECOND, flags=BOOK_ONE_SIDED)) is None
    assert marks.next(image(10 * SECOND + 1)) is not None

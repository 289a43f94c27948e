"""What a venue may say of orders, trades and money, and what is refused before anybody counts it."""

from dataclasses import replace

import pytest

from live.errors import AnswerRefused
from live.exchange.venue_facts import VenueOrder, VenuePosition, VenueTrade, finite, milliseconds_to_ns, optional_price

ORDER = VenueOrder("a", "v", 1, 1000, 10, 4, "open", "", 1)
TRADE = VenueTrade("t", "v", "", 1, 1000, 4, -0.01, True, 1)
POSITION = VenuePosition(-10, 100.0, 0.0)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"client_id": None}, "client_id: wanted text, found None"),
        ({"venue_id": ["x"] * 100}, "venue_id: wanted text"),
        ({"reason": 5}, "reason: wanted text, found 5"),
        ({"size_lots": 2**63}, "size_lots: wanted 0 or more and less than 2.63, found 9223372036854775808"),
        ({"filled_lots": 10**400}, "filled_lots: wanted .* found a number of 1329 bits"),
        ({"updated_ns": -1}, "updated_ns: wanted 0 or more"),
    ],
)
def test_no_order_is_like_this(changes: dict[str, object], said: str) -> None:
    """In a sentence that quotes no more than a line."""
    with pytest.raises(AnswerRefused, match=said) as refused:
        replace(ORDER, **changes)  # type: ignore[arg-type]
    assert len(str(refused.value)) < 150


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"price_ticks": 0}, "price_ticks: wanted 1 or more"),
        ({"size_lots": 0}, "size_lots: wanted 1 or more"),
        ({"fee_quote": float("nan")}, "fee_quote: wanted a finite number, found nan"),
        ({"trade_id": 3}, "trade_id: wanted text"),
    ],
)
def test_no_trade_is_like_this(changes: dict[str, object], said: str) -> None:
    """One for nothing would be counted as profit, and one of nan would make every sum nan."""
    with pytest.raises(AnswerRefused, match=said):
        replace(TRADE, **changes)  # type: ignore[arg-type]


@pytest.mark.parametrize("changes", [{"lots": -(2**63)}, {"entry_price": float("inf")}, {"liquidation_price": -1e999}])
def test_no_position_is_like_this(changes: dict[str, float]) -> None:
    """However it is signed."""
    with pytest.raises(AnswerRefused):
        replace(POSITION, **changes)  # type: ignore[arg-type]


def test_what_may_be_absent_is_zero() -> None:
    """A market order has no price, an open one no end, a flat account no liquidation."""
    assert replace(ORDER, price_ticks=0, filled_lots=0, updated_ns=0).state == "open"
    assert (optional_price(""), optional_price(None), optional_price("1.5"), milliseconds_to_ns(None)) == (0, 0, 1.5, 0)
    assert finite("x", -0.5) == -0.5

"""Events are checked when they are born."""

from dataclasses import FrozenInstanceError, replace

import pytest

from market.events import NO_ASK_TICKS, BadEvent, BookDelta, BookSnapshot, BookTicker, MarketError, Trade

DELTA = BookDelta("BTCUSDT", 11, 12, 10, 5, 6, ((100, 3),), ((101, 0),))
SNAPSHOT = BookSnapshot("BTCUSDT", 12, 5, 6, ((100, 3),), ((101, 4),))
TRADE = Trade("BTCUSDT", 7, 5, 6, 100, 2, 1)
TICKER = BookTicker("BTCUSDT", 12, 5, 6, 100, 3, 101, 4)


@pytest.mark.parametrize(
    ("event", "change"),
    [
        (DELTA, {"bids": ((0, 1),)}),
        (DELTA, {"asks": ((NO_ASK_TICKS, 1),)}),
        (DELTA, {"asks": ((101, -1),)}),
        (DELTA, {"first_sequence": 13}),
        (DELTA, {"previous_sequence": "10"}),
        (DELTA, {"sequence": 12.0}),
        (DELTA, {"exchange_ns": -1}),
        (DELTA, {"local_ns": True}),
        (SNAPSHOT, {"bids": ((100, 0),)}),
        (SNAPSHOT, {"asks": ((101, 1), (101, 2))}),
        (SNAPSHOT, {"sequence": None}),
        (TRADE, {"size_lots": 0}),
        (TRADE, {"price_ticks": -5}),
        (TRADE, {"aggressor": 2}),
        (TRADE, {"trade_id": "7"}),
        (TICKER, {"ask_ticks": 0}),
        (TICKER, {"bid_lots": -1}),
    ],
)
def test_what_cannot_be_is_refused_and_named(event: object, change: dict[str, object]) -> None:
    """Each impossible value raises BadEvent that names the instrument and the value."""
    with pytest.raises(BadEvent, match="BTCUSDT") as refusal:
        replace(event, **change)  # type: ignore[type-var]
    assert isinstance(refusal.value, MarketError)


def test_a_fact_is_never_edited() -> None:
    """Events are frozen."""
    with pytest.raises(FrozenInstanceError):
        DELTA.sequence = 13  # type: ignore[misc]


def test_a_size_of_zero_is_a_removal_only_in_a_delta() -> None:
    """A delta may carry 0 lots, a snapshot may not: it would name a level that is not there."""
    assert DELTA.asks == ((101, 0),)
    with pytest.raises(BadEvent, match="1 lots or more"):
        replace(SNAPSHOT, asks=((101, 0),))

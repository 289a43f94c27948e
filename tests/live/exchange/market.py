"""A small market for the tests of the paper exchange: images, prints, marks, and lists of them drawn by Hypothesis."""

from typing import Any

from hypothesis import strategies as st

from bus.messages import BookImage, MarketTrade, MarkPrice
from market.events import NO_ASK_TICKS, NO_BID_TICKS
from tests.live.parts import START_NS

MS = 1_000_000
LEVELS = 10


def image(
    bids: list[tuple[int, int]], asks: list[tuple[int, int]], ms: float = 0.0, *, flags: int = 0, lag_ms: float = 5.0
) -> BookImage:
    """A book of BTCUSDT with these levels, made by the venue so many ms after START_NS."""
    exchange_ns = START_NS + round(ms * MS)
    padded_bids = bids + [(NO_BID_TICKS, 0)] * (LEVELS - len(bids))
    padded_asks = asks + [(NO_ASK_TICKS, 0)] * (LEVELS - len(asks))
    return BookImage(
        symbol="BTCUSDT",
        exchange_ns=exchange_ns,
        local_ns=exchange_ns + round(lag_ms * MS),
        sequence=1,
        flags=flags,
        bid_ticks=[ticks for ticks, _ in padded_bids],
        bid_lots=[lots for _, lots in padded_bids],
        ask_ticks=[ticks for ticks, _ in padded_asks],
        ask_lots=[lots for _, lots in padded_asks],
    )


def trade(aggressor: int, ticks: int, lots: int, ms: float = 0.0, lag_ms: float = 5.0) -> MarketTrade:
    """A print of BTCUSDT."""
    exchange_ns = START_NS + round(ms * MS)
    return MarketTrade("BTCUSDT", 1, exchange_ns, exchange_ns + round(lag_ms * MS), ticks, lots, aggressor)


def mark(price: float, rate: float, next_funding_ms: float, ms: float = 0.0) -> MarkPrice:
    """A mark price of BTCUSDT."""
    exchange_ns = START_NS + round(ms * MS)
    return MarkPrice("BTCUSDT", exchange_ns, exchange_ns, price, rate, START_NS + round(next_funding_ms * MS))


@st.composite
def markets(draw: Any) -> list[BookImage | MarketTrade]:
    """A walk of a book around 600,000 ticks with prints at and around the touch; first an image."""
    bid = 600_000
    events: list[BookImage | MarketTrade] = []
    for step in range(draw(st.integers(5, 40))):
        ms = float(step * 10)
        if step == 0 or draw(st.booleans()):
            bid += draw(st.sampled_from((0, 0, 0, 0, -1, 1, -2, 2)))
            spread = draw(st.sampled_from((1, 1, 1, 2, 3)))
            sizes = draw(st.lists(st.integers(0, 12), min_size=8, max_size=8))
            bids = [(bid - k, size) for k, size in enumerate(sizes[:4]) if size or k == 0]
            asks = [(bid + spread + k, size) for k, size in enumerate(sizes[4:]) if size or k == 0]
            events.append(image(_not_empty(bids), _not_empty(asks), ms))
        else:
            aggressor = draw(st.sampled_from((-1, 1)))
            events.append(trade(aggressor, bid + draw(st.integers(-2, 3)), draw(st.integers(1, 15)), ms))
    return events


def _not_empty(levels: list[tuple[int, int]]) -> list[tuple[int, int]]:
    return [(ticks, max(1, lots)) for ticks, lots in levels]

"""Matching under every queue model: by hand, then as properties over drawn markets."""

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bus.messages import BookImage, MarketTrade
from live.exchange.matching import PARITY, Execution, Matcher, PaperOrder, Rules
from live.exchange.paper_depth import ImageDepth
from live.exchange.queue_models import Power, QueueModel, RiskAverse, Through, Touch
from tests.live.exchange.market import image, markets

BOOK = image([(100, 5), (99, 8)], [(101, 6), (102, 9)])
MODELS: dict[str, QueueModel] = {"risk_averse": RiskAverse(), "power_1": Power(1.0), "power_3": Power(3.0)}


class Market:
    """A matcher with its depth, driven by images and prints as the lane drives it."""

    def __init__(self, queue: QueueModel | None = None, rules: Rules | None = None, book: BookImage = BOOK) -> None:
        self.depth = ImageDepth()
        self.matcher = Matcher(self.depth, queue or RiskAverse(), rules or Rules())
        self.see(book)

    def see(self, event: BookImage | MarketTrade) -> list[Execution]:
        """Apply an event and return the fills."""
        if isinstance(event, MarketTrade):
            return self.matcher.printed(event.aggressor, event.price_ticks, event.size_lots)
        for change in self.depth.show(event):
            self.matcher.changed(change)
        return self.matcher.crossed(1) + self.matcher.crossed(-1)

    def rest(self, side: int, ticks: int, size: float, name: str = "a") -> PaperOrder:
        """Rest an order; it must not cross."""
        order = PaperOrder(name, side, ticks, size)
        assert self.matcher.rest(order, 0)
        return order


def _told(fills: list[Execution]) -> list[tuple[str, float, int, bool]]:
    return [(order.client_id, size, ticks, is_maker) for order, size, ticks, is_maker in fills]


def test_a_post_only_order_that_would_cross_does_not_rest() -> None:
    """At the opposite best price or through it."""
    market = Market()
    assert not market.matcher.rest(PaperOrder("a", 1, 101, 1), 0)
    assert not market.matcher.rest(PaperOrder("b", -1, 99, 1), 0)
    assert len(market.matcher) == 0


def test_prints_at_the_price_fill_what_exceeds_the_queue() -> None:
    """5 ahead: 4 move it to 1, then 3 fill 2 of ours, then the rest at once; a print of our own side does nothing."""
    market = Market()
    order = market.rest(1, 100, 4)
    assert market.matcher.printed(-1, 100, 4) == []
    assert market.matcher.printed(1, 100, 50) == []
    assert _told(market.matcher.printed(-1, 100, 3)) == [("a", 2, 100, True)]
    assert _told(market.matcher.printed(-1, 100, 9)) == [("a", 2, 100, True)]
    assert order.is_done and "a" not in market.matcher


def test_what_exceeded_the_queue_is_not_counted_again() -> None:
    """7 over a queue of 5 fill 2; the next print of 1 fills 1, also where orders see whole prints."""
    parity = Market(rules=PARITY)
    parity.rest(1, 100, 10)
    assert _told(parity.matcher.printed(-1, 100, 7)) == [("a", 2, 100, True)]
    assert _told(parity.matcher.printed(-1, 100, 1)) == [("a", 1, 100, True)]


def test_a_print_through_the_price_fills_up_to_its_size() -> None:
    """With shared prints no more than traded; in parity all of it."""
    market, parity = Market(), Market(rules=PARITY)
    for each in (market, parity):
        each.rest(1, 99, 10)
    assert _told(market.matcher.printed(-1, 98, 4)) == [("a", 4, 99, True)]
    assert _told(parity.matcher.printed(-1, 98, 4)) == [("a", 10, 99, True)]


def test_orders_share_a_print_best_price_first_then_the_oldest() -> None:
    """Volume that one of ours has taken is not there for the next."""
    market = Market()
    market.rest(1, 99, 3, "low")
    market.rest(1, 100, 2, "first")
    market.rest(1, 100, 2, "second")
    assert _told(market.matcher.printed(-1, 100, 8)) == [("first", 2, 100, True), ("second", 1, 100, True)]
    assert _told(market.matcher.printed(-1, 99, 12)) == [("second", 1, 100, True), ("low", 3, 99, True)]


def test_an_opposite_best_at_our_price_fills_no_more_than_it_shows_and_only_once() -> None:
    """4 displayed fill 4; the same 4 again fill nothing; one more fills one; in parity all at once."""
    market, parity = Market(), Market(rules=PARITY)
    for each in (market, parity):
        each.rest(1, 100, 7)
    down = image([(99, 8)], [(100, 4)])
    assert _told(market.see(down)) == [("a", 4, 100, True)]
    assert market.see(down) == []
    assert _told(market.see(image([(99, 8)], [(100, 5)]))) == [("a", 1, 100, True)]
    assert _told(parity.see(down)) == [("a", 7, 100, True)]


def test_a_taker_walks_the_levels_in_sight_and_uses_them_up_until_they_grow() -> None:
    """6 at 101, then 4 of 9 at 102; the next finds 5; a level that shrank and grew again has what grew."""
    market = Market()
    first = PaperOrder("a", 1, 102, 10)
    assert _told(market.matcher.take(first)) == [("a", 6, 101, False), ("a", 4, 102, False)]
    second = PaperOrder("b", 1, 102, 10)
    assert _told(market.matcher.take(second)) == [("b", 5, 102, False)]
    assert second.leaves == 5 and len(market.matcher) == 0
    market.see(image([(100, 5)], [(101, 2), (102, 9)]))
    assert market.matcher.take(PaperOrder("c", 1, 102, 1)) == []
    market.see(image([(100, 5)], [(101, 3), (102, 9)]))
    assert _told(market.matcher.take(PaperOrder("d", 1, 102, 4))) == [("d", 1, 101, False)]


def test_cancel_takes_an_order_off_once() -> None:
    """The second time there is none."""
    market = Market()
    order = market.rest(1, 100, 4)
    assert market.matcher.cancel("a") is order
    assert market.matcher.cancel("a") is None
    assert market.matcher.printed(-1, 99, 50) == []


def test_lost_places_fill_only_by_what_goes_through_until_the_level_is_seen_again() -> None:
    """Then the order stands behind everything that is displayed."""
    market = Market()
    order = market.rest(1, 100, 4)
    market.matcher.printed(-1, 100, 5)
    market.depth.clear()
    market.matcher.lose_places()
    assert market.matcher.printed(-1, 100, 50) == [] and math.isinf(order.place.ahead)
    assert _told(market.matcher.printed(-1, 99, 1)) == [("a", 1, 100, True)]
    market.see(image([(100, 20)], [(101, 6)]))
    assert (order.is_lost, order.place.ahead) == (False, 20)


def test_an_order_out_of_sight_has_no_place_until_its_level_shows() -> None:
    """Ten levels from 100 down to 91 are shown; the order rests at 85."""
    ten = [(100 - k, 5) for k in range(10)]
    market = Market(book=image(ten, [(101, 5)]))
    order = market.rest(1, 85, 1)
    assert order.is_lost
    market.see(image([(94 - k, 3) for k in range(10)], [(101, 5)]))
    assert (order.is_lost, order.place.ahead) == (False, 3)
    again = PaperOrder("b", 1, 93, 1)
    market.matcher.put_back(again, 7)
    assert again.is_lost
    market.matcher.find_places()
    assert again.place.ahead == 3 and market.matcher.orders() == [order, again]


Event = BookImage | MarketTrade


def _first_fill(events: list[Event], queue: QueueModel, side: int, extra: float = 0.0) -> int:
    """Index of the event that first fills an order that joins the touch after the first image; past the end if none."""
    assert isinstance(events[0], BookImage)
    market = Market(queue, book=events[0])
    order = market.rest(side, market.depth.best(side), 3)
    order.place.ahead += extra
    for index, event in enumerate(events[1:]):
        if market.see(event):
            return index
    return len(events)


@given(events=markets(), side=st.sampled_from((1, -1)), name=st.sampled_from(sorted(MODELS)), extra=st.integers(1, 9))
def test_more_queue_ahead_never_fills_earlier(events: list[Event], side: int, name: str, extra: int) -> None:
    """The same market, the same order, a longer queue."""
    assert _first_fill(events, MODELS[name], side) <= _first_fill(events, MODELS[name], side, float(extra))


@given(events=markets(), side=st.sampled_from((1, -1)))
def test_risk_averse_fills_no_earlier_than_power(events: list[Event], side: int) -> None:
    """Its guess is the worst of the models'."""
    careful = _first_fill(events, RiskAverse(), side)
    assert all(_first_fill(events, Power(n), side) <= careful for n in (1.0, 3.0))


@given(events=markets(), side=st.sampled_from((1, -1)), name=st.sampled_from(sorted(MODELS)))
def test_every_model_lies_between_touch_and_through(events: list[Event], side: int, name: str) -> None:
    """Nobody ahead is the earliest that can be, everybody ahead the latest."""
    earliest, latest = _first_fill(events, Touch(), side), _first_fill(events, Through(), side)
    assert earliest <= _first_fill(events, MODELS[name], side) <= latest


@given(events=markets(), data=st.data())
def test_our_fills_never_exceed_what_traded_or_was_displayed(events: list[Event], data: Any) -> None:
    """A print fills no more than its size, an image no more than the levels that reached us show."""
    market = Market(book=events[0])  # type: ignore[arg-type]
    for number in range(data.draw(st.integers(1, 5))):
        side = data.draw(st.sampled_from((1, -1)))
        ticks = market.depth.best(side) - side * data.draw(st.integers(0, 2))
        market.rest(side, ticks, data.draw(st.integers(1, 9)), str(number))
    for event in events[1:]:
        filled = sum(size for _, size, _, _ in market.see(event))
        most = event.size_lots if isinstance(event, MarketTrade) else sum(event.bid_lots) + sum(event.ask_lots)
        assert filled <= most


@given(events=markets(), data=st.data())
def test_what_is_filled_and_what_is_left_is_what_was_ordered(events: list[Event], data: Any) -> None:
    """Lots are neither made nor lost, and a filled order does not rest."""
    rules = data.draw(st.sampled_from((Rules(), PARITY, Rules(share_prints=True, cap_by_depth=False))))
    market = Market(Power(3.0), rules, events[0])  # type: ignore[arg-type]
    orders = [market.rest(side, market.depth.best(side), 7, str(side)) for side in (1, -1)]
    filled = {order.client_id: 0.0 for order in orders}
    for event in events[1:]:
        for order, size, ticks, _ in market.see(event):
            filled[order.client_id] += size
            assert ticks == order.ticks and size > 0
    for order in orders:
        assert filled[order.client_id] == order.filled == order.size - order.leaves
        assert (order.client_id in market.matcher) == (not order.is_done)


@pytest.mark.parametrize("lots", [10.7, 0.4])
def test_broken_lots_fill_by_whole_ones(lots: float) -> None:
    """As hftbacktest counts: what is left under half a lot is nothing."""
    market = Market()
    order = market.rest(1, 100, lots)
    fills = market.matcher.printed(-1, 100, 5 + 11)
    assert order.is_done and fills[0].size == lots


def test_what_was_used_of_a_level_is_forgotten_with_the_level() -> None:
    """Weeks of levels that came and went do not pile up; one that comes back is whole again."""
    market = Market()
    for step in range(50):
        taker = PaperOrder(f"t{step}", 1, 101 + step, 2)
        market.matcher.take(taker)
        market.see(image([(101 + step, 5)], [(102 + step, 6)]))
    assert len(market.matcher._used) <= 1

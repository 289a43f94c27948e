"""Every queue model beside the others: shares of fills, what they were worth, when an order leaves a sheet."""

import pytest
from hypothesis import given

from bus.messages import BookImage, MarketTrade
from live.exchange.matching import Rules
from live.exchange.paper_band import VALUED_AFTER_NS, Band, figures
from live.exchange.paper_depth import ImageDepth
from live.exchange.queue_models import NAMES
from tests.live.exchange.market import image, markets

LIFE_NS = 4_000_000_000


def _band(depth: ImageDepth) -> Band:
    return Band(depth, Rules(), lambda ticks, lots: ticks * lots * 1e-4, 2.0, LIFE_NS)


def _shown(book: BookImage) -> tuple[ImageDepth, Band]:
    depth = ImageDepth()
    depth.show(book)
    return depth, _band(depth)


def test_models_part_where_cancellations_are_guessed() -> None:
    """10 ahead, 5 of them gone without a print, then 6 trade: only who believes in cancellations ahead has filled."""
    depth, band = _shown(image([(600_000, 10)], [(600_001, 9)]))
    band.enter("a", 1, 600_000, 1, 0)
    band.changed(depth.show(image([(600_000, 5)], [(600_001, 9)])), 1)
    band.printed(-1, 600_000, 6, 2)
    found = figures([band])
    assert {name: each.filled for name, each in found.items()} == dict.fromkeys(NAMES, 1)
    band.enter("b", 1, 600_000, 1, 3)
    band.changed(depth.show(image([(600_000, 8)], [(600_001, 9)])), 4)
    band.changed(depth.show(image([(600_000, 6)], [(600_001, 9)])), 5)
    band.printed(-1, 600_000, 5, 6)
    found = figures([band])
    assert found["risk_averse"].filled == 1 and found["power_0.5"].filled == 2
    assert found["risk_averse"].fill_rate == 0.5 and found["power_0.5"].fill_rate == 1.0


def test_a_fill_is_valued_at_the_mid_a_little_later_less_its_fee() -> None:
    """Bought at 600,000, the mid 600,010.5 five seconds on; not before, and not while a side is empty."""
    depth, band = _shown(image([(600_000, 1)], [(600_001, 9)]))
    band.enter("a", 1, 600_000, 2, 0)
    band.printed(-1, 600_000, 3, 10)
    depth.show(image([(600_010, 5)], [(600_011, 5)]))
    band.advance(VALUED_AFTER_NS + 9, depth.mid_ticks())
    assert figures([band])["power_1"].net_quote == 0.0
    band.advance(VALUED_AFTER_NS + 10, float("nan"))
    assert figures([band])["power_1"].net_quote == 0.0
    band.advance(VALUED_AFTER_NS + 10, depth.mid_ticks())
    fee = 600_000 * 2 * 1e-4 * 2e-4
    assert figures([band])["power_1"].net_quote == pytest.approx(10.5 * 2 * 1e-4 - fee)


def test_an_order_leaves_every_sheet_when_it_is_taken_back_or_has_lived_its_life() -> None:
    """The configured model may have filled it long ago."""
    _, band = _shown(image([(600_000, 10)], [(600_001, 9)]))
    band.enter("a", 1, 600_000, 1, 0)
    band.enter("b", 1, 600_000, 1, 1)
    band.cancel("a")
    assert all("a" not in each.matcher and "b" in each.matcher for each in band.sheets.values())
    band.advance(LIFE_NS + 1, float("nan"))
    assert all(len(each.matcher) == 0 for each in band.sheets.values())
    assert figures([band])["power_3"].entries == 2


def test_places_are_lost_and_found_in_every_sheet() -> None:
    """Behind everything displayed, under every model."""
    depth, band = _shown(image([(600_000, 10)], [(600_001, 9)]))
    band.enter("a", 1, 600_000, 1, 0)
    band.printed(-1, 600_000, 9, 1)
    band.lose_places()
    assert all(each.matcher.orders()[0].is_lost for each in band.sheets.values())
    depth.show(image([(600_000, 7)], [(600_001, 9)]))
    band.find_places()
    assert all(each.matcher.orders()[0].place.ahead == 7 for each in band.sheets.values())


def test_bands_of_symbols_are_summed() -> None:
    """Nothing traded is a rate of 0."""
    _, first = _shown(image([(600_000, 10)], [(600_001, 9)]))
    _, second = _shown(image([(600_000, 10)], [(600_001, 9)]))
    assert figures([first, second])["power_1"] == (0, 0, 0.0, 0.0)
    first.enter("a", 1, 600_000, 1, 0)
    second.enter("b", 1, 600_000, 1, 0)
    second.printed(-1, 600_000, 11, 1)
    assert figures([first, second])["power_1"][:3] == (2, 1, 0.5)


@given(events=markets())
def test_risk_averse_fills_least(events: list[BookImage | MarketTrade]) -> None:
    """It is the low end of the band."""
    depth = ImageDepth()
    band = _band(depth)
    for index, event in enumerate(events):
        if isinstance(event, BookImage):
            band.changed(depth.show(event), index)
            band.enter(str(index), 1, depth.best(1), 2, index)
        else:
            band.printed(event.aggressor, event.price_ticks, event.size_lots, index)
    found = figures([band])
    assert all(found["risk_averse"].entries == each.entries for each in found.values())

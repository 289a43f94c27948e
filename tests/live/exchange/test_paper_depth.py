"""Sizes by price as images change them; what is out of sight keeps its last size or has none."""

from hypothesis import given

from bus.messages import BookImage, MarketTrade
from live.exchange.paper_depth import NO_BEST, ImageDepth, LevelChange
from tests.live.exchange.market import image, markets


def _ladder(best: int, side: int, size: int = 5, count: int = 10) -> list[tuple[int, int]]:
    return [(best - side * k, size) for k in range(count)]


def test_before_an_image_nothing_is_known() -> None:
    """No best price, no size, no mid."""
    depth = ImageDepth()
    assert depth.best(1) == NO_BEST[1] and depth.best(-1) == NO_BEST[-1]
    assert depth.known(1, 100) is None and not depth.is_whole()
    assert depth.mid_ticks() != depth.mid_ticks()
    assert list(depth.in_sight(-1, 10**9)) == []


def test_an_image_tells_what_changed() -> None:
    """Vanished levels first, then the sizes that differ; the same image again tells nothing."""
    depth = ImageDepth()
    depth.show(image([(100, 3), (99, 4)], [(101, 5)]))
    changes = depth.show(image([(100, 2)], [(101, 5), (102, 1)]))
    assert changes == [LevelChange(1, 99, 4, 0.0), LevelChange(1, 100, 3, 2), LevelChange(-1, 102, 0.0, 1)]
    assert depth.show(image([(100, 2)], [(101, 5), (102, 1)])) == []


def test_a_gap_between_shown_levels_is_empty_and_beyond_the_last_unknown() -> None:
    """Ten levels are all we see; fewer are the whole side."""
    depth = ImageDepth()
    depth.show(image(_ladder(100, 1), [(101, 5), (103, 5)]))
    assert depth.known(1, 100) == 5 and depth.known(1, 91) == 5
    assert depth.known(1, 90) is None
    assert depth.known(-1, 102) == 0.0 and depth.known(-1, 500) == 0.0


def test_a_level_that_leaves_the_window_keeps_its_size_and_is_compared_when_it_returns() -> None:
    """Up by three and back."""
    depth = ImageDepth()
    depth.show(image(_ladder(100, 1, size=7), _ladder(101, -1)))
    depth.show(image(_ladder(103, 1, size=7), _ladder(104, -1)))
    assert depth.known(1, 91) == 7
    changes = depth.show(image(_ladder(100, 1, size=6), _ladder(101, -1)))
    assert LevelChange(1, 91, 7, 6) in changes


def test_what_can_be_taken_is_in_sight_only() -> None:
    """Best first, up to the limit, never from memory."""
    depth = ImageDepth()
    depth.show(image(_ladder(110, 1), _ladder(111, -1)))
    depth.show(image(_ladder(100, 1), _ladder(101, -1)))
    assert list(depth.in_sight(-1, 103)) == [(101, 5), (102, 5), (103, 5)]
    assert [ticks for ticks, _ in depth.in_sight(-1, 10**6)][-1] == 110
    assert list(depth.in_sight(1, 101)) == []


def test_memory_is_bounded_and_keeps_the_nearest() -> None:
    """A price that walks far leaves no trail."""
    depth = ImageDepth()
    for best in range(1_000, 2_000, 7):
        depth.show(image(_ladder(best, 1), _ladder(best + 1, -1)))
    assert depth.known(1, 1_000) is None and depth.known(1, best) == 5


def test_clear_forgets() -> None:
    """After a break nothing is known."""
    depth = ImageDepth()
    depth.show(image([(100, 3)], [(101, 5)]))
    depth.clear()
    assert depth.known(1, 100) is None and not depth.is_whole()


@given(events=markets())
def test_changes_add_up_to_the_image(events: list[BookImage | MarketTrade]) -> None:
    """Whoever follows the changes alone has the book that is shown."""
    depth, followed = ImageDepth(), {}
    for event in events:
        if isinstance(event, BookImage):
            for side, ticks, before, after in depth.show(event):
                assert followed.get((side, ticks), 0.0) == before
                followed[side, ticks] = after
            shown = {(1, t): q for t, q in zip(event.bid_ticks, event.bid_lots, strict=True) if q}
            shown |= {(-1, t): q for t, q in zip(event.ask_ticks, event.ask_lots, strict=True) if q}
            assert {key: size for key, size in followed.items() if size} == shown

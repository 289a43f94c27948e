"""A simulated day in pieces: chunks change nothing, and the end of one day is the start of the next."""

import numpy as np
import pytest

from market import simulator_feed as feeds
from market.simulator_day import SimulatedDay
from market.simulator_rule import DAY_NS, SimulatorRule
from tests.market.simulated import BTC, DAY, MIDNIGHT, SECOND


@pytest.mark.parametrize("chunk_events", [512, 3_000])
def test_the_size_of_the_chunks_changes_nothing(chunk_events: int) -> None:
    """Small chunks, cut anywhere, publish the same events, books and levels."""
    large, small = events(1 << 14), events(chunk_events)
    for wanted, found in zip(large, small, strict=True):
        assert np.array_equal(wanted, found)


def test_only_frames_carry_levels() -> None:
    """Columns ask for the same events without the levels inside them."""
    with_levels, without = events(1 << 14), events(1 << 14, frames=False)
    assert np.array_equal(with_levels[0][:, : feeds.E_C], without[0][:, : feeds.E_C])
    assert np.array_equal(with_levels[1], without[1])
    assert len(with_levels[2]) > 1_000
    assert len(without[2]) == 0


def test_a_day_ends_with_the_id_the_next_one_follows() -> None:
    """The last update of a day is published in its last millisecond, and the next day's first names it."""
    end = MIDNIGHT + DAY_NS
    first = events(1 << 14, start=end - 10 * SECOND, end=end)[0]
    second = events(1 << 14, day=DAY + 1, start=end, end=end + 10 * SECOND)[0]
    last = first[first[:, feeds.E_KIND] == feeds.DEPTH][-1]
    following = second[second[:, feeds.E_KIND] == feeds.DEPTH][0]
    assert last[feeds.E_TRANSACTION_MS] == end // 1_000_000 - 1
    assert following[feeds.E_B] == last[feeds.E_ID]
    assert first[-1, feeds.E_LOCAL_NS] < end


def test_the_volatility_of_a_market_is_its_rule() -> None:
    """Mid price over a minute moves by the rule's volatility, within a third, over six hours."""
    rule = SimulatorRule(order_flow_effect=0.0)
    found, tops, _ = events(1 << 14, end=MIDNIGHT + 21_600 * SECOND, rule=rule, frames=False)
    seconds = found[found[:, feeds.E_KIND] == feeds.DEPTH, feeds.E_EVENT_MS] // 1_000
    mid = (tops[:, 0] + tops[:, 20]) / 2.0
    minute = mid[np.searchsorted(seconds, np.arange(seconds[0] + 60, seconds[-1], 60))]
    assert np.diff(np.log(minute)).std() * 1e4 == pytest.approx(0.6 * 60**0.5, rel=0.33)


def events(
    chunk_events: int,
    *,
    day: int = DAY,
    start: int = MIDNIGHT,
    end: int = MIDNIGHT + 300 * SECOND,
    rule: SimulatorRule | None = None,
    frames: bool = True,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return everything published: events (level places left out), book rows, levels."""
    made = SimulatedDay(
        BTC,
        day,
        1,
        rule or SimulatorRule(),
        drifts=[],
        wanted_ns=[start + SECOND],
        frames=frames,
        chunk_events=chunk_events,
    )
    parts = [
        (out.events[: out.filled[0]].copy(), out.tops[: out.filled[1]].copy(), out.levels[: out.filled[2]].copy())
        for out in made.run(start, end)
    ]
    found, tops, levels = (np.concatenate(column) for column in zip(*parts, strict=True))
    # Where in its buffer an event's levels lie depends on the chunk, and may.
    found[np.isin(found[:, feeds.E_KIND], (feeds.DEPTH, feeds.SNAPSHOT)), feeds.E_C] = 0
    return found, tops, levels

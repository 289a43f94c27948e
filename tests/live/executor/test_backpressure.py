"""Backpressure: where it begins and ends, who goes, and what no rate of arrivals can make of it."""

from itertools import pairwise
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bus.messages import Route
from config.live_sections import Backpressure
from live.executor.backpressure import Pressure, Throttle

SECOND_NS = 1_000_000_000
queues = st.lists(st.tuples(st.integers(0, 3 * SECOND_NS), st.integers(0, 30)), max_size=60)
routes = st.sampled_from(["canary", "paper", "full"])


def throttle(mode: Literal["halt", "degrade"] = "degrade", most: int = 10, resume_seconds: float = 5.0) -> Throttle:
    """A throttle that begins at 10 and ends at 5, five seconds later."""
    return Throttle(Backpressure(max_queue_len=most, drop_mode=mode, resume_seconds=resume_seconds))


def pressed(mode: Literal["halt", "degrade"]) -> Throttle:
    """A throttle that sheds."""
    found = throttle(mode)
    found.observe(0, 10)
    return found


def test_it_begins_at_the_limit_and_not_before() -> None:
    """One fewer than the limit changes nothing; the limit begins it, at that moment."""
    found = throttle()
    assert found.observe(1, 9) == Pressure()
    assert found.observe(2, 10) == Pressure(is_active=True, since_ns=2, canary_share=0.0)


def test_it_ends_after_the_queue_was_short_for_long_enough() -> None:
    """Half the limit counts as short; one more begins the wait anew."""
    found = pressed("degrade")
    assert found.observe(1 * SECOND_NS, 5).is_active
    assert found.observe(5 * SECOND_NS, 6).is_active
    assert found.observe(6 * SECOND_NS, 5).is_active
    assert found.observe(11 * SECOND_NS - 1, 5).is_active
    assert found.observe(11 * SECOND_NS, 0) == Pressure(since_ns=11 * SECOND_NS)


def test_without_a_wait_it_ends_at_once() -> None:
    """resume_seconds 0 ends it with the first short queue."""
    found = throttle(resume_seconds=0.0)
    found.observe(0, 10)
    assert not found.observe(1, 5).is_active


@pytest.mark.parametrize("route", ["canary", "paper", "full"])
def test_nothing_goes_while_there_is_no_pressure(route: Route) -> None:
    """Whatever waits."""
    assert throttle().judge(route, 1_000) is None


@pytest.mark.parametrize("route", ["canary", "paper", "full"])
def test_halt_begins_nothing_new(route: Route) -> None:
    """Not even the last one waiting."""
    assert pressed("halt").judge(route, 1) == "halt"


def test_degrade_takes_the_canary_first_then_the_oldest() -> None:
    """The canary's share is 0 however few wait; of the others those go that more than the limit wait with."""
    found = pressed("degrade")
    assert found.judge("canary", 1) == "canary"
    assert found.judge("full", 10) is None
    assert found.judge("full", 11) == "oldest"
    assert found.judge("paper", 11) == "oldest"


@given(queues)
def test_a_full_queue_is_always_shed_and_a_calm_one_was_short(steps: list[tuple[int, int]]) -> None:
    """Active at every observation at the limit; it ends only where the last five seconds were short."""
    found, now, seen = throttle(), 0, []
    for wait, length in steps:
        now += wait
        before = found.pressure.is_active
        after = found.observe(now, length).is_active
        seen.append((now, length))
        if length >= 10:
            assert after
        elif not before:
            assert not after
        if before and not after:
            recent = [each for at, each in seen if at >= now - 5 * SECOND_NS]
            assert max(recent) <= 5
            assert any(at <= now - 5 * SECOND_NS and each <= 5 for at, each in seen)


@given(queues)
def test_it_does_not_flap(steps: list[tuple[int, int]]) -> None:
    """Between an end and the next begin the queue was at the limit; between a begin and its end lie five seconds."""
    found, now, turns = throttle(), 0, []
    for wait, length in steps:
        now += wait
        before = found.pressure.is_active
        if found.observe(now, length).is_active != before:
            turns.append((now, not before))
    for (at, is_begin), (then, _) in pairwise(turns):
        if is_begin:
            assert then - at >= 5 * SECOND_NS


@given(st.lists(routes, min_size=10, max_size=200))
def test_a_degraded_backlog_is_cut_to_the_newest_that_fit(waiting: list[Route]) -> None:
    """Of any backlog those are acted on that are among the newest ten and not the canary's, in order."""
    found = throttle()
    found.observe(0, len(waiting))
    kept = [at for at, route in enumerate(waiting) if found.judge(route, len(waiting) - at) is None]
    assert kept == [at for at, route in enumerate(waiting) if at >= len(waiting) - 10 and route != "canary"]

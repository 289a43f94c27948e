import threading

from live.clock import ManualClock, SystemClock
from live.pacer import Pacer


def test_it_wakes_at_the_time_asked_for_last() -> None:
    """An hour from now is forgotten when a time that has come is asked for."""
    woken, clock = threading.Event(), SystemClock()
    pacer = Pacer(clock, woken.set)
    pacer.wake_at(clock.wall_ns() + 3_600 * 10**9)
    assert not woken.is_set()
    pacer.wake_at(clock.wall_ns())
    assert woken.wait(10)
    pacer.stop()


def test_a_clock_that_is_turned_by_hand_needs_no_thread() -> None:
    """Whoever turns it looks."""
    before = threading.active_count()
    pacer = Pacer(ManualClock(), lambda: None)
    pacer.wake_at(0)
    assert threading.active_count() == before
    pacer.stop()

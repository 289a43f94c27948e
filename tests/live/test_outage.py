from live.clock import ManualClock
from live.outage import Outage


def test_tries_double_from_a_tenth_to_a_whole_second() -> None:
    """Measured on the monotonic clock."""
    clock = ManualClock()
    outage = Outage(clock, 5.0)
    waits = []
    for _ in range(6):
        outage.failed()
        begin = clock.mono_ns()
        while not outage.may_try():
            clock.advance(ns=1_000_000)
        waits.append((clock.mono_ns() - begin) / 1e9)
    assert waits == [0.1, 0.2, 0.4, 0.8, 1.0, 1.0]


def test_only_the_first_failure_begins_an_outage() -> None:
    """Until it is over; then the next one is a first again, with a short wait."""
    clock = ManualClock()
    outage = Outage(clock, 5.0)
    assert [outage.failed(), outage.failed()] == [True, False]
    clock.advance(seconds=3)
    assert outage.over() == 3.0
    assert not outage.is_on
    assert outage.failed()
    clock.advance(seconds=0.1)
    assert outage.may_try()


def test_it_is_told_of_once_an_outage_when_it_has_lasted() -> None:
    """And again in the next one."""
    clock = ManualClock()
    outage = Outage(clock, 5.0)
    for _ in range(2):
        outage.failed()
        clock.advance(seconds=4.9)
        assert not outage.must_tell()
        clock.advance(seconds=0.2)
        assert [outage.must_tell(), outage.must_tell()] == [True, False]
        outage.over()
    assert not outage.must_tell()


def test_a_wall_clock_that_jumps_changes_nothing() -> None:
    """Durations are monotonic."""
    clock = ManualClock()
    outage = Outage(clock, 5.0)
    outage.failed()
    clock.jump_wall(3_600_000_000_000)
    assert not outage.may_try()
    assert not outage.must_tell()

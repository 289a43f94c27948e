"""Who judges the canary: silence is counted while a canary runs, and only a fresh verdict ends it."""

from hypothesis import given
from hypothesis import strategies as st

from live.judge_watch import JudgeWatch

SECOND = 1_000_000_000
PATIENCE = 15.0


def looked(watch: JudgeWatch, seconds: int, begin: int = 0, *, has_canary: bool = True) -> list[bool]:
    """What it says each second."""
    return [watch.look((begin + each) * SECOND, has_canary=has_canary) for each in range(seconds + 1)]


def test_a_canary_is_unjudged_after_its_patience_and_not_before() -> None:
    """The first look begins it."""
    assert looked(JudgeWatch(PATIENCE), 16) == [False] * 15 + [True] * 2


def test_a_fresh_verdict_ends_it_and_an_old_one_does_not() -> None:
    """One that waited out an outage tells nothing of now."""
    watch = JudgeWatch(PATIENCE)
    looked(watch, 20)
    watch.hear(said_ns=0, wall_ns=20 * SECOND)
    assert watch.is_silent
    watch.hear(said_ns=19 * SECOND, wall_ns=20 * SECOND)
    assert not watch.is_silent
    assert looked(watch, 10, begin=20)[-1] is False


def test_time_in_which_nobody_looked_is_no_silence() -> None:
    """A process that was stopped for an hour has not listened."""
    watch = JudgeWatch(PATIENCE)
    watch.look(0, has_canary=True)
    assert not watch.look(3_600 * SECOND, has_canary=True)
    assert watch.silent_seconds == 1.0


def test_every_canary_begins_with_its_whole_patience() -> None:
    """What was silent about the one before says nothing of the next."""
    watch = JudgeWatch(PATIENCE)
    looked(watch, 20)
    assert looked(watch, 1, begin=21, has_canary=False) == [False, False]
    assert looked(watch, 15, begin=22) == [False] * 15 + [True]


def test_what_an_earlier_run_had_come_to_holds_until_a_verdict() -> None:
    """A scorer that is started again does not give a canary back that nobody judges."""
    watch = JudgeWatch(PATIENCE)
    watch.remember(is_silent=True)
    assert looked(watch, 1) == [True, True]
    watch.hear(SECOND, SECOND)
    assert not watch.is_silent


@given(st.lists(st.tuples(st.integers(0, 3 * SECOND), st.booleans(), st.booleans()), max_size=60))
def test_it_is_silent_only_after_its_patience_without_a_verdict(steps: list[tuple[int, bool, bool]]) -> None:
    """Whatever comes: with a canary all the while and no verdict since, at least so long; else not at all."""
    watch, now, silent = JudgeWatch(5.0), 0, 0
    watch.look(0, has_canary=True)
    for passed, has_canary, is_heard in steps:
        now += passed
        if is_heard:
            watch.hear(now, now)
            silent = 0
        silent = silent + min(passed, SECOND) if has_canary else 0
        assert watch.look(now, has_canary=has_canary) == (has_canary and silent >= 5 * SECOND)

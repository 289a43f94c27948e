"""The mode: what a trip does, and that no crash, restart or clock brings real orders back before their time."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings as budget
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from config.live_sections import FailSafe as Rule
from live.clock import ManualClock
from live.executor.mode import SAVE_NS, FailSafe, Mode, Refused, Switch

HOUR_NS = 3_600_000_000_000
COOLDOWN = 900.0


def started(path: Path, clock: ManualClock, wanted: Mode = Mode.REAL, **knobs: Any) -> FailSafe:
    """The fail-safe of a process that has just begun."""
    return FailSafe(Rule(**{"cooldown_seconds": COOLDOWN, **knobs}), clock, path, wanted)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the state lies."""
    return tmp_path / "executor" / "fail_safe.json"


@pytest.fixture
def clock() -> ManualClock:
    """A clock that is turned."""
    return ManualClock()


def test_the_first_start_is_what_was_wanted(path: Path, clock: ManualClock) -> None:
    """Real where real was wanted, paper where paper was."""
    assert started(path, clock).mode is Mode.REAL
    assert started(path, clock, Mode.PAPER).mode is Mode.PAPER


def test_a_trip_falls_to_paper_once_and_for_the_whole_cooldown(path: Path, clock: ManualClock) -> None:
    """The first trip is a switch; a second one is none, and begins the cooldown anew."""
    safe = started(path, clock)
    assert safe.trip("pnl_guard") == Switch(Mode.REAL, Mode.PAPER, "pnl_guard")
    clock.advance(seconds=600)
    assert safe.remaining_seconds == 300.0
    assert safe.trip("venue_error") is None
    assert (safe.mode, safe.remaining_seconds, safe.reason) == (Mode.PAPER, COOLDOWN, "venue_error")


def test_only_a_person_resumes_and_only_after_the_cooldown(path: Path, clock: ManualClock) -> None:
    """The end of the cooldown alone changes nothing; who resumes is named, and resumes once."""
    safe = started(path, clock)
    safe.trip("pnl_guard")
    assert safe.resume("olga") == Refused("the cooldown of pnl_guard has 900 s left")
    clock.advance(seconds=COOLDOWN)
    safe.tick()
    assert safe.mode is Mode.PAPER
    assert isinstance(safe.resume(""), Refused)
    assert safe.resume("olga") == Switch(Mode.PAPER, Mode.REAL, "operator")
    assert (safe.mode, safe.reason, safe.needs_person) == (Mode.REAL, "", False)
    assert isinstance(safe.resume("olga"), Refused)


def test_nobody_resumes_where_paper_was_wanted(path: Path, clock: ManualClock) -> None:
    """exchange.mode is the most there is."""
    refused = started(path, clock, Mode.PAPER).resume("olga")
    assert refused == Refused("exchange.mode is paper; set it to real and start again")


def test_a_restart_takes_up_the_cooldown_where_it_was(path: Path, clock: ManualClock) -> None:
    """What was written last is what is left; a day in between counts for nothing, and the switch is told."""
    safe = started(path, clock)
    safe.trip("pnl_guard")
    clock.advance(seconds=100)
    safe.tick()
    clock.advance(seconds=86_400)
    again = started(path, clock)
    assert (again.mode, again.remaining_seconds) == (Mode.PAPER, COOLDOWN - 100)
    assert again.at_start == Switch(Mode.REAL, Mode.PAPER, "pnl_guard")


def test_a_start_behind_a_crash_is_no_person(path: Path, clock: ManualClock) -> None:
    """After the cooldown a crash leaves it in paper; a stop in order and a start bring real orders back."""
    safe = started(path, clock)
    safe.trip("pnl_guard")
    clock.advance(seconds=COOLDOWN)
    safe.tick()
    crashed = started(path, clock)
    assert (crashed.mode, crashed.needs_person, crashed.remaining_seconds) == (Mode.PAPER, True, 0.0)
    crashed.stop()
    assert started(path, clock).mode is Mode.REAL


def test_a_stop_in_order_does_not_end_a_cooldown(path: Path, clock: ManualClock) -> None:
    """Stopping during the cooldown keeps the rest, and a person is still needed behind it."""
    safe = started(path, clock)
    safe.trip("pnl_guard")
    clock.advance(seconds=899)
    safe.stop()
    again = started(path, clock)
    assert (again.mode, again.remaining_seconds) == (Mode.PAPER, 1.0)
    clock.advance(seconds=1)
    assert (again.mode, again.needs_person) == (Mode.PAPER, True)
    assert isinstance(again.resume("olga"), Switch)


def test_four_starts_within_ten_minutes_begin_in_paper(path: Path, clock: ManualClock) -> None:
    """Three are borne; the fourth is a loop, with a cooldown of its own."""
    for _ in range(3):
        assert started(path, clock).mode is Mode.REAL
        clock.advance(seconds=60)
    looping = started(path, clock)
    assert (looping.mode, looping.remaining_seconds) == (Mode.PAPER, COOLDOWN)
    assert looping.at_start == Switch(Mode.REAL, Mode.PAPER, "restart_loop")


def test_starts_that_are_far_apart_are_no_loop(path: Path, clock: ManualClock) -> None:
    """The window moves."""
    for _ in range(10):
        assert started(path, clock).mode is Mode.REAL
        clock.advance(seconds=201)


def test_starts_that_wanted_paper_are_no_loop(path: Path, clock: ManualClock) -> None:
    """A loop is broken by setting exchange.mode to paper, and counted from nothing after that."""
    for _ in range(10):
        safe = started(path, clock, Mode.PAPER)
        assert (safe.at_start, safe.remaining_seconds) == (None, 0.0)
    assert started(path, clock).mode is Mode.REAL


def test_a_person_clears_the_loop(path: Path, clock: ManualClock) -> None:
    """After a resume, starts are counted from nothing."""
    for _ in range(4):
        looping = started(path, clock, restart_window_seconds=86_400.0)
    clock.advance(seconds=COOLDOWN)
    assert isinstance(looping.resume("olga"), Switch)
    assert started(path, clock, restart_window_seconds=86_400.0).mode is Mode.REAL


def test_a_clock_set_back_keeps_the_loop_in_sight(path: Path, clock: ManualClock) -> None:
    """Starts that lie ahead of the clock count."""
    for _ in range(3):
        started(path, clock)
        clock.jump_wall(-HOUR_NS)
    assert started(path, clock).at_start == Switch(Mode.REAL, Mode.PAPER, "restart_loop")


@pytest.mark.parametrize("content", [b"", b"{", b'{"format":1,"remaining_ns":"soon"}', b'{"format":1,"news":1}'])
def test_a_state_that_cannot_be_read_begins_in_paper(path: Path, clock: ManualClock, content: bytes) -> None:
    """Nobody knows what it said, so the worst is taken: a whole cooldown, and a person."""
    path.parent.mkdir(parents=True)
    path.write_bytes(content)
    safe = started(path, clock)
    assert safe.at_start == Switch(Mode.REAL, Mode.PAPER, "journal_error")
    assert (safe.remaining_seconds, safe.needs_person) == (COOLDOWN, True)
    assert str(path) in safe.unreadable
    assert started(path, clock).at_start == Switch(Mode.REAL, Mode.PAPER, "journal_error")


def test_where_the_state_cannot_be_written_nothing_is_real(tmp_path: Path, clock: ManualClock) -> None:
    """A folder stands where the file should: paper from the start, no resume, and the reason is told."""
    path = tmp_path / "fail_safe.json"
    (path / "inside").mkdir(parents=True)
    safe = started(path, clock)
    assert safe.mode is Mode.PAPER
    assert str(path) in safe.problem


def test_a_trip_that_cannot_be_written_is_paper_and_tried_again(path: Path, clock: ManualClock) -> None:
    """The mode falls at once; resuming is refused until the trip is on disk, which `tick` sees to."""
    safe = started(path, clock)
    path.unlink()
    (path / "inside").mkdir(parents=True)
    assert safe.trip("journal_error") == Switch(Mode.REAL, Mode.PAPER, "journal_error")
    clock.advance(seconds=COOLDOWN)
    refused = safe.resume("olga")
    assert isinstance(refused, Refused)
    assert str(path) in refused.reason
    assert (safe.mode, safe.needs_person) == (Mode.PAPER, True)
    (path / "inside").rmdir()
    path.rmdir()
    clock.advance(ns=SAVE_NS)
    safe.tick()
    assert safe.problem == ""
    assert started(path, clock).needs_person


class Runs(RuleBasedStateMachine):
    """Trips, crashes, stops, resumes and clock jumps in any order, against the one number that counts."""

    @initialize(restarts=st.integers(1, 5))
    def begin(self, restarts: int) -> None:
        """A process begins."""
        import tempfile  # noqa: PLC0415  # a state machine has no fixtures

        self.folder = tempfile.TemporaryDirectory()
        self.knobs = {"max_restarts": restarts}
        self.clock = ManualClock()
        self.earliest_ns = 0
        self.may_be_real = True
        self.safe = self.fresh()

    def fresh(self) -> FailSafe:
        """A new process over the same file."""
        safe = started(Path(self.folder.name) / "fail_safe.json", self.clock, **self.knobs)
        is_new = safe.remaining_seconds == COOLDOWN  # else it is the rest of a loop's cooldown of before
        if safe.at_start and safe.at_start.reason == "restart_loop" and is_new:
            self.tripped()
        return safe

    def tripped(self) -> None:
        """From now on the whole cooldown must pass."""
        self.earliest_ns = self.clock.mono_ns() + round(COOLDOWN * 1e9)
        self.may_be_real = False

    @rule(reason=st.sampled_from(["pnl_guard", "venue_error", "operator"]))
    def trip(self, reason: str) -> None:
        """Something CRIT happens."""
        was_real = self.safe.mode is Mode.REAL
        assert (self.safe.trip(reason) is not None) == was_real
        self.tripped()

    @rule(seconds=st.floats(0.0, 2_000.0), ticks=st.integers(1, 4))
    def wait(self, seconds: float, ticks: int) -> None:
        """Time passes, and the service looks at it."""
        for _ in range(ticks):
            self.clock.advance(seconds=seconds / ticks)
            self.safe.tick()

    @rule(hours=st.integers(-30_000, 30_000))
    def step_the_wall_clock(self, hours: int) -> None:
        """A wrong time server speaks."""
        self.clock.jump_wall(hours * HOUR_NS)

    @rule()
    def crash(self) -> None:
        """The process dies and is started again by a supervisor."""
        self.safe = self.fresh()

    @rule()
    def restart(self) -> None:
        """A person stops it and starts it again."""
        self.safe.stop()
        self.may_be_real = self.may_be_real or self.safe.remaining_seconds == 0.0
        self.safe = self.fresh()

    @rule(by=st.sampled_from(["", "olga"]))
    def resume(self, by: str) -> None:
        """Somebody, or nobody, resumes."""
        if isinstance(self.safe.resume(by), Switch):
            assert by
            self.may_be_real = True

    @invariant()
    def nothing_is_real_before_its_time(self) -> None:
        """Real only after the whole cooldown on the monotonic clock, and never without a person since the trip."""
        if getattr(self, "safe", None) and self.safe.mode is Mode.REAL:
            assert self.clock.mono_ns() >= self.earliest_ns
            assert self.may_be_real

    def teardown(self) -> None:
        """Leave nothing behind."""
        if hasattr(self, "folder"):
            self.folder.cleanup()


TestRuns = Runs.TestCase
TestRuns.settings = budget(max_examples=60, stateful_step_count=30, deadline=None)

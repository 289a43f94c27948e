"""What a trial takes of its rows: neighbours in one market are one outcome, where no pairing protects from that."""

import math

from evaluation.trials import ActiveTrial
from live.trial_fold import TrialFold
from live.trial_rows import Begun, JudgedRow, RoutedRow
from tests.live.parts import settings

HORIZON_NS = 60_000_000_000
POLICY = settings().release.policy()


def begun(trial: str = "active") -> Begun:
    """A trial of version 2."""
    return Begun(trial, 2, "m2", 1, "s", "seed:s", 1, 0, HORIZON_NS)  # type: ignore[arg-type]


def row(second: int, symbol: str = "BTCUSDT", *, has_won: bool = True) -> JudgedRow:
    """A candidate of a second, sure to win by the version's own word."""
    return JudgedRow(f"{symbol}-{second * 1_000_000_000}", 0, has_won, 0.9, True, None, False)


def calibration_of(rows: list[JudgedRow]) -> float:
    """The evidence that a trial has of its scores missing the truth."""
    fold = TrialFold(begun(), POLICY)
    for each in rows:
        assert fold.take(each)
    assert isinstance(fold._trial, ActiveTrial)
    return fold._trial.evidence().calibration


def test_neighbours_within_a_horizon_are_one_outcome_for_calibration() -> None:
    """A minute in which every second's candidate loses says no more than its first one."""
    minutes = [minute * 60 for minute in range(20)]
    once = calibration_of([row(start, has_won=False) for start in minutes])
    every_second = calibration_of([row(start + s, has_won=False) for start in minutes for s in range(60)])
    assert math.isclose(once, every_second)
    assert once > 1.0


def test_symbols_are_apart_from_each_other() -> None:
    """Each has a market of its own."""
    one = calibration_of([row(minute * 60, has_won=False) for minute in range(10)])
    two = [row(minute * 60, name, has_won=False) for minute in range(10) for name in ("BTCUSDT", "ETHUSDT")]
    assert calibration_of(two) > one


def test_floors_look_at_candidates_apart_too() -> None:
    """On a canary's routes as well; a thousand seconds are sixteen rows."""
    fold = TrialFold(begun("canary"), POLICY)
    for second in range(1_000):
        fold.take(RoutedRow(f"BTCUSDT-{second * 1_000_000_000}", 0, 0.1, False, True, True, 0.9))
    assert fold.measured(fold.guards).ece_rows == 17


def test_what_was_apart_is_kept_with_the_state() -> None:
    """A log that begins anew with a state goes on as if it had not."""
    before, after = TrialFold(begun(), POLICY), TrialFold(begun(), POLICY)
    rows = [row(second, has_won=second % 3 == 0) for second in range(0, 400, 7)]
    for each in rows[:30]:
        before.take(each)
    after.recall(before.state())
    for fold in (before, after):
        for each in rows[30:]:
            fold.take(each)
    assert before.state() == after.state()

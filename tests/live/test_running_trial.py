"""Fold and log in step: a long log begins anew with the same floats, a disk that refuses stops nothing."""

import os
from pathlib import Path
from random import Random

from evaluation.verdict import Guards
from live.running_trial import RunningTrial
from live.standing import Key
from live.trial_log import read_rows
from live.trial_rows import Begun, GuardsRow, RoutedRow, SaidRow, StateRow
from tests.live.parts import settings

BEGUN = Begun("canary", 2, "m2", 1, "one", "seed:one", 3, 0, 60_000_000_000)
POLICY = settings().release.policy()
SECOND = 1_000_000_000


def routed(number: int, rng: Random) -> RoutedRow:
    """A candidate of an even canary with half of the signals."""
    is_canary, has_won = rng.random() < 0.5, rng.random() < 0.55
    return RoutedRow(f"B-{number * 61 * SECOND}", number * SECOND, 0.5, is_canary, True, has_won, 0.55)


def refuse(error: Exception) -> None:
    """No disk refuses here."""
    raise error


def test_a_row_counts_once(tmp_path: Path) -> None:
    """By its id; a second time it is neither folded nor written."""
    trial = RunningTrial.begin(tmp_path, BEGUN, POLICY, refuse)
    row = routed(1, Random(1))
    trial.take(row)
    trial.take(row)
    trial.close()
    (path,) = tmp_path.glob("*.log")
    assert list(read_rows(path)) == [BEGUN, row]
    assert trial.fold.rows == 1


def test_a_long_log_begins_anew_with_the_same_floats(tmp_path: Path) -> None:
    """What a successor knows is what one knows that never had to."""
    rng, steady = Random(2), RunningTrial.begin(tmp_path / "a", BEGUN, POLICY, refuse)
    long = RunningTrial.begin(tmp_path / "b", BEGUN, POLICY, refuse, most_rows=50)
    for number in range(170):
        row = routed(number, rng)
        for trial in (steady, long):
            trial.take(row)
            trial.look(row.at_ns, against=1, epoch=3)
            trial.flush()
    long.close()
    (path,) = (tmp_path / "b").glob("*.log")
    rows = list(read_rows(path))
    assert (rows[0], type(rows[1])) == (BEGUN, StateRow)
    assert len(rows) < 60
    again, damage = RunningTrial.go_on(path, POLICY, refuse)
    assert damage == ""
    assert again.fold.state() == long.fold.state() == steady.fold.state()
    assert again.fold.said == steady.fold.said
    known = len(rows)
    again.take(routed(169, Random(2)))
    again.close()
    assert len(list(read_rows(path))) == known


def test_guards_are_written_when_they_decide_otherwise_or_after_a_while(tmp_path: Path) -> None:
    """Figures that merely drift fill no disk."""
    trial = RunningTrial.begin(tmp_path, BEGUN, POLICY, refuse)
    for second, guards in enumerate(
        [Guards(), Guards(entries_per_hour=3.0), Guards(parity_failures=1), Guards(parity_failures=1, precision=0.2)],
        start=1,
    ):
        trial.guard(guards, second * SECOND)
    trial.guard(Guards(parity_failures=1, precision=0.3), 700 * SECOND)
    trial.close()
    (path,) = tmp_path.glob("*.log")
    written = [row.guards for row in read_rows(path) if isinstance(row, GuardsRow)]
    assert [(each.parity_failures, each.precision) for each in written] == [(1, None), (1, 0.2), (1, 0.3)]


def test_what_was_found_bad_is_not_judged_again(tmp_path: Path) -> None:
    """Until a person lifts it; what is told keeps its numbers and has the time of now."""
    trial = RunningTrial.begin(tmp_path, BEGUN, POLICY, refuse)
    trial.guard(Guards(parity_failures=1), SECOND)
    said = trial.look(SECOND, against=1, epoch=3)
    assert said is not None and said.decision == "roll_back"
    trial.guard(Guards(), 2 * SECOND)
    assert trial.look(2 * SECOND, against=1, epoch=3) is None
    told = trial.told(9 * SECOND, against=1, epoch=4)
    assert told is not None
    assert (told.decision, told.numbers, told.at_ns, told.epoch) == ("roll_back", said.numbers, 9 * SECOND, 4)
    trial.forget_decision()
    again = trial.look(10 * SECOND, against=1, epoch=4)
    assert again is not None and again.decision == "hold"
    trial.close()
    (path,) = tmp_path.glob("*.log")
    assert [row.verdict.decision for row in read_rows(path) if isinstance(row, SaidRow)] == ["roll_back", "hold"]


def test_a_full_disk_is_told_of_and_the_trial_goes_on(tmp_path: Path) -> None:
    """In memory."""
    troubles: list[Exception] = []
    trial = RunningTrial.begin(tmp_path, BEGUN, POLICY, troubles.append)
    os.close(trial._log._file)
    trial._log._file = os.open(next(tmp_path.glob("*.log")), os.O_RDONLY)
    trial.take(routed(1, Random(1)))
    trial.flush()
    assert len(troubles) == 1 and isinstance(troubles[0], OSError)
    assert trial.fold.rows == 1
    os.close(trial._log._file)


def test_another_key_is_another_trial(tmp_path: Path) -> None:
    """Version, opponent and salt."""
    trial = RunningTrial.begin(tmp_path, BEGUN, POLICY, refuse)
    key = Key("canary", 2, "m2", 1, "one", "seed:one")
    assert trial.is_of(key)
    assert not trial.is_of(None)
    assert not any(trial.is_of(key._replace(**change)) for change in ({"version": 3}, {"against": 2}, {"salt": "two"}))
    trial.close()

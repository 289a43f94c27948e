"""What another policy would have said of every recorded trial: which verdicts flip, how often it would have withdrawn a
version that did well, and how much sooner or later it would have spoken.

Under the policy that a trial ran by, every recorded verdict comes out again, number for number.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Final

from bus.messages import Decision, Verdict
from evaluation import verdict as judging
from evaluation.verdict import Policy
from live.errors import TrialLogUnreadable
from live.trial_fold import TrialFold, spoken
from live.trial_log import read_rows
from live.trial_rows import Begun, GuardsRow, Observed, RoutedRow, Row, SaidRow, StateRow

_MEASURED_EACH: Final = 512
"""What a trial measures of its own is looked at behind so many rows."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A decision other than hold and when it first stood: behind so many rows, trades of the version (of a canary) and
    seconds. `decision` is hold, with the whole trial behind it, where nothing else was decided.
    """

    decision: Decision
    reasons: tuple[str, ...]
    rows: int
    trades: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Replayed:
    """One recorded trial under a policy. `differs` tells of recorded verdicts that come out otherwise by it."""

    path: Path
    begun: Begun
    recorded: Answer
    replayed: Answer
    verdicts: int
    differs: tuple[str, ...]

    @property
    def is_flipped(self) -> bool:
        """Whether it would have ended by another decision."""
        return self.recorded.decision != self.replayed.decision

    @property
    def is_false_rollback(self) -> bool:
        """Whether the policy withdraws a version that its recorded trial never did."""
        return self.replayed.decision == "roll_back" != self.recorded.decision


@dataclass(frozen=True, slots=True)
class Comparison:
    """All trials of a kind. `sooner_trades` is the median of recorded less replayed trades, over those withdrawn by
    both; None where none was.
    """

    trials: int
    flips: int
    recorded_rollbacks: int
    replayed_rollbacks: int
    false_rollback_rate: float
    missed_rollbacks: int
    sooner_trades: float | None
    sooner_seconds: float | None


def replay(paths: Iterable[Path], policy: Policy) -> Iterator[Replayed]:
    """Yield each recorded trial under a policy. Raises OSError, and TrialLogUnreadable for what is no trial's log."""
    for path in paths:
        rows = list(read_rows(path))
        if not rows or not isinstance(rows[0], Begun):
            raise TrialLogUnreadable(f"{path}: does not begin with a trial; leave it out")
        yield _replayed(path, rows[0], rows[1:], policy)


def compare(found: Sequence[Replayed]) -> Comparison:
    """Sum up what a policy changes."""
    well = [each for each in found if each.recorded.decision != "roll_back"]
    both = [each for each in found if {each.recorded.decision, each.replayed.decision} == {"roll_back"}]
    return Comparison(
        trials=len(found),
        flips=sum(each.is_flipped for each in found),
        recorded_rollbacks=len(found) - len(well),
        replayed_rollbacks=sum(each.replayed.decision == "roll_back" for each in found),
        false_rollback_rate=sum(each.is_false_rollback for each in found) / len(well) if well else 0.0,
        missed_rollbacks=sum(each.recorded.decision == "roll_back" != each.replayed.decision for each in found),
        sooner_trades=median(each.recorded.trades - each.replayed.trades for each in both) if both else None,
        sooner_seconds=median(each.recorded.seconds - each.replayed.seconds for each in both) if both else None,
    )


class _Replay:
    """One trial on its way through its log."""

    def __init__(self, begun: Begun, policy: Policy) -> None:
        self.fold = TrialFold(begun, policy)
        self.begun = begun
        self.trades = 0
        self.at_ns = begun.since_ns
        self.recorded: Answer | None = None
        self.replayed: Answer | None = None
        self.verdicts = 0
        self.differs: list[str] = []
        self._is_summed_up = False

    @property
    def seconds(self) -> float:
        """How long the trial has run."""
        return max(0, self.at_ns - self.begun.since_ns) / 1e9

    def take(self, row: Row) -> None:
        """Take a row of the log."""
        if isinstance(row, Observed):
            self._is_summed_up = False
            self._observe(row)
        elif isinstance(row, StateRow):
            self.fold.recall(row)
            self._is_summed_up = True
        elif isinstance(row, SaidRow):
            self._said(row)
        elif isinstance(row, GuardsRow):
            self.at_ns = row.at_ns
            self.fold.recall(row)
            self._look()

    def _observe(self, row: Observed) -> None:
        self.fold.take(row)
        self.at_ns = row.at_ns
        self.trades += isinstance(row, RoutedRow) and row.is_canary and row.is_approved
        if self.fold.rows % _MEASURED_EACH == 0:
            self.fold.guards = self.fold.measured(self.fold.guards)
        if self.fold.is_due(row):
            self._look()

    def _look(self) -> None:
        if self.replayed is None or self.replayed.decision == "promote":
            found = self.fold.judge(self.seconds)
            if found.decision == "roll_back" or (found.decision == "promote" and self.replayed is None):
                self.replayed = self.answer(found.decision, [each.reason for each in found.breaches])

    def _said(self, row: SaidRow) -> None:
        """A recorded decision: does it come out again, and what does the policy say of this moment?"""
        self.at_ns = row.verdict.at_ns
        said = row.verdict
        if not self._is_summed_up:
            self.verdicts += 1
            found = self.fold.judge(row.elapsed_seconds, row.guards)
            self.differs += _differences(self.begun, said, found)
        self.fold.guards = row.guards
        if said.decision == "roll_back" or (said.decision == "promote" and self.recorded is None):
            self.recorded = self.answer(said.decision, [each.reason for each in said.breaches])
        self._look()

    def answer(self, decision: Decision, reasons: Sequence[str]) -> Answer:
        """Return a decision as of now."""
        return Answer(decision, tuple(reasons), self.fold.rows, self.trades, self.seconds)


def _replayed(path: Path, begun: Begun, rows: Sequence[Row], policy: Policy) -> Replayed:
    play = _Replay(begun, policy)
    for row in rows:
        play.take(row)
    held = play.answer("hold", ())
    return Replayed(
        path, begun, play.recorded or held, play.replayed or held, play.verdicts, tuple(play.differs)
    )  # fmt: skip


def _differences(begun: Begun, said: Verdict, found: judging.Verdict) -> list[str]:
    now = spoken(begun, found, against=said.against, epoch=said.epoch, signal_ns=said.signal_ns, at_ns=said.at_ns)
    if now == said:
        return []
    names = [name for name in said.__struct_fields__ if getattr(said, name) != getattr(now, name)]
    return [f"{said.trial} at {said.at_ns}: {', '.join(names)}"]

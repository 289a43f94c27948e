"""A trial that runs: its fold and its log, kept in step. What it takes is in the log before anybody is told of it."""

from collections.abc import Callable
from pathlib import Path
from typing import Final

import msgspec

from bus.messages import Verdict
from evaluation import verdict as judging
from evaluation.verdict import Guards, Policy
from live.standing import Key
from live.trial_fold import TrialFold, spoken
from live.trial_log import MOST_ROWS, TrialLog
from live.trial_rows import Begun, EndedRow, GuardsRow, Observed, Row, SaidRow, StateRow

_GUARDS_NS: Final = 600_000_000_000
"""Guards whose figures alone have changed are written down this often; what they decide, at once."""

Refused = Callable[[Exception], None]
"""Told that the disk refused: the trial goes on in memory."""


class RunningTrial:
    """One trial. `found` is its newest verdict, `said` in the fold the newest that was a change."""

    def __init__(self, fold: TrialFold, log: TrialLog, refused: Refused, most_rows: int = MOST_ROWS) -> None:
        self.fold, self._log, self._refused, self._most_rows = fold, log, refused, most_rows
        self.found: judging.Verdict | None = None
        self.fenced_epoch: int | None = None
        self.told_ns: int | None = None
        self.is_fresh = False
        self._guards_ns = 0
        self._logged = 0

    @classmethod
    def begin(
        cls, folder: Path, begun: Begun, policy: Policy, refused: Refused, most_rows: int = MOST_ROWS
    ) -> "RunningTrial":
        """Begin one, whose log begins anew at so many rows. Raises FileError and OSError."""
        return cls(TrialFold(begun, policy), TrialLog.begin(folder, begun), refused, most_rows)

    @classmethod
    def go_on(cls, path: Path, policy: Policy, refused: Refused) -> tuple["RunningTrial", str]:
        """Go on with what an earlier run left; return what was damaged too, "" for nothing.

        Raises TrialLogUnreadable, FileError and OSError.
        """
        log, rows = TrialLog.reopen(path)
        begun = rows[0]
        assert isinstance(begun, Begun)  # noqa: S101 - reopen has looked
        found = cls(TrialFold(begun, policy), log, refused)
        for row in rows[1:]:
            if isinstance(row, Observed):
                found.fold.take(row)
            elif isinstance(row, GuardsRow | SaidRow | StateRow):
                found.fold.recall(row)
        found._logged = len(rows)
        return found, log.damage

    @property
    def begun(self) -> Begun:
        """Who is on trial."""
        return self.fold.begun

    def is_of(self, key: Key | None) -> bool:
        """Whether it is the trial of a key."""
        begun = self.begun
        mine = Key(begun.trial, begun.version, begun.model_id, begun.against, begun.salt, begun.draw)
        return mine == key

    def take(self, row: Observed) -> bool:
        """Take a row, unless it was taken before; return whether the trial is to be judged at once."""
        if not self.fold.take(row):
            return False
        self._add(row)
        self.is_fresh = True
        return self.fold.is_due(row)

    def guard(self, beside: Guards, at_ns: int) -> None:
        """Take what was measured beside the rows."""
        before, now = self.fold.guards, self.fold.measured(beside)
        self.fold.guards = now
        if now != before and (_deciding(now) != _deciding(before) or at_ns - self._guards_ns >= _GUARDS_NS):
            self._guards_ns = at_ns
            self._add(GuardsRow(at_ns, now))

    def look(self, at_ns: int, *, against: int, epoch: int) -> Verdict | None:
        """Judge; return the verdict where it differs from the one before in what it decides or why.

        A version that was found bad is not judged again.
        """
        self.is_fresh = False
        fold = self.fold
        if fold.is_lost:
            return None
        elapsed = max(0, at_ns - self.begun.since_ns) / 1e9
        self.found = fold.judge(elapsed)
        if fold.said is not None and _why(fold.said) == _why(self.found):
            return None
        now = spoken(self.begun, self.found, against=against, epoch=epoch, signal_ns=at_ns, at_ns=at_ns)
        fold.said = now
        self._add(SaidRow(now, fold.guards, elapsed))
        self.flush()
        return now

    def told(self, at_ns: int, *, against: int, epoch: int) -> Verdict | None:
        """Return what is to be said now; of a version that was found bad, what it was found bad by."""
        self.told_ns = at_ns
        if self.fold.is_lost and self.fold.said is not None:
            return msgspec.structs.replace(self.fold.said, at_ns=at_ns, epoch=epoch)
        if self.found is None:
            return None
        return spoken(self.begun, self.found, against=against, epoch=epoch, signal_ns=at_ns, at_ns=at_ns)

    def forget_decision(self) -> None:
        """Judge anew: a person has lifted what was decided."""
        self.fold.said, self.fenced_epoch = None, None

    def flush(self) -> None:
        """Write what was taken; a long log begins anew."""
        try:
            if self._logged >= self._most_rows:
                rows = self._summary()
                self._log.renew(rows)
                self._logged = len(rows)
            self._log.flush()
        except OSError as refused:
            self._refused(refused)

    def to_sync(self) -> int | None:
        """Return a descriptor to be synced, None where nothing was written. Raises OSError."""
        return self._log.to_sync()

    def end(self, at_ns: int, why: str) -> None:
        """It is over."""
        try:
            self._log.end(EndedRow(at_ns, why))
        except OSError as refused:
            self._refused(refused)

    def close(self) -> None:
        """Let go of the log; the trial goes on in the next run."""
        try:
            self._log.close()
        except OSError as refused:
            self._refused(refused)

    def _add(self, row: Row) -> None:
        self._log.add(row)
        self._logged += 1

    def _summary(self) -> list[Row]:
        fold = self.fold
        rows: list[Row] = [fold.begun, fold.state(), GuardsRow(self._guards_ns, fold.guards)]
        if fold.said is not None:
            elapsed = max(0, fold.said.at_ns - fold.begun.since_ns) / 1e9
            rows.append(SaidRow(fold.said, fold.guards, elapsed))
        return rows


def _why(said: Verdict | judging.Verdict) -> tuple[object, ...]:
    """What makes a verdict another one."""
    return said.decision, [each.reason for each in said.breaches], [each.reason for each in said.observed]


def _deciding(guards: Guards) -> tuple[object, ...]:
    over = tuple((each.kind, each.feature, each.is_armed, each.value > each.line) for each in guards.drifts)
    return guards.parity_failures, over, guards.precision is None

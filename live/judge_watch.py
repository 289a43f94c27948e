"""Whether somebody judges the canary: risk says a verdict on it every few seconds, and without one it has no share.

Whoever judges can be dead, cut off, or unable to begin the trial; a canary would then trade on with nobody to stop it.
"""

from typing import Final

UNJUDGED: Final = "canary_unjudged"
"""The reason of the halt that is called meanwhile."""
_LONGEST_STEP_NS: Final = 1_000_000_000
"""What a look counts for at most: time in which this process stood still was no silence of the judge."""


class JudgeWatch:
    """Counts the silence about one canary after another. Pure: it is told the time.

    `is_silent` after so many seconds without a verdict, until one is heard; every canary begins with all of them.
    """

    def __init__(self, patience_seconds: float) -> None:
        self._patience_ns = round(patience_seconds * 1e9)
        self._silent_ns = 0
        self._looked_ns: int | None = None
        self.is_silent = False

    @property
    def silent_seconds(self) -> float:
        """For how long nothing was heard."""
        return self._silent_ns / 1e9

    def hear(self, said_ns: int, wall_ns: int) -> None:
        """A verdict on this canary, said at a time of the same clock as now; one that waited somewhere is history."""
        if wall_ns - said_ns < self._patience_ns:
            self._silent_ns, self.is_silent = 0, False

    def remember(self, *, is_silent: bool) -> None:
        """Go on with what an earlier run of this process had come to."""
        self.is_silent = is_silent

    def look(self, mono_ns: int, *, has_canary: bool) -> bool:
        """Pass the time and return whether a canary goes unjudged; without a canary there is nothing to judge."""
        passed_ns = 0 if self._looked_ns is None else min(mono_ns - self._looked_ns, _LONGEST_STEP_NS)
        self._looked_ns = mono_ns
        if not has_canary:
            self._silent_ns, self.is_silent = 0, False
            return False
        self._silent_ns += passed_ns
        self.is_silent = self.is_silent or self._silent_ns >= self._patience_ns
        return self.is_silent

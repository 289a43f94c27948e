"""What a drill saw and when, printed as it happens: seconds since the trouble began.

A drill has not been passed unless each of PROOFS was seen behind the trouble.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, Literal

from tidegate.drills.errors import DrillFailed

Proof = Literal["healthy", "trouble", "metric", "protection", "event", "audit", "recovery", "note"]
PROOFS: Final[tuple[Proof, ...]] = ("metric", "protection", "event", "audit", "recovery")
"""What every drill has to show."""


@dataclass(frozen=True, slots=True)
class Seen:
    """One line: `seconds` since the trouble (negative before it, None where none has begun), and what was seen."""

    seconds: float | None
    proof: Proof
    text: str

    def line(self) -> str:
        """As it is printed."""
        time = " " * 8 if self.seconds is None else f"{self.seconds:+7.1f}s"
        return f"  {time}  {self.proof:<10}  {self.text}"


@dataclass
class Timeline:
    """The lines of one drill. `now` is the time in nanoseconds, `say` prints a line.

    Without `takes_stamps` lines stand at the time they were seen: where the market runs ahead of the machine, what
    the services stamp is no measure of what happens beside them.
    """

    now: Callable[[], int]
    say: Callable[[str], None]
    takes_stamps: bool = True
    seen: list[Seen] = field(default_factory=list)
    _began_ns: int | None = None

    @property
    def began_ns(self) -> int:
        """When the trouble began. Raises DrillFailed before that."""
        if self._began_ns is None:
            raise DrillFailed("nothing can be shown yet: the drill has caused no trouble")
        return self._began_ns

    def trouble(self, text: str, at_ns: int | None = None) -> None:
        """The trouble begins, now or at a known time."""
        self._began_ns = self.now() if at_ns is None or not self.takes_stamps else at_ns
        self.saw("trouble", text, self._began_ns)

    def saw(self, proof: Proof, text: str, at_ns: int | None = None) -> None:
        """Write a line down, of now or of a known time, and print it."""
        at_ns = self.now() if at_ns is None or not self.takes_stamps else at_ns
        seconds = None if self._began_ns is None else (at_ns - self._began_ns) / 1e9
        self.seen.append(Seen(seconds, proof, text))
        self.say(self.seen[-1].line())

    def missing(self) -> list[Proof]:
        """Which of PROOFS were not seen."""
        shown = {each.proof for each in self.seen}
        return [proof for proof in PROOFS if proof not in shown]

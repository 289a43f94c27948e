"""What the collector listens to, whatever is behind it: sockets of a venue, or a replay.

A feed hands on what arrived, in order, and takes the collector's wishes. It decides nothing about books.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol


class Frame(NamedTuple):
    """One message of the venue, as it came.

    `symbol` names the owner of a frame that does not name it itself (the answer to a question for a snapshot). A
    `is_repeat` frame came over a second socket while the first one still delivered: most of it is known already.
    """

    local_ns: int
    payload: bytes
    symbol: str = ""
    is_repeat: bool = False


class SnapshotFailed(NamedTuple):
    """A snapshot was asked for and will not come. Ask again, not within `pause_seconds`.

    `is_final`: the venue does not know the symbol (any more).
    """

    symbol: str
    reason: str
    pause_seconds: float = 0.0
    is_final: bool = False


class LineUp(NamedTuple):
    """A socket delivers these symbols' books (again)."""

    symbols: tuple[str, ...]


class LineDown(NamedTuple):
    """The socket that delivered these symbols' books is gone; what follows may have a hole."""

    symbols: tuple[str, ...]
    reason: str


class Refused(NamedTuple):
    """A frame was not taken, before anybody looked at it."""

    reason: str
    text: str


Item = Frame | SnapshotFailed | LineUp | LineDown | Refused


@dataclass(frozen=True, slots=True)
class Retiming:
    """Moves the times of a recording so that `origin_ns` becomes `begin_ns`, and runs them `speed` times as fast."""

    origin_ns: int
    begin_ns: int
    speed: float = 1.0

    def __call__(self, ns: int) -> int:
        """Return the moved time."""
        passed = ns - self.origin_ns
        return self.begin_ns + (passed if self.speed == 1.0 else round(passed / self.speed))


class Feed(Protocol):
    """A source of market data.

    `turns_clock`: the collector turns its clock to each frame's time (a replay as fast as it can be handled).
    `retiming` moves the venue's times, None leaves them; known after `start`. `has_marks` says that mark prices come
    with it, `answers` that a snapshot can be asked for. `finished` means that nothing will come any more.
    """

    venue: str
    turns_clock: bool
    has_marks: bool
    answers: bool
    retiming: Retiming | None

    @property
    def finished(self) -> bool:
        """Whether nothing will come any more."""
        ...

    def start(self) -> None:
        """Begin to listen."""
        ...

    def take(self) -> Sequence[Item]:
        """Return what arrived since the last call, in order and bounded; never waits."""
        ...

    def ask_snapshot(self, symbol: str) -> None:
        """Ask for a whole book; it comes as a Frame, or SnapshotFailed does."""
        ...

    def revive(self, symbol: str) -> None:
        """Make a silent symbol speak again, alone: its streams are subscribed to anew."""
        ...

    def reconnect(self, symbol: str, reason: str) -> None:
        """Give up the sockets that should deliver a symbol and open new ones."""
        ...

    def status(self) -> Mapping[str, Any]:
        """What `tidegate status` shows of it."""
        ...

    def stop(self) -> None:
        """End: close everything."""
        ...

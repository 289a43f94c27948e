"""What happens on a venue's connections, and what can be done with them: `live.exchange.socket` does it for real."""

from collections.abc import Sequence
from typing import NamedTuple, Protocol


class Opened(NamedTuple):
    """A line is open and has been greeted."""

    line: str


class Closed(NamedTuple):
    """A line is closed, or could not be opened; it will not say anything any more."""

    line: str
    reason: str


class Message(NamedTuple):
    """What came over a line; `payload` empty and `size` above 0: it was too large."""

    line: str
    local_ns: int
    payload: bytes
    size: int


class Answer(NamedTuple):
    """What became of a question. `status` 0: no answer, and `body` says why. `pause_seconds` as the venue asks."""

    tag: str
    local_ns: int
    status: int
    body: bytes
    pause_seconds: float


Happening = Opened | Closed | Message | Answer


class Wires(Protocol):
    """Connections, known by the names they are opened under. Nothing here waits."""

    def open(self, line: str, url: str, greetings: Sequence[str]) -> None:
        """Open a line; Opened or Closed follows."""
        ...

    def close(self, line: str) -> None:
        """Close a line. What it still says is not handed on, and no Closed follows."""
        ...

    def say(self, line: str, text: str) -> None:
        """Send a text over a line; without effect when it is not open."""
        ...

    def get(self, tag: str, url: str, timeout_seconds: float) -> None:
        """Ask by HTTP; an Answer with the tag follows."""
        ...

    def drain(self) -> Sequence[Happening]:
        """Return what happened since the last call, in order."""
        ...

    def stop(self) -> None:
        """Close everything."""
        ...

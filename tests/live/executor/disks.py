"""A journal file in memory that loses what was not synced, tears it, or refuses: what disks do."""

from dataclasses import dataclass


@dataclass
class FlakyFile:
    """A JournalFile. `durable` survives a crash of the machine; `room` is how many bytes still fit."""

    durable: bytes = b""
    cached: bytes = b""
    room: int = 2**40
    fails_sync: bool = False
    syncs: int = 0
    is_closed: bool = False

    def read(self) -> bytes:
        """All of it."""
        return self.durable + self.cached

    def append(self, data: bytes) -> None:
        """Write what fits; refuse the rest."""
        fits, self.room = data[: self.room], max(0, self.room - len(data))
        self.cached += fits
        if len(fits) < len(data):
            raise OSError(28, "No space left on device")

    def sync(self) -> None:
        """Make durable."""
        if self.fails_sync:
            raise OSError(5, "Input/output error")
        self.syncs += 1
        self.durable, self.cached = self.durable + self.cached, b""

    def truncate(self, size: int) -> None:
        """Cut."""
        self.durable, self.cached = self.read()[:size], b""

    def replace(self, data: bytes) -> None:
        """Become something else, if there is room."""
        if len(data) > self.room or self.fails_sync:
            raise OSError(28, "No space left on device")
        self.durable, self.cached = data, b""

    def close(self) -> None:
        """Remember."""
        self.is_closed = True

    def crash(self, kept: int = 0) -> None:
        """The machine loses power: so many bytes of what was not synced are there."""
        self.durable, self.cached = self.durable + self.cached[:kept], b""

"""What the machines of a simulation stand on: time that is turned, disks that forget, processes that die."""

from collections.abc import Callable
from random import Random

from live.errors import JournalBusy

SECOND = 1_000_000_000
MS = 1_000_000
START_NS = 1_767_787_200_000_000_000


class Killed(BaseException):
    """The process is gone. No handler of ours catches it, as nothing catches kill -9."""


class Nature:
    """True time, and how far the machines' wall clocks are from it."""

    def __init__(self) -> None:
        self.true_ns = 0
        self.step_ns = 0

    def wall_ns(self) -> int:
        """What a wall clock shows that somebody looks at now."""
        return START_NS + self.true_ns + self.step_ns


class ProcessClock:
    """A process's clock, as live.clock.SystemClock is: the wall as it was at the start, moved on by the monotonic one.

    Each process counts its monotonic time from its own start, so that nothing may carry it over a restart.
    """

    def __init__(self, nature: Nature) -> None:
        self._nature, self._born_ns = nature, nature.true_ns
        self._offset_ns = nature.wall_ns() - nature.true_ns

    def wall_ns(self) -> int:
        """As Clock."""
        return self._nature.true_ns + self._offset_ns

    def mono_ns(self) -> int:
        """As Clock."""
        return self._nature.true_ns - self._born_ns


class Disk:
    """The bytes of one journal: those that are safe, and those that a power cut may take. Held by one process."""

    def __init__(self, rng: Random) -> None:
        self.safe = bytearray()
        self.loose = bytearray()
        self.holder: object = None
        self.written_anew = 0
        """How often all of it was replaced."""
        self.refuses = False
        """Whether it is full."""
        self._rng = rng

    def lose_power(self) -> None:
        """The machine goes down: any part of what was not synced is gone."""
        if self.loose:
            self.safe += self.loose[: self._rng.randint(0, len(self.loose))]
            self.loose.clear()


Point = Callable[[str], None]
"""Called with the name of each place where a process may die; raises Killed where it does."""


class DiskFile:
    """A process's handle on a Disk: a live.executor.journal_files.JournalFile. `point` is where it may die."""

    def __init__(self, disk: Disk, point: Point) -> None:
        if disk.holder is not None:
            raise JournalBusy("another process holds the journal")
        disk.holder = self
        self.disk, self._point = disk, point

    def read(self) -> bytes:
        """As JournalFile."""
        return bytes(self.disk.safe + self.disk.loose)

    def append(self, data: bytes) -> None:
        """As JournalFile: a full disk takes a part."""
        if self.disk.refuses:
            self.disk.loose += data[: len(data) // 2]
            raise OSError(28, "No space left on device")
        self.disk.loose += data
        self._point("appended")

    def sync(self) -> None:
        """As JournalFile."""
        if self.disk.refuses:
            raise OSError(5, "Input/output error")
        self.disk.safe += self.disk.loose
        self.disk.loose.clear()
        self._point("synced")

    def truncate(self, size: int) -> None:
        """As JournalFile."""
        whole = self.read()[:size]
        self.disk.safe[:] = whole
        self.disk.loose.clear()

    def replace(self, data: bytes) -> None:
        """As JournalFile."""
        if self.disk.refuses:
            raise OSError(28, "No space left on device")
        self.disk.safe[:] = data
        self.disk.loose.clear()
        self.disk.written_anew += 1

    def close(self) -> None:
        """As JournalFile."""
        if self.disk.holder is self:
            self.disk.holder = None


class Silence:
    """A log that nobody reads; `lines` keeps them when somebody does."""

    def __init__(self, lines: "list[str] | None" = None) -> None:
        self._lines = lines

    def info(self, event: str, **facts: object) -> None:
        """Keep a line, if lines are kept."""
        if self._lines is not None:
            self._lines.append(f"    {event} " + " ".join(f"{key}={value}" for key, value in facts.items()))

    debug = warning = error = exception = info

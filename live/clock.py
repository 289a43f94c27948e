"""Time, handed in: the machine's, or one that a test or a replay turns.

Durations, time-outs and cooldowns are measured on `mono_ns`, which no step of the machine's clock can move; `wall_ns`
is for records and for ages of what others stamped.
"""

import time
from typing import Protocol


class Clock(Protocol):
    """What services read the time from."""

    def wall_ns(self) -> int:
        """Nanoseconds since the epoch, UTC."""
        ...

    def mono_ns(self) -> int:
        """Nanoseconds since some moment; never goes back."""
        ...


class SystemClock:
    """The machine's time, its steps taken out: wall time is where it was at the start, moved on by the monotonic clock.

    So a step of the machine's clock neither makes fresh messages old nor old ones fresh; `step_ns` tells of it.
    """

    def __init__(self) -> None:
        self._offset_ns = time.time_ns() - time.monotonic_ns()

    def wall_ns(self) -> int:
        """Nanoseconds since the epoch, UTC, without the steps since the start."""
        return time.monotonic_ns() + self._offset_ns

    def mono_ns(self) -> int:
        """The kernel's monotonic clock."""
        return time.monotonic_ns()

    def step_ns(self) -> int:
        """How far the machine's clock has stepped away since the start; positive when it ran ahead."""
        return time.time_ns() - self.wall_ns()


class ManualClock:
    """Time that moves only when it is turned: for tests, and for replays, where the market turns it."""

    def __init__(self, wall_ns: int = 1_750_000_000_000_000_000) -> None:
        self._wall_ns = wall_ns
        self._mono_ns = 0

    def wall_ns(self) -> int:
        """Nanoseconds since the epoch, UTC, as set."""
        return self._wall_ns

    def mono_ns(self) -> int:
        """Nanoseconds this clock was advanced by."""
        return self._mono_ns

    def advance(self, *, ns: int = 0, seconds: float = 0.0) -> None:
        """Move on; raises ValueError for a step back."""
        step = ns + round(seconds * 1e9)
        if step < 0:
            raise ValueError(f"a clock is only moved on; asked for {step} ns")
        self._wall_ns += step
        self._mono_ns += step

    def advance_to(self, wall_ns: int) -> None:
        """Move on to a time; one that has passed leaves the clock where it is."""
        self.advance(ns=max(0, wall_ns - self._wall_ns))

    def jump_wall(self, ns: int) -> None:
        """Step the wall clock alone, either way, as a wrong NTP server would."""
        self._wall_ns += ns

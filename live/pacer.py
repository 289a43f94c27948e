"""Wakes the host at a time, so that a paced replay is not late by the host's own pause."""

import threading

from live.clock import Clock, SystemClock
from live.service import Wake


class Pacer:
    """A thread that waits for the next due time; none is started for a clock that is turned by hand."""

    def __init__(self, clock: Clock, wake: Wake) -> None:
        self._clock = clock
        self._wake = wake
        self._due_ns: int | None = None
        self._changed = threading.Condition()
        self._ends = False
        self._thread: threading.Thread | None = None
        if isinstance(clock, SystemClock):
            self._thread = threading.Thread(target=self._run, name="pacer", daemon=True)
            self._thread.start()

    def wake_at(self, wall_ns: int) -> None:
        """Wake at a time, instead of any asked for before."""
        with self._changed:
            if self._due_ns != wall_ns:
                self._due_ns = wall_ns
                self._changed.notify()

    def stop(self) -> None:
        """End the thread."""
        with self._changed:
            self._ends = True
            self._changed.notify()
        if self._thread:
            self._thread.join()

    def _run(self) -> None:
        with self._changed:
            while not self._ends:
                if self._due_ns is None:
                    self._changed.wait()
                    continue
                left_ns = self._due_ns - self._clock.wall_ns()
                if left_ns > 0:
                    self._changed.wait(left_ns / 1e9)
                else:
                    self._due_ns = None
                    self._wake()

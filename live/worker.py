"""Work that must not hold up a handler: done on one thread, one task after another, in the order it was handed in."""

import queue
import sys
import threading
from collections.abc import Callable

Task = Callable[[], None]
Run = Callable[[Task], None]
"""How a service has a task done: by a worker's `submit`, or by `at_once` where one thread does everything."""

TURN_SECONDS = 0.0005
"""The longest turn at the interpreter. With Python's own 5 ms every message beside a running task waits that long."""


def at_once(task: Task) -> None:
    """Do a task before returning: for a simulation, and for what must be done before a start."""
    task()


class Worker:
    """A thread that is there from the first task to `stop`. A task says what came of it by itself, and never raises."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._tasks: queue.SimpleQueue[Task | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None

    def submit(self, task: Task) -> None:
        """Have a task done; returns at once."""
        if self._thread is None:
            sys.setswitchinterval(min(sys.getswitchinterval(), TURN_SECONDS))
            self._thread = threading.Thread(target=self._work, name=self._name, daemon=True)
            self._thread.start()
        self._tasks.put(task)

    def stop(self, wait_seconds: float) -> bool:
        """End behind the tasks handed in; False when they take longer, and then end with the process."""
        if self._thread is None:
            return True
        self._tasks.put(None)
        self._thread.join(wait_seconds)
        return not self._thread.is_alive()

    def _work(self) -> None:
        while (task := self._tasks.get()) is not None:
            task()

"""Ending a wait from another thread."""

import os
from contextlib import suppress
from typing import Self


class Wake:
    """An eventfd: readable from `wake` until `clear`. Any thread may wake; close it when the readers are gone."""

    def __init__(self) -> None:
        self._fd = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)

    def fileno(self) -> int:
        """The descriptor; -1 once closed."""
        return self._fd

    def wake(self) -> None:
        """End a poll that waits, or the next one; does nothing once closed."""
        if self._fd >= 0:
            with suppress(BlockingIOError):  # the counter is full, so it is readable
                os.eventfd_write(self._fd, 1)

    def clear(self) -> None:
        """Forget earlier calls of `wake`."""
        if self._fd >= 0:
            with suppress(BlockingIOError):
                os.eventfd_read(self._fd)

    def close(self) -> None:
        """Give the descriptor back."""
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

"""Waiting for another process: the one place in the tests that sleeps, always with a deadline."""

import time
from collections.abc import Callable
from typing import TypeVar

Answer = TypeVar("Answer")
_PAUSE_SECONDS = 0.4


def until(
    question: Callable[[], Answer | None], seconds: float, what: str, pause_seconds: float = _PAUSE_SECONDS
) -> Answer:
    """Ask until the answer is not None.

    Raises:
        AssertionError: there was none within `seconds`; names what was waited for.
    """
    deadline = time.monotonic() + seconds
    while True:
        answer = question()
        if answer is not None:
            return answer
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {seconds:.0f} s for {what}, in vain")
        time.sleep(pause_seconds)

"""CPU time of several ways to do one thing, taken in turn so that a busy machine treats them alike."""

import time
from collections.abc import Callable, Mapping
from statistics import median
from typing import Any


def measure(candidates: Mapping[str, Callable[[], Any]], rounds: int) -> dict[str, float]:
    """Return the median CPU seconds of each candidate over the rounds, after one call that is not counted.

    Every second round goes through the candidates backwards, so none always runs in another's wake.
    """
    if rounds < 1:
        raise ValueError(f"rounds must be 1 or more, was {rounds}")
    seconds: dict[str, list[float]] = {name: [] for name in candidates}
    for turn in range(-1, rounds):
        order = list(candidates)[:: 1 if turn % 2 else -1]
        for name in order:
            begin = time.process_time()
            candidates[name]()
            if turn >= 0:
                seconds[name].append(time.process_time() - begin)
    return {name: median(values) for name, values in seconds.items()}

"""How far a long asset has come, and how much of a run was our own work.

Assets report to a Progress that is handed to them. The demo draws bars from it; under Dagster the default stays
silent, since the run's log already tells.
"""

import functools
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any


class Progress:
    """Counts steps and body seconds by asset; a subclass may draw them.

    ``body_seconds`` holds the seconds spent inside our asset functions, so that the rest of a run's wall time is what
    orchestration cost.
    """

    def __init__(self) -> None:
        self.body_seconds: defaultdict[str, float] = defaultdict(float)

    def step(self, asset: str, done: int, total: int, detail: str = "") -> None:
        """Tell that `done` of `total` parts of an asset are finished; does nothing here."""

    @contextmanager
    def body(self, asset: str) -> Iterator[None]:
        """Count the time inside the block as work of ours."""
        started = time.perf_counter()
        try:
            yield
        finally:
            self.body_seconds[asset] += time.perf_counter() - started


def timed(function: Callable[..., Any], progress: Progress) -> Callable[..., Any]:
    """Wrap an asset's function so that its seconds are counted; its signature stays visible to Dagster."""

    @functools.wraps(function)
    def run(*args: Any, **kwargs: Any) -> Any:
        with progress.body(function.__name__):
            return function(*args, **kwargs)

    return run

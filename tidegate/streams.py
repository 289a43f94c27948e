"""The live streams, opened to be looked at: nothing is started, nothing is written."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bus.client import RedisBus
from bus.server import running
from config.settings import Settings


class NoStreams(Exception):
    """There is nothing to look at; the text says what was looked for and how to start it."""


@contextmanager
def opened(settings: Settings, url: str = "") -> Iterator[RedisBus]:
    """The bus at `url`, else at redis.url, else the one that runs below paths.var.

    Raises NoStreams when none is there; calls on it raise BusUnavailable when it goes away.
    """
    folder = Path(settings.paths.var) / "redis"
    found = url or settings.redis.url or running(folder)
    if not found:
        raise NoStreams(f"no streams: redis.url is empty and no server runs in {folder}; start one: python -m live all")
    with RedisBus(found) as bus:
        yield bus

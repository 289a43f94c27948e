"""One process a service and folder: whoever comes second is refused before it takes anything from the first.

A start takes the service's name on the bus, which ends whoever had it. That is meant for a process that took over from
one that hangs elsewhere, and not for one that cannot run itself because the first holds its files.
"""

import fcntl
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from live.errors import ServiceBusy

LOCK_FILE = "service.lock"


@contextmanager
def claimed(folder: Path, names: Sequence[str]) -> Iterator[None]:
    """Hold the folders of these services below `folder`; let go of by the end of the block or of the process.

    Raises ServiceBusy when another process holds one, OSError when the folder cannot be had.
    """
    with ExitStack() as held:
        for name in names:
            place = folder / name
            place.mkdir(parents=True, exist_ok=True)
            lock = held.enter_context((place / LOCK_FILE).open("w"))
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as taken:
                raise ServiceBusy(
                    f"{name}: another process runs it with {place}; end that one first, or set another paths.var"
                ) from taken
        yield

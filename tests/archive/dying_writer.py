"""A process that is killed while it replaces a key: `python -m tests.archive.dying_writer ROOT KEY CONTENT POINT`.

CONTENT is the file whose bytes it writes. The kill is a real SIGKILL, sent by the process to itself at POINT.
"""

import os
import signal
import sys
from pathlib import Path
from typing import BinaryIO

from archive.storage import open_storage

POINTS = ("nothing written", "half written", "not renamed", "not synced")


def main(root: str, key: str, content: str, point: str) -> None:
    """Replace the key and die on the way."""
    data = Path(content).read_bytes()

    def fill(file: BinaryIO) -> None:
        if point == "nothing written":
            _die()
        file.write(data[: len(data) // 2])
        if point == "half written":
            file.flush()
            _die()
        file.write(data[len(data) // 2 :])

    renamed = False

    def watch(event: str, arguments: tuple[object, ...]) -> None:
        nonlocal renamed
        if event == "os.rename":
            renamed = True
            if point == "not renamed":
                _die()
        if event == "open" and renamed and point == "not synced":
            _die()

    sys.addaudithook(watch)
    open_storage(root).replace(key, fill)


def _die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    main(*sys.argv[1:])

"""A process in the middle of a write: `python -m tests.journeys.busy_writer ROOT KEY`.

It says `writing` once it holds the key and keeps it until its input ends; then it gives up, as a cancelled run would.
"""

import sys
from typing import BinaryIO

from archive.storage import open_storage


def main(root: str, key: str) -> None:
    """Hold the key."""
    open_storage(root).replace(key, _hold)


def _hold(file: BinaryIO) -> None:
    file.write(b"half of a partition")
    file.flush()
    sys.stdout.write("writing\n")
    sys.stdout.flush()
    sys.stdin.read()
    raise SystemExit(0)


if __name__ == "__main__":
    main(*sys.argv[1:])

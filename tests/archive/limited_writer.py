"""A process that may not write large files: `python -m tests.archive.limited_writer ROOT BYTES`.

It writes a day of books larger than the limit the kernel holds it to, and prints the error.
"""

import resource
import sys

from archive.errors import WriteFailed
from archive.store import Lake
from tests.archive.lakes import DAY, book_at, steady_ns


def main(root: str, limit_bytes: str) -> None:
    """Write under the limit and report."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(limit_bytes), int(limit_bytes)))
    try:
        Lake(root).write_book("BTCUSDT", DAY, book_at(steady_ns(every_seconds=1), seed=2), source="second")
    except WriteFailed as error:
        sys.stdout.write(str(error))


if __name__ == "__main__":
    main(*sys.argv[1:])

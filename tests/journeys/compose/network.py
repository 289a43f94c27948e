"""A network of one's own for a stretch of a test: nothing but a loopback interface, so that every port is free."""

import ctypes
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

_NEW_NETWORK = 0x40000000
_LIBC = ctypes.CDLL(None, use_errno=True)


@contextmanager
def own_network() -> Iterator[None]:
    """Let this thread, and what it starts, live in a network of their own. Raises OSError where that is not allowed."""
    before = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
    try:
        if _LIBC.unshare(_NEW_NETWORK):
            raise OSError(ctypes.get_errno(), "no network namespace can be made")
        try:
            subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
            yield
        finally:
            if _LIBC.setns(before, _NEW_NETWORK):
                raise OSError(ctypes.get_errno(), "the way back to the machine's network is closed")
    finally:
        os.close(before)

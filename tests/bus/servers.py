"""Real servers for tests: one in a folder, that can be killed, paused and started again."""

import os
import shutil
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from bus.client import RedisBus
from bus.server import Server, serve

needs_redis = pytest.mark.skipif(
    shutil.which("redis-server") is None, reason="needs a redis-server on PATH (apt-get install redis-server)"
)
"""For tests that start a real server."""
NO_FILE = ("--appendonly", "no")
"""Options of a server that forgets everything when it ends."""


class RealServer:
    """A redis-server of this test's own."""

    def __init__(self, folder: Path, *options: str) -> None:
        self._folder = folder
        self._options = options
        self._server: Server = serve(folder, options=options)

    @property
    def url(self) -> str:
        """Where it listens; the same after a restart."""
        return self._server.url

    @property
    def path(self) -> str:
        """The path of its socket."""
        return self.url.removeprefix("unix://")

    @property
    def pid(self) -> int:
        """Its process."""
        assert self._server.process is not None
        return self._server.process.pid

    def write_down(self) -> None:
        """Return once the server has handed all it acknowledged to the system, so that kill -9 costs nothing.

        While an fsync runs it puts writes off for up to two seconds.
        """
        with RedisBus(self.url) as bus:
            while bus.facts()["aof_buffer_length"] != "0":
                pass

    def forget_last(self, size: int) -> None:
        """Cut so many bytes off the file of a server that was killed, as if they had not been written."""
        newest = max((self._folder / "appendonlydir").glob("*.incr.aof"))
        os.truncate(newest, newest.stat().st_size - size)

    def kill(self) -> None:
        """End it with kill -9."""
        process = self._server.process
        assert process is not None
        process.kill()
        process.wait()

    def start(self) -> None:
        """Start it again in its folder."""
        self._server = serve(self._folder, options=self._options)

    def pause(self) -> None:
        """Stop it from running; connections stay open (SIGSTOP)."""
        os.kill(self.pid, signal.SIGSTOP)

    def resume(self) -> None:
        """Let it run on."""
        os.kill(self.pid, signal.SIGCONT)

    def stop(self) -> None:
        """End it for good."""
        if self._server.process is not None and self._server.process.poll() is None:
            self.resume()
        self._server.stop()


@contextmanager
def real_server(folder: Path, *options: str) -> Iterator[RealServer]:
    """A server in a folder, ended at the end; `options` are redis-server's."""
    server = RealServer(folder, *options)
    try:
        yield server
    finally:
        server.stop()


@contextmanager
def running_server(folder: Path, *options: str) -> Iterator[str]:
    """The URL of a server in a folder, ended at the end."""
    with real_server(folder, *options) as server:
        yield server.url

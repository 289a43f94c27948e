"""Sockets and questions over HTTP, in one thread with a loop of its own: the thin part, which decides nothing.

What happens there is handed over through a queue, and `wake` is called; the caller takes it from `drain`. Lines are
known by the names they were opened under. A message above `most_bytes` is not handed on; one so large that it would
fill the memory ends its connection.
"""

import asyncio
import contextlib
import logging
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Coroutine, Sequence
from queue import Empty, SimpleQueue
from typing import Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, WebSocketException

from live.clock import Clock
from live.exchange.wires import Answer, Closed, Happening, Message, Opened
from live.service import Wake

_OPEN_SECONDS = 10.0
_CLOSE_SECONDS = 0.5
_STOP_SECONDS = 10.0
_HARD_LIMIT = 16

# The library tells of each failed handshake itself; we tell of them as events.
_SILENT = logging.getLogger("live.exchange.socket")
_SILENT.addHandler(logging.NullHandler())
_SILENT.propagate = False


class Sockets:
    """A thread that holds connections. Every method may be called from any one thread and returns at once."""

    def __init__(self, clock: Clock, wake: Wake, most_bytes: int) -> None:
        self._clock = clock
        self._wake = wake
        self._most_bytes = most_bytes
        self._happenings: SimpleQueue[Happening] = SimpleQueue()
        self._lines: dict[str, asyncio.Task[None]] = {}
        self._connections: dict[str, ClientConnection] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="sockets", daemon=True)
        self._thread.start()

    def open(self, line: str, url: str, greetings: Sequence[str]) -> None:
        """Open a line; Opened or Closed follows."""
        self._call(lambda: self._begin(line, self._hold(line, url, greetings)))

    def close(self, line: str) -> None:
        """Close a line. What it still says is not handed on, and no Closed follows."""
        self._call(lambda: self._end(line))

    def say(self, line: str, text: str) -> None:
        """Send a text over a line; without effect when it is not open."""
        self._call(lambda: self._spawn(self._send(line, text)))

    def get(self, tag: str, url: str, timeout_seconds: float) -> None:
        """Ask by HTTP; an Answer with the tag follows."""
        self._call(lambda: self._spawn(self._fetch(tag, url, timeout_seconds)))

    def drain(self, most: int = 10_000) -> list[Happening]:
        """Return what happened since the last call, in order."""
        found: list[Happening] = []
        with contextlib.suppress(Empty):
            while len(found) < most:
                found.append(self._happenings.get_nowait())
        return found

    def stop(self) -> None:
        """Close everything and end the thread."""
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(lambda: self._spawn(self._finish()))
            self._thread.join(_STOP_SECONDS)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_forever()
        finally:
            self._loop.run_until_complete(self._loop.shutdown_default_executor())
            self._loop.close()

    def _call(self, action: Callable[[], None]) -> None:
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(action)

    def _happen(self, happening: Happening) -> None:
        self._happenings.put(happening)
        self._wake()

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _begin(self, line: str, work: Coroutine[Any, Any, None]) -> None:
        self._end(line)
        self._lines[line] = self._loop.create_task(work)

    def _end(self, line: str) -> None:
        self._connections.pop(line, None)
        if task := self._lines.pop(line, None):
            task.cancel()
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _hold(self, line: str, url: str, greetings: Sequence[str]) -> None:
        """One connection, from its opening to its end."""
        reason = "closed"
        try:
            async with connect(
                url,
                max_size=_HARD_LIMIT * self._most_bytes,
                open_timeout=_OPEN_SECONDS,
                close_timeout=_CLOSE_SECONDS,
                compression=None,
                logger=_SILENT,
            ) as connection:
                for greeting in greetings:
                    await connection.send(greeting)
                self._connections[line] = connection
                self._happen(Opened(line))
                while True:
                    payload = await connection.recv(decode=False)
                    size = len(payload)
                    kept = payload if size <= self._most_bytes else b""
                    self._happen(Message(line, self._clock.wall_ns(), kept, size))
        except ConnectionClosed as error:
            reason = _closing(error)
        except (OSError, WebSocketException) as error:
            reason = f"refused: {type(error).__name__}: {error}"
        if asyncio.current_task() is self._lines.get(line):
            del self._lines[line]
            self._connections.pop(line, None)
            self._happen(Closed(line, reason))

    async def _send(self, line: str, text: str) -> None:
        connection = self._connections.get(line)
        if connection is not None:
            # A connection that is dying tells so by itself.
            with contextlib.suppress(ConnectionClosed):
                await connection.send(text)

    async def _fetch(self, tag: str, url: str, timeout_seconds: float) -> None:
        status, body, pause = await asyncio.to_thread(fetch, url, timeout_seconds)
        self._happen(Answer(tag, self._clock.wall_ns(), status, body, pause))

    async def _finish(self) -> None:
        for line in list(self._lines):
            self._end(line)
        others = [task for task in self._tasks if task is not asyncio.current_task()]
        await asyncio.gather(*others, return_exceptions=True)
        self._loop.stop()


def fetch(url: str, timeout_seconds: float) -> tuple[int, bytes, float]:
    """Get a page: status (0 when there was no answer), body (or the reason), seconds the server asks us to pause."""
    if not url.startswith(("http://", "https://")):
        return 0, f"wanted an http address, found {url}".encode(), 0.0
    try:
        with urllib.request.urlopen(url, timeout=timeout_seconds) as answer:  # noqa: S310 - checked above
            return int(answer.status), answer.read(), 0.0
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read(), _pause(error.headers.get("Retry-After"))
    except (OSError, ValueError) as error:
        return 0, str(error).encode(), 0.0


def _pause(retry_after: str | None) -> float:
    return float(retry_after) if retry_after and retry_after.isdecimal() else 0.0


def _closing(error: ConnectionClosed) -> str:
    close = error.rcvd or error.sent
    return "cut" if close is None else f"closed: {close.code} {close.reason}".strip()

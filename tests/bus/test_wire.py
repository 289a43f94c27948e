"""One connection: addresses that may be shown, replies in pieces, errors by what they mean, TLS."""

import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from bus.errors import BusError, BusUnavailable
from bus.wire import MISSING, Wire, address, pack, payload, refusal
from tests.bus.servers import needs_redis, real_server


@contextmanager
def answering(*pieces: bytes) -> Iterator[str]:
    """A server that answers the first request with these pieces and waits for the end."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def answer() -> None:
            client, _ = listener.accept()
            with client:
                client.recv(1_000)
                for piece in pieces:
                    client.sendall(piece)
                client.recv(1_000)

        thread = threading.Thread(target=answer)
        thread.start()
        yield f"redis://127.0.0.1:{listener.getsockname()[1]}/0"
        thread.join()


@contextmanager
def wire_to(url: str, timeout: float = 10.0) -> Iterator[Wire]:
    """A connection that is closed at the end."""
    wire = Wire(url, timeout)
    try:
        yield wire
    finally:
        wire.close()


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("redis://me:secret@host:6379/0", "redis://host:6379/0"),
        ("rediss://:secret@host/1?ssl_cert_reqs=none", "rediss://host/1"),
        ("unix:///var/run/s.sock", "unix:///var/run/s.sock"),
        ("unix://:secret@/var/run/s.sock?db=1", "unix:///var/run/s.sock"),
    ],
)
def test_an_address_has_no_secrets(url: str, shown: str) -> None:
    """Neither user nor password nor options."""
    assert address(url) == shown


def test_replies_come_in_any_pieces() -> None:
    """Two replies over four writes, in order; an error among them is returned, not raised."""
    with answering(b"$5\r\nhel", b"lo\r\n-ERR ", b"no\r\n*1\r\n", b":7\r\n") as url, wire_to(url) as wire:
        wire.send(pack([("GET", "a"), ("X",), ("Y",)]))
        first, second, third = wire.receive(3)
        assert (first, str(second), third) == (b"hello", "ERR no", [7])
        assert wire.next() is MISSING


def test_the_end_of_a_connection_is_unavailable() -> None:
    """Whoever reads is told."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        wire = Wire(f"redis://127.0.0.1:{listener.getsockname()[1]}/0", 10.0)
        listener.accept()[0].close()
        with pytest.raises(BusUnavailable, match="closed the connection"):
            wire.receive(1)
        wire.close()


def test_silence_is_unavailable_after_the_time_out() -> None:
    """Nobody accepts here, yet the system has taken the connection."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        wire = Wire(f"redis://127.0.0.1:{listener.getsockname()[1]}/0", 0.01)
        wire.send(pack([("PING",)]))
        with pytest.raises(BusUnavailable, match="no reply"):
            wire.receive(1)
        wire.close()


@pytest.mark.parametrize("code", ["OOM", "LOADING", "MISCONF", "READONLY", "MASTERDOWN", "CLUSTERDOWN", "BUSY"])
def test_what_passes_is_an_outage_and_the_rest_is_not(code: str) -> None:
    """A full, loading or read-only server may take it later; a wrong command it will never take."""
    assert isinstance(refusal(Exception(f"{code} so it is"), "s"), BusUnavailable)
    assert not isinstance(refusal(Exception("WRONGTYPE so it is"), "s"), BusUnavailable)
    assert str(refusal(Exception("WRONGTYPE x"), "s")) == "s: the server says WRONGTYPE x"


@pytest.mark.parametrize(
    ("fields", "data"), [([b"d", b"x"], b"x"), ([b"e", b"x"], b""), ([b"d", b"x", b"e", b"y"], b""), ([], b"")]
)
def test_only_our_own_field_is_data(fields: list[bytes], data: bytes) -> None:
    """Anything else is nobody's message."""
    assert payload(fields) == data


def certificate(folder: Path) -> tuple[Path, Path]:
    """A certificate of localhost, good for the test; the test skips without openssl."""
    key, cert = folder / "key.pem", folder / "cert.pem"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", "/CN=localhost",
               "-addext", "subjectAltName=DNS:localhost", "-keyout", str(key), "-out", str(cert)]  # fmt: skip
    try:
        subprocess.run(command, check=True, capture_output=True)
    except FileNotFoundError:
        pytest.skip("needs openssl")
    return key, cert


def test_tls_brings_large_replies_whole(tmp_path: Path) -> None:
    """What the encryption has already unpacked is not waited for on the socket."""
    key, cert = certificate(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    size = 3_000_000
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def answer() -> None:
            client, _ = listener.accept()
            with context.wrap_socket(client, server_side=True) as secure:
                secure.recv(1_000)
                secure.sendall(b"$%d\r\n" % size + b"x" * size + b"\r\n")
                secure.recv(1_000)

        thread = threading.Thread(target=answer)
        thread.start()
        port = listener.getsockname()[1]
        with wire_to(f"rediss://localhost:{port}/0?ssl_ca_certs={cert}") as wire:
            wire.send(pack([("GET", "a")]))
            assert wire.receive(1) == [b"x" * size]
        thread.join()


@needs_redis
def test_a_certificate_nobody_vouches_for_is_refused(tmp_path: Path) -> None:
    """A real server behind TLS, and a client that does not know who signed it."""
    key, cert = certificate(tmp_path)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    options = ["--tls-port", str(port), "--tls-cert-file", str(cert), "--tls-key-file", str(key),
               "--tls-ca-cert-file", str(cert), "--tls-auth-clients", "no", "--bind", "127.0.0.1"]  # fmt: skip
    try:
        with real_server(tmp_path / "redis", *options):
            check_tls(port, cert)
    except BusUnavailable as refused:
        if "Bad directive" in str(refused) or "tls-port" in str(refused):
            pytest.skip("this redis-server has no TLS")
        raise


def check_tls(port: int, cert: Path) -> None:
    """Known signer: in. Unknown signer: out."""
    with wire_to(f"rediss://localhost:{port}/0?ssl_ca_certs={cert}") as wire:
        wire.send(pack([("PING",)]))
        assert wire.receive(1) == [b"PONG"]
    with pytest.raises(BusError, match="CERTIFICATE_VERIFY_FAILED"):
        Wire(f"rediss://localhost:{port}/0", 10.0)

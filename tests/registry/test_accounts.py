"""MLflow's accounts, made on a server of the test's own that answers as MLflow does."""

import base64
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from registry.accounts import main

SECRETS = {
    "MLFLOW_ADMIN_PASSWORD": "admin-password", "MLFLOW_TRAINER_PASSWORD": "trainer-password",
    "MLFLOW_READER_PASSWORD": "reader-password",
}  # fmt: skip


class FakeServer(ThreadingHTTPServer):
    """MLflow's three calls on users, with a table of passwords."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.passwords = {"admin": "admin-password"}
        self.url = f"http://127.0.0.1:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    server: FakeServer

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Say nothing."""

    def _who(self) -> str:
        token = self.headers["Authorization"].removeprefix("Basic ")
        name, _, password = base64.b64decode(token).decode().partition(":")
        return name if self.server.passwords.get(name) == password else ""

    def _reply(self, status: int, code: str = "") -> None:
        self.send_response(status)
        self.end_headers()
        self.wfile.write(json.dumps({"error_code": code}).encode())

    def do_GET(self) -> None:
        self._reply(200 if self._who() else 401)

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self._who() != "admin":
            self._reply(403, "PERMISSION_DENIED")
        elif body["username"] in self.server.passwords:
            self._reply(400, "RESOURCE_ALREADY_EXISTS")
        else:
            self.server.passwords[body["username"]] = body["password"]
            self._reply(200)

    def do_PATCH(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.passwords[body["username"]] = body["password"]
        self._reply(200 if self._who() == "admin" else 403)


@pytest.fixture
def server() -> Iterator[FakeServer]:
    """A server that runs until the test ends."""
    with FakeServer() as made:
        thread = threading.Thread(target=made.serve_forever, daemon=True)
        thread.start()
        yield made
        made.shutdown()
        thread.join()


def test_accounts_are_made_once_and_a_new_password_is_set(
    server: FakeServer, capsys: pytest.CaptureFixture[str]
) -> None:
    """Run with every start of a stack."""
    assert main([server.url], SECRETS) == 0
    assert capsys.readouterr().out == "trainer: made\nreader: made\n"
    assert main([server.url], SECRETS) == 0
    assert capsys.readouterr().out == "trainer: stands\nreader: stands\n"
    assert main([server.url], {**SECRETS, "MLFLOW_READER_PASSWORD": "another-password"}) == 0
    assert capsys.readouterr().out == "trainer: stands\nreader: has a new password\n"
    assert server.passwords["reader"] == "another-password"


def test_a_wrong_admin_is_refused_and_no_password_is_shown(
    server: FakeServer, capsys: pytest.CaptureFixture[str]
) -> None:
    """In one line."""
    assert main([server.url], {**SECRETS, "MLFLOW_ADMIN_PASSWORD": "not-the-password"}) == 1
    said = capsys.readouterr().err
    assert "does not make account trainer: 403" in said
    assert "password" not in said.replace("password of", "")


def test_short_passwords_and_silent_servers_are_told_of(capsys: pytest.CaptureFixture[str]) -> None:
    """Before and after the first word to the server."""
    assert main(["http://127.0.0.1:1"], {**SECRETS, "MLFLOW_ADMIN_PASSWORD": "short"}) == 1
    assert "at least 12 characters, had 5" in capsys.readouterr().err
    assert main(["http://127.0.0.1:1"], SECRETS) == 1
    assert "does not answer" in capsys.readouterr().err
    assert main([], SECRETS) == 2

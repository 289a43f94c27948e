import json
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

from pipelines.notification import Notice, notify

NOTICE = Notice("rolled back: version 3", "win rate 7.1 points lower", "warning")


@contextmanager
def webhook(status: int = 200) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """A web server on a free port that keeps what is posted to it."""
    told: list[dict[str, Any]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            told.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(status)
            self.end_headers()

        def log_message(self, *args: object) -> None:
            """Quiet."""

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"json://someone:secret@127.0.0.1:{server.server_port}/hook", told
        finally:
            server.shutdown()
            thread.join()


def test_the_log_is_told() -> None:
    """One line with title and text."""
    lines: list[str] = []
    assert notify(["log"], NOTICE, lines.append) == []
    assert lines == ["rolled back: version 3: win rate 7.1 points lower"]


def test_a_webhook_is_told() -> None:
    """Title, text and urgency."""
    with webhook() as (url, told):
        assert notify([url], NOTICE, _no_log) == []
    assert [(each["title"], each["message"], each["type"]) for each in told] == [
        (NOTICE.title, NOTICE.text, "warning")
    ]  # fmt: skip


def test_one_place_that_fails_keeps_no_other_from_being_told() -> None:
    """It is named without its password, and so is one that is no place at all."""
    with webhook(500) as (broken, _), webhook() as (sound, told):
        failed = notify([broken, "nonsense", sound], NOTICE, _no_log)
    assert len(told) == 1
    assert failed == [
        f"{broken.replace('secret', '****')} did not take the message",
        "a place of release.notify with scheme 'nonsense' is no URL that apprise knows",
    ]


def _no_log(line: str) -> None:
    raise AssertionError(f"the log is no place here: {line}")


@contextmanager
def mailbox() -> Iterator[tuple[str, list[str]]]:
    """A mail server on a free port that keeps what it is sent: as much SMTP as a client needs."""
    letters: list[str] = []

    class Session(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            self.wfile.write(b"220 here\r\n")
            while word := self.rfile.readline().decode():
                if word.upper().startswith("DATA"):
                    self.wfile.write(b"354 go on\r\n")
                    letters.append("".join(iter(lambda: self.rfile.readline().decode(), ".\r\n")))
                elif word.upper().startswith("QUIT"):
                    self.wfile.write(b"221 bye\r\n")
                    return
                self.wfile.write(b"250 ok\r\n")

    with socketserver.TCPServer(("127.0.0.1", 0), Session) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            port = server.server_address[1]
            yield (
                f"mailto://127.0.0.1:{port}?smtp=127.0.0.1&mode=insecure&from=a@tidegate.test&to=b@tidegate.test",
                letters,
            )
        finally:
            server.shutdown()
            thread.join()


def test_a_mailbox_is_told() -> None:
    """The title is the subject, the text the letter."""
    with mailbox() as (url, letters):
        assert notify([url], NOTICE, _no_log) == []
    (letter,) = letters
    assert "Subject: rolled back: version 3" in letter
    assert "win rate 7.1 points lower" in letter

"""Boards made by hand, and an interface of Prometheus that answers from a table."""

import json
import math
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from monitoring.panel import Limit, Panel, Query
from tidegate.board import Board, Mark, Series, Shown
from tidegate.prometheus import Firing

START = 1_800_000_000.0
SECONDS = 60


def panel(**changes: Any) -> Panel:
    """A panel with one question and a limit."""
    facts: dict[str, Any] = {
        "id": "fill-rate", "title": "Fill rate", "question": "execution", "description": "Share that filled.",
        "unit": "share", "queries": (Query("fill_rate_rolling", "{{route}}"),),
        "runbook": "backpressure--queue-build-up", "limits": (Limit(0.25, "below", "alert"),),
    }  # fmt: skip
    return Panel(**facts | changes)


def series(name: str, *values: float, is_limit: bool = False) -> Series:
    """A value each second from START on."""
    return Series(name, [(START + second, value) for second, value in enumerate(values)], is_limit)


def board(*shown: Shown, marks: tuple[Mark, ...] = (), firing: tuple[Firing, ...] = ()) -> Board:
    """A minute of these panels."""
    return Board(START, START + SECONDS, "http://127.0.0.1:9090", shown, marks, firing)


def plain(value: float) -> str:
    """A value as Prometheus writes it."""
    return {math.inf: "+Inf", -math.inf: "-Inf"}.get(value, "NaN" if math.isnan(value) else repr(value))


@contextmanager
def answering(table: Mapping[str, Any], status: int = 200) -> Iterator[str]:
    """Serve data by the path behind /api/v1/, or by the query asked there; the address of the server."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked = urlsplit(self.path)
            query = parse_qs(asked.query).get("query", [""])[0]
            name = asked.path.removeprefix("/api/v1/")
            found = table.get(query, table.get(name))
            body = found if isinstance(found, bytes) else json.dumps({"status": "success", "data": found}).encode()
            self.send_response(status)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the library's name
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()

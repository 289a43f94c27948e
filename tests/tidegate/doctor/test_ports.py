import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from tests.live.parts import settings
from tidegate.doctor import ports
from tidegate.doctor.ports import Place, answers, findings, places


@contextmanager
def served(body: bytes, status: int = 200) -> Iterator[int]:
    """A web server that always says the same, on a free port."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args: object) -> None:
            """Quiet."""

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server.server_port
        finally:
            server.shutdown()
            thread.join()


@pytest.mark.parametrize(("body", "status", "is_ours"), [(b"service_ready 1", 200, True), (b"hello", 200, False)])
def test_the_owner_of_a_port_is_known_by_what_it_says(body: bytes, status: int, is_ours: bool) -> None:
    """A stranger does not say it."""
    with served(body, status) as port:
        assert answers(Place(port, "risk", "/metrics", b"service_ready", "")) is is_ours


def test_an_mlflow_with_accounts_is_known_by_asking_for_one() -> None:
    """Nobody else is."""
    with served(b"who are you", 401) as port:
        assert answers(Place(port, "MLflow", "/health", b"OK", ""))
        assert not answers(Place(port, "Dagster", "/server_info", b"dagster", ""))


def test_every_service_has_a_place_unless_the_ports_are_free_ones() -> None:
    """Pages first."""
    found = places(settings({"serving": {"metrics_port": 9300}}))
    assert [(each.port, each.owner) for each in found][:3] == [(3000, "Dagster"), (5000, "MLflow"), (9300, "collector")]
    assert len(places(settings({"serving": {"metrics_port": 0}}))) == 2


def test_a_stranger_on_a_port_is_told_with_the_way_round(monkeypatch: pytest.MonkeyPatch) -> None:
    """And a service of ours is only named."""
    with served(b"hello") as port:
        monkeypatch.setattr(ports, "MLFLOW_PORT", port)
        (found,) = [each for each in findings(settings({"serving": {"metrics_port": 0}})) if str(port) in each.says]
        assert (found.level, found.mend) == ("warn", "python -m tidegate up --mlflow-port 5010")
    with served(b"service_ready") as port:
        (told,) = [each for each in findings(settings({"serving": {"metrics_port": port}})) if each.level == "ok"]
        assert f"{port} collector" in told.says

"""A registry that answers nonsense, or names places that are not ours, is refused in a sentence of our own."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from registry.errors import RegistryError
from registry.staging import check_source
from registry.store import ModelStore

_VERSION: dict[str, Any] = {
    "name": "signal_scorer", "version": "1", "creation_timestamp": 1, "source": "/artifacts/b", "run_id": "r"
}  # fmt: skip


@contextmanager
def _answering(body: bytes, status: int = 200) -> Iterator[str]:
    """An MLflow server that answers everything with the same bytes."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_POST = do_GET  # noqa: N815 - its name is the server's

        def log_message(self, *_: object) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.mark.parametrize(
    "body",
    [
        b"", b"not json", b"\xff\xfe\x00", b"[]", b"null", b'"text"', b"[" * 5_000, b'{"registered_models": 7}',
        b'{"registered_models": [{"name": 1}], "model_versions": "x"}', b"<html>502</html>",
        json.dumps({"model_versions": [{**_VERSION, "version": "seven"}]}).encode(),
        json.dumps({"model_versions": [{**_VERSION, "creation_timestamp": "soon"}]}).encode(),
        json.dumps({"model_versions": [{**_VERSION, "tags": [{"key": 1}]}]}).encode(),
    ],
)  # fmt: skip
def test_an_answer_that_is_none_is_a_registry_error(body: bytes, tmp_path: Path) -> None:
    """Whatever comes: trading goes on by the mirror, and the sentence says who said it."""
    with _answering(body) as url:
        store = ModelStore(url, tmp_path)
        try:
            found = store.versions()
        except RegistryError as refused:
            assert "signal_scorer in http://127.0.0.1" in str(refused)
        else:
            assert found == [] or not found[0].sha256  # an object without the fields is an empty registry


@pytest.mark.parametrize(
    "source",
    [
        "",
        "/etc/passwd",
        "file:///etc",
        "file:///srv/artifacts/../../etc",
        "/srv/artifacts/%2e%2e/x",
        "s3://b/../c",
        "a\0b",
    ],
)
def test_a_place_that_is_not_ours_is_not_asked_for(source: str) -> None:
    """A registry cannot make us read a file of this machine."""
    with pytest.raises(RegistryError, match="bundle at"):
        check_source(source, "/srv/artifacts")


@pytest.mark.parametrize("root", ["mlflow-artifacts:///", "s3://b"])
@pytest.mark.parametrize(
    "source",
    [
        "/etc", "file:///etc", "FILE:/etc", "http://169.254.169.254/latest", "ftp://h/x",
        "mlflow-artifacts://elsewhere:80/1/r/bundle",
    ],
)  # fmt: skip
def test_nor_is_a_file_of_this_machine_or_another_server_where_artifacts_are_elsewhere(root: str, source: str) -> None:
    """With artifacts on a server nothing of ours lies on this disk; who else is asked would be told our password."""
    with pytest.raises(RegistryError, match="lies outside registry"):
        check_source(source, root)


def test_a_web_address_is_no_place_in_a_folder() -> None:
    """Of a registry with local artifacts."""
    with pytest.raises(RegistryError, match="lies outside registry"):
        check_source("http://169.254.169.254/latest", "/srv/artifacts")


@pytest.mark.parametrize(
    ("source", "root"),
    [
        ("/srv/artifacts/1/r/artifacts/bundle", "/srv/artifacts"),
        ("file:///srv/artifacts/1/r", "/srv/artifacts"),
        ("/srv/artifacts/1/r", "file:///srv/artifacts"),
        ("mlflow-artifacts:/1/r/bundle", "mlflow-artifacts:///"),
        ("mlflow-artifacts:/1/r/bundle", "/srv/artifacts"),
        ("s3://b/c", "s3://b"),
    ],
)
def test_a_place_of_ours_is(source: str, root: str) -> None:
    """Below registry.artifacts, or kept by the server, or in the object store."""
    check_source(source, root)

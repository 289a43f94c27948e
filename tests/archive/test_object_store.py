"""A lake on an S3 object store: the same answers as on a disk, and one writer a partition without a lock."""

from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import BinaryIO
from uuid import uuid4

import pytest
from upath import UPath

from archive.errors import ArchiveBusy, MissingPartition, WriteFailed
from archive.gaps import scan
from archive.storage import open_storage
from archive.store import Lake
from tests.archive.lakes import DAY, NEXT_DAY, book_at, put_book, same, steady_ns
from tests.archive.s3 import object_store

KEY = "book/symbol=BTCUSDT/date=2026-01-06/part.parquet"


@pytest.fixture(scope="module")
def bucket() -> Iterator[str]:
    """A store with one bucket for all tests of this module."""
    with object_store("lake"):
        yield "s3://lake"


@pytest.fixture
def root(bucket: str) -> str:
    """A prefix of the test's own."""
    return f"{bucket}/{uuid4()}"


def test_a_day_reads_back_from_the_store(root: str) -> None:
    """Written, replaced, listed, scanned: as a lake on a disk."""
    lake = Lake.create(root)
    book = book_at(steady_ns())
    lake.write_book("BTCUSDT", DAY, book, source="test")
    assert same(Lake(root).read_book("BTCUSDT", DAY), book)
    assert lake.partitions("book") == [("BTCUSDT", DAY)]
    put_book(lake, "BTCUSDT", DAY, steady_ns()[:5])
    assert lake.info("book", "BTCUSDT", DAY).rows == 5
    with pytest.raises(MissingPartition, match="nearest days of BTCUSDT: 2026-01-06"):
        lake.read_book("BTCUSDT", NEXT_DAY)
    assert scan(lake, ["BTCUSDT"], [DAY]).gaps


def test_what_another_process_writes_is_seen(root: str) -> None:
    """No listing is remembered: a long process would never hear of a new day."""
    ours, theirs = Lake.create(root), Lake.create(root)
    put_book(ours, "BTCUSDT", DAY, steady_ns())
    assert ours.partitions("book") == [("BTCUSDT", DAY)]
    put_book(theirs, "BTCUSDT", NEXT_DAY, steady_ns(NEXT_DAY))
    assert ours.partitions("book") == [("BTCUSDT", DAY), ("BTCUSDT", NEXT_DAY)]


@pytest.mark.parametrize("held", [b"", b"before"])
def test_of_two_writers_the_later_is_refused(root: str, held: bytes) -> None:
    """Whoever puts first has written, be the object new or replaced; nothing of the other is kept."""
    first, second = open_storage(root), open_storage(root)
    if held:
        first.replace(KEY, lambda file: file.write(held))

    def overtaken(file: BinaryIO) -> None:
        file.write(b"late")
        second.replace(KEY, lambda other: other.write(b"early"))

    with pytest.raises(ArchiveBusy, match="another process has written it meanwhile"):
        first.replace(KEY, overtaken)
    with first.open(KEY) as file:
        assert file.read() == b"early"
    first.replace(KEY, lambda file: file.write(b"again"))
    with second.open(KEY) as file:
        assert file.read() == b"again"


def test_a_writer_that_dies_leaves_nothing_behind(root: str) -> None:
    """No lock and no half object: the next one writes at once."""
    storage = open_storage(root)

    def dies(file: BinaryIO) -> None:
        file.write(b"half")
        raise RuntimeError("killed")

    with pytest.raises(RuntimeError):
        storage.replace(KEY, dies)
    assert storage.names("book") == []
    assert storage.replace(KEY, lambda file: file.write(b"whole")) == 5


def test_a_store_that_refuses_is_no_other_writer(bucket: str) -> None:
    """A bucket that is not there is told as what it is."""
    storage = open_storage("s3://nobody-made-this/lake")
    with pytest.raises((WriteFailed, FileNotFoundError)):
        storage.replace(KEY, lambda file: file.write(b"x"))


def test_a_store_that_lets_us_look_at_nothing_is_a_failed_write() -> None:
    """Keys without the right to read: told as such, for a scan then goes on without its manifest."""

    class Refusing(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            self.send_response(403)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Nothing on the screen."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Refusing) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        address = {"endpoint_url": f"http://127.0.0.1:{server.server_port}"}
        storage = open_storage(UPath("s3://lake/x", anon=True, client_kwargs=address))
        with pytest.raises(WriteFailed, match="nothing was written"):
            storage.replace(KEY, lambda file: file.write(b"x"))
        server.shutdown()

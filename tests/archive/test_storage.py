"""Replacing a file: all or nothing, one writer at a time, on a local disk and on an object store."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO
from uuid import uuid4

import fsspec
import pytest
from fsspec.implementations.memory import MemoryFileSystem

from archive.errors import ArchiveBusy, WriteFailed
from archive.gaps import scan
from archive.storage import Storage, open_storage
from archive.store import Lake
from tests.archive.dying_writer import POINTS
from tests.archive.lakes import DAY, book_at, put_book, same, steady_ns

KEY = "book/symbol=BTCUSDT/date=2026-01-06/part.parquet"


@pytest.fixture(params=["local", "url", "memory"])
def storage(request: pytest.FixtureRequest, tmp_path: Path) -> Storage:
    """A folder by path, the same by URL, an object store."""
    roots = {"local": str(tmp_path), "url": tmp_path.as_uri(), "memory": f"memory://{uuid4()}/lake"}
    return open_storage(roots[request.param])


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 1 MiB, or a skip where mounting one is not allowed."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(disk)]
    mounted = subprocess.run(mount, capture_output=True, check=False)
    if mounted.returncode:
        pytest.skip(f"mounting a small tmpfs is not allowed here ({mounted.stderr.decode().strip()})")
    yield disk
    subprocess.run(["umount", str(disk)], check=True)


def content(storage: Storage, key: str) -> bytes:
    """Return the bytes under a key."""
    with storage.open(key) as file:
        return bytes(file.read())


def test_what_is_filled_in_is_what_is_read(storage: Storage) -> None:
    """The second replaces the first whole, however much shorter it is."""
    assert storage.replace(KEY, lambda file: file.write(b"a long first text")) == 17
    assert storage.replace(KEY, lambda file: file.write(b"short")) == 5
    assert content(storage, KEY) == b"short"


def test_names_and_stamps_tell_what_is_there(storage: Storage) -> None:
    """Names are sorted and show no lock or temporary file; a stamp changes with its file."""
    assert storage.names("book") == []
    storage.replace("book/b", lambda file: file.write(b"1"))
    storage.replace("book/a", lambda file: file.write(b"22"))
    assert storage.names("book") == ["a", "b"]
    before = storage.stamps("book", ["book/a", "book/c", "book/b"])
    assert [stamp and stamp.size_bytes for stamp in before] == [2, None, 1]
    storage.replace("book/b", lambda file: file.write(b"3"))
    after = storage.stamps("book", ["book/a", "book/c", "book/b"])
    assert [new == old for new, old in zip(after, before, strict=True)] == [True, True, False]


def test_an_absent_key_is_not_found(storage: Storage) -> None:
    """The error is the standard one, for the caller to explain."""
    with pytest.raises(FileNotFoundError):
        content(storage, "book/none")


def test_a_failing_fill_leaves_the_old_content(storage: Storage) -> None:
    """Whatever goes wrong while writing, the old file stays and no temporary one does."""
    storage.replace(KEY, lambda file: file.write(b"old"))

    def fail(file: BinaryIO) -> None:
        file.write(b"new")
        raise ValueError("a bug in the filler")

    with pytest.raises(ValueError, match="a bug"):
        storage.replace(KEY, fail)
    assert content(storage, KEY) == b"old"


def test_a_second_writer_is_refused_and_told_who_writes(tmp_path: Path) -> None:
    """The first goes on undisturbed; the message carries the holder's process id."""
    storage = open_storage(tmp_path)

    def write_again(file: BinaryIO) -> None:
        with pytest.raises(ArchiveBusy, match=f"process {os.getpid()} is writing it"):
            open_storage(tmp_path).replace(KEY, lambda other: other.write(b"second"))
        file.write(b"first")

    storage.replace(KEY, write_again)
    assert content(storage, KEY) == b"first"


def test_other_partitions_can_be_written_meanwhile(tmp_path: Path) -> None:
    """The lock is one partition's."""
    storage = open_storage(tmp_path)
    other = KEY.replace("-06", "-07")
    storage.replace(KEY, lambda file: file.write(b"%d" % storage.replace(other, lambda inner: inner.write(b"22"))))
    assert content(storage, KEY) == b"2"


@pytest.mark.parametrize("point", POINTS)
def test_a_killed_writer_leaves_nothing_half_written(tmp_path: Path, point: str) -> None:
    """A real SIGKILL: the day reads as the old or the new one, whole, and the next write cleans up."""
    lake = Lake.create(tmp_path / "lake")
    other = Lake.create(tmp_path / "other")
    old, new = book_at(steady_ns(), seed=1), book_at(steady_ns(), seed=2)
    lake.write_book("BTCUSDT", DAY, old, source="old")
    made = other.write_book("BTCUSDT", DAY, new, source="new")

    command = [sys.executable, "-m", "tests.archive.dying_writer", str(tmp_path / "lake"), KEY, made.path, point]
    died = subprocess.run(command, capture_output=True, check=False)
    assert died.returncode == -signal.SIGKILL, died.stderr.decode()

    expected = new if point == "not synced" else old
    assert same(lake.read_book("BTCUSDT", DAY), expected)
    assert scan(lake, ["BTCUSDT"], [DAY], tables=["book"]).gaps == ()
    lake.write_book("BTCUSDT", DAY, new, source="new")
    assert same(lake.read_book("BTCUSDT", DAY), new)
    assert not list((tmp_path / "lake").rglob("*.tmp"))


def test_a_full_disk_leaves_the_old_partition(small_disk: Path) -> None:
    """The error tells how much room there is, the temporary file is gone, and a smaller day still fits."""
    lake = Lake(small_disk)
    put_book(lake, "BTCUSDT", DAY, steady_ns(every_seconds=60))
    before = lake.read_book("BTCUSDT", DAY)
    with pytest.raises(WriteFailed, match=r"No space left on device \(free: \d+ bytes\); what was there before"):
        put_book(lake, "BTCUSDT", DAY, steady_ns(every_seconds=1))
    assert same(lake.read_book("BTCUSDT", DAY), before)
    assert not list(small_disk.rglob("*.tmp"))
    put_book(lake, "BTCUSDT", DAY, steady_ns(every_seconds=50))


def test_a_limit_on_file_size_leaves_the_old_partition(tmp_path: Path) -> None:
    """The kernel refuses the write half way: same promise as a full disk."""
    lake = Lake(tmp_path)
    put_book(lake, "BTCUSDT", DAY, steady_ns())
    before = lake.read_book("BTCUSDT", DAY)
    limited = subprocess.run(
        [sys.executable, "-m", "tests.archive.limited_writer", str(tmp_path), "200000"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert "File too large" in limited.stdout
    assert same(lake.read_book("BTCUSDT", DAY), before)
    assert not list(tmp_path.rglob("*.tmp"))


def test_a_path_that_cannot_be_a_folder_is_a_failed_write(tmp_path: Path) -> None:
    """A file where the table's folder should be: the message carries the path."""
    (tmp_path / "book").write_text("in the way")
    with pytest.raises(WriteFailed, match="book/symbol=BTCUSDT"):
        open_storage(tmp_path).replace(KEY, lambda file: file.write(b"x"))


class RefusingFileSystem(MemoryFileSystem):  # type: ignore[misc]
    """An object store whose PUT is refused."""

    protocol = "refusing"

    def pipe_file(self, path: str, value: bytes, **options: object) -> None:
        raise PermissionError(f"403 for {path}")

    def _open(self, path: str, mode: str = "rb", **options: object) -> BinaryIO:
        raise PermissionError(f"403 for {path}")


@pytest.mark.filterwarnings("ignore:UPath 'refusing' filesystem not explicitly implemented")
def test_a_refused_put_is_a_failed_write() -> None:
    """An object store that says no: one clear error, with its reason."""
    fsspec.register_implementation("refusing", RefusingFileSystem, clobber=True)
    with pytest.raises(WriteFailed, match=r"403 .*the former object is intact"):
        open_storage("refusing://bucket/lake").replace(KEY, lambda file: file.write(b"x"))

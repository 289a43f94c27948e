"""Where the bytes lie: a local folder or an object store, behind one small protocol.

They differ in how a file is replaced so that no reader ever sees half of it. A local file is written beside its target
under a lock, synced and renamed. An object store has neither rename nor lock, but its PUT is atomic: the whole object
is made in memory and put under its final key at once. On S3 that happens only while the object is still the one that
was there when the writing began, so of two writers the later is refused and no lock is left by one that died; other
stores cannot tell, and one run a partition is then the scheduler's care.
"""

import fcntl
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, Protocol

import pyarrow as pa
from upath import UPath

from archive.errors import ArchiveBusy, WriteFailed

Fill = Callable[[BinaryIO], object]
_S3 = ("s3", "s3a")


class Stamp(NamedTuple):
    """What changes when a file does, known without opening it.

    `version` is the modification time (ns) and inode of a local file (two writes may fall into one tick of the file
    system's clock), the entity tag of an object.
    """

    size_bytes: int
    version: str


class Storage(Protocol):
    """Files by key: a path below the root, with / between its parts."""

    def locate(self, key: str) -> str:
        """Return the full path or URL of a key, for messages."""
        ...

    def exists(self) -> bool:
        """Tell whether the root is there."""
        ...

    def names(self, key: str) -> list[str]:
        """Return the names directly below a key, sorted, without hidden ones; none when there is no such key."""
        ...

    def stamps(self, folder: str, keys: Iterable[str]) -> list[Stamp | None]:
        """Return the stamps of keys below a folder, in their order; None for those that do not exist."""
        ...

    def open(self, key: str) -> Any:
        """Return a readable pyarrow.NativeFile; FileNotFoundError when there is no such key."""
        ...

    def replace(self, key: str, fill: Fill) -> int:
        """Put what `fill` writes under a key, all or nothing, and return its size in bytes.

        Raises ArchiveBusy while another process replaces the same key, WriteFailed when the disk refuses; either way
        the file that was there before is untouched.
        """
        ...


def open_storage(root: str | os.PathLike[str]) -> Storage:
    """Return the storage of a path or of any URL fsspec knows."""
    path = UPath(root)
    if path.protocol in ("", "file", "local"):
        return LocalFiles(Path(path.path))
    if path.protocol in _S3:
        # Its listings are remembered for ever otherwise, and what another process has written is never seen.
        return ObjectKeys(UPath(root, use_listings_cache=False))
    return ObjectKeys(path)


class LocalFiles:
    """A folder of the local file system."""

    def __init__(self, root: Path) -> None:
        self._root = root.absolute()

    def locate(self, key: str) -> str:
        """Return the full path of a key."""
        return f"{self._root}/{key}" if key else str(self._root)

    def exists(self) -> bool:
        """Tell whether the root is a folder."""
        return self._root.is_dir()

    def names(self, key: str) -> list[str]:
        """Return the visible names of a folder, sorted."""
        try:
            return sorted(p.name for p in (self._root / key).iterdir() if not p.name.startswith("."))
        except (FileNotFoundError, NotADirectoryError):
            return []

    def stamps(self, folder: str, keys: Iterable[str]) -> list[Stamp | None]:  # noqa: ARG002
        """Return size, modification time and inode of each file that exists."""
        prefix = f"{self._root}/"
        return [_file_stamp(prefix + key) for key in keys]

    def open(self, key: str) -> Any:
        """Open a file for reading."""
        return pa.OSFile(self.locate(key), "rb")

    def replace(self, key: str, fill: Fill) -> int:
        """Write beside the target, sync, rename, sync the folder."""
        target = self._root / key
        try:
            _make_folder(target.parent)
            with _locked(target):
                return _write_beside(target, fill)
        except OSError as error:
            raise WriteFailed(
                f"{target}: {error.strerror or error} (free: {_free_bytes(target)} bytes); what was there before is "
                f"intact, nothing of the new data is kept; make room and write it again"
            ) from error


class ObjectKeys:
    """A prefix of an object store, or of any other file system fsspec has."""

    def __init__(self, root: UPath) -> None:
        self._root = root

    def locate(self, key: str) -> str:
        """Return the URL of a key."""
        return str(self._root / key) if key else str(self._root)

    def exists(self) -> bool:
        """Always true: a prefix needs no making."""
        return True

    def names(self, key: str) -> list[str]:
        """Return the visible names below a prefix, sorted."""
        folder = self._root / key
        if not folder.exists():
            return []
        return sorted(path.name for path in folder.iterdir() if not path.name.startswith("."))

    def stamps(self, folder: str, keys: Iterable[str]) -> list[Stamp | None]:
        """Return size and entity tag of each object that exists, from one listing."""
        listing = self._root.fs.find((self._root / folder).path, detail=True)
        return [_object_stamp(listing.get((self._root / key).path)) for key in keys]

    def open(self, key: str) -> Any:
        """Open an object for reading."""
        return pa.PythonFile((self._root / key).open("rb"), mode="r")

    def _tag(self, target: UPath) -> str:
        """The entity tag of an object as it stands, empty when there is none."""
        try:
            return str(target.fs.info(target.path, refresh=True)["ETag"])
        except FileNotFoundError:
            return ""

    def replace(self, key: str, fill: Fill) -> int:
        """Make the whole object in memory and put it at once, on S3 only over what was there before."""
        buffer, target = BytesIO(), self._root / key
        try:
            before = self._tag(target) if self._root.protocol in _S3 else ""
        except OSError as error:
            raise WriteFailed(f"{target}: {error}; nothing was written; may we look at it?") from error
        fill(buffer)
        try:
            if self._root.protocol in _S3:
                _put_over(target, buffer.getvalue(), before)
            else:
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(buffer.getvalue())
        except FileExistsError as error:
            raise ArchiveBusy(
                f"{target}: another process has written it meanwhile; its object stands, ours is not kept. Read it "
                "again and write again if that is still wanted"
            ) from error
        except OSError as error:
            raise WriteFailed(
                f"{target}: {error} (object of {buffer.tell()} bytes); the former object is intact; write it again"
            ) from error
        return buffer.tell()


def _put_over(target: UPath, data: bytes, before: str) -> None:
    """Put an S3 object unless it changed: `before` is its entity tag, empty when there was none.

    Raises FileExistsError when it did, OSError for everything else.
    """
    bucket, _, key = target.path.partition("/")
    condition = {"IfMatch": before} if before else {"IfNoneMatch": "*"}
    try:
        target.fs.call_s3("put_object", Bucket=bucket, Key=key, Body=data, **condition)
    except OSError as error:
        if "PreconditionFailed" in f"{error!r} {error.__cause__!r}":
            raise FileExistsError(str(target)) from error
        raise


def _file_stamp(path: str) -> Stamp | None:
    try:
        status = os.stat(path)  # noqa: PTH116 - a scan asks for thousands, and a Path each would double the time
    except FileNotFoundError:
        return None
    return Stamp(status.st_size, f"{status.st_mtime_ns}-{status.st_ino}")


def _object_stamp(entry: dict[str, Any] | None) -> Stamp | None:
    if entry is None:
        return None
    version = next((entry[name] for name in ("ETag", "etag", "LastModified", "mtime", "created") if name in entry), "")
    return Stamp(int(entry["size"]), str(version))


def _make_folder(folder: Path) -> None:
    made = [path for path in (folder, *folder.parents) if not path.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    for path in made:
        _sync_folder(path.parent)


@contextmanager
def _locked(target: Path) -> Iterator[None]:
    # The lock file stays: removing it would let two writers lock two different files of one name.
    with (target.parent / f".{target.name}.lock").open("a+", encoding="ascii") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            holder = lock.read().strip() or "unknown"
            raise ArchiveBusy(
                f"{target}: process {holder} is writing it; wait for that run to end, then write again"
            ) from None
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        yield


def _write_beside(target: Path, fill: Fill) -> int:
    for left_over in target.parent.glob(f".{target.name}.*.tmp"):
        # We hold the lock, so whoever began this one is dead.
        left_over.unlink()
    temporary = target.parent / f".{target.name}.{os.getpid()}.tmp"
    try:
        with temporary.open("xb") as file:
            fill(file)
            file.flush()
            os.fsync(file.fileno())
            size_bytes = file.tell()
        temporary.replace(target)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    _sync_folder(target.parent)
    return size_bytes


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _free_bytes(target: Path) -> int:
    existing = next(path for path in target.parents if path.exists())
    status = os.statvfs(existing)
    return status.f_bavail * status.f_frsize
